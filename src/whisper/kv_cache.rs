//! Keys and values that the decoder keeps: of the tokens so far, and of the audio.

use crate::cpu::MatRef;
use std::sync::Arc;

/// Keys and values of one decoder block, side by side: a row is `[keys | values]`, `[2 × n_text_state]`.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    data: Vec<f32>,
}

impl Rows {
    /// Takes rows that lie side by side as said above.
    pub fn new(data: Vec<f32>) -> Self {
        Self { data }
    }

    /// Appends a row, given as `[keys | values]`.
    pub fn push(&mut self, row: &[f32]) {
        self.data.extend_from_slice(row);
    }

    /// Keys and values of one head (64 wide), the first `n` rows.
    pub fn head(&self, n: usize, n_text_state: usize, head: usize) -> (MatRef<'_>, MatRef<'_>) {
        let view = |from: usize| MatRef::new(&self.data[from..], n, 64, 2 * n_text_state);
        (view(head * 64), view(n_text_state + head * 64))
    }
}

/// Cross-attention's keys and values of one window, for each decoder block.
#[derive(Debug)]
pub struct CrossKeysValues {
    /// One for each block.
    pub layers: Vec<Rows>,
    /// Encoder positions, the tail's included.
    pub n: usize,
    /// What is added to the scores of the last positions, the tail's.
    pub bias: Vec<f32>,
}

/// A sequence of tokens over the audio of a window: its KV cache.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Self-attention's keys and values, one for each block.
    pub layers: Vec<Rows>,
    /// Tokens so far.
    pub len: usize,
    /// The audio.
    pub cross: Arc<CrossKeysValues>,
}

impl Sequence {
    /// An empty sequence.
    pub fn new(cross: Arc<CrossKeysValues>) -> Self {
        Self { layers: vec![Rows::default(); cross.layers.len()], len: 0, cross }
    }
}
