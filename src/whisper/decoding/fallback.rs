//! Decoding again at higher temperatures where the text looks wrong (`decode_with_fallback` in openai-whisper's
//! `transcribe.py`).

use super::decode_window;
use super::error::DecodingError;
use super::options::DecodingOptions;
use super::result::DecodingResult;
use crate::whisper::{Inference, Tokenizer};

/// When a transcript is rejected, and what is tried next. The defaults are OpenAI's.
#[derive(Debug, Clone, PartialEq)]
pub struct FallbackOptions {
    /// Temperatures to try in turn; when empty, that of the decoding options alone.
    pub temperatures: Vec<f32>,
    /// A compression ratio above it means repetitions.
    pub compression_ratio_threshold: Option<f32>,
    /// A mean log-probability below it means guesses.
    pub logprob_threshold: Option<f32>,
    /// A probability of `<|nospeech|>` above it, with a mean log-probability that is too low, means silence.
    pub no_speech_threshold: Option<f32>,
}

impl Default for FallbackOptions {
    fn default() -> Self {
        Self {
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            compression_ratio_threshold: Some(2.4),
            logprob_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
        }
    }
}

impl FallbackOptions {
    /// Whether `result` should be decoded again at the next temperature.
    pub fn needs_fallback(&self, result: &DecodingResult) -> bool {
        let repetitive = self.compression_ratio_threshold.is_some_and(|most| result.compression_ratio > most);
        let unlikely = self.logprob_threshold.is_some_and(|least| result.avg_logprob < least);
        let no_speech = self.no_speech_threshold.is_some_and(|most| result.no_speech_prob > most);
        (repetitive || unlikely) && !(no_speech && unlikely)
    }

    /// Whether the window of `result` is silent, so that its text is to be dropped. Text of a mean log-probability
    /// above the threshold is kept whatever the probability of `<|nospeech|>`.
    pub fn is_silence(&self, result: &DecodingResult) -> bool {
        let no_speech = self.no_speech_threshold.is_some_and(|most| result.no_speech_prob > most);
        no_speech && !self.logprob_threshold.is_some_and(|least| result.avg_logprob > least)
    }
}

/// Decodes a window at each temperature in turn until a transcript is accepted; the last one is returned whatever it
/// is. Beams serve temperature 0, samples (`best_of`) the others. A language is detected once.
///
/// # Errors
/// As [`decode_window`].
pub fn decode_with_fallback<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    fallback: &FallbackOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    let (&first, others) = fallback.temperatures.split_first().unwrap_or((&options.temperature, &[]));
    let mut result = decode_window(inference, tokenizer, &at_temperature(options, first), cancelled)?;
    for &temperature in others {
        if !fallback.needs_fallback(&result) {
            break;
        }
        let options = DecodingOptions { language: Some(result.language), ..at_temperature(options, temperature) };
        let again = decode_window(inference, tokenizer, &options, cancelled)?;
        result = DecodingResult { language_probs: result.language_probs, ..again };
    }
    Ok(result)
}

/// The options that apply at a temperature.
fn at_temperature(options: &DecodingOptions, temperature: f32) -> DecodingOptions {
    let mut options = DecodingOptions { temperature, ..options.clone() };
    if temperature > 0.0 {
        options.beam_size = None;
        options.patience = None;
    } else {
        options.best_of = None;
    }
    options
}
