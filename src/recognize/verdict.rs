//! Judges the text of a window.
//!
//! In: what the decoder found, and the seconds of sound in the window. Out: whether to believe it.
//! The thresholds and their measurements are in `whisper/decoding/thresholds.rs`.

use super::WindowText;
use crate::whisper::decoding::thresholds::{
    MAX_COMPRESSION_RATIO, MAX_NO_SPEECH_PROB, MAX_NO_SPEECH_PROB_IF_REPEATED,
    MAX_NO_SPEECH_PROB_SECOND_LOOK, MAX_S_SECOND_LOOK, MAX_SOUND_S_IF_REPEATED,
    MAX_TOKENS_PER_SECOND_SAID, MIN_AVG_LOGPROB_IF_REPEATED, MIN_AVG_LOGPROB_NO_SPEECH_INTERIM,
    MIN_AVG_LOGPROB_QUICK_LOOK, MIN_AVG_LOGPROB_SECOND_PASS, MIN_TOKENS_QUICK_LOOK,
    MIN_TOKENS_SECOND_PASS_QUIET, MIN_TOKENS_TOO_FAST,
};
use crate::whisper::decoding::{DecodingResult, FallbackOptions, is_sparse};

/// Verdict on an interim text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Show it.
    Show,
    /// Show the words that the next interim text begins with, too.
    ShowIfRepeated,
    /// Drop it: nobody speaks, or it is a loop or too unlikely.
    Drop,
}

/// Judges an interim text for `sound_s` seconds of sound. `n_tokens` is its number of tokens,
/// including those of the prefix in the same sound.
pub fn of_interim(
    result: &DecodingResult,
    n_tokens: usize,
    sound_s: f32,
    fallback: &FallbackOptions,
) -> Verdict {
    // Few words in much sound may be a hallucination. Only the final pass searches for more.
    if is_sparse(n_tokens, sound_s) {
        return Verdict::Drop;
    }
    let is_doubtful = result.no_speech_prob > MAX_NO_SPEECH_PROB
        && result.avg_logprob < MIN_AVG_LOGPROB_NO_SPEECH_INTERIM;
    if !is_doubtful && !fallback.needs_fallback(result) && !fallback.is_silence(result) {
        return Verdict::Show;
    }
    let may_be_repeated = sound_s < MAX_SOUND_S_IF_REPEATED
        && result.no_speech_prob < MAX_NO_SPEECH_PROB_IF_REPEATED
        && result.avg_logprob > MIN_AVG_LOGPROB_IF_REPEATED;
    if may_be_repeated {
        Verdict::ShowIfRepeated
    } else {
        Verdict::Drop
    }
}

/// Whether to believe the text of a second pass.
pub fn is_likely(result: &DecodingResult) -> bool {
    let is_stray = result.no_speech_prob > MAX_NO_SPEECH_PROB
        && result.tokens.len() < MIN_TOKENS_SECOND_PASS_QUIET;
    !result.is_rejected && !is_stray && result.avg_logprob >= MIN_AVG_LOGPROB_SECOND_PASS
}

/// Whether the model hears nobody speak in a window, so that its text is none.
pub fn hears_nobody(result: &DecodingResult, fallback: &FallbackOptions) -> bool {
    result.tokens.is_empty() || fallback.is_silence(result)
}

/// Whether the text of a quick second look shows that somebody speaks in a window in which nobody seemed to.
pub(super) fn is_surely_heard(result: &DecodingResult, fallback: &FallbackOptions) -> bool {
    !hears_nobody(result, fallback)
        && result.tokens.len() >= MIN_TOKENS_QUICK_LOOK
        && result.avg_logprob >= MIN_AVG_LOGPROB_QUICK_LOOK
        && result.compression_ratio <= MAX_COMPRESSION_RATIO
}

/// Whether words follow one another faster than anybody speaks, in a window in which somebody may not
/// speak at all: credits of subtitles are written into a moment of music.
pub(super) fn is_too_fast(text: &WindowText) -> bool {
    let (Some(first), Some(last)) = (text.words.first(), text.words.last()) else {
        return false;
    };
    let n_tokens = text.result.tokens.len() as f64;
    text.result.no_speech_prob > MAX_NO_SPEECH_PROB_SECOND_LOOK
        && n_tokens > MIN_TOKENS_TOO_FAST
        && n_tokens > MAX_TOKENS_PER_SECOND_SAID * (last.end - first.start)
}

/// Whether nobody seems to speak in a window of `seconds` so surely that only a quick second look is worth
/// its time: music and noise give few words. `sound_s`: seconds of sound in it.
pub(super) fn surely_hears_nobody(
    result: &DecodingResult,
    seconds: f64,
    sound_s: f32,
    fallback: &FallbackOptions,
) -> bool {
    hears_nobody(result, fallback)
        && result.no_speech_prob > MAX_NO_SPEECH_PROB_SECOND_LOOK
        && seconds > MAX_S_SECOND_LOOK
        && is_sparse(result.tokens.len(), sound_s)
}
