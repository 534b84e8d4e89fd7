//! 8-bit products on instruction sets that multiply 16-bit numbers faster than 8-bit ones. AVX2
//! without VNNI needs signs and absolute values at every step; operands widened to 16 bits do not,
//! and widening is shared by a tile.
//!
//! In: rows and weights as for the other products. Out: the same integers.

use super::{ProductI8, bias_of, finish};
use crate::cpu::gemm::product::with_rows;
use crate::cpu::isa::simd::{LANES, Simd};
use std::cell::Cell;

impl ProductI8<'_> {
    /// Computes the product on 16-bit numbers: operands widened once serve all rows or columns of
    /// the tile.
    #[inline(always)]
    pub(in crate::cpu) fn wide<S: Simd>(&mut self, s: S) {
        let mut scratch = WIDE.take();
        let Wide { rows: a, panel } = &mut scratch;
        a.clear();
        for first in (0..self.out.rows()).step_by(S::MR) {
            let (row_scales, block) = self.a.block((self.row + first) / S::MR);
            widen_rows(block, row_scales.len(), a);
        }
        let (quads, _) =
            bytemuck::cast_slice::<u8, i8>(&self.w.panels).as_chunks::<{ 4 * LANES }>();
        let (offsets, _) = self.w.offsets.as_chunks::<LANES>();
        let (all_scales, _) = self.w.scales.as_chunks::<LANES>();
        for col in (0..self.out.cols()).step_by(LANES) {
            let at = (self.col + col) / LANES;
            widen_panel(s, &quads[at * self.w.k / 4..][..self.w.k / 4], panel);
            let init = s.load_i32(&offsets[at]);
            let scales = s.load(&all_scales[at]);
            let bias = bias_of(s, self.bias, at * LANES);
            let mut rest = &a[..];
            for first in (0..self.out.rows()).step_by(S::MR) {
                let (row_scales, _) = self.a.block((self.row + first) / S::MR);
                let (block, others) = rest.split_at(row_scales.len() * self.w.k / 2);
                rest = others;
                let last = self.out.rows() - first;
                with_rows!(row_scales.len(), S, M => {
                    let acc = tile_i16::<S, M>(s, block, panel, init);
                    for r in 0..M {
                        if r == last {
                            break;
                        }
                        let y = s.mul_add(s.to_f32(acc[r]), s.mul(s.splat(row_scales[r]), scales), bias);
                        finish(s, y, &mut self.out.row(first + r)[col..], self.epilogue);
                    }
                });
            }
        }
        WIDE.set(scratch);
    }
}

/// Operands of a tile as 16-bit numbers.
#[derive(Default)]
struct Wide {
    /// Blocks of rows, `[k / 2][rows of the block]`.
    rows: Vec<u32>,
    /// A panel of weights, `[k / 2][16]`.
    panel: Vec<Line>,
}

/// 16 pairs, aligned, since a load that crosses a cache line takes twice as long.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u32; LANES]);

thread_local! {
    // Kept from one tile to the next.
    static WIDE: Cell<Wide> = const { Cell::new(Wide { rows: Vec::new(), panel: Vec::new() }) };
}

/// Appends a block of `rows` rows, `[k / 4][rows][4]`, as pairs of 16-bit numbers, `[k / 2][rows]`:
/// the first and third value of a group form one pair, the second and fourth the next.
#[inline(always)]
fn widen_rows(block: &[[u8; 4]], rows: usize, to: &mut Vec<u32>) {
    let from = to.len();
    to.resize(from + 2 * block.len(), 0);
    let to = &mut to[from..];
    for i in 0..block.len() / rows {
        for r in 0..rows {
            let quad = u32::from_le_bytes(block[i * rows + r]);
            to[2 * i * rows + r] = quad & 0x00ff_00ff;
            to[(2 * i + 1) * rows + r] = quad >> 8 & 0x00ff_00ff;
        }
    }
}

/// Converts a panel of weights, `[k / 4][16][4]`, to pairs of 16-bit numbers in the same order, `[k
/// / 2][16]`.
#[inline(always)]
fn widen_panel<S: Simd>(s: S, quads: &[[i8; 4 * LANES]], to: &mut Vec<Line>) {
    to.resize(2 * quads.len(), Line([0; LANES]));
    for i in 0..quads.len() {
        let [even, odd] = s.widen(&quads[i]);
        s.store_pairs(even, &mut to[2 * i].0);
        s.store_pairs(odd, &mut to[2 * i + 1].0);
    }
}

/// As [`tile_i8`] for operands widened to 16 bits: `a`: `[k / 2][M]`, offset by 128; `b`: `[k /
/// 2][16]`.
#[inline(always)]
fn tile_i16<S: Simd, const M: usize>(s: S, a: &[u32], b: &[Line], init: S::I) -> [S::I; M] {
    let mut acc = [init; M];
    let (a, _) = a.as_chunks::<M>();
    for i in 0..a.len().min(b.len()) {
        let b = s.load_pairs(&b[i].0);
        for r in 0..M {
            acc[r] = s.dot2_i16(acc[r], a[i][r], b);
        }
    }
    acc
}
