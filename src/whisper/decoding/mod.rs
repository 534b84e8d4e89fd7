//! OpenAI's decoding rules: from a decoder bound to the audio of one window to its transcript.
//!
//! In: logits, which the rules filter and choose tokens by. Out: a [`DecodingResult`], and from its
//! tokens timed [`Segment`](super::Segment)s. [`Decoding`] is a window on its way: it asks for logits by
//! [`Request`]s, so that a decoder can serve several windows in one pass. [`decode_with_fallback`]
//! serves a single one; [`PromptHistory`] carries the text of one window to the next.

mod beam;
mod filters;
mod greedy;
mod guards;
mod hotwords;
mod hypothesis;
mod language;
mod logits;
mod options;
mod prompt;
mod result;
mod search;
mod segments;
mod window;

pub use guards::is_sparse;
pub use hotwords::Hotwords;
pub use language::detect_language;
pub use options::{DecodingOptions, FallbackOptions, OptionsError, SuppressTokens};
pub use prompt::PromptHistory;
pub use result::{DecodingError, DecodingResult};
pub use segments::{Segmentation, segments_from_tokens};
pub use window::{Decoding, Progress};

use super::inference::{Inference, Request};
use crate::tokenizer::Tokenizer;

/// Decodes the window that `inference` is bound to (`DecodingTask` in openai-whisper's
/// `decoding.py`).
///
/// `cancelled` is asked before each pass of the decoder.
///
/// # Errors
/// When the options contradict each other or the model, the decoder fails, or `cancelled` says so.
pub fn decode_window<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    let (isa, n_text_ctx) = (inference.isa(), inference.n_text_ctx());
    finish(
        inference,
        Decoding::once(isa, tokenizer, n_text_ctx, options)?,
        cancelled,
    )
}

/// Decodes a window at each temperature in turn until a transcript is accepted; the last one is
/// returned whatever it is. Beams serve temperature 0, samples (`best_of`) the others. A language
/// is detected once.
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
    let (isa, n_text_ctx) = (inference.isa(), inference.n_text_ctx());
    finish(
        inference,
        Decoding::new(isa, tokenizer, n_text_ctx, options, fallback)?,
        cancelled,
    )
}

/// Serves a window until it is done.
fn finish<I: Inference>(
    inference: &mut I,
    (mut decoding, mut request): (Decoding<'_>, Request),
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    loop {
        if cancelled() {
            return Err(DecodingError::Cancelled);
        }
        let mut logits = request.ask(inference).map_err(DecodingError::Inference)?;
        match decoding.advance(&request, &mut logits)? {
            Progress::Wants(next) => request = next,
            Progress::Done(result) => return Ok(*result),
        }
    }
}

#[cfg(test)]
mod tests;
