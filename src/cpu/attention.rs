//! The encoder's attention, over many queries at once.
//!
//! It never holds a whole score matrix: for 16 queries at a time the scores of all keys are a strip
//! `[keys][16]`, in which softmax runs lane by lane and which is then the right-hand panel of the product with the
//! values.

use super::Cpu;
use super::math::exp;
use super::matrix::{MatMut, MatRef};
use super::product::{padded_rows, tile_f32, tile_rows, with_rows};
use super::simd::{Kernel, LANES, Simd};

/// Width of a head, in every Whisper size.
const HEAD: usize = 64;
/// Strips of 16 queries that one task works through.
const STRIPS: usize = 4;

/// Keys and values that are the same for all queries and belong to no position of the input.
#[derive(Clone, Debug, Default)]
pub struct KeysValues {
    /// Keys, `[n][n_state]`.
    pub keys: Vec<f32>,
    /// Values, `[n][n_state]`.
    pub values: Vec<f32>,
    /// What is added to the score of each key: ln m for one that stands for m alike.
    pub bias: Vec<f32>,
}

/// Self-attention over all positions of a window, with its working memory.
#[derive(Default)]
pub struct Attention {
    /// For each head: keys in blocks of rows, `[block][64][rows]`, then values transposed likewise,
    /// `[block of dims][keys][dims]`.
    packed: Vec<f32>,
}

impl Attention {
    /// `out[i] = Σ softmax(q[i] · k / 8) v` for each head.
    ///
    /// `qkv`: queries, keys and values side by side, `[n][3 × n_state]`; `extra`: further keys and values; `out`:
    /// `[n][n_state]`.
    ///
    /// # Panics
    /// Where the shapes do not fit or heads are not 64 wide.
    pub fn apply(&mut self, cpu: &Cpu, qkv: MatRef<'_>, extra: &KeysValues, out: MatMut<'_>) {
        let (n, width) = (qkv.rows, qkv.cols / 3);
        assert!(width.is_multiple_of(HEAD) && out.rows == n && out.cols == width, "attention over another shape");
        let n_keys = n + extra.bias.len();
        let per_head = (padded_rows(n_keys, cpu.level.block_rows()) + n_keys) * HEAD;
        self.packed.resize(width / HEAD * per_head, 0.0);
        cpu.pool.pieces(&mut self.packed[..width / HEAD * per_head], per_head, |head, to| {
            cpu.level.dispatch(PackHead { qkv, extra, head, to });
        });
        let packed = &self.packed;
        cpu.pool.tiles(out, (STRIPS * LANES, HEAD), |out, row, col| {
            let head = &packed[col / HEAD * per_head..][..per_head];
            cpu.level.dispatch(Attend { qkv, head, n_keys, bias: &extra.bias, out, row, col });
        });
    }
}

/// Key (`part` 1) or value (`part` 2) `i` of a head.
#[inline(always)]
fn key_or_value<'a>(qkv: MatRef<'a>, extra: &'a KeysValues, part: usize, head: usize, i: usize) -> &'a [f32] {
    let width = qkv.cols / 3;
    match i.checked_sub(qkv.rows) {
        None => &qkv.row(i)[part * width + head * HEAD..][..HEAD],
        Some(i) => {
            let from = if part == 1 { &extra.keys } else { &extra.values };
            &from[i * width + head * HEAD..][..HEAD]
        }
    }
}

struct PackHead<'a> {
    qkv: MatRef<'a>,
    extra: &'a KeysValues,
    head: usize,
    to: &'a mut [f32],
}

impl Kernel for PackHead<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let n_keys = self.qkv.rows + self.extra.bias.len();
        let (keys, values) = self.to.split_at_mut(padded_rows(n_keys, S::MR) * HEAD);
        for (b, block) in keys.chunks_mut(S::MR * HEAD).enumerate() {
            // Rows beyond the last key stay as they are: nothing that comes of them is used.
            let rows = block.len() / HEAD;
            for r in 0..rows.min(n_keys - b * S::MR) {
                let key = key_or_value(self.qkv, self.extra, 1, self.head, b * S::MR + r);
                for (x, column) in key.iter().zip(block.chunks_exact_mut(rows)) {
                    column[r] = *x;
                }
            }
        }
        for i in 0..n_keys {
            let value = key_or_value(self.qkv, self.extra, 2, self.head, i);
            for (b, dims) in value.chunks(S::MR).enumerate() {
                values[b * S::MR * n_keys + i * dims.len()..][..dims.len()].copy_from_slice(dims);
            }
        }
    }
}

struct Attend<'a> {
    qkv: MatRef<'a>,
    head: &'a [f32],
    n_keys: usize,
    bias: &'a [f32],
    out: MatMut<'a>,
    row: usize,
    col: usize,
}

impl Kernel for Attend<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let n_keys = self.n_keys;
        let mut scores = vec![[0.0; LANES]; n_keys];
        let mut queries = [[0.0; LANES]; HEAD];
        for first in (0..self.out.rows).step_by(LANES) {
            let rows = LANES.min(self.out.rows - first);
            for lane in 0..rows {
                let query = &self.qkv.row(self.row + first + lane)[self.col..][..HEAD];
                for (q, to) in query.iter().zip(&mut queries) {
                    // 1/√64, applied to the queries alone.
                    to[lane] = q * 0.125;
                }
            }
            let (keys, values) = self.head.split_at(padded_rows(n_keys, S::MR) * HEAD);
            score_strip(s, keys, &queries, self.bias, &mut scores);
            softmax_strip(s, &mut scores);
            let sums = weigh_strip(s, values, &scores);
            for lane in 0..rows {
                for (to, sum) in self.out.row(first + lane).iter_mut().zip(&sums) {
                    *to = sum[lane];
                }
            }
        }
    }
}

/// Scores of 16 queries (`[64][16]`) against all keys.
#[inline(always)]
fn score_strip<S: Simd>(s: S, keys: &[f32], queries: &[[f32; LANES]; HEAD], bias: &[f32], scores: &mut [[f32; LANES]]) {
    for (block, to) in keys.chunks(S::MR * HEAD).zip(scores.chunks_mut(S::MR)) {
        with_rows!(tile_rows(to.len()), S, M => {
            let tile = tile_f32::<S, M, 1>(s, block, [queries]);
            for r in 0..M {
                if r == to.len() {
                    break;
                }
                s.store(tile[r][0], &mut to[r]);
            }
        });
    }
    let own = scores.len() - bias.len();
    for (to, bias) in scores[own..].iter_mut().zip(bias) {
        let v = s.add(s.load(to), s.splat(*bias));
        s.store(v, to);
    }
}

/// Softmax over the keys, for each of the 16 queries.
#[inline(always)]
fn softmax_strip<S: Simd>(s: S, scores: &mut [[f32; LANES]]) {
    let mut max = s.splat(f32::NEG_INFINITY);
    for row in scores.iter() {
        max = s.max(max, s.load(row));
    }
    let mut sum = s.splat(0.0);
    for row in scores.iter_mut() {
        let e = exp(s, s.sub(s.load(row), max));
        sum = s.add(sum, e);
        s.store(e, row);
    }
    let scale = s.div(s.splat(1.0), sum);
    for row in scores.iter_mut() {
        let p = s.mul(s.load(row), scale);
        s.store(p, row);
    }
}

/// Values weighed by the probabilities of 16 queries, `[64][16]`.
#[inline(always)]
fn weigh_strip<S: Simd>(s: S, values: &[f32], probabilities: &[[f32; LANES]]) -> [[f32; LANES]; HEAD] {
    let mut sums = [[0.0; LANES]; HEAD];
    for (block, to) in values.chunks(S::MR * probabilities.len()).zip(sums.chunks_mut(S::MR)) {
        with_rows!(to.len(), S, M => {
            let tile = tile_f32::<S, M, 1>(s, block, [probabilities]);
            for r in 0..M {
                s.store(tile[r][0], &mut to[r]);
            }
        });
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Level, Pool};

    fn noise(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| (((i + seed) * 7919 + seed * 131) % 2003) as f32 / 400.0 - 2.5).collect()
    }

    /// One head of one query by the definition, in f64.
    fn reference(query: &[f32], keys: &[&[f32]], values: &[&[f32]], bias: &[f32]) -> Vec<f64> {
        let own = keys.len() - bias.len();
        let score = |(i, key): (usize, &&[f32])| {
            let dot: f64 = query.iter().zip(*key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            dot / 8.0 + i.checked_sub(own).map_or(0.0, |i| f64::from(bias[i]))
        };
        let scores: Vec<f64> = keys.iter().enumerate().map(score).collect();
        let max = scores.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
        let weigh = |d: usize| scores.iter().zip(values).map(|(s, v)| (s - max).exp() / sum * f64::from(v[d])).sum();
        (0..HEAD).map(weigh).collect()
    }

    #[test]
    fn attention_is_its_definition_on_every_level_and_number_of_threads() {
        for (n, n_extra) in [(1, 0), (15, 3), (16, 0), (17, 5), (70, 32), (130, 1)] {
            let width = 2 * HEAD;
            let qkv = noise(n * 3 * width, 1);
            let extra = KeysValues {
                keys: noise(n_extra * width, 2),
                values: noise(n_extra * width, 3),
                bias: noise(n_extra, 4),
            };
            let view = MatRef::dense(&qkv, 3 * width);
            for level in Level::available() {
                let mut results = Vec::new();
                for threads in [1, 3] {
                    let cpu = Cpu { level, pool: Pool::new(threads) };
                    let mut out = vec![f32::NAN; n * width];
                    Attention::default().apply(&cpu, view, &extra, MatMut::dense(&mut out, width));
                    results.push(out);
                }
                assert!(results[0] == results[1], "1 and 3 threads differ");
                for head in 0..2 {
                    let rows = |part| (0..n + n_extra).map(|i| key_or_value(view, &extra, part, head, i)).collect();
                    let (keys, values): (Vec<_>, Vec<_>) = (rows(1), rows(2));
                    for i in [0, n / 2, n - 1] {
                        let want = reference(&view.row(i)[head * HEAD..][..HEAD], &keys, &values, &extra.bias);
                        for (d, want) in want.iter().enumerate() {
                            let y = f64::from(results[0][i * width + head * HEAD + d]);
                            assert!((y - want).abs() < 1e-4, "{} n={n} row {i}: {y} {want}", level.name());
                        }
                    }
                }
            }
        }
    }
}
