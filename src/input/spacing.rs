//! Space and case at the beginning of an utterance, by what stands before the cursor.
//!
//! In: the text before the cursor, the utterance as it was recognised. Out: the utterance as one
//! would have typed it.

use crate::settings::desktop::{Case, Space};

/// Words that are capitals everywhere in English: the pronoun, days, months.
const ENGLISH_CAPITALS: &str = "I Monday Tuesday Wednesday Thursday Friday Saturday Sunday January \
    February April June July August September October November December English German French \
    Spanish Chinese Japanese";

/// How an utterance continues a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opening {
    /// Whether a space precedes it.
    pub space: bool,
    /// Whether its first letter becomes small.
    pub lower: bool,
}

/// What decides about an opening, beside the texts.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Where spaces go.
    pub space: Space,
    /// What happens to the first letter.
    pub case: Case,
    /// Language of the utterance, as code; empty if it is unknown.
    pub language: &'a str,
    /// Words whose case stays.
    pub hotwords: &'a [String],
}

impl Opening {
    /// Decides how `text` continues `before`, the text up to the cursor; `None` if it is unknown.
    pub fn new(before: Option<&str>, text: &str, rules: Rules<'_>) -> Self {
        let before = before.unwrap_or_default();
        Self {
            space: rules.space == Space::Auto && needs_space(before, text),
            lower: rules.case == Case::Auto
                && is_within_sentence(before)
                && may_be_small(before, text, rules),
        }
    }

    /// Returns `text` with this opening.
    pub fn apply(self, text: &str) -> String {
        let mut opened = String::with_capacity(text.len() + 1);
        if self.space {
            opened.push(' ');
        }
        let mut chars = text.chars();
        if self.lower
            && let Some(first) = chars.next()
        {
            opened.extend(first.to_lowercase());
        }
        opened.push_str(chars.as_str());
        opened
    }
}

/// Returns whether a space belongs between two texts.
fn needs_space(before: &str, text: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().next_back(), text.chars().next()) else {
        return false;
    };
    if is_written_without_spaces(last) || is_written_without_spaces(first) {
        return false;
    }
    let begins_word = first.is_alphanumeric() || "([{«“„‘\"'¿¡#@$€£&+–—".contains(first);
    begins_word && (last.is_alphanumeric() || is_closing(before, last))
}

/// Returns whether a word may follow `last` only after a space.
fn is_closing(before: &str, last: char) -> bool {
    match last {
        // An even number of them in the line: the last one closes.
        '"' => line(before).matches('"').count().is_multiple_of(2),
        // An apostrophe after a letter is part of a word or closes.
        '\'' => {
            let earlier = before.trim_end_matches('\'').chars().next_back();
            earlier.is_some_and(|c| !c.is_whitespace())
        }
        last => ".,;:!?)]}»”’%…°€$–&*+=".contains(last),
    }
}

fn line(before: &str) -> &str {
    before.rsplit('\n').next().unwrap_or_default()
}

/// Han, kana, Thai, Lao, Khmer, Burmese, and their full-width marks (Unicode blocks).
fn is_written_without_spaces(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0x30FF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF00..=0xFF9F | 0x2_0000..=0x3_FFFF)
}

/// Returns whether a sentence has begun before the cursor and has not ended.
fn is_within_sentence(before: &str) -> bool {
    let line = line(before);
    let open = line
        .trim_end()
        .trim_end_matches(['"', '\'', '”', '’', ')', ']', '»']);
    let ended = open
        .chars()
        .next_back()
        .is_none_or(|c| ".!?…:。！？：".contains(c));
    // A mark at the beginning of a line is that of a list or a quotation.
    !ended && open.chars().any(char::is_alphanumeric)
}

fn may_be_small(before: &str, text: &str, rules: Rules<'_>) -> bool {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || "'’-.".contains(*c))
        .collect();
    let bare = word.trim_end_matches(['.', '-', '\'', '’']);
    let mut letters = bare.chars();
    let Some(first) = letters.next().filter(|c| c.is_uppercase()) else {
        return false;
    };
    // German nouns are capitals, and only grammar tells a noun.
    let is_plain = rules.language != "de" && letters.all(|c| !c.is_uppercase() && !c.is_numeric());
    let stem = bare.split(['\'', '’']).next().unwrap_or(bare);
    let is_initial = bare.chars().count() == 1 && word.ends_with('.');
    let is_capital = ENGLISH_CAPITALS
        .split_whitespace()
        .any(|capital| capital == stem)
        || (stem == "I" && first == 'I');
    let is_hotword = rules
        .hotwords
        .iter()
        .any(|hotword| hotword.split_whitespace().next() == Some(bare));
    is_plain && !is_initial && !is_capital && !is_hotword && !is_name(before, bare)
}

/// Returns whether `word` stands in `before` with its capital in the middle of a sentence.
fn is_name(before: &str, word: &str) -> bool {
    before.match_indices(word).any(|(at, _)| {
        let ends = before[at + word.len()..]
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric());
        let earlier = before[..at].chars().next_back();
        ends && earlier.is_some_and(|c| !c.is_alphanumeric()) && is_within_sentence(&before[..at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(before: Option<&str>, text: &str, language: &str) -> String {
        let rules = Rules {
            space: Space::Auto,
            case: Case::Auto,
            language,
            hotwords: &["Hearken".to_owned()],
        };
        Opening::new(before, text, rules).apply(text)
    }

    #[test]
    fn an_utterance_continues_what_stands_before_the_cursor() {
        for (before, text, expected) in [
            ("", "Hello.", "Hello."),
            ("Hello.", "Again.", " Again."),
            ("Hello. ", "Again.", "Again."),
            ("Hello.\n", "Again.", "Again."),
            ("and then", "We left.", " we left."),
            ("and then ", "We left.", "we left."),
            ("and then", "I left.", " I left."),
            ("and then", "I'm here.", " I'm here."),
            ("and then", "I’ll go.", " I’ll go."),
            ("and then", "NASA flew.", " NASA flew."),
            ("and then", "McCoy left.", " McCoy left."),
            ("and then", "J. Smith left.", " J. Smith left."),
            ("on", "Monday it rains.", " Monday it rains."),
            ("and then", "Hearken hears.", " Hearken hears."),
            ("I met John and", "John left.", " John left."),
            ("one, two,", "Three.", " three."),
            ("well –", "Yes.", " yes."),
            ("see: ", "This.", "This."),
            ("(", "Perhaps", "Perhaps"),
            ("so (", "Perhaps", "perhaps"),
            ("he said \"", "Yes", "yes"),
            ("he said \"yes\"", "Then left", " then left"),
            ("the dogs'", "Tails", " tails"),
            ("it's '", "Quoted", "quoted"),
            ("and/", "Or", "or"),
            ("well-", "Known", "known"),
            ("mail me@", "Example", "example"),
            ("topic #", "Rust", "rust"),
            ("word", ", and", ", and"),
            ("word", "(in brackets)", " (in brackets)"),
            ("50%", "Of it", " of it"),
            ("He left. (Really.)", "Yes.", " Yes."),
            ("- ", "Milk", "Milk"),
            ("word", "123", " 123"),
            ("word", " spaced", " spaced"),
        ] {
            assert_eq!(
                opened(Some(before), text, "en"),
                expected,
                "{before:?} {text:?}"
            );
        }
    }

    #[test]
    fn nothing_is_assumed_about_an_unknown_text() {
        assert_eq!(opened(None, "Hello.", "en"), "Hello.");
    }

    #[test]
    fn german_keeps_its_capitals_and_umlauts_can_become_small() {
        assert_eq!(opened(Some("und dann kam die"), "Katze.", "de"), " Katze.");
        assert_eq!(opened(Some("sans"), "Émotion", "fr"), " émotion");
    }

    #[test]
    fn languages_without_spaces_get_none() {
        assert_eq!(opened(Some("今日は"), "良い天気", "ja"), "良い天気");
        assert_eq!(opened(Some("你好。"), "世界", "zh"), "世界");
        assert_eq!(opened(Some("你好。"), "Hello", "en"), "Hello");
        assert_eq!(opened(Some("hello"), "世界", "zh"), "世界");
        assert_eq!(opened(Some("안녕"), "하세요", "ko"), " 하세요");
        assert_eq!(opened(Some("สวัสดี"), "ครับ", "th"), "ครับ");
    }

    #[test]
    fn space_and_case_can_be_left_alone() {
        let rules = Rules {
            space: Space::None,
            case: Case::Keep,
            language: "en",
            hotwords: &[],
        };
        let opening = Opening::new(Some("and then"), "We left.", rules);
        assert_eq!(opening.apply("We left."), "We left.");
    }
}
