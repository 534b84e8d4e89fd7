//! Self-attention of the encoder: every position of a window attends to all positions and to the
//! tail (compressed silence padding).
//!
//! In: queries, keys and values side by side, as the preceding linear layer wrote them. Out: the
//! weighted values of each head.
//!
//! The whole score matrix is never stored. For 16 or 32 queries at a time, the scores of all keys
//! form a strip `[keys][queries]`: softmax runs lane by lane, and the strip is then the right-hand
//! side of the product with the values. Keys and values are therefore broadcast from rows as they
//! lie in memory; only the queries of a strip and its result are transposed. Scores are base-2
//! exponents, which saves a multiplication per exponential.

use crate::cpu::Cpu;
use crate::cpu::attention::format::{Bf16, F32, Format};
use crate::cpu::gemm::product::{padded_rows, tile_rows, with_rows};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::exp2;
use crate::cpu::matrix::{MatMut, MatRef};
use bytemuck::{cast_slice, cast_slice_mut};

/// Width of a head, in every Whisper size.
pub(in crate::cpu) const HEAD: usize = 64;
/// Queries per task.
const QUERIES: usize = 64;
/// Scale of queries: 1/√64, times log₂ e because powers of 2 replace powers of e.
const SCALE: f32 = 0.125 * std::f32::consts::LOG2_E;

/// Keys and values that are shared by all queries and belong to no position of the input.
#[derive(Clone, Debug, Default)]
pub struct KeysValues {
    /// Keys, `[n][n_state]`.
    pub keys: Vec<f32>,
    /// Values, `[n][n_state]`.
    pub values: Vec<f32>,
    /// Added to the score of each key: ln m for a key that stands for m identical ones.
    pub bias: Vec<f32>,
}

/// Self-attention over all positions of a window; owns its working memory.
pub struct Attention {
    bf16: bool,
    /// For each head: keys as rows of 64, then values as pairs of rows; elements of a [`Format`].
    packed: Vec<u32>,
}

impl Attention {
    /// With `bf16`, operands are rounded to bf16 if the instruction set can multiply it.
    pub fn new(bf16: bool) -> Self {
        Self {
            bf16,
            packed: Vec::new(),
        }
    }

    /// `out[i] = Σ softmax(q[i] · k / 8) v` for each head.
    ///
    /// `qkv`: queries, keys and values side by side, `[n][3 × n_state]`; `extra`: further keys and
    /// values; `out`: `[n][n_state]`.
    ///
    /// # Panics
    /// Panics if the shapes do not match or a head is not 64 wide.
    pub fn apply(&mut self, cpu: &Cpu, qkv: MatRef<'_>, extra: &KeysValues, out: MatMut<'_>) {
        let width = qkv.cols() / 3;
        assert!(
            width.is_multiple_of(HEAD) && out.rows() == qkv.rows() && out.cols() == width,
            "attention: shapes do not match"
        );
        let input = Input { qkv, extra };
        if self.bf16 && cpu.isa.has_bf16() {
            attend::<Bf16>(cpu, input, &mut self.packed, out);
        } else {
            attend::<F32>(cpu, input, &mut self.packed, out);
        }
    }
}

/// Input of attention.
#[derive(Clone, Copy)]
struct Input<'a> {
    qkv: MatRef<'a>,
    extra: &'a KeysValues,
}

impl<'a> Input<'a> {
    fn n_keys(&self) -> usize {
        self.qkv.rows() + self.extra.bias.len()
    }

    /// Key (`part` 1) or value (`part` 2) `i` of a head.
    #[inline(always)]
    fn key_or_value(&self, part: usize, head: usize, i: usize) -> &'a [f32; HEAD] {
        let width = self.qkv.cols() / 3;
        let (from, at) = if i < self.qkv.rows() {
            (self.qkv.row(i), part * width + head * HEAD)
        } else {
            let from = if part == 1 {
                &self.extra.keys
            } else {
                &self.extra.values
            };
            (from.as_slice(), (i - self.qkv.rows()) * width + head * HEAD)
        };
        array(from, at)
    }
}

/// The `N` elements that start at `at`.
#[inline(always)]
fn array<T, const N: usize>(from: &[T], at: usize) -> &[T; N] {
    match from[at..].first_chunk() {
        Some(array) => array,
        None => unreachable!("row of a head too short"),
    }
}

/// As [`array`], for writing.
#[inline(always)]
fn array_mut<T, const N: usize>(from: &mut [T], at: usize) -> &mut [T; N] {
    match from[at..].first_chunk_mut() {
        Some(array) => array,
        None => unreachable!("row of a head too short"),
    }
}

/// Number of elements of a head's packed keys, in whole tiles of rows.
fn key_elements<F: Format>(n_keys: usize, block: usize) -> usize {
    padded_rows(n_keys, block) * HEAD / F::PACK
}

fn attend<F: Format>(cpu: &Cpu, input: Input<'_>, packed: &mut Vec<u32>, out: MatMut<'_>) {
    let n_keys = input.n_keys();
    let n_key_elements = key_elements::<F>(n_keys, cpu.isa.block_rows());
    let per_head = n_key_elements + n_keys.div_ceil(F::PACK) * HEAD;
    // Rows beyond the last key keep old contents; nothing computed from them is used.
    packed.resize(out.cols() / HEAD * per_head, 0);
    cpu.pool.pieces(packed, per_head, |head, to| {
        let (keys, values) = cast_slice_mut(to).split_at_mut(n_key_elements);
        cpu.isa.dispatch(PackHead::<F> {
            input,
            head,
            keys,
            values,
        });
    });
    let packed = cast_slice(packed);
    cpu.pool.tiles(out, (QUERIES, HEAD), |out, row, col| {
        let (keys, values) = packed[col / HEAD * per_head..][..per_head].split_at(n_key_elements);
        cpu.isa.dispatch(Attend::<F> {
            input,
            keys,
            values,
            out,
            row,
            col,
        });
    });
}

/// Converts the keys and values of a head to their format.
struct PackHead<'a, F: Format> {
    input: Input<'a>,
    head: usize,
    /// `[key][64 / PACK]`: element 16c + i holds the dimensions 16 c PACK + i and 16 beyond that.
    keys: &'a mut [F::Stored],
    /// `[key / PACK][64]`: an element holds a dimension of consecutive values.
    values: &'a mut [F::Stored],
}

impl<F: Format> Kernel for PackHead<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n_keys = self.input.n_keys();
        for i in 0..n_keys {
            let key = self.input.key_or_value(1, self.head, i);
            for c in 0..HEAD / LANES / F::PACK {
                let v = pack_dims::<F, S>(s, key, c, 1.0);
                F::store(
                    s,
                    v,
                    array_mut(self.keys, (i * HEAD / LANES / F::PACK + c) * LANES),
                );
            }
        }
        let zeros = [0.0; HEAD];
        for i in 0..n_keys.div_ceil(F::PACK) {
            let low = self.input.key_or_value(2, self.head, i * F::PACK);
            let last = (i + 1) * F::PACK - 1;
            let high = if last < n_keys {
                self.input.key_or_value(2, self.head, last)
            } else {
                &zeros
            };
            for c in 0..HEAD / LANES {
                let v = F::pack(
                    s,
                    s.load(array(low, c * LANES)),
                    s.load(array(high, c * LANES)),
                );
                F::store(s, v, array_mut(self.values, i * HEAD + c * LANES));
            }
        }
    }
}

/// Elements 16c … 16c + 15 of a query's or key's row, times `scale`.
#[inline(always)]
fn pack_dims<F: Format, S: Simd>(s: S, row: &[f32; HEAD], c: usize, scale: f32) -> F::Vector<S> {
    let low = s.load(array(row, c * F::PACK * LANES));
    let high = s.load(array(row, (c * F::PACK + F::PACK - 1) * LANES));
    F::pack(s, s.mul(low, s.splat(scale)), s.mul(high, s.splat(scale)))
}

/// A tile of the output: some queries of one head.
struct Attend<'a, F: Format> {
    input: Input<'a>,
    keys: &'a [F::Stored],
    values: &'a [F::Stored],
    out: MatMut<'a>,
    row: usize,
    col: usize,
}

impl<F: Format> Kernel for Attend<'_, F> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if S::NP == 2 {
            self.strips::<S, 2>(s);
        } else {
            self.strips::<S, 1>(s);
        }
    }
}

/// Vectors of 16 queries.
type Vectors<T> = Vec<[T; LANES]>;

impl<F: Format> Attend<'_, F> {
    /// Processes the queries in strips of 16 NP.
    #[inline(always)]
    fn strips<S: Simd, const NP: usize>(mut self, s: S) {
        let n_keys = self.input.n_keys();
        let zero = <F::Stored as bytemuck::Zeroable>::zeroed();
        let mut queries: Vectors<F::Stored> = vec![[zero; LANES]; HEAD / F::PACK * NP];
        let mut scores: Vectors<f32> = vec![[0.0; LANES]; n_keys * NP];
        let mut weights: Vectors<F::Stored> = vec![[zero; LANES]; n_keys.div_ceil(F::PACK) * NP];
        let mut sums: Vectors<f32> = vec![[0.0; LANES]; HEAD * NP];
        let mut first = 0;
        while first < self.out.rows() {
            let rows = (NP * LANES).min(self.out.rows() - first);
            for lane in 0..rows {
                let query = array(self.input.qkv.row(self.row + first + lane), self.col);
                for c in 0..HEAD / LANES / F::PACK {
                    let mut elements = [zero; LANES];
                    F::store(s, pack_dims::<F, S>(s, query, c, SCALE), &mut elements);
                    for i in 0..LANES {
                        queries[(c * LANES + i) * NP + lane / LANES][lane % LANES] = elements[i];
                    }
                }
            }
            let max = self.score::<S, NP>(s, &queries, &mut scores);
            let total = weigh::<F, S, NP>(s, &scores, max, &mut weights);
            self.sum_values::<S, NP>(s, &weights, total, &mut sums);
            for lane in 0..rows {
                let out: &mut [f32; HEAD] = array_mut(self.out.row(first + lane), 0);
                for d in 0..HEAD {
                    out[d] = sums[d * NP + lane / LANES][lane % LANES];
                }
            }
            first += NP * LANES;
        }
    }

    /// Computes the scores of the strip's queries (`[64 / PACK][NP][16]`) against all keys,
    /// `[key][NP][16]`, and the maximum of each query.
    #[inline(always)]
    fn score<S: Simd, const NP: usize>(
        &self,
        s: S,
        queries: &[[F::Stored; LANES]],
        scores: &mut [[f32; LANES]],
    ) -> [S::F; NP] {
        let n_keys = self.input.n_keys();
        let own = self.input.qkv.rows();
        let mut max = [s.splat(f32::NEG_INFINITY); NP];
        let mut key = 0;
        while key < n_keys {
            let rows = S::MR.min(n_keys - key);
            with_rows!(tile_rows(rows), S, M => {
                let keys = &self.keys[key * HEAD / F::PACK..][..M * HEAD / F::PACK];
                let mut acc = [[s.splat(0.0); NP]; M];
                let mut vectors = [F::load(s, &queries[0]); NP];
                for step in 0..HEAD / F::PACK {
                    for p in 0..NP {
                        vectors[p] = F::load(s, &queries[step * NP + p]);
                    }
                    for r in 0..M {
                        for p in 0..NP {
                            acc[r][p] = F::dot(s, acc[r][p], keys[r * HEAD / F::PACK + step], vectors[p]);
                        }
                    }
                }
                for r in 0..M {
                    if r == rows {
                        break;
                    }
                    let bias = if key + r < own { 0.0 } else { self.input.extra.bias[key + r - own] };
                    let bias = s.splat(bias * std::f32::consts::LOG2_E);
                    for p in 0..NP {
                        let score = s.add(acc[r][p], bias);
                        max[p] = s.max(score, max[p]);
                        s.store(score, &mut scores[(key + r) * NP + p]);
                    }
                }
            });
            key += S::MR;
        }
        max
    }

    /// Sum of the values times their weights (`[key / PACK][NP][16]`), divided by the total weight,
    /// `[64][NP][16]`.
    #[inline(always)]
    fn sum_values<S: Simd, const NP: usize>(
        &self,
        s: S,
        weights: &[[F::Stored; LANES]],
        total: [S::F; NP],
        sums: &mut [[f32; LANES]],
    ) {
        let mut share = total;
        for p in 0..NP {
            share[p] = s.div(s.splat(1.0), total[p]);
        }
        let mut d = 0;
        while d < HEAD {
            let dims = tile_rows(S::MR.min(HEAD - d));
            with_rows!(dims, S, M => {
                let mut acc = [[s.splat(0.0); NP]; M];
                let mut vectors = [F::load(s, &weights[0]); NP];
                for step in 0..weights.len() / NP {
                    for p in 0..NP {
                        vectors[p] = F::load(s, &weights[step * NP + p]);
                    }
                    let values: &[F::Stored; M] = array(self.values, step * HEAD + d);
                    for r in 0..M {
                        for p in 0..NP {
                            acc[r][p] = F::dot(s, acc[r][p], values[r], vectors[p]);
                        }
                    }
                }
                for r in 0..M {
                    for p in 0..NP {
                        s.store(s.mul(acc[r][p], share[p]), &mut sums[(d + r) * NP + p]);
                    }
                }
            });
            d += dims;
        }
    }
}

/// 2 to the power of (score − maximum of its query), `[key / PACK][NP][16]`, and the sum over the
/// keys.
#[inline(always)]
fn weigh<F: Format, S: Simd, const NP: usize>(
    s: S,
    scores: &[[f32; LANES]],
    max: [S::F; NP],
    weights: &mut [[F::Stored; LANES]],
) -> [S::F; NP] {
    let mut total = [s.splat(0.0); NP];
    for i in 0..weights.len() {
        let pair = i / NP;
        let p = i % NP;
        let low = exp2(
            s,
            s.sub(s.load(&scores[pair * F::PACK * NP + p]), max[p]),
            F::EXP2_TERMS,
        );
        total[p] = s.add(total[p], low);
        let mut high = s.splat(0.0);
        let last = ((pair + 1) * F::PACK - 1) * NP + p;
        if F::PACK == 2 && last < scores.len() {
            high = exp2(s, s.sub(s.load(&scores[last]), max[p]), F::EXP2_TERMS);
            total[p] = s.add(total[p], high);
        }
        F::store(s, F::pack(s, low, high), &mut weights[i]);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::reference::{attention, noise};
    use crate::cpu::{Isa, Pool};

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
            for isa in Isa::available() {
                let mut results = Vec::new();
                for (threads, bf16) in [(1, false), (3, false), (1, true), (3, true)] {
                    let cpu = Cpu {
                        isa,
                        pool: Pool::new(threads),
                    };
                    let mut out = vec![f32::NAN; n * width];
                    Attention::new(bf16).apply(&cpu, view, &extra, MatMut::dense(&mut out, width));
                    results.push(out);
                }
                assert!(
                    results[0] == results[1] && results[2] == results[3],
                    "1 and 3 threads differ"
                );
                // Values are up to 2.5 and scores are sharp: bf16 changes a score of 20 by up to
                // 0.1.
                let far = |(a, b): (&f32, &f32)| (a - b).abs() > 0.25;
                assert!(
                    !results[0].iter().zip(&results[2]).any(far),
                    "{} n={n}: bf16 is far off",
                    isa.name()
                );
                for head in 0..2 {
                    let input = Input {
                        qkv: view,
                        extra: &extra,
                    };
                    let row = |part, i| input.key_or_value(part, head, i).map(f64::from).to_vec();
                    let keys: Vec<_> = (0..n + n_extra).map(|i| row(1, i)).collect();
                    let values: Vec<_> = (0..n + n_extra).map(|i| row(2, i)).collect();
                    for i in [0, n / 2, n - 1] {
                        let query = &view.row(i)[head * HEAD..][..HEAD];
                        let want = attention(query, &keys, &values, &extra.bias);
                        for (d, want) in want.iter().enumerate() {
                            let y = f64::from(results[0][i * width + head * HEAD + d]);
                            assert!(
                                (y - want).abs() < 1e-4,
                                "{} n={n} row {i}: {y} {want}",
                                isa.name()
                            );
                        }
                    }
                }
            }
        }
    }
}
