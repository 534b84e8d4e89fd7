//! Turns a window of audio into text, for recordings, jobs and the microphone alike.
//!
//! ```text
//! WindowAudio ──WindowEncoder: log-mel, encoder──▶ AudioFeatures ──decoder──▶ DecodingResult ──WindowTexts──▶ words, segments
//!                                                                              │        ▲
//!                                                                  verdict ◀───┘        └── second_pass, if voice has no words
//! ```
//!
//! In: samples that fit a window, and options. Out: a [`WindowText`]; for interim text also a
//! [`Verdict`](verdict::Verdict). [`recognize`] encodes and decodes one window. The pipeline
//! decodes several windows in one pass, so it calls encoder and decoder separately.

mod audio;
mod coverage;
pub mod second_pass;
mod sentences;
mod texts;
pub mod verdict;

pub use audio::{WindowAudio, WindowEncoder};
pub use second_pass::SecondPass;
pub use sentences::{ends_sentence_after, segments};
pub use texts::{WindowText, WindowTexts, place};

use crate::advice::Advice;
use crate::whisper::decoding::{
    DecodingError, DecodingOptions, DecodingResult, FallbackOptions, decode_with_fallback,
};
use crate::whisper::{DecodeError, EncodeError, Whisper, Window};
use std::borrow::Cow;

/// Error of turning a window into text.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed, or the caller cancelled.
    #[error(transparent)]
    Decode(#[from] DecodingError<DecodeError>),
}

impl Advice for WindowError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Encode(error) => error.remedy(),
            Self::Decode(error) => error.remedy(),
        }
    }
}

impl From<DecodeError> for WindowError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(DecodingError::Inference(error))
    }
}

/// Encodes and decodes one window. Returns the result, and the decoder's state, which the aligner
/// needs.
///
/// # Errors
/// Returns an error if the encoder or the decoder fails, or `cancelled` returns true.
pub fn recognize<'w>(
    whisper: &'w Whisper,
    encoder: &mut WindowEncoder,
    audio: &WindowAudio,
    options: &DecodingOptions,
    fallback: &FallbackOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<(DecodingResult, Window<'w>), WindowError> {
    let features = encoder.encode(audio)?;
    let mut window = Window::new(whisper.decoder(), &features)?;
    let options = DecodingOptions {
        max_timestamp: Some(audio.window_s()),
        ..options.clone()
    };
    let tokenizer = whisper.tokenizer();
    let result = decode_with_fallback(&mut window, tokenizer, &options, fallback, cancelled)?;
    Ok((result, window))
}
