//! Spoken numbers as digits, in English and German.
//!
//! In: the tokens of an utterance from a word on. Out: the number that begins there, in digits.
//!
//! ```text
//! tokens ──stretch: words of numbers──▶ grammar: parts ("nineteen", "eighty four") ──▶ digits
//! ```
//!
//! A stretch ends before the first word that belongs to no number. Nothing is decided before that
//! word is known, so more text never changes a number.

mod english;
mod german;
mod grammar;

pub(super) use grammar::{Found, Grammar};

use clap::ValueEnum;
use english::ENGLISH;
use german::GERMAN;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Numbers {
    /// As Whisper writes them, which are often words
    #[default]
    Words,
    /// In digits, in English and German
    Digits,
}

impl Numbers {
    /// Returns the name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Digits => "digits",
        }
    }
}

/// Returns the numbers of a language.
pub(super) fn of(code: &str) -> Option<&'static Grammar> {
    match code {
        "en" => Some(&ENGLISH),
        "de" => Some(&GERMAN),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
