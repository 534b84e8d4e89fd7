//! The Whisper model: dimensions, tokenizer, encoder, decoder and OpenAI's decoding rules.

pub mod decoding;
mod dims;
mod inference;
pub mod tokenizer;

pub use dims::Dims;
pub use inference::Inference;
pub use tokenizer::Tokenizer;
