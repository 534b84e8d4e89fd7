//! The Whisper model: dimensions, tokenizer, encoder, decoder and OpenAI's decoding rules.

mod dims;
mod inference;

pub use dims::Dims;
pub use inference::Inference;
