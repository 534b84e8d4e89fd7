//! Text rules: replacements from the configuration, and spoken punctuation.
//!
//! In: pieces of text (the words of an utterance) of a recording ([`Rules::segments`]) or of live
//! text ([`Rules::interim`], [`Rules::words`]). Out: entries of text, each with the range of pieces
//! that it was made of and takes its times from.
//!
//! ```text
//! pieces ──token: words, signs, spaces──▶ phrases: longest match ──▶ rewrite: text, spaces, capitals ──▶ entries
//! ```
//!
//! While an utterance continues, only its committed words are rewritten, and the result stops
//! before a phrase that the next word might complete. The rewritten text of more words therefore
//! always begins with it. The decoder never sees rewritten text.

mod apply;
mod phrases;
mod punctuation;
mod rewrite;
mod token;
mod words;

pub use apply::Rewritten;
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
    /// Replacements and spoken punctuation by language code; empty if spoken punctuation is off.
    spoken: HashMap<&'static str, Phrases>,
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
    /// by their values, and with `spoken_punctuation` the names of punctuation marks by the marks.
    ///
    /// # Errors
    /// Returns an error if a replacement is invalid.
    pub fn new(
        replacements: &BTreeMap<String, String>,
        spoken_punctuation: bool,
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
        let with_own = |code| {
            let mut all = Phrases::default();
            for (spoken, marks) in punctuation::spoken_in(code) {
                spoken
                    .iter()
                    .for_each(|said| all.insert(phrases::phrase(said), Action::Punctuate(marks)));
            }
            all.extend(&own);
            (code, all)
        };
        let spoken = punctuation::LANGUAGES
            .into_iter()
            .filter(|_| spoken_punctuation)
            .map(with_own)
            .collect();
        Ok(Self {
            replacements: own,
            spoken,
        })
    }

    /// Returns the rewriter for text in a language; `None` if it stays as it is.
    fn rewriter(&self, language: Language) -> Option<Rewriter<'_>> {
        let spoken = self.spoken.get(language.code());
        let phrases = spoken.unwrap_or(&self.replacements);
        (!phrases.is_empty()).then_some(Rewriter {
            phrases,
            is_spoken: spoken.is_some(),
        })
    }
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
