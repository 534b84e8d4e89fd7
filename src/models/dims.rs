//! Sizes of a Whisper model, under OpenAI's names.

use serde::{Deserialize, Serialize};

/// Audio samples per encoder position: 20 ms at 16 kHz.
pub const SAMPLES_PER_POSITION: usize = 320;

/// Model dimensions (`ModelDimensions` in openai-whisper's `model.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dims {
    /// Mel bins of the input: 80, or 128 from large-v3 on.
    pub n_mels: usize,
    /// Encoder positions of a full 30 s window: 1500.
    pub n_audio_ctx: usize,
    /// Width of the encoder.
    pub n_audio_state: usize,
    /// Attention heads of an encoder block.
    pub n_audio_head: usize,
    /// Encoder blocks.
    pub n_audio_layer: usize,
    /// Tokens in the vocabulary, special tokens included.
    pub n_vocab: usize,
    /// Maximum length of a token sequence: 448.
    pub n_text_ctx: usize,
    /// Width of the decoder.
    pub n_text_state: usize,
    /// Attention heads of a decoder block.
    pub n_text_head: usize,
    /// Decoder blocks.
    pub n_text_layer: usize,
}

impl Dims {
    /// Whether the vocabulary is the multilingual one (openai-whisper's `is_multilingual`).
    pub fn is_multilingual(&self) -> bool {
        self.n_vocab >= 51865
    }
}
