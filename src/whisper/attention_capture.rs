//! What chosen cross-attention heads attend to in a pass of the decoder.

use super::Dims;
use crate::cpu::{AttentionWeights, Cpu, MatRef, Panels};

/// Width of a head, in every Whisper size.
const HEAD: usize = 64;

/// Chosen heads, and their attention weights over the first encoder positions of a window once a
/// pass was made.
///
/// The weights add up to 1 over those positions, as if the window ended there: what the heads
/// attend to in the silence behind them is left out.
pub struct AttentionCapture {
    /// `[layer, head]`.
    heads: Vec<[usize; 2]>,
    n: usize,
    rows: usize,
    /// `[heads][rows][n]`.
    weights: Vec<f32>,
}

impl AttentionCapture {
    /// Watches these heads, `[layer, head]`, over `n` positions; heads that the model does not have
    /// are left out.
    pub fn new(dims: &Dims, heads: &[[usize; 2]], n: usize) -> Self {
        let exists =
            |[layer, head]: &[usize; 2]| *layer < dims.n_text_layer && *head < dims.n_text_head;
        Self {
            heads: heads.iter().copied().filter(exists).collect(),
            n,
            rows: 0,
            weights: Vec::new(),
        }
    }

    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.n
    }

    /// Number of rows of the pass.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The weights of one head after another, each `[rows][positions]`.
    pub fn heads(&self) -> impl Iterator<Item = &[f32]> {
        self.weights.chunks_exact((self.rows * self.n).max(1))
    }

    /// A pass of so many rows begins.
    pub(super) fn begin(&mut self, rows: usize) {
        self.rows = rows;
        self.weights.clear();
        self.weights.resize(self.heads.len() * rows * self.n, 0.0);
    }

    /// Takes note of block `layer`: queries `[rows][n_text_state]`, and each row's keys.
    pub(super) fn record<'p>(
        &mut self,
        cpu: &Cpu,
        layer: usize,
        queries: MatRef<'_>,
        panels: impl Fn(usize) -> Panels<'p> + Sync,
    ) {
        let per_head = (self.rows * self.n).max(1);
        for ([_, head], weights) in self
            .heads
            .iter()
            .zip(self.weights.chunks_exact_mut(per_head))
            .filter(|([of, _], _)| *of == layer)
        {
            let col = head * HEAD;
            cpu.pool.pieces(weights, self.n, |row, out| {
                let query = &queries.row(row)[col..][..HEAD];
                AttentionWeights {
                    query,
                    panels: panels(row),
                    col,
                    out,
                }
                .run(cpu.isa);
            });
        }
    }
}
