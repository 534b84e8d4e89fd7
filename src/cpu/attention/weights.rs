//! Attention weights on their own, to inspect what a head attends to: the fused attention of
//! [`AttendPanels`](crate::cpu::AttendPanels) does not keep them.

use crate::cpu::Isa;
use crate::cpu::attention::decoder::score;
use crate::cpu::attention::encoder::HEAD;
use crate::cpu::attention::panels::{KvFormat, Number, Panels};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{load_part, softmax_row, store_part};

/// Attention weights of one head and one query over the first keys of a window: `softmax(q · k /
/// 8)`.
pub struct AttentionWeights<'a> {
    /// The head's query, `[64]`.
    pub query: &'a [f32],
    /// Keys and values.
    pub panels: Panels<'a>,
    /// The head's first column.
    pub col: usize,
    /// Weights of the first `out.len()` keys; they add up to 1.
    pub out: &'a mut [f32],
}

impl AttentionWeights<'_> {
    /// Runs the computation.
    ///
    /// # Panics
    /// Panics if `out` is longer than the number of keys, or `query` is shorter than a head.
    pub fn run(self, isa: Isa) {
        assert!(
            self.out.len() <= self.panels.n && self.query.len() >= HEAD,
            "attention weights: shapes do not match"
        );
        isa.dispatch(self);
    }
}

impl AttentionWeights<'_> {
    #[inline(always)]
    fn weights<S: Simd, T: Number>(self, s: S) {
        let head = self.panels.head::<T>(self.col);
        let mut q = [[0.0; HEAD]; 1];
        for d in 0..HEAD {
            // 1/√64.
            q[0][d] = self.query[d] * 0.125;
        }
        let n_out = self.out.len();
        for first in (0..n_out).step_by(LANES) {
            let [mut scores] = score::<S, T, 1>(s, &head.keys[first / LANES * HEAD..][..HEAD], &q);
            if T::SCALED {
                scores = s.mul(scores, load_part(s, &head.key_scales[first..], 0.0));
            }
            store_part(s, scores, &mut self.out[first..n_out.min(first + LANES)]);
        }
        softmax_row(s, self.out);
    }
}

impl Kernel for AttentionWeights<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.panels.stored {
            KvFormat::F16 => self.weights::<S, u16>(s),
            KvFormat::I8 => self.weights::<S, i8>(s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::attention::panels::{pack_panels, panels_len};
    use crate::cpu::reference::{attention, noise, stored_as};
    use crate::cpu::{Cpu, MatRef, Pool};

    #[test]
    fn weights_are_their_definition() {
        let width = 2 * HEAD;
        let sizes = [(1, 1), (16, 16), (33, 20), (100, 99), (544, 512)];
        for ((n, n_out), stored) in sizes
            .into_iter()
            .flat_map(|size| [(size, KvFormat::F16), (size, KvFormat::I8)])
        {
            let rows = noise(n * 2 * width, 6);
            let query = noise(HEAD, 5);
            let view = MatRef::dense(&rows, 2 * width);
            for isa in Isa::available() {
                let cpu = Cpu {
                    isa,
                    pool: Pool::new(1),
                };
                let mut data = vec![0; panels_len(n, width, stored)];
                pack_panels(&cpu, view, stored, &mut data);
                for col in [0, HEAD] {
                    let mut out = vec![f32::NAN; n_out];
                    let panels = Panels {
                        data: &data,
                        n,
                        stored,
                    };
                    AttentionWeights {
                        query: &query,
                        panels,
                        col,
                        out: &mut out,
                    }
                    .run(isa);
                    // If the values are unit vectors, the result of attention is its weights.
                    let keys: Vec<_> = (0..n_out)
                        .map(|i| stored_as(stored, &view.row(i)[col..][..HEAD]))
                        .collect();
                    for i in 0..n_out.min(HEAD) {
                        let unit = |at: usize| {
                            let mut value = vec![0.0; HEAD];
                            value[0] = f64::from(u8::from(at == i));
                            value
                        };
                        let values: Vec<_> = (0..n_out).map(unit).collect();
                        let want = attention(&query, &keys, &values, &[])[0];
                        assert!(
                            (f64::from(out[i]) - want).abs() < 1e-4,
                            "{} {stored:?} n={n} {i}",
                            isa.name()
                        );
                    }
                    assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                }
            }
        }
    }
}
