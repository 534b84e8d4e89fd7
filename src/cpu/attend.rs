//! The decoder's attention, for single queries.

use super::Cpu;
use super::matrix::MatRef;
use super::simd::{Kernel, LANES, Simd};

/// Width of a head, in every Whisper size.
const HEAD: usize = 64;

/// One head's attention of single queries: `out = Σ softmax(q · k / 8 + bias) v`.
///
/// `query`, `out`: `[64]`; `keys`, `values`: views of `[n][64]`; `bias` is added to the scores of the last keys;
/// `scores`: working memory.
pub fn attend_rows(
    cpu: &Cpu,
    query: &[f32],
    keys: MatRef<'_>,
    values: MatRef<'_>,
    bias: &[f32],
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    scores.clear();
    scores.resize(keys.rows, 0.0);
    cpu.level.dispatch(AttendRow { query, keys, values, bias, scores, out });
}

struct AttendRow<'a> {
    query: &'a [f32],
    keys: MatRef<'a>,
    values: MatRef<'a>,
    bias: &'a [f32],
    scores: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for AttendRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (parts, _) = self.query.as_chunks::<LANES>();
        let scale = s.splat(0.125);
        let mut query = [scale; HEAD / LANES];
        for (q, part) in query.iter_mut().zip(parts) {
            *q = s.mul(*q, s.load(part));
        }
        for (i, score) in self.scores.iter_mut().enumerate() {
            let (key, _) = self.keys.row(i).as_chunks::<LANES>();
            let mut sum = s.splat(0.0);
            for (q, k) in query.iter().zip(key) {
                sum = s.mul_add(*q, s.load(k), sum);
            }
            *score = s.sum(sum);
        }
        let own = self.scores.len() - self.bias.len();
        self.scores[own..].iter_mut().zip(self.bias).for_each(|(score, bias)| *score += bias);
        super::math::softmax_row(s, self.scores);
        let mut sums = [s.splat(0.0); HEAD / LANES];
        for (i, p) in self.scores.iter().enumerate() {
            let (value, _) = self.values.row(i).as_chunks::<LANES>();
            let p = s.splat(*p);
            for (sum, v) in sums.iter_mut().zip(value) {
                *sum = s.mul_add(p, s.load(v), *sum);
            }
        }
        let (out, _) = self.out.as_chunks_mut::<LANES>();
        for (sum, to) in sums.iter().zip(out) {
            s.store(*sum, to);
        }
    }
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
    fn single_rows_are_their_definition() {
        for (n, n_bias) in [(1, 0), (2, 1), (16, 0), (33, 7), (544, 32)] {
            let (query, keys, values) = (noise(HEAD, 5), noise(n * HEAD, 6), noise(n * HEAD, 7));
            let bias = noise(n_bias, 8);
            let (k, v) = (MatRef::dense(&keys, HEAD), MatRef::dense(&values, HEAD));
            let key_rows: Vec<_> = keys.chunks(HEAD).collect();
            let value_rows: Vec<_> = values.chunks(HEAD).collect();
            let want = reference(&query, &key_rows, &value_rows, &bias);
            for level in Level::available() {
                let cpu = Cpu { level, pool: Pool::new(1) };
                let mut out = vec![f32::NAN; HEAD];
                attend_rows(&cpu, &query, k, v, &bias, &mut Vec::new(), &mut out);
                for (y, want) in out.iter().zip(&want) {
                    assert!((f64::from(*y) - want).abs() < 1e-4, "{} n={n}: {y} {want}", level.name());
                }
            }
        }
    }
}
