//! The decoder's attention: single queries over the keys and values of the audio ([`Panels`]) and
//! over those of tokens, which are rows in half precision at given slots of the cache.
//!
//! The result of a query does not depend on which queries are computed together with it.

use crate::cpu::Isa;
use crate::cpu::attention::encoder::HEAD;
use crate::cpu::attention::panels::{KvFormat, Number, PARTS, Panels};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{load_part, softmax_row, store_part};
use crate::cpu::matrix::{MatMut, MatRef};

/// One head's attention of neighbouring rows over a window: `out = Σ softmax(q · k / 8 + bias) v`.
pub struct AttendPanels<'a> {
    /// Queries of all heads, `[rows][n_state]`.
    pub queries: MatRef<'a>,
    /// First row of `out` within `queries`, and first column of the head.
    pub at: (usize, usize),
    /// Keys and values.
    pub panels: Panels<'a>,
    /// Added to the scores of the last keys.
    pub bias: &'a [f32],
    /// Rows of 64 values.
    pub out: MatMut<'a>,
    /// Rows of `out` to compute: the first, and how many.
    pub rows: (usize, usize),
}

impl AttendPanels<'_> {
    /// Runs the computation.
    pub fn run(self, isa: Isa) {
        isa.dispatch(self);
    }

    #[inline(always)]
    fn all<S: Simd, T: Number>(&mut self, s: S) {
        let (mut row, n_rows) = self.rows;
        let end = row + n_rows;
        while row < end {
            let rows = match end - row {
                1 => 1,
                2 | 3 => 2,
                _ => 4,
            };
            match rows {
                1 => self.queries::<S, T, 1>(s, row),
                2 => self.queries::<S, T, 2>(s, row),
                _ => self.queries::<S, T, 4>(s, row),
            }
            row += rows;
        }
    }

    /// Computes R rows, starting at row `first` of `out`.
    #[inline(always)]
    fn queries<S: Simd, T: Number, const R: usize>(&mut self, s: S, first: usize) {
        let n = self.panels.n;
        let padded = n.next_multiple_of(LANES);
        let (row, col) = self.at;
        let head = self.panels.head::<T>(col);
        let mut q = [[0.0; HEAD]; R];
        for r in 0..R {
            let query = &self.queries.row(row + first + r)[col..][..HEAD];
            for d in 0..HEAD {
                // 1/√64.
                q[r][d] = query[d] * 0.125;
            }
        }
        let mut scores = vec![0.0; R * padded];
        for p in 0..padded / LANES {
            let mut panel = score::<S, T, R>(s, &head.keys[p * HEAD..][..HEAD], &q);
            for r in 0..R {
                if T::SCALED {
                    panel[r] = s.mul(panel[r], load_part(s, &head.key_scales[p * LANES..], 0.0));
                }
                store_part(s, panel[r], &mut scores[r * padded + p * LANES..][..LANES]);
            }
        }
        for r in 0..R {
            let scores = &mut scores[r * padded..][..n];
            let own = n - self.bias.len();
            for i in 0..self.bias.len() {
                scores[own + i] += self.bias[i];
            }
            softmax_row(s, scores);
            if T::SCALED {
                for i in (0..n).step_by(LANES) {
                    let p = s.mul(
                        load_part(s, &scores[i..], 0.0),
                        load_part(s, &head.value_scales[i..], 0.0),
                    );
                    store_part(s, p, &mut scores[i..]);
                }
            }
        }
        let mut sums = [[s.splat(0.0); PARTS]; R];
        let mut v = [s.splat(0.0); PARTS];
        for i in 0..n {
            for j in 0..PARTS {
                v[j] = T::load(s, &head.values[i * PARTS + j]);
            }
            for r in 0..R {
                let p = s.splat(scores[r * padded + i]);
                for j in 0..PARTS {
                    sums[r][j] = s.mul_add(p, v[j], sums[r][j]);
                }
            }
        }
        for r in 0..R {
            let (out, _) = self.out.row(first + r).as_chunks_mut::<LANES>();
            for j in 0..PARTS {
                s.store(sums[r][j], &mut out[j]);
            }
        }
    }
}

/// Partial sums of a score: they hide each other's latency, and keys are still read in order.
const SUMS: usize = 4;

/// Scores of R queries against the keys of a panel, before scaling.
#[inline(always)]
pub(in crate::cpu) fn score<S: Simd, T: Number, const R: usize>(
    s: S,
    keys: &[[T; LANES]],
    q: &[[f32; HEAD]; R],
) -> [S::F; R] {
    let mut acc = [[s.splat(0.0); SUMS]; R];
    for d in (0..HEAD).step_by(SUMS) {
        for j in 0..SUMS {
            let k = T::load(s, &keys[d + j]);
            for r in 0..R {
                acc[r][j] = s.mul_add(s.splat(q[r][d + j]), k, acc[r][j]);
            }
        }
    }
    let mut scores = [s.splat(0.0); R];
    for r in 0..R {
        scores[r] = s.add(s.add(acc[r][0], acc[r][1]), s.add(acc[r][2], acc[r][3]));
    }
    scores
}

impl Kernel for AttendPanels<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        match self.panels.stored {
            KvFormat::F16 => self.all::<S, u16>(s),
            KvFormat::I8 => self.all::<S, i8>(s),
        }
    }
}

/// One head's attention of one query over the tokens so far.
pub struct AttendTokens<'a> {
    /// The head's query, `[64]`.
    pub query: &'a [f32],
    /// Rows of keys and values of all heads side by side, `[slots][2 × n_state]`, f16.
    pub cache: &'a [u16],
    /// The head's first column.
    pub col: usize,
    /// n_state.
    pub width: usize,
    /// Slots of the tokens' rows in `cache`.
    pub places: &'a [u32],
    /// Output, `[64]`.
    pub out: &'a mut [f32],
}

impl AttendTokens<'_> {
    /// Runs the computation.
    pub fn run(self, isa: Isa) {
        isa.dispatch(self);
    }
}

impl Kernel for AttendTokens<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.places.len();
        let scale = s.splat(0.125);
        let mut q = [scale; PARTS];
        let (query, _) = self.query.as_chunks::<LANES>();
        for j in 0..PARTS {
            q[j] = s.mul(scale, s.load(&query[j]));
        }
        let mut scores = vec![0.0; n];
        for i in 0..n {
            let from = self.places[i] as usize * 2 * self.width + self.col;
            let (key, _) = self.cache[from..][..HEAD].as_chunks::<LANES>();
            let mut sum = s.splat(0.0);
            for j in 0..PARTS {
                sum = s.mul_add(q[j], s.load_f16(&key[j]), sum);
            }
            scores[i] = s.sum(sum);
        }
        softmax_row(s, &mut scores);
        let mut sums = [s.splat(0.0); PARTS];
        for i in 0..n {
            let from = (self.places[i] as usize * 2 + 1) * self.width + self.col;
            let (value, _) = self.cache[from..][..HEAD].as_chunks::<LANES>();
            let p = s.splat(scores[i]);
            for j in 0..PARTS {
                sums[j] = s.mul_add(p, s.load_f16(&value[j]), sums[j]);
            }
        }
        let (out, _) = self.out.as_chunks_mut::<LANES>();
        for j in 0..PARTS {
            s.store(sums[j], &mut out[j]);
        }
    }
}

/// Converts to half precision; values out of range are clamped to the largest magnitude. Both
/// slices have the same length, a multiple of 16.
pub fn to_f16(isa: Isa, from: &[f32], to: &mut [u16]) {
    struct ToF16<'a>(&'a [f32], &'a mut [u16]);
    impl Kernel for ToF16<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let (from, _) = self.0.as_chunks::<LANES>();
            let (to, _) = self.1.as_chunks_mut::<LANES>();
            for i in 0..from.len().min(to.len()) {
                s.store_f16(s.load(&from[i]), &mut to[i]);
            }
        }
    }
    isa.dispatch(ToF16(from, to));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::attention::panels::{pack_panels, panels_len};
    use crate::cpu::reference::{attention, noise, stored_as};
    use crate::cpu::{Cpu, Pool};
    use half::f16;

    fn assert_close(got: &[f32], want: &[f64], what: &str) {
        for (y, want) in got.iter().zip(want) {
            assert!((f64::from(*y) - want).abs() < 1e-4, "{what}: {y} {want}");
        }
    }

    #[test]
    fn queries_over_audio_are_their_definition_alone_and_together() {
        let width = 2 * HEAD;
        let sizes = [(1, 0), (2, 1), (16, 0), (33, 7), (100, 3), (544, 32)];
        for ((n, n_bias), stored) in sizes
            .into_iter()
            .flat_map(|size| [(size, KvFormat::F16), (size, KvFormat::I8)])
        {
            let rows = noise(n * 2 * width, 6);
            let queries = noise(7 * width, 5);
            let bias = noise(n_bias, 8);
            let view = MatRef::dense(&rows, 2 * width);
            for isa in Isa::available() {
                let cpu = Cpu {
                    isa,
                    pool: Pool::new(2),
                };
                // The previous contents of the memory must not matter.
                let mut data = vec![0x7f; panels_len(n, width, stored)];
                pack_panels(&cpu, view, stored, &mut data);
                let panels = Panels {
                    data: &data,
                    n,
                    stored,
                };
                let attend = |first: usize, count: usize, col: usize| {
                    let mut out = vec![f32::NAN; 7 * HEAD];
                    let queries = MatRef::dense(&queries, width);
                    AttendPanels {
                        queries,
                        at: (0, col),
                        panels,
                        bias: &bias,
                        out: MatMut::dense(&mut out, HEAD),
                        rows: (first, count),
                    }
                    .run(isa);
                    out
                };
                for col in [0, HEAD] {
                    let keys: Vec<_> = (0..n)
                        .map(|i| stored_as(stored, &view.row(i)[col..][..HEAD]))
                        .collect();
                    let values: Vec<_> = (0..n)
                        .map(|i| stored_as(stored, &view.row(i)[width + col..][..HEAD]))
                        .collect();
                    let all = attend(0, 7, col);
                    for r in 0..7 {
                        let query = &queries[r * width + col..][..HEAD];
                        let want = attention(query, &keys, &values, &bias);
                        let what = format!("{} {stored:?} n={n} row {r}", isa.name());
                        assert_close(&all[r * HEAD..][..HEAD], &want, &what);
                        assert_eq!(
                            attend(r, 1, col)[r * HEAD..][..HEAD],
                            all[r * HEAD..][..HEAD],
                            "{what} alone"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn queries_over_tokens_are_their_definition() {
        let width = 2 * HEAD;
        for n in [1, 2, 17, 448] {
            let query = noise(HEAD, 5);
            let rows = noise(500 * 2 * width, 6);
            let places: Vec<u32> = (0..n).map(|i| (i * 7 % 500) as u32).collect();
            for isa in Isa::available() {
                let mut cache = vec![0; rows.len()];
                to_f16(isa, &rows, &mut cache);
                for col in [0, HEAD] {
                    let row = |part: usize| {
                        let rows = &rows;
                        let at = move |p: &u32| {
                            stored_as(
                                KvFormat::F16,
                                &rows[(*p as usize * 2 + part) * width + col..][..HEAD],
                            )
                        };
                        places.iter().map(at).collect::<Vec<_>>()
                    };
                    let mut out = vec![f32::NAN; HEAD];
                    AttendTokens {
                        query: &query,
                        cache: &cache,
                        col,
                        width,
                        places: &places,
                        out: &mut out,
                    }
                    .run(isa);
                    let want = attention(&query, &row(0), &row(1), &[]);
                    assert_close(&out, &want, &format!("{} n={n}", isa.name()));
                }
            }
        }
    }

    #[test]
    fn half_precision_is_that_of_the_library_and_never_infinite() {
        let mut from: Vec<f32> = (0..4096)
            .map(|i| (i as f32 - 2048.0) * 0.37 / (1 + i % 17) as f32)
            .collect();
        from[..8].copy_from_slice(&[1e-7, -1e-9, 65504.0, 65519.0, -65504.0, 0.0, 6e-8, 1.0]);
        let want: Vec<u16> = from.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
        for isa in Isa::available() {
            let mut to = vec![0; from.len()];
            to_f16(isa, &from, &mut to);
            assert!(to == want, "{}", isa.name());
            to_f16(isa, &[1e30; 16], &mut to);
            assert_eq!(to[15], f16::MAX.to_bits(), "{}", isa.name());
            to_f16(isa, &[-1e30; 16], &mut to);
            assert_eq!(to[15], f16::MIN.to_bits(), "{}", isa.name());
        }
    }
}
