//! A recognizer for tests.

use super::recognizer::{Hypothesis, RecognizeError, Recognizer, Request};
use crate::recognize::WindowError;
use crate::text::{Word, split};
use crate::tokenizer::Language;
use crate::whisper::decoding::DecodingError;

/// Answers each request with a function instead of a model.
pub(super) struct FakeRecognizer<F> {
    answer: F,
    language: Option<Language>,
}

impl<F: FnMut(Request<'_>) -> Hypothesis + Send> FakeRecognizer<F> {
    /// Creates a recognizer that detects the language.
    pub fn new(answer: F) -> Self {
        Self {
            answer,
            language: None,
        }
    }

    /// Creates a recognizer whose language is given.
    pub fn in_language(language: Option<Language>, answer: F) -> Self {
        Self { answer, language }
    }
}

impl<F: FnMut(Request<'_>) -> Hypothesis + Send> Recognizer for FakeRecognizer<F> {
    fn recognize(
        &mut self,
        request: Request<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        if cancelled() {
            return Err(WindowError::Decode(DecodingError::Cancelled).into());
        }
        Ok((self.answer)(request))
    }

    fn language(&self) -> Option<Language> {
        self.language
    }
}

/// Returns a likely hypothesis in English.
pub(super) fn hypothesis(text: &str) -> Hypothesis {
    Hypothesis {
        words: sure_words(text),
        is_unlikely: false,
        stands: false,
        language: Language::ENGLISH,
        avg_logprob: -0.1,
    }
}

/// Returns words of full confidence at the start of the audio.
pub(super) fn sure_words(text: &str) -> Vec<Word> {
    let mut words = split(text, Language::ENGLISH);
    words.iter_mut().for_each(|word| word.confidence = 1.0);
    words
}
