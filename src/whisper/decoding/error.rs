//! Why a window could not be decoded.

use super::logits::NotFinite;
use super::options::OptionsError;

/// Why a window could not be decoded. `E` is the error of the decoder behind
/// [`crate::whisper::Inference`].
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DecodingError<E> {
    /// The caller asked to stop.
    #[error("decoding was cancelled")]
    Cancelled,
    /// The options contradict each other or the model.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The decoder failed.
    #[error("the decoder failed: {0}")]
    Inference(#[source] E),
    /// The decoder's numbers are no probabilities.
    #[error(
        "the decoder gave NaN or infinite logits: the model or its audio features are damaged; run `hearken models verify`"
    )]
    NotFinite,
    /// The decoder and the tokenizer are of different models.
    #[error(
        "the decoder gave {given} logits where the vocabulary needs {wanted}: fetch or import the model again"
    )]
    LogitsLength {
        /// Values received.
        given: usize,
        /// Values needed: rows times tokens in the vocabulary.
        wanted: usize,
    },
}

impl<E> From<NotFinite> for DecodingError<E> {
    fn from(_: NotFinite) -> Self {
        Self::NotFinite
    }
}
