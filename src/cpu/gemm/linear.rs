//! Linear layers: packed weights, and y = f(norm(x) Wᵀ + b) in a single pass.

use crate::cpu::Cpu;
use crate::cpu::gemm::blocks::{BlocksF32, BlocksI8, Input};
use crate::cpu::gemm::product::{row_i8, tile_f32, tile_i8, with_rows};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{LayerNorm, gelu_vector, load_part, store_part};
use crate::cpu::matrix::{MatMut, MatRef};
use bytes::Bytes;

/// Operations on x Wᵀ + b before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue {
    /// Apply GELU.
    pub gelu: bool,
    /// Add the result (after GELU) to the previous contents of the output.
    pub accumulate: bool,
}

/// Linear layer with weights in one of the two number formats; both have the same interface.
pub struct Linear {
    weights: Weights,
    bias: Vec<f32>,
    n: usize,
}

enum Weights {
    /// Panels of 16 outputs, `[n / 16][k][16]`.
    F32 {
        panels: Vec<[f32; LANES]>,
        k: usize,
    },
    I8(PackedI8),
}

/// 8-bit weights in the layout of the kernels.
#[derive(Clone, Debug)]
pub struct PackedI8 {
    /// Panels of 16 outputs, `[n / 16][k / 4][16][4]`, with n and k rounded up to multiples of 16;
    /// values are −127 … 127.
    pub panels: Bytes,
    /// For each output: the scale of its weights.
    pub scales: Vec<f32>,
    /// For each output: −128 × the sum of its weights, which compensates for the activations' zero
    /// point of 128.
    pub offsets: Vec<i32>,
    /// Number of values in an input row, rounded up to a multiple of 16.
    pub k: usize,
}

/// Packs 8-bit weights (`[n][k]`, row-major, with one scale per row) into panels.
pub fn pack_i8(weights: &[i8], scales: &[f32], n: usize, k: usize) -> PackedI8 {
    let padded_n = n.next_multiple_of(LANES);
    let padded_k = k.next_multiple_of(LANES);
    let mut panels = vec![0u8; padded_n * padded_k];
    let mut offsets = vec![0; padded_n];
    for (row, values) in weights.chunks_exact(k).enumerate() {
        let panel = &mut panels[row / LANES * LANES * padded_k..];
        for (i, w) in values.iter().enumerate() {
            panel[(i / 4 * LANES + row % LANES) * 4 + i % 4] = *w as u8;
        }
        offsets[row] = -128 * values.iter().map(|w| i32::from(*w)).sum::<i32>();
    }
    let mut scales = scales.to_vec();
    scales.resize(padded_n, 0.0);
    PackedI8 {
        panels: panels.into(),
        scales,
        offsets,
        k: padded_k,
    }
}

impl PackedI8 {
    /// Returns the weights before packing, `[n][k]`, row-major. `n` and `k` must be those that they
    /// were packed with.
    ///
    /// # Panics
    /// Panics if the panels hold fewer weights.
    pub fn rows(&self, n: usize, k: usize) -> Vec<i8> {
        assert!(
            n <= self.scales.len() && k <= self.k,
            "fewer 8-bit weights were packed"
        );
        let place = |row: usize, i: usize| {
            row / LANES * LANES * self.k + (i / 4 * LANES + row % LANES) * 4 + i % 4
        };
        (0..n * k)
            .map(|at| self.panels[place(at / k, at % k)] as i8)
            .collect()
    }
}

/// Rows packed for a product; layers that read the same rows share them.
pub struct Packed(Blocks);

enum Blocks {
    F32(BlocksF32),
    I8(BlocksI8),
}

impl Linear {
    /// Creates a layer of `f32` weights `[n][k]`, row-major, with a bias `[n]` (empty: none).
    pub fn f32(weights: &[f32], bias: Vec<f32>, n: usize, k: usize) -> Self {
        let mut panels = vec![[0.0; LANES]; n.div_ceil(LANES) * k];
        for (row, values) in weights.chunks_exact(k).enumerate() {
            for (to, w) in panels[row / LANES * k..].iter_mut().zip(values) {
                to[row % LANES] = *w;
            }
        }
        Self {
            weights: Weights::F32 { panels, k },
            bias,
            n,
        }
    }

    /// Creates a layer of 8-bit weights with `n` outputs and a bias `[n]` (empty: none).
    ///
    /// # Panics
    /// Panics if the panels do not have `n` outputs.
    pub fn i8(weights: PackedI8, bias: Vec<f32>, n: usize) -> Self {
        let padded = n.next_multiple_of(LANES);
        assert_eq!(
            weights.panels.len(),
            padded * weights.k,
            "panels have the wrong shape"
        );
        assert!(
            weights.scales.len() == padded && weights.offsets.len() == padded,
            "scales have the wrong shape"
        );
        Self {
            weights: Weights::I8(weights),
            bias,
            n,
        }
    }

    /// Size of the weights in bytes.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::F32 { panels, .. } => size_of_val(&panels[..]),
            Weights::I8(weights) => weights.panels.len(),
        }
    }

    /// Moves the 8-bit weights of layers that are read one after another to large pages, which read
    /// fastest. They stay in place if the system refuses the memory.
    pub fn gather(layers: &mut [&mut Self]) {
        let mut weights: Vec<_> = layers
            .iter_mut()
            .filter_map(|layer| match &mut layer.weights {
                Weights::I8(weights) => Some(&mut weights.panels),
                Weights::F32 { .. } => None,
            })
            .collect();
        let parts: Vec<&[u8]> = weights.iter().map(|panels| &panels[..]).collect();
        if let Some(copies) = crate::cpu::memory::pages::gather(&parts) {
            weights
                .iter_mut()
                .zip(copies)
                .for_each(|(panels, copy)| **panels = copy);
        }
    }

    /// `out[i] = f(norm(x[i]) Wᵀ + b)` for each row.
    ///
    /// # Panics
    /// Panics if the shape of `x` or `out` does not match the layer.
    pub fn apply(
        &self,
        cpu: &Cpu,
        x: MatRef<'_>,
        norm: Option<&LayerNorm>,
        out: MatMut<'_>,
        epilogue: Epilogue,
    ) {
        self.apply_packed(cpu, &self.pack(cpu, x, norm), out, epilogue);
    }

    /// Packs norm(x) for this layer and others of the same width and number format.
    ///
    /// # Panics
    /// Panics if the width of `x` does not match the layer.
    pub fn pack(&self, cpu: &Cpu, x: MatRef<'_>, norm: Option<&LayerNorm>) -> Packed {
        let input = Input { rows: x, norm };
        Packed(match &self.weights {
            Weights::F32 { k, .. } => {
                assert_eq!(x.cols(), *k, "linear layer: input has the wrong width");
                Blocks::F32(BlocksF32::pack(cpu, input))
            }
            Weights::I8(w) => {
                assert_eq!(
                    x.cols().next_multiple_of(LANES),
                    w.k,
                    "linear layer: input has the wrong width"
                );
                Blocks::I8(BlocksI8::pack(cpu, input))
            }
        })
    }

    /// As [`Self::apply`], with rows packed by [`Self::pack`].
    ///
    /// # Panics
    /// Panics if the rows were packed for a different layer, or the shape of `out` does not match.
    pub fn apply_packed(&self, cpu: &Cpu, x: &Packed, out: MatMut<'_>, epilogue: Epilogue) {
        assert!(
            out.cols() == self.n,
            "linear layer: output has the wrong shape"
        );
        let bias = &self.bias;
        match (&self.weights, &x.0) {
            (Weights::F32 { panels, k }, Blocks::F32(a)) => {
                assert!(
                    out.rows() == a.rows && a.width() == *k,
                    "linear layer: input has the wrong shape"
                );
                let division = divide(cpu, out.rows(), self.n, 4 * k);
                cpu.pool.tiles(out, division, |out, row, col| {
                    cpu.isa.dispatch(ProductF32 {
                        a,
                        panels,
                        k: *k,
                        bias,
                        out,
                        row,
                        col,
                        epilogue,
                    });
                });
            }
            (Weights::I8(w), Blocks::I8(a)) => {
                assert!(
                    out.rows() == a.rows && a.width() == w.k,
                    "linear layer: input has the wrong shape"
                );
                let division = divide(cpu, out.rows(), self.n, w.k);
                cpu.pool.tiles(out, division, |out, row, col| {
                    cpu.isa.dispatch(ProductI8 {
                        a,
                        w,
                        bias,
                        out,
                        row,
                        col,
                        epilogue,
                    });
                });
            }
            _ => unreachable!("rows packed in a different number format"),
        }
    }
}

/// Bytes of packed rows that stay in the L2 cache while the columns pass.
const ROW_BYTES: usize = 256 * 1024;

/// Bytes of weights that a thread takes at a time if there are few rows.
const WEIGHT_BYTES: usize = 1 << 20;

/// Number of rows up to which a product is bound by reading the weights, not by arithmetic.
const FEW: usize = 8;

/// Size of the tiles that threads take: whole blocks of rows that stay in the L2 cache, and enough
/// columns to be worth a task. Few rows are divided by columns only. A packed row has `row_bytes`
/// bytes.
fn divide(cpu: &Cpu, rows: usize, cols: usize, row_bytes: usize) -> (usize, usize) {
    let block = cpu.isa.block_rows();
    if rows > 8 * block {
        ((ROW_BYTES / row_bytes / block).clamp(4, 16) * block, 256)
    } else {
        // Wide layers (the logits) are cut into pieces, so that no thread waits long for the last
        // one.
        let most = (WEIGHT_BYTES / row_bytes).next_multiple_of(2 * LANES);
        (
            rows,
            cols.div_ceil(2 * cpu.pool.threads())
                .next_multiple_of(2 * LANES)
                .clamp(64, most.max(64)),
        )
    }
}

/// A product that is computed one tile's width of columns at a time.
trait Columns {
    /// Computes NP panels of columns, starting at `col`, for all rows.
    fn columns<S: Simd, const NP: usize>(&mut self, s: S, col: usize);
}

/// Computes the columns of a product from `col` on, in pairs of panels if the instruction set has
/// such tiles and `pairs` is set.
#[inline(always)]
fn all_columns<S: Simd>(s: S, pairs: bool, mut col: usize, cols: usize, mut product: impl Columns) {
    while col < cols {
        if S::NP == 2 && pairs && col + LANES < cols {
            product.columns::<S, 2>(s, col);
            col += 2 * LANES;
        } else {
            product.columns::<S, 1>(s, col);
            col += LANES;
        }
    }
}

struct ProductF32<'a> {
    a: &'a BlocksF32,
    panels: &'a [[f32; LANES]],
    k: usize,
    bias: &'a [f32],
    out: MatMut<'a>,
    row: usize,
    col: usize,
    epilogue: Epilogue,
}

impl Columns for ProductF32<'_> {
    #[inline(always)]
    fn columns<S: Simd, const NP: usize>(&mut self, s: S, col: usize) {
        let mut b = [self.panels; NP];
        let mut bias = [s.splat(0.0); NP];
        for p in 0..NP {
            let at = self.col + col + p * LANES;
            b[p] = &self.panels[at / LANES * self.k..][..self.k];
            bias[p] = bias_of(s, self.bias, at);
        }
        for first in (0..self.out.rows()).step_by(S::MR) {
            let (rows, a) = self.a.block((self.row + first) / S::MR);
            let last = self.out.rows() - first;
            with_rows!(rows, S, M => {
                let acc = tile_f32::<S, M, NP>(s, a, b);
                for r in 0..M {
                    if r == last {
                        break;
                    }
                    for p in 0..NP {
                        let y = s.add(acc[r][p], bias[p]);
                        finish(s, y, &mut self.out.row(first + r)[col + p * LANES..], self.epilogue);
                    }
                }
            });
        }
    }
}

impl Kernel for ProductF32<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut col = 0;
        let cols = self.out.cols();
        if self.a.rows == 1 {
            while col + CHAINS * LANES <= cols {
                self.row(s, col);
                col += CHAINS * LANES;
            }
        }
        all_columns(s, true, col, cols, self);
    }
}

/// Panels that a single row is multiplied with at a time: each sum is one chain of additions, and
/// several chains hide each other's latency.
const CHAINS: usize = 4;

impl ProductF32<'_> {
    /// Computes the panels that start at `col`, for a single row.
    #[inline(always)]
    fn row<S: Simd>(&mut self, s: S, col: usize) {
        let mut b = [self.panels; CHAINS];
        for p in 0..CHAINS {
            b[p] = &self.panels[((self.col + col) / LANES + p) * self.k..][..self.k];
        }
        let acc = tile_f32::<S, 1, CHAINS>(s, self.a.block(0).1, b);
        for p in 0..CHAINS {
            let at = col + p * LANES;
            let y = s.add(acc[0][p], bias_of(s, self.bias, self.col + at));
            finish(s, y, &mut self.out.row(0)[at..], self.epilogue);
        }
    }
}

struct ProductI8<'a> {
    a: &'a BlocksI8,
    w: &'a PackedI8,
    bias: &'a [f32],
    out: MatMut<'a>,
    row: usize,
    col: usize,
    epilogue: Epilogue,
}

impl Columns for ProductI8<'_> {
    #[inline(always)]
    fn columns<S: Simd, const NP: usize>(&mut self, s: S, col: usize) {
        let (quads, _) =
            bytemuck::cast_slice::<u8, i8>(&self.w.panels).as_chunks::<{ 4 * LANES }>();
        let per_panel = self.w.k / 4;
        let (offsets, _) = self.w.offsets.as_chunks::<LANES>();
        let (all_scales, _) = self.w.scales.as_chunks::<LANES>();
        let mut b = [quads; NP];
        let mut init = [&[0; LANES]; NP];
        let mut scales = [s.splat(0.0); NP];
        let mut bias = [s.splat(0.0); NP];
        for p in 0..NP {
            let at = self.col + col + p * LANES;
            b[p] = &quads[at / LANES * per_panel..][..per_panel];
            init[p] = &offsets[at / LANES];
            scales[p] = s.load(&all_scales[at / LANES]);
            bias[p] = bias_of(s, self.bias, at);
        }
        for first in (0..self.out.rows()).step_by(S::MR) {
            let (row_scales, a) = self.a.block((self.row + first) / S::MR);
            let last = self.out.rows() - first;
            if row_scales.len() == 1 {
                let row_scale = s.splat(row_scales[0]);
                for p in 0..NP {
                    let sum = s.to_f32(row_i8(s, a, b[p], init[p]));
                    let y = s.mul_add(sum, s.mul(row_scale, scales[p]), bias[p]);
                    finish(
                        s,
                        y,
                        &mut self.out.row(first)[col + p * LANES..],
                        self.epilogue,
                    );
                }
                continue;
            }
            with_rows!(row_scales.len(), S, M => {
                let acc = tile_i8::<S, M, NP>(s, a, b, init);
                for r in 0..M {
                    if r == last {
                        break;
                    }
                    let row_scale = s.splat(row_scales[r]);
                    for p in 0..NP {
                        let y = s.mul_add(s.to_f32(acc[r][p]), s.mul(row_scale, scales[p]), bias[p]);
                        finish(s, y, &mut self.out.row(first + r)[col + p * LANES..], self.epilogue);
                    }
                }
            });
        }
    }
}

impl Kernel for ProductI8<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if S::WIDE && self.out.rows() > FEW {
            self.wide(s);
            return;
        }
        // Few rows are bound by reading the weights, which is fastest sequentially.
        let cols = self.out.cols();
        all_columns(s, self.out.rows() > FEW, 0, cols, self);
    }
}

#[inline(always)]
pub(in crate::cpu) fn bias_of<S: Simd>(s: S, bias: &[f32], col: usize) -> S::F {
    match bias.get(col..) {
        Some(bias) if !bias.is_empty() => load_part(s, bias, 0.0),
        _ => s.splat(0.0),
    }
}

/// Stores a vector of a tile at the start of `out`, which may be shorter.
#[inline(always)]
pub(in crate::cpu) fn finish<S: Simd>(s: S, mut y: S::F, out: &mut [f32], epilogue: Epilogue) {
    let end = LANES.min(out.len());
    let out = &mut out[..end];
    if epilogue.gelu {
        y = gelu_vector(s, y);
    }
    if epilogue.accumulate {
        y = s.add(y, load_part(s, out, 0.0));
    }
    store_part(s, y, out);
}

#[cfg(test)]
mod tests;
mod wide;
