//! Result of decoding a window: its transcript, or an error.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

use super::logits::NotFinite;
use super::options::OptionsError;
use super::thresholds::MIN_LANGUAGE_PROB;
use crate::tokenizer::Language;

/// Probabilities of the languages, likeliest first, if the language was detected.
pub(super) type LanguageProbs = Option<Vec<(Language, f32)>>;

/// Transcript of one window (`DecodingResult` in openai-whisper's `decoding.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct DecodingResult {
    /// Language given or detected; English if the model knows no other.
    pub language: Language,
    /// Probabilities of the languages, likeliest first, if the language was detected.
    pub language_probs: Option<Vec<(Language, f32)>>,
    /// Sampled tokens, including timestamps, without the initial tokens and the end token.
    pub tokens: Vec<u32>,
    /// Text of the tokens, trimmed.
    pub text: String,
    /// Mean log-probability of a token, including the end token.
    pub avg_logprob: f32,
    /// Probability of `<|nospeech|>` after the start of the transcript.
    pub no_speech_prob: f32,
    /// Temperature that the tokens were sampled at.
    pub temperature: f32,
    /// Length of the text divided by its compressed length. High values mean repetitions.
    pub compression_ratio: f32,
    /// Whether the text ended by itself and can be said in the sound, so that what it repeats may have
    /// been said.
    pub can_be_said: bool,
    /// Whether the text is considered a hallucination without speech: too few or too unlikely words.
    pub is_non_speech: bool,
    /// Whether the attempts at all temperatures were rejected.
    pub is_rejected: bool,
}

impl DecodingResult {
    /// Whether the language was given, or detected with a probability of at least 0.7.
    pub fn is_language_sure(&self) -> bool {
        is_sure(&self.language_probs, self.language)
    }
}

/// Whether `language` was given, or detected with a high probability.
pub(super) fn is_sure(detected: &LanguageProbs, language: Language) -> bool {
    let is_likely = |(other, p): &(Language, f32)| *other == language && *p >= MIN_LANGUAGE_PROB;
    detected
        .as_ref()
        .is_none_or(|probabilities| probabilities.iter().any(is_likely))
}

/// Error of decoding a window. `E` is the error of the [`crate::whisper::Inference`].
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DecodingError<E> {
    /// The caller cancelled.
    #[error("decoding was cancelled")]
    Cancelled,
    /// The options contradict each other or the model.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The decoder failed.
    #[error("the decoder failed: {0}")]
    Inference(#[source] E),
    /// The logits are not finite.
    #[error("the decoder gave NaN or infinite logits: the model or its audio features are damaged")]
    NotFinite,
    /// The decoder and the tokenizer belong to different models.
    #[error(
        "the decoder gave {given} logits, but the vocabulary needs {wanted}: fetch or import the model again"
    )]
    LogitsLength {
        /// Number of values received.
        given: usize,
        /// Number of values expected: rows times tokens in the vocabulary.
        wanted: usize,
    },
}

impl<E: Advice + 'static> Advice for DecodingError<E> {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Inference(error) => return error.remedy(),
            Self::NotFinite => "run `hearken models verify`".into(),
            _ => return None,
        })
    }
}

impl<E> From<NotFinite> for DecodingError<E> {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
    }
}

/// Returns the number of bytes of `text` divided by that of its zlib compression
/// (`compression_ratio` in openai-whisper's `utils.py`).
pub(super) fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail. If it did, the text would count as incompressible.
    let compressed = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish());
    compressed.map_or(1.0, |compressed| {
        text.len() as f32 / compressed.len().max(1) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_equal_those_of_zlib() {
        // Python: len(text) / len(zlib.compress(text)). Deflate encoders differ by a byte or two.
        let sentence = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
        let cases = [
            (String::new(), 0.0),
            (sentence.to_owned(), 1.3544),
            (sentence.repeat(5), 6.0795),
            ("ha ".repeat(60), 12.8571),
        ];
        for (text, expected) in cases {
            let ratio = compression_ratio(&text);
            assert!(
                (ratio - expected).abs() <= 0.05 * expected,
                "{ratio} for {text:?}, expected {expected}"
            );
        }
    }
}
