//! What the decoding rules need from a decoder: logits in, sequences rearranged.

use crate::cpu::Isa;

/// The decoder as the decoding rules see it, bound to the audio of one window.
///
/// It holds one KV cache per live sequence. All logits are raw (before any suppression), `n_vocab`
/// values a row.
pub trait Inference {
    /// What a failing backend reports.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The instruction set for the arithmetic on its logits.
    fn isa(&self) -> Isa;

    /// Tokens in the vocabulary: the length of a row of logits.
    fn n_vocab(&self) -> usize;

    /// Longest token sequence: what was prefilled and what was appended never exceed it.
    fn n_text_ctx(&self) -> usize;

    /// Drops all sequences and begins a single one with `tokens`. Returns the logits that follow
    /// each position of `wanted` (indices into `tokens`), `[wanted.len(), n_vocab]`, row-major.
    ///
    /// # Errors
    /// When the backend fails.
    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, Self::Error>;

    /// Live sequence `i` becomes a copy of the former sequence `sources[i]`; there are
    /// `sources.len()` afterwards. Used to fan the prefilled sequence out to beams or samples, and
    /// to follow the beams.
    fn rearrange(&mut self, sources: &[usize]);

    /// Shortens every live sequence to its first `len` tokens.
    fn truncate(&mut self, len: usize);

    /// Appends `tokens[i]` to live sequence `i` (one token for each) and returns the logits that
    /// follow, `[tokens.len(), n_vocab]`, row-major.
    ///
    /// # Errors
    /// When the backend fails.
    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Self::Error>;
}

/// The next pass of the decoder over a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Drop all sequences and begin one with `tokens`; give the logits that follow each of the
    /// positions `wanted`.
    Prefill {
        /// The sequence.
        tokens: Vec<u32>,
        /// Indices into it, ascending.
        wanted: Vec<usize>,
    },
    /// Continue each live sequence by one token and give the logits that follow.
    Step {
        /// Where given, live sequence i becomes a copy of the former sequence `sources[i]` first.
        sources: Option<Vec<usize>>,
        /// Where given, sequences are shortened to so many tokens first.
        keep: Option<usize>,
        /// A token for each sequence.
        tokens: Vec<u32>,
    },
}

impl Request {
    /// Rows of logits that answer it.
    pub fn rows(&self) -> usize {
        match self {
            Self::Prefill { wanted, .. } => wanted.len(),
            Self::Step { tokens, .. } => tokens.len(),
        }
    }

    /// The answer of a decoder that is bound to the window.
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
