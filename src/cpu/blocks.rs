//! Activations as the tile kernels read them: blocks of a few rows, the values of a column of the block adjacent.
//!
//! The last block may hold rows of zeros, so that its height is one that there is a tile for ([`tile_rows`]).
//!
//! Packing is where a row passes through the cache anyway, so layer norm and quantisation happen here.

use super::Cpu;
use super::linear::LayerNorm;
use super::math::{layer_norm_row, load_part};
use super::matrix::MatRef;
use super::product::{padded_rows, tile_rows};
use super::simd::{Kernel, LANES, Simd};

/// What goes into a product: rows, normalised first where a layer norm is given.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub rows: MatRef<'a>,
    pub norm: Option<&'a LayerNorm>,
}

impl<'a> Input<'a> {
    /// Row i, in `scratch` where it had to be computed.
    #[inline(always)]
    fn row<'b, S: Simd>(&self, s: S, i: usize, scratch: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        let row = self.rows.row(i);
        match self.norm {
            None => row,
            Some(norm) => {
                layer_norm_row(s, row, &norm.weight, &norm.bias, scratch);
                scratch
            }
        }
    }
}

/// `f32` rows: block b holds `[k][rows of the block]`.
pub(super) struct BlocksF32 {
    data: Vec<f32>,
    pub rows: usize,
    k: usize,
    block: usize,
}

impl BlocksF32 {
    /// Packs rows of `k` values.
    pub fn pack(cpu: &Cpu, input: Input<'_>) -> Self {
        let (rows, k, block) = (input.rows.rows, input.rows.cols, cpu.level.block_rows());
        let mut data = vec![0.0; padded_rows(rows, block) * k];
        cpu.pool.pieces(&mut data, block * k, |b, to| {
            cpu.level.dispatch(PackF32 { input, first: b * block, to });
        });
        Self { data, rows, k, block }
    }

    /// Rows of block b, those of zeros included, and its values.
    #[inline(always)]
    pub fn block(&self, b: usize) -> (usize, &[f32]) {
        let rows = tile_rows(self.block.min(self.rows - b * self.block));
        (rows, &self.data[b * self.block * self.k..][..rows * self.k])
    }
}

struct PackF32<'a> {
    input: Input<'a>,
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for PackF32<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = vec![0.0; self.input.rows.cols];
        let rows = self.to.len() / self.input.rows.cols;
        for r in 0..rows.min(self.input.rows.rows - self.first) {
            let row = self.input.row(s, self.first + r, &mut scratch);
            for (x, column) in row.iter().zip(self.to.chunks_exact_mut(rows)) {
                column[r] = *x;
            }
        }
    }
}

/// Rows as bytes, 128 standing for 0, with a scale for each: block b holds `[k / 4][rows of the block][4]`.
/// k is rounded up to a multiple of 16; the values added are zero.
pub(super) struct BlocksI8 {
    data: Vec<u8>,
    scales: Vec<f32>,
    pub rows: usize,
    k: usize,
    block: usize,
}

impl BlocksI8 {
    /// Quantises each row symmetrically, scale = max |x| / 127, and packs it.
    pub fn pack(cpu: &Cpu, input: Input<'_>) -> Self {
        let (rows, block) = (input.rows.rows, cpu.level.block_rows());
        let k = input.rows.cols.next_multiple_of(LANES);
        let mut data = vec![0; padded_rows(rows, block) * k];
        let mut scales = vec![0.0; padded_rows(rows, block)];
        let mut blocks: Vec<_> = data.chunks_mut(block * k).zip(scales.chunks_mut(block)).collect();
        cpu.pool.pieces(&mut blocks, 1, |b, one| {
            for (to, scales) in one {
                cpu.level.dispatch(PackI8 { input, first: b * block, k, to, scales });
            }
        });
        Self { data, scales, rows, k, block }
    }

    /// Scales of the rows of block b, those of zeros included, and its bytes.
    #[inline(always)]
    pub fn block(&self, b: usize) -> (&[f32], &[u8]) {
        let rows = tile_rows(self.block.min(self.rows - b * self.block));
        (&self.scales[b * self.block..][..rows], &self.data[b * self.block * self.k..][..rows * self.k])
    }
}

struct PackI8<'a> {
    input: Input<'a>,
    first: usize,
    k: usize,
    to: &'a mut [u8],
    scales: &'a mut [f32],
}

impl Kernel for PackI8<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = vec![0.0; self.input.rows.cols];
        let mut bytes = vec![128u8; self.k];
        let rows = self.scales.len();
        for r in 0..rows.min(self.input.rows.rows - self.first) {
            let row = self.input.row(s, self.first + r, &mut scratch);
            self.scales[r] = quantize_row(s, row, &mut bytes);
            let (quads, _) = bytes.as_chunks::<4>();
            for (quad, column) in quads.iter().zip(self.to.chunks_exact_mut(4 * rows)) {
                column[4 * r..4 * r + 4].copy_from_slice(quad);
            }
        }
    }
}

/// Writes the row's bytes and returns its scale.
#[inline(always)]
fn quantize_row<S: Simd>(s: S, row: &[f32], bytes: &mut [u8]) -> f32 {
    let mut max = s.splat(0.0);
    for part in row.chunks(LANES) {
        max = s.max(s.abs(load_part(s, part, 0.0)), max);
    }
    let max = s.max_lane(max);
    // A row of zeros has scale 0. A value that is no number counts as the largest of its row does.
    let inverse = s.splat(if max > 0.0 { 127.0 / max } else { 0.0 });
    let (low, high) = (s.splat(-127.0), s.splat(127.0));
    let (bytes, _) = bytes.as_chunks_mut::<LANES>();
    for (part, to) in row.chunks(LANES).zip(bytes) {
        let x = s.mul(load_part(s, part, 0.0), inverse);
        s.store_u8_offset(s.min(s.max(x, low), high), to);
    }
    max / 127.0
}
