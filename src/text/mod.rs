//! Text rules: replacements from the configuration, spoken punctuation, fillers and numbers.
//!
//! In: pieces of text (the words of an utterance) of a recording ([`Rules::segments`]) or of live
//! text ([`Rules::interim`], [`Rules::words`]). Out: entries of text, each with the range of pieces
//! that it was made of and takes its times from.
//!
//! ```text
//! pieces ──token: words, signs, spaces──▶ phrases: longest match ──▶ rewrite: text, spaces, capitals ──▶ entries
//!                                         numbers: digits
//! ```
//!
//! While an utterance continues, only its committed words are rewritten, and the result stops
//! before a phrase that the next word might complete. The rewritten text of more words therefore
//! always begins with it. The decoder never sees rewritten text.

mod apply;
mod fillers;
mod function_words;
mod numbers;
mod phrases;
mod punctuation;
mod rewrite;
mod token;
mod words;

pub use apply::Rewritten;
pub use function_words::is_function_word;
pub use numbers::Numbers;
pub use token::{is_word, tokens};
pub use words::{Word, common_prefix, join, split, timed};

use crate::advice::Advice;
use crate::tokenizer::{Language, Task};
use phrases::{Action, Phrases};
use rewrite::Rewriter;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// Rules that rewrite the text of the model.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Replacements only.
    replacements: Phrases,
    /// Phrases by language code, replacements among them, if there are others.
    of_language: HashMap<&'static str, Phrases>,
    numbers: Numbers,
}

/// Rules besides replacements.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuleOptions {
    /// Whether the names of punctuation marks become marks.
    pub spoken_punctuation: bool,
    /// Whether fillers such as "um" are left out.
    pub drop_fillers: bool,
    /// How numbers are written.
    pub numbers: Numbers,
}

/// Error of a replacement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementError {
    /// The left side is empty.
    #[error("replacements.'{0}': the left side is empty")]
    Empty(String),
    /// Two left sides are the same.
    #[error("replacements.'{0}': '{1}' differs only in case and spaces")]
    Twice(String, String),
    /// The right side has a control character, which programs do not accept as text.
    #[error("replacements.'{0}': the right side has the control character {1:?}")]
    Control(String, char),
    /// The right side is not text.
    #[error("replacements.'{0}' is of type {1}, not text")]
    Type(String, String),
}

impl Advice for ReplacementError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Empty(..) => "write the text to replace there".into(),
            Self::Twice(..) => "keep one of them".into(),
            Self::Control(..) => "remove it".into(),
            Self::Type(..) => {
                "write it as \"as heard\" = \"as wanted\", with quotes on both sides".into()
            }
        })
    }
}

impl Rules {
    /// Creates rules that replace the keys of `replacements`, whole words or phrases in any case,
    /// by their values, and that follow `options`.
    ///
    /// # Errors
    /// Returns an error if a replacement is invalid.
    pub fn new(
        replacements: &BTreeMap<String, String>,
        options: RuleOptions,
    ) -> Result<Self, ReplacementError> {
        let mut own = Phrases::default();
        let mut seen = HashMap::new();
        for (from, to) in replacements {
            let phrase = phrases::phrase(from);
            if phrase.is_empty() {
                return Err(ReplacementError::Empty(from.clone()));
            }
            if let Some(c) = to
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
            {
                return Err(ReplacementError::Control(from.clone(), c));
            }
            if let Some(other) = seen.insert(phrase.clone(), from) {
                return Err(ReplacementError::Twice(from.clone(), other.clone()));
            }
            own.insert(phrase, Action::Replace(to.clone()));
        }
        Ok(Self {
            of_language: phrases_by_language(&own, options),
            replacements: own,
            numbers: options.numbers,
        })
    }

    /// Returns the rewriter for text in a language; `None` if it stays as it is.
    fn rewriter(&self, language: Language) -> Option<Rewriter<'_>> {
        let code = language.code();
        let of_language = self.of_language.get(code);
        let phrases = of_language.unwrap_or(&self.replacements);
        let numbers = match self.numbers {
            Numbers::Words => None,
            Numbers::Digits => numbers::of(code),
        };
        (!phrases.is_empty() || numbers.is_some()).then_some(Rewriter {
            phrases,
            removes_marks: of_language.is_some(),
            numbers,
            language,
        })
    }
}

/// Returns the phrases of each language that has spoken punctuation or fillers, if requested.
/// Replacements are among them and have priority.
fn phrases_by_language(own: &Phrases, options: RuleOptions) -> HashMap<&'static str, Phrases> {
    let mut all: HashMap<&str, Phrases> = HashMap::new();
    for code in fillers::LANGUAGES.iter().filter(|_| options.drop_fillers) {
        let phrases = all.entry(code).or_default();
        for filler in fillers::of(code) {
            phrases.insert(phrases::phrase(filler), Action::Drop);
        }
    }
    for code in punctuation::LANGUAGES
        .iter()
        .filter(|_| options.spoken_punctuation)
    {
        let phrases = all.entry(code).or_default();
        for (spoken, marks) in punctuation::spoken_in(code) {
            for name in *spoken {
                phrases.insert(phrases::phrase(name), Action::Punctuate(marks));
            }
        }
    }
    all.values_mut().for_each(|phrases| phrases.extend(own));
    all
}

/// Returns the language of the text, given the language spoken.
pub fn written(task: Task, spoken: Language) -> Language {
    match task {
        Task::Transcribe => spoken,
        Task::Translate => Language::ENGLISH,
    }
}

/// Removes the spaces around a text, but not line ends.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() && c != '\n')
}

/// Appends text that begins with a space. Next to a line end the space is left out.
pub fn append(text: &mut String, more: &str) {
    let bare = more.trim_start_matches(' ');
    text.push_str(if text.ends_with('\n') || bare.starts_with('\n') {
        bare
    } else {
        more
    });
}

#[cfg(test)]
mod tests;
