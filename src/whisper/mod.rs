//! The Whisper model: encoder, decoder and OpenAI's decoding rules.

pub(crate) mod alignment;
mod attention_capture;
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
pub use attention_capture::AttentionCapture;
pub use batch::{Batch, Decoded};
pub use decoder::{DecodeError, Decoder, DecoderWeights, Row, Workspace};
pub use encoder::{
    AudioFeatures, CpuEncoder, EncodeError, Encoder, EncoderFactory, EncoderWeights, Layer, Layers,
    Stage,
};
pub use inference::{Inference, Request};
pub use kv_cache::WindowCache;
pub use model::{LoadError, Whisper};
pub use segment::{Segment, TimedWord};
pub use tail::{LONGEST_WINDOW, TAIL_LENGTHS, TAIL_RUNS, Tail, Tails};
pub use weights::{Compute, LayerSpec, row_major};
pub use window::Window;
