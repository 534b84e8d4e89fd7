//! A recognizer that answers from a closure, for tests.

use super::recognizer::{Hypothesis, RecognizeError, Recognizer, Request};
use crate::text::{Word, split};
use crate::tokenizer::Language;

/// Answers each request with what `answer` makes of it.
pub(super) struct FakeRecognizer<F> {
    answer: F,
    language: Option<Language>,
}

impl<F: FnMut(&Request<'_>) -> Hypothesis + Send + 'static> FakeRecognizer<F> {
    /// A recognizer to which no language is given.
    pub fn new(answer: F) -> Self {
        Self {
            answer,
            language: None,
        }
    }

    /// The same with a given language.
    pub fn with_language(self, language: Option<Language>) -> Self {
        Self { language, ..self }
    }
}

impl<F: FnMut(&Request<'_>) -> Hypothesis + Send> Recognizer for FakeRecognizer<F> {
    fn recognize(
        &mut self,
        request: Request<'_>,
        _: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        Ok((self.answer)(&request))
    }

    fn language(&self) -> Option<Language> {
        self.language
    }

    /// 15.36 s.
    fn max_samples(&self) -> usize {
        245_760
    }
}

/// English words that the model is sure of, without times.
pub(super) fn sure_words(text: &str) -> Vec<Word> {
    let mut words = split(text, Language::ENGLISH);
    words.iter_mut().for_each(|word| word.confidence = 1.0);
    words
}

/// A likely hypothesis of English words.
pub(super) fn likely(words: Vec<Word>) -> Hypothesis {
    Hypothesis {
        words,
        is_unlikely: false,
        language: Language::ENGLISH,
        avg_logprob: -0.1,
    }
}
