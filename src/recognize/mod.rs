//! A window of audio becomes text: the one way for recordings, jobs and the microphone.
//!
//! ```text
//! WindowAudio ──WindowEncoder: log-mel, encoder──▶ AudioFeatures ──decoder──▶ DecodingResult ──WindowTexts──▶ segments, words
//!                                                                              │        ▲
//!                                                                  verdict ◀───┘        └── second_pass, if in doubt
//! ```
//!
//! In: samples that fit a window, options. Out: a [`WindowText`], or for interim text a
//! [`Verdict`](verdict::Verdict) about it. The pipeline decodes several windows in one pass and so
//! calls encoder and decoder by itself; [`recognize`] does both for one window.

mod audio;
pub mod second_pass;
mod texts;
pub mod verdict;

pub use audio::{WindowAudio, WindowEncoder};
pub use second_pass::SecondPass;
pub use texts::{WindowText, WindowTexts, place};

use crate::advice::Advice;
use crate::whisper::decoding::{
    DecodingError, DecodingOptions, DecodingResult, FallbackOptions, decode_with_fallback,
};
use crate::whisper::{DecodeError, EncodeError, Whisper, Window};
use std::borrow::Cow;

/// Why a window does not become text.
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
            Self::Encode(_) => None,
            Self::Decode(error) => error.remedy(),
        }
    }
}

impl From<DecodeError> for WindowError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(DecodingError::Inference(error))
    }
}

/// Encodes and decodes one window. Returns what the decoder found, and its state, in which words
/// can be aligned.
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
