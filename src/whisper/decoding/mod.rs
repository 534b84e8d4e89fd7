//! OpenAI's decoding rules: from a decoder bound to the audio of one window to its transcript.
//!
//! In: logits, which the rules filter and choose tokens from. Out: a [`DecodingResult`].
//!
//! A `Decoding` is a state machine for one window. It asks for logits through `Request`s, so
//! that a decoder can serve several windows in one pass. `decode_with_fallback` serves a single
//! window. `PromptHistory` carries text from one window to the next.

mod beam;
mod fallback;
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
pub(crate) mod thresholds;
mod window;

pub use fallback::FallbackOptions;
pub(crate) use guards::is_sparse;
pub use hotwords::Hotwords;
#[cfg(test)]
use language::detect_language;
pub use options::{DecodingOptions, OptionsError, SuppressTokens};
pub(crate) use prompt::PromptHistory;
pub use result::{DecodingError, DecodingResult};
pub(crate) use window::{Decoding, Progress};

use super::inference::{Inference, Request};
use crate::tokenizer::Tokenizer;

/// Decodes the window that `inference` is bound to (`DecodingTask` in openai-whisper's
/// `decoding.py`).
///
/// `cancelled` is called before each pass of the decoder.
///
/// # Errors
/// Returns an error if the options contradict each other or the model, if the decoder fails, or if
/// `cancelled` returns true.
#[cfg(test)]
pub(crate) fn decode_window<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    let begun = Decoding::once(inference.isa(), tokenizer, inference.n_text_ctx(), options)?;
    finish(inference, begun, cancelled)
}

/// Decodes a window at each temperature in turn until a transcript is accepted. If none is, the
/// result is the likeliest that does not repeat itself. Beams are used at temperature 0, samples
/// (`best_of`) at the others. The language is detected once.
///
/// # Errors
/// Returns the errors of [`decode_window`].
pub(crate) fn decode_with_fallback<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    fallback: &FallbackOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    let begun = Decoding::new(
        inference.isa(),
        tokenizer,
        inference.n_text_ctx(),
        options,
        fallback,
    )?;
    finish(inference, begun, cancelled)
}

/// Serves a window until it is finished.
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
