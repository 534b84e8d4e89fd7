//! Cross-attention weights of chosen heads, recorded during a pass of the decoder.
//!
//! In: each block's cross-attention queries and keys. Out: weights `[n_heads, n_rows,
//! n_positions]`.

use super::Dims;
use crate::cpu::{AttentionWeights, Cpu, MatRef, Panels};
use ndarray::{ArrayView3, ShapeError};

/// Width of a head, in every Whisper size.
const HEAD: usize = 64;

/// Chosen heads, and their attention weights over the first encoder positions of a window after a
/// pass.
///
/// The weights add up to 1 over these positions, as if the window ended there: attention to the
/// silence behind them is left out.
pub struct AttentionCapture {
    /// `[layer, head]`.
    heads: Vec<[usize; 2]>,
    n_positions: usize,
    n_rows: usize,
    /// `[heads][rows][positions]`.
    weights: Vec<f32>,
}

impl AttentionCapture {
    /// Captures these heads, `[layer, head]`, over `n_positions` positions. Heads that the model
    /// does not have are left out.
    pub fn new(dims: &Dims, heads: &[[usize; 2]], n_positions: usize) -> Self {
        let exists =
            |[layer, head]: &[usize; 2]| *layer < dims.n_text_layer && *head < dims.n_text_head;
        Self {
            heads: heads.iter().copied().filter(exists).collect(),
            n_positions,
            n_rows: 0,
            weights: Vec::new(),
        }
    }

    /// Attention weights of the last pass, `[n_heads, n_rows, n_positions]`.
    ///
    /// # Errors
    /// Returns an error if the pass was not completed.
    pub fn weights(&self) -> Result<ArrayView3<'_, f32>, ShapeError> {
        let shape = (self.heads.len(), self.n_rows, self.n_positions);
        ArrayView3::from_shape(shape, &self.weights)
    }

    /// Prepares for a pass of `n_rows` rows.
    pub(super) fn begin(&mut self, n_rows: usize) {
        let len = self.heads.len() * n_rows * self.n_positions;
        self.n_rows = n_rows;
        self.weights.clear();
        self.weights.resize(len, 0.0);
    }

    /// Records block `layer`, from the queries `[rows][n_text_state]` and the keys of each row.
    pub(super) fn record<'p>(
        &mut self,
        cpu: &Cpu,
        layer: usize,
        queries: MatRef<'_>,
        panels: impl Fn(usize) -> Panels<'p> + Sync,
    ) {
        let per_head = (self.n_rows * self.n_positions).max(1);
        for ([_, head], weights) in self
            .heads
            .iter()
            .zip(self.weights.chunks_exact_mut(per_head))
            .filter(|([of, _], _)| *of == layer)
        {
            let col = head * HEAD;
            cpu.pool.pieces(weights, self.n_positions, |row, out| {
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
