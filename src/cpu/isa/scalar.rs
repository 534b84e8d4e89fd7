//! Plain Rust: the instruction set that every machine has, and the reference for testing the
//! others.

use crate::cpu::isa::simd::{LANES, Simd};

/// No vector instructions except those that the compiler finds.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Scalar {
    #[inline(always)]
    fn map2(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Simd for Scalar {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type Quads = [i8; 4 * LANES];
    type Pairs = [u32; LANES];
    const MR: usize = 2;
    const NP: usize = 1;
    const UNSIGNED: bool = false;
    const BF16: bool = false;
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        *from
    }
    #[inline(always)]
    fn store(self, v: Self::F, to: &mut [f32; LANES]) {
        *to = v;
    }
    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        from.map(|x| half::f16::from_bits(x).to_f32())
    }
    #[inline(always)]
    fn store_f16(self, v: Self::F, to: &mut [u16; LANES]) {
        *to = v.map(|x| half::f16::from_f32(x.clamp(-65504.0, 65504.0)).to_bits());
    }
    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Self::F {
        from.map(f32::from)
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        Self::map2(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn exp2i(self, n: Self::F) -> Self::F {
        n.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        let a8: [f32; 8] = std::array::from_fn(|i| a[i] + a[i + 8]);
        let a4: [f32; 4] = std::array::from_fn(|i| a8[i] + a8[i + 4]);
        (a4[0] + a4[2]) + (a4[1] + a4[3])
    }
    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
    #[inline(always)]
    fn load_i32(self, from: &[i32; LANES]) -> Self::I {
        *from
    }
    #[inline(always)]
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    fn to_f32(self, a: Self::I) -> Self::F {
        a.map(|x| x as f32)
    }
    #[inline(always)]
    fn load_quads(self, from: &[i8; 4 * LANES]) -> Self::Quads {
        *from
    }
    #[inline(always)]
    fn dot4(self, acc: Self::I, a: [u8; 4], b: Self::Quads) -> Self::I {
        std::array::from_fn(|i| {
            (0..4).fold(acc[i], |s, j| {
                s + (i32::from(a[j]) - 128) * i32::from(b[4 * i + j])
            })
        })
    }
    #[inline(always)]
    fn widen(self, from: &[i8; 4 * LANES]) -> [Self::Pairs; 2] {
        let word = |x: i8| u32::from(i16::from(x) as u16);
        let pair = |i: usize, j: usize| word(from[4 * i + j]) | word(from[4 * i + j + 2]) << 16;
        [
            std::array::from_fn(|i| pair(i, 0)),
            std::array::from_fn(|i| pair(i, 1)),
        ]
    }
    #[inline(always)]
    fn dot2_i16(self, acc: Self::I, a: u32, b: Self::Pairs) -> Self::I {
        let (low, high) = (
            |x: u32| i32::from(x as i16),
            |x: u32| i32::from((x >> 16) as i16),
        );
        std::array::from_fn(|i| acc[i] + low(a) * low(b[i]) + high(a) * high(b[i]))
    }
    #[inline(always)]
    fn pairs(self, low: Self::F, high: Self::F) -> Self::Pairs {
        let half = |x| u32::from(half::bf16::from_f32(x).to_bits());
        std::array::from_fn(|i| half(low[i]) | half(high[i]) << 16)
    }
    #[inline(always)]
    fn load_pairs(self, from: &[u32; LANES]) -> Self::Pairs {
        *from
    }
    #[inline(always)]
    fn store_pairs(self, v: Self::Pairs, to: &mut [u32; LANES]) {
        *to = v;
    }
    #[inline(always)]
    fn dot2(self, acc: Self::F, a: u32, b: Self::Pairs) -> Self::F {
        let (low, high) = (
            |x: u32| f32::from_bits(x << 16),
            |x: u32| f32::from_bits(x & 0xffff_0000),
        );
        std::array::from_fn(|i| acc[i] + low(a) * low(b[i]) + high(a) * high(b[i]))
    }
    #[inline(always)]
    fn store_u8_offset(self, a: Self::F, to: &mut [u8; LANES]) {
        *to = a.map(|x| (x.round_ties_even() as i32 + 128) as u8);
    }
}
