//! What the search of a window asks of the decoder.

use crate::whisper::Inference;

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
