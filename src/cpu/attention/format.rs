//! Number formats of the operands of attention's products; sums are `f32` in both.
//!
//! A stored element holds [`Format::PACK`] values that are multiplied in one step: one `f32` or two
//! bf16.

use crate::cpu::isa::simd::{LANES, Simd};
use bytemuck::Pod;

/// How the operands of a product are stored.
pub(in crate::cpu) trait Format {
    /// Values in a stored element.
    const PACK: usize;
    /// Number of terms of the series of 2ʳ that match this format's precision
    /// ([`crate::cpu::math::exp2`]).
    const EXP2_TERMS: usize;
    /// A stored element, 4 bytes.
    type Stored: Pod + Sync;
    /// 16 of them in a vector.
    type Vector<S: Simd>: Copy;

    /// Lane i: the element made of `low[i]` and, if it holds two values, `high[i]`.
    fn pack<S: Simd>(s: S, low: S::F, high: S::F) -> Self::Vector<S>;
    /// Writes 16 elements.
    fn store<S: Simd>(s: S, v: Self::Vector<S>, to: &mut [Self::Stored; LANES]);
    /// Reads 16 elements.
    fn load<S: Simd>(s: S, from: &[Self::Stored; LANES]) -> Self::Vector<S>;
    /// Lane i: acc + Σ of the products of the values in `a` and `b[i]`.
    fn dot<S: Simd>(s: S, acc: S::F, a: Self::Stored, b: Self::Vector<S>) -> S::F;
}

/// Single precision.
pub(in crate::cpu) struct F32;

impl Format for F32 {
    const PACK: usize = 1;
    const EXP2_TERMS: usize = 8;
    type Stored = f32;
    type Vector<S: Simd> = S::F;

    #[inline(always)]
    fn pack<S: Simd>(_: S, low: S::F, _: S::F) -> S::F {
        low
    }
    #[inline(always)]
    fn store<S: Simd>(s: S, v: S::F, to: &mut [f32; LANES]) {
        s.store(v, to);
    }
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[f32; LANES]) -> S::F {
        s.load(from)
    }
    #[inline(always)]
    fn dot<S: Simd>(s: S, acc: S::F, a: f32, b: S::F) -> S::F {
        s.mul_add(s.splat(a), b, acc)
    }
}

/// bfloat16, two values in an element: 8 bits of precision, the exponents of `f32`.
pub(in crate::cpu) struct Bf16;

impl Format for Bf16 {
    const PACK: usize = 2;
    const EXP2_TERMS: usize = 5;
    type Stored = u32;
    type Vector<S: Simd> = S::Pairs;

    #[inline(always)]
    fn pack<S: Simd>(s: S, low: S::F, high: S::F) -> S::Pairs {
        s.pairs(low, high)
    }
    #[inline(always)]
    fn store<S: Simd>(s: S, v: S::Pairs, to: &mut [u32; LANES]) {
        s.store_pairs(v, to);
    }
    #[inline(always)]
    fn load<S: Simd>(s: S, from: &[u32; LANES]) -> S::Pairs {
        s.load_pairs(from)
    }
    #[inline(always)]
    fn dot<S: Simd>(s: S, acc: S::F, a: u32, b: S::Pairs) -> S::F {
        s.dot2(acc, a, b)
    }
}
