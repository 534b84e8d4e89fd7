//! The languages of Whisper: their codes and names in the order of their tokens.

use std::fmt;
use std::str::FromStr;

use crate::suggest;

/// A language that Whisper knows. Only large-v3 and later models know the last one, Cantonese.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(u8);

/// A name of no language that Whisper knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language '{given}': {advice}")]
pub struct UnknownLanguage {
    given: String,
    advice: String,
}

impl Language {
    /// English, the language of English-only models.
    pub const ENGLISH: Self = Self(0);

    /// All languages in the order of their tokens.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).map_while(Self::from_index)
    }

    /// The language of the `index`-th language token.
    pub(super) fn from_index(index: usize) -> Option<Self> {
        (index < LANGUAGES.len()).then_some(Self(u8::try_from(index).ok()?))
    }

    /// Index of its token among the language tokens.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Code in Whisper's tokens, mostly ISO 639-1: "de", "haw", "yue".
    pub fn code(self) -> &'static str {
        LANGUAGES[self.index()].0
    }

    /// English name in lower case: "german".
    pub fn name(self) -> &'static str {
        LANGUAGES[self.index()].1
    }

    /// Whether its words are written without spaces between them.
    pub fn is_written_without_spaces(self) -> bool {
        WITHOUT_SPACES.contains(&self.code())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({})", self.code())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Accepts a code, a name or one of OpenAI's aliases ("castilian"), in upper or lower case.
    fn from_str(given: &str) -> Result<Self, UnknownLanguage> {
        let name = given.trim().to_lowercase();
        let code = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name.as_str(), |(_, code)| code);
        Self::all()
            .find(|language| language.code() == code || language.name() == code)
            .ok_or_else(|| UnknownLanguage {
                given: given.to_owned(),
                advice: advice(&name),
            })
    }
}

/// Similarity, from 0 to 1, from which a name is suggested.
const NEAR: f64 = 0.8;

fn advice(given: &str) -> String {
    let near = suggest::nearest(given, Language::all().map(Language::name), NEAR);
    match near.first().and_then(|name| name.parse::<Language>().ok()) {
        Some(language) => format!("did you mean {} ({language})?", language.name()),
        None => "give a code such as 'de' or a name such as 'german'".to_owned(),
    }
}

/// Languages without spaces between words: those of openai-whisper's `split_to_word_tokens`
/// (`tokenizer.py`), and Khmer.
const WITHOUT_SPACES: [&str; 7] = ["zh", "ja", "th", "lo", "my", "km", "yue"];

/// Other names that openai-whisper's `TO_LANGUAGE_CODE` accepts, with their codes.
const ALIASES: [(&str, &str); 12] = [
    ("burmese", "my"),
    ("valencian", "ca"),
    ("flemish", "nl"),
    ("haitian", "ht"),
    ("letzeburgesch", "lb"),
    ("pushto", "ps"),
    ("panjabi", "pa"),
    ("moldavian", "ro"),
    ("moldovan", "ro"),
    ("sinhalese", "si"),
    ("castilian", "es"),
    ("mandarin", "zh"),
];

/// Code and English name, in the order of the language tokens (`LANGUAGES` in openai-whisper's
/// `tokenizer.py`).
const LANGUAGES: [(&str, &str); 100] = [
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_aliases_in_any_case_are_understood() {
        for (given, code) in [
            ("de", "de"),
            ("German", "de"),
            (" CASTILIAN ", "es"),
            ("Haitian Creole", "ht"),
            ("yue", "yue"),
        ] {
            assert_eq!(
                given.parse::<Language>().map(Language::code),
                Ok(code),
                "{given}"
            );
        }
        assert!(Language::all().all(|language| language.name().parse() == Ok(language)));
        assert_eq!(Language::all().count(), 100);
        assert_eq!(Language::ENGLISH.name(), "english");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let message = |given: &str| given.parse::<Language>().map_err(|e| e.to_string());
        assert_eq!(
            message("germn"),
            Err("unknown language 'germn': did you mean german (de)?".to_owned())
        );
        let vague = message("klingon").err().unwrap_or_default();
        assert!(
            vague.contains("'de'") || vague.contains("did you mean"),
            "{vague}"
        );
        assert!(message("").is_err());
    }
}
