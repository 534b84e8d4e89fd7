//! The decoder as the decoding rules see it.
//!
//! In: tokens and sequences to copy or shorten ([`Request`]). Out: logits.

use crate::cpu::Isa;

/// Decoder bound to the audio of one window.
///
/// It holds one KV cache per live sequence. All logits are raw (before any suppression), `n_vocab`
/// values per row.
pub trait Inference {
    /// Error of the backend.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Instruction set for computing on the logits.
    fn isa(&self) -> Isa;

    /// Number of tokens in the vocabulary, the length of a row of logits.
    fn n_vocab(&self) -> usize;

    /// Length of the longest token sequence, prefilled and appended tokens together.
    fn n_text_ctx(&self) -> usize;

    /// Drops all sequences and begins a single one with `tokens`. Returns the logits that follow
    /// each position of `wanted` (indices into `tokens`), `[wanted.len()][n_vocab]`.
    ///
    /// # Errors
    /// Returns an error if the backend fails.
    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, Self::Error>;

    /// Replaces live sequence `i` with a copy of the former sequence `sources[i]`. Afterwards there
    /// are `sources.len()` sequences. This fans the prefilled sequence out to beams or samples, and
    /// follows the beams.
    fn rearrange(&mut self, sources: &[usize]);

    /// Shortens every live sequence to its first `len` tokens.
    fn truncate(&mut self, len: usize);

    /// Appends `tokens[i]` to live sequence `i`, one token each. Returns the logits that follow,
    /// `[tokens.len()][n_vocab]`.
    ///
    /// # Errors
    /// Returns an error if the backend fails.
    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Self::Error>;
}

/// Request for the next pass of the decoder over a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Drop all sequences, begin one with `tokens`, and return the logits that follow the positions
    /// `wanted`.
    Prefill {
        /// The sequence.
        tokens: Vec<u32>,
        /// Indices into it, ascending.
        wanted: Vec<usize>,
    },
    /// Continue each live sequence by one token and return the logits that follow.
    Step {
        /// If present, live sequence i first becomes a copy of the former sequence `sources[i]`.
        sources: Option<Vec<usize>>,
        /// If present, sequences are first shortened to this many tokens.
        keep: Option<usize>,
        /// One token for each sequence.
        tokens: Vec<u32>,
    },
}

impl Request {
    /// Number of rows of logits in the answer.
    pub fn rows(&self) -> usize {
        match self {
            Self::Prefill { wanted, .. } => wanted.len(),
            Self::Step { tokens, .. } => tokens.len(),
        }
    }

    /// Passes the request to the decoder of the window and returns the logits.
    pub(super) fn ask<I: Inference>(&self, inference: &mut I) -> Result<Vec<f32>, I::Error> {
        match self {
            Self::Prefill { tokens, wanted } => inference.prefill(tokens, wanted),
            Self::Step {
                sources,
                keep,
                tokens,
            } => {
                if let Some(sources) = sources {
                    inference.rearrange(sources);
                }
                if let Some(len) = keep {
                    inference.truncate(*len);
                }
                inference.step(tokens)
            }
        }
    }
}
