//! The vector operations that all kernels are written in.
//!
//! A vector always has [`LANES`] = 16 elements, regardless of the machine's registers: AVX-512
//! keeps it in one register, AVX2 in two, NEON in four, plain code in an array. A kernel is thus
//! written once and means the same on every instruction set; only the files in this folder that are
//! named after an instruction set contain intrinsics.

/// Number of elements of a vector, on every instruction set.
pub const LANES: usize = 16;

/// Proof that an instruction set is available, and its vector operations.
///
/// Only [`crate::cpu::Isa`], which detects the features, creates values. All methods are inlined
/// into the kernel that is entered through [`crate::cpu::Isa::dispatch`].
pub trait Simd: Copy + Send + Sync + 'static {
    /// 16 `f32`.
    type F: Copy;
    /// 16 `i32`.
    type I: Copy;
    /// 16 groups of 4 `i8`: the weights of one step of an integer product.
    type Quads: Copy;
    /// 16 pairs of 16-bit numbers, bf16 or integer.
    type Pairs: Copy;

    /// Rows of a register tile in matrix products, as many as fit the register file.
    const MR: usize;
    /// Panels of 16 columns in a register tile: 1 or 2.
    const NP: usize;
    /// Whether [`Self::dot4`] takes its bytes unchanged, so that 128 × Σb must be subtracted.
    const UNSIGNED: bool;
    /// Whether [`Self::dot2`] is a single instruction.
    const BF16: bool;
    /// Whether 8-bit products of many rows are fastest with [`Self::dot2_i16`].
    const WIDE: bool;

    /// All lanes are `x`.
    fn splat(self, x: f32) -> Self::F;
    /// Reads 16 values.
    fn load(self, from: &[f32; LANES]) -> Self::F;
    /// Writes 16 values.
    fn store(self, v: Self::F, to: &mut [f32; LANES]);
    /// Reads 16 values of half precision.
    fn load_f16(self, from: &[u16; LANES]) -> Self::F;
    /// Writes 16 values in half precision, rounded to nearest; values out of range are clamped to
    /// the largest magnitude.
    fn store_f16(self, v: Self::F, to: &mut [u16; LANES]);
    /// Reads 16 8-bit integers.
    fn load_i8(self, from: &[i8; LANES]) -> Self::F;
    /// a + b
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// a − b
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// a × b
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a ÷ b
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// a × b + c; rounded once if the instruction set has fused multiply-add.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger of each pair; b if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller of each pair; b if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// |a|
    fn abs(self, a: Self::F) -> Self::F;
    /// Rounds to the nearest integer, ties to even.
    fn round(self, a: Self::F) -> Self::F;
    /// 2ⁿ for integer n in −126 … 127.
    fn exp2i(self, n: Self::F) -> Self::F;
    /// Sum of the lanes, folded half onto half in the same order on every instruction set.
    fn sum(self, a: Self::F) -> f32;
    /// Largest lane.
    fn max_lane(self, a: Self::F) -> f32;

    /// Reads 16 integers.
    fn load_i32(self, from: &[i32; LANES]) -> Self::I;
    /// a + b
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I;
    /// All lanes are `x`.
    fn splat_i32(self, x: i32) -> Self::I;
    /// Converts to floating point.
    fn to_f32(self, a: Self::I) -> Self::F;
    /// Reads 16 groups of 4 bytes.
    fn load_quads(self, from: &[i8; 4 * LANES]) -> Self::Quads;
    /// Lane i: acc + Σ over 4 of x\[j\] × b\[4i + j\], exact. `b` is −127 … 127; x is `a` (1 … 255)
    /// if [`Self::UNSIGNED`] is set, else a − 128.
    fn dot4(self, acc: Self::I, a: [u8; 4], b: Self::Quads) -> Self::I;
    /// Splits each group of 4 into two pairs of 16-bit numbers: the first and third number, and the
    /// second and fourth.
    fn widen(self, from: &[i8; 4 * LANES]) -> [Self::Pairs; 2];
    /// Lane i: acc + the products of the halves of `a` and `b[i]`, 16-bit integers; exact for
    /// numbers widened from 8 bits.
    fn dot2_i16(self, acc: Self::I, a: u32, b: Self::Pairs) -> Self::I;
    /// Lane i: `low[i]` and `high[i]`, rounded to bf16 (ties to even), `low` in the lower half.
    fn pairs(self, low: Self::F, high: Self::F) -> Self::Pairs;
    /// Reads 16 pairs.
    fn load_pairs(self, from: &[u32; LANES]) -> Self::Pairs;
    /// Writes 16 pairs.
    fn store_pairs(self, v: Self::Pairs, to: &mut [u32; LANES]);
    /// Lane i: acc + both products of the halves of `a` and `b[i]`; the number of roundings depends
    /// on the machine.
    fn dot2(self, acc: Self::F, a: u32, b: Self::Pairs) -> Self::F;
    /// Rounds to integers (ties to even), adds 128 and stores as bytes. Values must lie in −127 …
    /// 127.
    fn store_u8_offset(self, a: Self::F, to: &mut [u8; LANES]);
}

/// A computation that can run on any instruction set.
pub trait Kernel {
    /// Type of the result.
    type Out;
    /// Runs the computation. Implementations are `#[inline(always)]`, so that they are compiled for
    /// the instruction set.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}

#[cfg(test)]
mod tests;
