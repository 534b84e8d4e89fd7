//! Activations in the layout of the tile kernels: blocks of a few rows, in which the values of a
//! column are adjacent.
//!
//! The last block is padded with rows to a height for which a tile exists ([`tile_rows`]); the
//! contents of the padding are never used.
//!
//! Packing reads each row into the cache anyway, so layer norm and quantisation happen here.

use crate::cpu::Cpu;
use crate::cpu::gemm::product::{padded_rows, tile_rows};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{LayerNorm, layer_norm_row, load_part};
use crate::cpu::matrix::MatRef;
use std::cell::RefCell;

/// Blocks per task.
const BLOCKS: usize = 4;

thread_local! {
    // Buffers that this thread's last product left. Fresh memory is cleared by the system page by
    // page, which took a twelfth of the encoder's time.
    static LEFT_F32: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static LEFT_I8: RefCell<Vec<[u8; 4]>> = const { RefCell::new(Vec::new()) };
}

/// Returns a buffer of at least `len` elements with arbitrary contents.
fn reuse<T: Copy + Default>(mut buffer: Vec<T>, len: usize) -> Vec<T> {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    buffer
}

/// Input of a product: rows, and the layer norm to apply first, if any.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Input<'a> {
    pub rows: MatRef<'a>,
    pub norm: Option<&'a LayerNorm>,
}

impl<'a> Input<'a> {
    /// Returns row i, in `scratch` if it had to be computed.
    #[inline(always)]
    pub fn row<'b, S: Simd>(&self, s: S, i: usize, scratch: &'b mut [f32]) -> &'b [f32]
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
pub(in crate::cpu) struct BlocksF32 {
    data: Vec<f32>,
    pub rows: usize,
    k: usize,
    block: usize,
}

impl BlocksF32 {
    /// Packs rows of `k` values.
    pub fn pack(cpu: &Cpu, input: Input<'_>) -> Self {
        let rows = input.rows.rows();
        let k = input.rows.cols();
        let block = cpu.isa.block_rows();
        let len = padded_rows(rows, block) * k;
        let mut data = reuse(LEFT_F32.take(), len);
        cpu.pool.pieces(&mut data[..len], block * k, |b, to| {
            cpu.isa.dispatch(PackF32 {
                input,
                first: b * block,
                to,
            });
        });
        Self {
            data,
            rows,
            k,
            block,
        }
    }

    /// Number of values in a row.
    pub fn width(&self) -> usize {
        self.k
    }

    /// Number of rows of block b, including padding, and its values.
    #[inline(always)]
    pub fn block(&self, b: usize) -> (usize, &[f32]) {
        let rows = tile_rows(self.block.min(self.rows - b * self.block));
        (rows, &self.data[b * self.block * self.k..][..rows * self.k])
    }
}

impl Drop for BlocksF32 {
    fn drop(&mut self) {
        LEFT_F32.set(std::mem::take(&mut self.data));
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
        let mut scratch = vec![0.0; self.input.rows.cols()];
        let rows = self.to.len() / self.input.rows.cols();
        for r in 0..rows.min(self.input.rows.rows() - self.first) {
            let row = self.input.row(s, self.first + r, &mut scratch);
            for i in 0..row.len() {
                self.to[i * rows + r] = row[i];
            }
        }
    }
}

/// Rows as bytes with a zero point of 128 and a scale for each row: block b holds `[k / 4][rows of
/// the block][4]`. k is padded with zeros to a multiple of 16.
pub(in crate::cpu) struct BlocksI8 {
    data: Vec<[u8; 4]>,
    scales: Vec<f32>,
    pub rows: usize,
    /// Groups of 4 bytes in a row.
    quads: usize,
    block: usize,
}

impl BlocksI8 {
    /// Quantises each row symmetrically, with scale = max |x| / 127, and packs it.
    pub fn pack(cpu: &Cpu, input: Input<'_>) -> Self {
        let rows = input.rows.rows();
        let block = cpu.isa.block_rows();
        let quads = input.rows.cols().next_multiple_of(LANES) / 4;
        let len = padded_rows(rows, block) * quads;
        let mut data = reuse(LEFT_I8.take(), len);
        let mut scales = vec![0.0; padded_rows(rows, block)];
        let mut blocks: Vec<_> = data[..len]
            .chunks_mut(block * quads)
            .zip(scales.chunks_mut(block))
            .collect();
        cpu.pool.pieces(&mut blocks, BLOCKS, |part, blocks| {
            for (b, (to, scales)) in blocks.iter_mut().enumerate() {
                cpu.isa.dispatch(PackI8 {
                    input,
                    first: (part * BLOCKS + b) * block,
                    to,
                    scales,
                });
            }
        });
        Self {
            data,
            scales,
            rows,
            quads,
            block,
        }
    }

    /// Number of values in a row, rounded up to a multiple of 16.
    pub fn width(&self) -> usize {
        4 * self.quads
    }

    /// Scales of the rows of block b, including padding, and its bytes.
    #[inline(always)]
    pub fn block(&self, b: usize) -> (&[f32], &[[u8; 4]]) {
        let rows = tile_rows(self.block.min(self.rows - b * self.block));
        (
            &self.scales[b * self.block..][..rows],
            &self.data[b * self.block * self.quads..][..rows * self.quads],
        )
    }
}

impl Drop for BlocksI8 {
    fn drop(&mut self) {
        LEFT_I8.set(std::mem::take(&mut self.data));
    }
}

struct PackI8<'a> {
    input: Input<'a>,
    first: usize,
    to: &'a mut [[u8; 4]],
    scales: &'a mut [f32],
}

impl Kernel for PackI8<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = vec![0.0; self.input.rows.cols()];
        let rows = self.scales.len();
        for r in 0..rows.min(self.input.rows.rows() - self.first) {
            let row = self.input.row(s, self.first + r, &mut scratch);
            self.scales[r] = quantize_row(s, row, &mut self.to[r..], rows);
        }
    }
}

/// Writes the bytes of the row to every `stride`th group of 4 and returns the row's scale.
#[inline(always)]
pub(in crate::cpu) fn quantize_row<S: Simd>(
    s: S,
    row: &[f32],
    to: &mut [[u8; 4]],
    stride: usize,
) -> f32 {
    let mut max = s.splat(0.0);
    let mut i = 0;
    while i < row.len() {
        max = s.max(s.abs(load_part(s, &row[i..], 0.0)), max);
        i += LANES;
    }
    let max = s.max_lane(max);
    // A row of zeros has scale 0. NaN becomes 127.
    let inverse = s.splat(if max > 0.0 { 127.0 / max } else { 0.0 });
    let (low, high) = (s.splat(-127.0), s.splat(127.0));
    let mut bytes = [0; LANES];
    let mut i = 0;
    while i < row.len() {
        let x = s.mul(load_part(s, &row[i..], 0.0), inverse);
        s.store_u8_offset(s.min(s.max(x, low), high), &mut bytes);
        let (quads, _) = bytes.as_chunks::<4>();
        for j in 0..LANES / 4 {
            to[(i / 4 + j) * stride] = quads[j];
        }
        i += LANES;
    }
    max / 127.0
}
