//! When a window is decoded again at a higher temperature, and when its text is silence.
//!
//! In: a [`DecodingResult`] and OpenAI's thresholds. Out: yes or no.

use super::result::DecodingResult;
use super::thresholds::{
    MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB_FALLBACK, MIN_AVG_LOGPROB, MIN_AVG_LOGPROB_GREEDY,
};

/// When a transcript is rejected, and what is tried next (`decode_with_fallback` in
/// openai-whisper's `transcribe.py`). The defaults are OpenAI's unless noted.
#[derive(Debug, Clone, PartialEq)]
pub struct FallbackOptions {
    /// Temperatures to try in turn; if empty, only the one in the decoding options.
    pub temperatures: Vec<f32>,
    /// A greedy text with a mean log-probability below this is searched again with five beams, if
    /// more than one temperature may be tried; never if `None`. Not OpenAI's.
    pub beam_logprob_threshold: Option<f32>,
    /// A compression ratio above this means repetitions.
    pub compression_ratio_threshold: Option<f32>,
    /// A mean log-probability below this means guesses.
    pub logprob_threshold: Option<f32>,
    /// A probability of `<|nospeech|>` above this means silence if the mean log-probability is too
    /// low as well.
    pub no_speech_threshold: Option<f32>,
}

impl Default for FallbackOptions {
    fn default() -> Self {
        Self {
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            beam_logprob_threshold: Some(MIN_AVG_LOGPROB_GREEDY),
            compression_ratio_threshold: Some(MAX_COMPRESSION_RATIO),
            logprob_threshold: Some(MIN_AVG_LOGPROB),
            no_speech_threshold: Some(MAX_NO_SPEECH_PROB_FALLBACK),
        }
    }
}

impl FallbackOptions {
    /// Whether `result` should be decoded again at the next temperature.
    pub fn needs_fallback(&self, result: &DecodingResult) -> bool {
        let repetitive = self.is_repetitive(result);
        let unlikely = self
            .logprob_threshold
            .is_some_and(|least| result.avg_logprob < least);
        let no_speech = self
            .no_speech_threshold
            .is_some_and(|most| result.no_speech_prob > most);
        (repetitive || unlikely) && !(no_speech && unlikely)
    }

    /// Whether the text of `result` repeats itself by OpenAI's measure, and cannot have been said so.
    pub(super) fn is_repetitive(&self, result: &DecodingResult) -> bool {
        let is_repetitive = self
            .compression_ratio_threshold
            .is_some_and(|most| result.compression_ratio > most);
        is_repetitive && !result.can_be_said
    }

    /// Whether the window of `result` is silent, so that its text must be dropped. OpenAI's rule
    /// keeps text with a mean log-probability above the threshold, whatever the probability of
    /// `<|nospeech|>`.
    pub fn is_silence(&self, result: &DecodingResult) -> bool {
        if result.is_non_speech {
            return true;
        }
        let no_speech = self
            .no_speech_threshold
            .is_some_and(|most| result.no_speech_prob > most);
        no_speech
            && !self
                .logprob_threshold
                .is_some_and(|least| result.avg_logprob > least)
    }
}
