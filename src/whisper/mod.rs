//! The Whisper model: dimensions, tokenizer, encoder, decoder and OpenAI's decoding rules.

pub mod decoding;
mod decoder;
mod dims;
mod encoder;
mod inference;
pub mod tokenizer;
mod kv_cache;
pub mod prepare;
mod tail;
mod weights;

pub use decoder::{DecodeError, Decoder, DecoderWeights, Row, Window};
pub use dims::Dims;
pub use encoder::{AudioFeatures, CpuEncoder, EncodeError, Encoder, EncoderWeights, Stage};
pub use inference::Inference;
pub use tokenizer::Tokenizer;
pub use kv_cache::{CrossKeysValues, Rows, Sequence};
pub use tail::{TAIL_LENGTHS, TAIL_RUNS, Tail, Tails};
pub use weights::{Compute, LayerSpec};
