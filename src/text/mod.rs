//! The text that Whisper wrote, to the text that the user wants: replacements from the
//! configuration, and spoken punctuation.
//!
//! In: pieces of text, the words of an utterance, from a recording ([`Rules::segments`]) or while
//! it is spoken ([`Rules::interim`], [`Rules::words`]). Out: entries of text, and the pieces that each is made of,
//! which give it its times.
//!
//! ```text
//! pieces ──token: words, signs, spaces──▶ phrases: longest match ──▶ rewrite: text, spaces, capitals ──▶ entries
//! ```
//!
//! The text of an utterance that goes on is made of the committed words alone, and stops before a
//! phrase that the next word might complete: what a longer utterance gives always begins with it.
//! The decoder never sees rewritten text.

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

/// What to make of the text that Whisper wrote.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The replacements alone.
    replacements: Phrases,
    /// The replacements with a language's spoken punctuation, by code; empty where that is off.
    spoken: HashMap<&'static str, Phrases>,
}

/// Why a replacement cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplacementError {
    /// There is nothing to look for.
    #[error("replacements.'{0}': the left side is empty")]
    Empty(String),
    /// Another line looks for the same.
    #[error("replacements.'{0}': '{1}' is the same but for case and spaces")]
    Twice(String, String),
    /// A character that programs do not take as text.
    #[error("replacements.'{0}': the right side has the control character {1:?}")]
    Control(String, char),
    /// The right side is of another type.
    #[error("replacements.'{0}' is of type {1}, not text")]
    Type(String, String),
}

impl Advice for ReplacementError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Empty(..) => "write there what is to be replaced".into(),
            Self::Twice(..) => "keep one of them".into(),
            Self::Control(..) => "leave it out".into(),
            Self::Type(..) => {
                "write it as \"as heard\" = \"as wanted\", with quotes on both sides".into()
            }
        })
    }
}

impl Rules {
    /// Rules that replace the keys of `replacements`, whole words or phrases in any case, by their
    /// values, and punctuation that is spoken, where `spoken_punctuation` says so, by its signs.
    ///
    /// # Errors
    /// Where a replacement makes no sense.
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

    /// What to do about text of a language; `None` where it stays as it is.
    fn rewriter(&self, language: Language) -> Option<Rewriter<'_>> {
        let spoken = self.spoken.get(language.code());
        let phrases = spoken.unwrap_or(&self.replacements);
        (!phrases.is_empty()).then_some(Rewriter {
            phrases,
            is_spoken: spoken.is_some(),
        })
    }
}

/// The language that is written where `spoken` is spoken.
pub fn written(task: Task, spoken: Language) -> Language {
    match task {
        Task::Transcribe => spoken,
        Task::Translate => Language::ENGLISH,
    }
}

/// Text without the spaces around it; line ends stay.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() && c != '\n')
}

/// Adds text that begins with a space; that is left out where a line ends or begins.
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
