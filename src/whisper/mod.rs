//! The Whisper model: encoder, decoder and OpenAI's decoding rules.

pub(crate) mod alignment;
mod batch;
mod decoder;
pub mod decoding;
mod encoder;
mod inference;
mod kv_cache;
mod model;
pub(crate) mod prepare;
pub(crate) mod recordings;
mod segment;
mod tail;
mod weights;
mod window;

pub use crate::models::{Dims, SAMPLES_PER_POSITION};
pub(crate) use batch::{Batch, Decoded};
pub use decoder::DecodeError;
pub(crate) use decoder::{Decoder, Row, Workspace};
pub use encoder::EncodeError;
pub(crate) use encoder::{AudioFeatures, CpuEncoder, Encoder, EncoderFactory, Layer, Layers};
pub use inference::Inference;
pub(crate) use kv_cache::WindowCache;
pub use model::{LoadError, Whisper};
pub use segment::{Segment, TimedWord};
pub use tail::LONGEST_WINDOW;
pub(crate) use tail::{TAIL_LENGTHS, Tails};
pub use weights::Precision;
pub(crate) use weights::row_major;
pub(crate) use window::Window;

// Parts that tests look at by themselves.
#[cfg(test)]
pub(crate) use decoder::DecoderWeights;
#[cfg(test)]
pub(crate) use encoder::{EncoderWeights, Stage};
