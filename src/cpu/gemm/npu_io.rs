//! The CPU's half of a product that another device computes: converts rows to the device's number
//! format, and applies the layer's bias, GELU and addition to the results.
//!
//! Both halves are those of [`crate::cpu::Linear`], so int8 results are bit for bit the same. A
//! device that multiplies bf16 as bfp16 loses most of its precision by rounding activations, whose
//! blocks hold a few large values and many small ones. Activations are therefore passed as two
//! terms.

use crate::cpu::Cpu;
use crate::cpu::gemm::blocks::{Input, quantize_row};
use crate::cpu::gemm::linear::{Epilogue, bias_of, finish};
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{LayerNorm, load_part};
use crate::cpu::matrix::{MatMut, MatRef};

/// Rows per task.
const ROWS: usize = 16;

/// Values that share an exponent if bf16 is multiplied as bfp16ebs8.
const BLOCK: usize = 8;
/// Bits of such a value, without its sign.
const MANTISSA_BITS: u32 = 7;
/// Bias of an `f32` exponent, and number of bits of the stored mantissa.
const F32: (u32, u32) = (127, 23);

/// Width of a row of `cols` values in two terms.
pub fn terms_width(cols: usize) -> usize {
    2 * cols.next_multiple_of(BLOCK)
}

/// Writes rows, normalised first if a layer norm is given, as the sum of two rows of bf16. The
/// device rounds each block of 8 to 7 bits and a common exponent before it multiplies: the first
/// row holds what the device keeps of the value, the second what it would lose. Rounding is to
/// nearest, ties to even.
///
/// `to`: `[x.rows][stride]`. A row holds the first terms, then the second terms from
/// [`terms_width`] / 2 on; the rest is zero.
///
/// # Panics
/// Panics if the size of `to` is different.
pub fn to_bf16_terms(
    cpu: &Cpu,
    x: MatRef<'_>,
    norm: Option<&LayerNorm>,
    to: &mut [u16],
    stride: usize,
) {
    assert!(
        to.len() == x.rows() * stride && stride >= terms_width(x.cols()),
        "bf16 rows have the wrong shape"
    );
    let input = Input { rows: x, norm };
    cpu.pool.pieces(to, ROWS * stride, |i, to| {
        cpu.isa.dispatch(ToBf16Terms {
            input,
            first: i * ROWS,
            to,
            stride,
        });
    });
}

struct ToBf16Terms<'a> {
    input: Input<'a>,
    first: usize,
    to: &'a mut [u16],
    stride: usize,
}

impl Kernel for ToBf16Terms<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = vec![0.0; self.input.rows.cols()];
        for r in 0..self.to.len() / self.stride {
            let row = self.input.row(s, self.first + r, &mut scratch);
            let width = terms_width(row.len());
            let (first, to) = self.to[r * self.stride..][..self.stride].split_at_mut(width / 2);
            let (second, zeros) = to.split_at_mut(width / 2);
            for i in (0..row.len()).step_by(BLOCK) {
                let mut block = [0.0; BLOCK];
                let len = BLOCK.min(row.len() - i);
                block[..len].copy_from_slice(&row[i..][..len]);
                terms(block, &mut first[i..][..BLOCK], &mut second[i..][..BLOCK]);
            }
            zeros.fill(0);
        }
    }
}

/// Writes the two terms of a block.
#[inline(always)]
fn terms(block: [f32; BLOCK], first: &mut [u16], second: &mut [u16]) {
    let mut largest = 0;
    for j in 0..BLOCK {
        largest = largest.max(block[j].to_bits() & 0x7fff_ffff);
    }
    let (bias, bits) = F32;
    let exponent = largest >> bits;
    // The unit is the last bit kept. Adding 1.5 × 2²³ units leaves an integer number of them; 128
    // does not fit 7 bits and is clamped to 127. Blocks whose exponents are too small or too large
    // for this are rounded to bf16 directly.
    let mut shift = 0.0;
    let mut most = f32::INFINITY;
    if exponent >= MANTISSA_BITS && exponent + bits < 2 * bias {
        let unit = exponent + 1 - MANTISSA_BITS;
        shift = f32::from_bits((unit + bits) << bits | 1 << (bits - 1));
        most = f32::from_bits(unit << bits) * 127.0;
    }
    for j in 0..BLOCK {
        let kept = (block[j] + shift - shift).clamp(-most, most);
        first[j] = rounded(kept);
        second[j] = rounded(block[j] - f32::from_bits(u32::from(first[j]) << 16));
    }
}

/// Rounds to bf16.
#[inline(always)]
fn rounded(x: f32) -> u16 {
    let bits = x.to_bits();
    // Adds half of the bits to be cut off, less one if the last bit kept is even. NaN stays NaN.
    let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
    if bits & 0x7fff_ffff > 0x7f80_0000 {
        0x7fc0
    } else {
        rounded
    }
}

/// Quantises rows symmetrically, as [`crate::cpu::Linear`] does, and writes the scale of each row.
///
/// `to`: `[x.rows][stride]` with a stride that is a multiple of 16. Padding beyond the input's
/// columns is set to 0.
///
/// # Panics
/// Panics if the size of `to` or `scales` is different.
pub fn to_i8(
    cpu: &Cpu,
    x: MatRef<'_>,
    norm: Option<&LayerNorm>,
    to: &mut [u8],
    stride: usize,
    scales: &mut [f32],
) {
    assert!(
        stride.is_multiple_of(LANES) && stride >= x.cols(),
        "i8 rows have the wrong shape"
    );
    assert!(
        to.len() == x.rows() * stride && scales.len() == x.rows(),
        "i8 rows have the wrong shape"
    );
    let input = Input { rows: x, norm };
    let mut pieces: Vec<_> = to
        .chunks_mut(ROWS * stride)
        .zip(scales.chunks_mut(ROWS))
        .collect();
    cpu.pool.pieces(&mut pieces, 1, |i, piece| {
        for (to, scales) in piece {
            cpu.isa.dispatch(ToI8 {
                input,
                first: i * ROWS,
                to,
                stride,
                scales,
            });
        }
    });
}

struct ToI8<'a> {
    input: Input<'a>,
    first: usize,
    to: &'a mut [u8],
    stride: usize,
    scales: &'a mut [f32],
}

impl Kernel for ToI8<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = vec![0.0; self.input.rows.cols()];
        for r in 0..self.scales.len() {
            let row = self.input.row(s, self.first + r, &mut scratch);
            let to = &mut self.to[r * self.stride..][..self.stride];
            self.scales[r] = quantize_row(s, row, to.as_chunks_mut::<4>().0, 1);
            let written = row.len().next_multiple_of(LANES);
            for i in 0..written {
                // From a zero point of 128 to two's complement.
                to[i] ^= 0x80;
            }
            for i in written..self.stride {
                to[i] = 0;
            }
        }
    }
}

/// Result of a device.
#[derive(Clone, Copy)]
pub enum Product<'a> {
    /// bf16, `[rows][stride]`.
    Bf16(&'a [u16]),
    /// Integers `[rows][stride]`, with a scale for each row and for each column.
    I32(&'a [i32], &'a [f32], &'a [f32]),
}

/// Computes `out = f(product + bias)`; `bias` has one value per column of `out`. `stride` is the
/// distance between the rows of the product, at least the number of columns of `out`; the rest of a
/// row is not read.
///
/// # Panics
/// Panics if the product or `bias` has fewer values than `out` needs.
pub fn finish_product(
    cpu: &Cpu,
    product: Product<'_>,
    stride: usize,
    bias: &[f32],
    out: MatMut<'_>,
    epilogue: Epilogue,
) {
    let enough = match product {
        Product::Bf16(c) => c.len() >= out.rows() * stride,
        Product::I32(c, rows, cols) => {
            c.len() >= out.rows() * stride && rows.len() >= out.rows() && cols.len() >= out.cols()
        }
    };
    assert!(
        enough && stride >= out.cols() && bias.len() >= out.cols(),
        "the device's product has the wrong shape"
    );
    let width = out.cols();
    cpu.pool.tiles(out, (ROWS, width), |out, row, _| {
        cpu.isa.dispatch(Finish {
            product,
            stride,
            bias,
            out,
            row,
            epilogue,
        });
    });
}

struct Finish<'a> {
    product: Product<'a>,
    stride: usize,
    bias: &'a [f32],
    out: MatMut<'a>,
    row: usize,
    epilogue: Epilogue,
}

impl Kernel for Finish<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let width = self.out.cols();
        for r in 0..self.out.rows() {
            let at = (self.row + r) * self.stride;
            let mut col = 0;
            while col < width {
                let n = LANES.min(width - col);
                let bias = bias_of(s, self.bias, col);
                let y = match self.product {
                    Product::Bf16(c) => {
                        let c = &c[at + col..][..n];
                        let mut x = [0.0; LANES];
                        for i in 0..n {
                            x[i] = f32::from_bits(u32::from(c[i]) << 16);
                        }
                        s.add(s.load(&x), bias)
                    }
                    Product::I32(c, row_scales, scales) => {
                        let c = &c[at + col..][..n];
                        let mut x = [0; LANES];
                        x[..n].copy_from_slice(c);
                        let scale = s.mul(
                            s.splat(row_scales[self.row + r]),
                            load_part(s, &scales[col..], 0.0),
                        );
                        s.mul_add(s.to_f32(s.load_i32(&x)), scale, bias)
                    }
                };
                finish(s, y, &mut self.out.row(r)[col..], self.epilogue);
                col += LANES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::quantize_rows;
    use crate::cpu::{Isa, Linear, Pool, pack_i8};
    use half::bf16;
    use xrt_sys::bfp16::Block;

    fn noise(n: usize, seed: usize) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0)
            .collect()
    }

    fn cpus() -> Vec<Cpu> {
        let levels = Isa::available();
        levels
            .into_iter()
            .flat_map(|isa| {
                [1, 3].map(|n| Cpu {
                    isa,
                    pool: Pool::new(n),
                })
            })
            .collect()
    }

    #[test]
    fn the_first_term_is_what_the_device_keeps_and_both_are_the_value() {
        let (rows, cols, stride) = (19, 35, 96);
        // The smallest bf16, 2^-133. `powi` may divide by 2^133, which is infinite.
        let smallest = f32::MIN_POSITIVE / 128.0;
        let mut x = noise(rows * cols, 1);
        // A carry out of 7 bits, a tie, values that differ a lot, zeros, and values too small or
        // too large for two terms.
        x[..8].copy_from_slice(&[
            1.999,
            -1.999,
            1.0 / 128.0,
            3.0 / 128.0,
            1e-3,
            -0.0,
            0.5,
            1.0,
        ]);
        x[8..16].fill(0.0);
        x[16..24].fill(1e-40);
        x[24..32].copy_from_slice(&[3.0e38, 1.0, -2.0e38, 0.0, 1e30, 7.0, 1e-9, 4e37]);
        for cpu in cpus() {
            let mut to = vec![7; rows * stride];
            to_bf16_terms(&cpu, MatRef::dense(&x, cols), None, &mut to, stride);
            let half = terms_width(cols) / 2;
            for (row, x) in to.chunks_exact(stride).zip(x.chunks_exact(cols)) {
                let value = |i: usize| bf16::from_bits(row[i]).to_f32();
                let beyond = (cols..half).chain(half + cols..stride);
                assert!(beyond.into_iter().all(|i| row[i] == 0));
                for (i, block) in x.chunks(8).enumerate() {
                    let mut whole = [0.0; 8];
                    whole[..block.len()].copy_from_slice(block);
                    let first: [f32; 8] = std::array::from_fn(|j| value(8 * i + j));
                    let largest = whole.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                    if largest < 1e33 {
                        // The device's rounding changes nothing.
                        assert_eq!(Block::round(first).values(), first, "{whole:?}");
                    }
                    for j in 0..block.len() {
                        let error = (first[j] - block[j] + value(half + 8 * i + j)).abs();
                        // The first term is clamped or rounded to within one unit, of which the
                        // second keeps 8 bits.
                        assert!(
                            error <= largest * 2f32.powi(-14) + smallest,
                            "{whole:?}: {j}: {error}"
                        );
                    }
                }
            }
            to_bf16_terms(
                &cpu,
                MatRef::dense(&[1.0, f32::NAN, 2.0], 3),
                None,
                &mut to[..16],
                16,
            );
            assert!(bf16::from_bits(to[1]).is_nan() && bf16::from_bits(to[9]).is_nan());
        }
    }

    #[test]
    fn i8_products_computed_elsewhere_end_as_the_layers_own_bit_for_bit() {
        for (m, n, k) in [(1, 16, 16), (3, 33, 48), (18, 40, 100), (40, 96, 240)] {
            let x = noise(m * k, 1);
            let w = noise(n * k, 2);
            let b = noise(n, 3);
            let norm = LayerNorm {
                weight: noise(k, 4),
                bias: noise(k, 5),
            };
            let (whole, scales) = quantize_rows(&w, n, k);
            let packed = pack_i8(&whole, &scales, n, k);
            assert_eq!(packed.rows(n, k), whole);
            let layer = Linear::i8(packed, b.clone(), n);
            let stride = k.next_multiple_of(16) + 16;
            for cpu in cpus() {
                for (norm, gelu, accumulate) in [
                    (None, false, false),
                    (Some(&norm), true, false),
                    (None, false, true),
                ] {
                    let epilogue = Epilogue { gelu, accumulate };
                    let mut want = noise(m * n, 6);
                    let mut got = want.clone();
                    layer.apply(
                        &cpu,
                        MatRef::dense(&x, k),
                        norm,
                        MatMut::dense(&mut want, n),
                        epilogue,
                    );
                    let mut rows = vec![9; m * stride];
                    let mut row_scales = vec![0.0; m];
                    to_i8(
                        &cpu,
                        MatRef::dense(&x, k),
                        norm,
                        &mut rows,
                        stride,
                        &mut row_scales,
                    );
                    let product = |i: usize| {
                        let row = &rows[i / n * stride..][..k];
                        let products = row.iter().zip(&whole[i % n * k..][..k]);
                        products
                            .map(|(x, w)| i32::from(*x as i8) * i32::from(*w))
                            .sum::<i32>()
                    };
                    let c: Vec<i32> = (0..m * n).map(product).collect();
                    let product = Product::I32(&c, &row_scales, &scales);
                    finish_product(&cpu, product, n, &b, MatMut::dense(&mut got, n), epilogue);
                    assert!(got == want, "{} {m}×{n}×{k}", cpu.isa.name());
                    assert!(
                        rows.chunks(stride)
                            .all(|row| row[k..].iter().all(|x| *x == 0))
                    );
                }
            }
        }
    }
}
