//! NEON, with and without the dot product of Armv8.2: a vector is four 128-bit registers.
//!
//! Compiled and unit-tested under emulation, with and without the dot product (`make
//! test-aarch64`); never run or timed on an Arm machine.
//!
//! Arm multiplies signed bytes by signed bytes. Activations are stored with a zero point of 128:
//! flipping bit 7 makes them signed.

use crate::cpu::isa::simd::{LANES, Simd};
use std::arch::{aarch64::*, asm, is_aarch64_feature_detected};

/// Proof of NEON, and of the dot product if `DOTPROD`.
#[derive(Clone, Copy, Debug)]
pub struct Neon<const DOTPROD: bool>(());

impl Neon<false> {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Runs `kernel` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "neon")]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: Neon<false>, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }
}

impl Neon<true> {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        (is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod"))
            .then_some(Self(()))
    }

    /// Runs `kernel` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "neon,dotprod")]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: Neon<true>, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }
}

/// Evaluates `$e` for each quarter `$I` of a vector into an array, without a closure.
macro_rules! quarters {
    ($I:ident => $e:expr) => {
        // SAFETY: only used in methods of a token, which proves the features. Pointers come from
        // references to arrays of four times what a quarter reads or writes, and `$e` offsets them
        // by whole quarters; no alignment is needed.
        unsafe { [quarters!(@ $I 0 $e), quarters!(@ $I 1 $e), quarters!(@ $I 2 $e), quarters!(@ $I 3 $e)] }
    };
    (@ $I:ident $n:literal $e:expr) => {{
        const $I: usize = $n;
        $e
    }};
}

impl<const DOTPROD: bool> Neon<DOTPROD> {
    /// A quarter of [`Simd::dot4`]; lane i of `a` and of `b` holds four signed bytes.
    ///
    /// # Safety
    /// The machine must have NEON, and the dot product if `DOTPROD`.
    #[inline(always)]
    unsafe fn dot4_quarter(mut acc: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        if DOTPROD {
            // The intrinsic for this instruction is not stable. SAFETY: the caller proves the dot
            // product; the instruction works on these registers alone.
            unsafe {
                asm!(
                    "sdot {acc:v}.4s, {a:v}.16b, {b:v}.16b",
                    acc = inout(vreg) acc,
                    a = in(vreg) a,
                    b = in(vreg) b,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            acc
        } else {
            // A pair sums to at most 2 × 127 × 127 = 32,258 < 32,768: exact in 16 bits.
            // SAFETY: the caller proves NEON.
            unsafe {
                let (low, high) = (
                    vmull_s8(vget_low_s8(a), vget_low_s8(b)),
                    vmull_high_s8(a, b),
                );
                vpadalq_s16(acc, vpaddq_s16(low, high))
            }
        }
    }

    /// A quarter of [`Simd::pairs`]. Adding half of the last place kept, less one if that place is
    /// even, rounds to nearest even.
    ///
    /// # Safety
    /// The machine must have NEON.
    #[inline(always)]
    unsafe fn pairs_quarter(low: float32x4_t, high: float32x4_t) -> uint32x4_t {
        // SAFETY: the caller proves NEON.
        unsafe {
            let one = vdupq_n_u32(1);
            let almost_half = vdupq_n_u32(0x7fff);
            let low = vreinterpretq_u32_f32(low);
            let high = vreinterpretq_u32_f32(high);
            let odd = vandq_u32(vshrq_n_u32::<16>(low), one);
            let low = vaddq_u32(low, vaddq_u32(odd, almost_half));
            let odd = vandq_u32(vshrq_n_u32::<16>(high), one);
            let high = vaddq_u32(high, vaddq_u32(odd, almost_half));
            // Shifts the upper halves of `low` into the lower halves of `high`.
            vsriq_n_u32::<16>(high, low)
        }
    }
}

impl<const DOTPROD: bool> Simd for Neon<DOTPROD> {
    type F = [float32x4_t; 4];
    type I = [int32x4_t; 4];
    type Quads = [int8x16_t; 4];
    type Pairs = [uint32x4_t; 4];
    const MR: usize = 4;
    const NP: usize = 1;
    const UNSIGNED: bool = false;
    const BF16: bool = false;
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        quarters!(_I => vdupq_n_f32(x))
    }
    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        quarters!(I => vld1q_f32(from.as_ptr().add(4 * I)))
    }
    #[inline(always)]
    fn store(self, v: Self::F, to: &mut [f32; LANES]) {
        quarters!(I => vst1q_f32(to.as_mut_ptr().add(4 * I), v[I]));
    }
    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        quarters!(I => vcvt_f32_f16(from.as_ptr().add(4 * I).cast::<float16x4_t>().read_unaligned()))
    }
    #[inline(always)]
    fn store_f16(self, v: Self::F, to: &mut [u16; LANES]) {
        // `v` is the second operand, so that NaN stays NaN.
        let v = self.min(self.splat(65504.0), self.max(self.splat(-65504.0), v));
        quarters!(I => to.as_mut_ptr().add(4 * I).cast::<float16x4_t>().write_unaligned(vcvt_f16_f32(v[I])));
    }
    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Self::F {
        unsafe {
            let bytes = vld1q_s8(from.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            let whole = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            [
                vcvtq_f32_s32(whole[0]),
                vcvtq_f32_s32(whole[1]),
                vcvtq_f32_s32(whole[2]),
                vcvtq_f32_s32(whole[3]),
            ]
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        quarters!(I => vaddq_f32(a[I], b[I]))
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        quarters!(I => vsubq_f32(a[I], b[I]))
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        quarters!(I => vmulq_f32(a[I], b[I]))
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        quarters!(I => vdivq_f32(a[I], b[I]))
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        quarters!(I => vfmaq_f32(c[I], a[I], b[I]))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        // The maximum instruction returns NaN if either operand is NaN.
        quarters!(I => vbslq_f32(vcgtq_f32(a[I], b[I]), a[I], b[I]))
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        quarters!(I => vbslq_f32(vcltq_f32(a[I], b[I]), a[I], b[I]))
    }
    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        quarters!(I => vabsq_f32(a[I]))
    }
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        quarters!(I => vrndnq_f32(a[I]))
    }
    #[inline(always)]
    fn exp2i(self, n: Self::F) -> Self::F {
        quarters!(I => {
            let exponent = vaddq_s32(vcvtnq_s32_f32(n[I]), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        })
    }
    #[inline(always)]
    fn sum(self, a: Self::F) -> f32 {
        // SAFETY: the token proves NEON.
        unsafe {
            let a4 = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
            vpadds_f32(vadd_f32(vget_low_f32(a4), vget_high_f32(a4)))
        }
    }
    #[inline(always)]
    fn max_lane(self, a: Self::F) -> f32 {
        // SAFETY: the token proves NEON.
        unsafe {
            vmaxnmvq_f32(vmaxnmq_f32(
                vmaxnmq_f32(a[0], a[1]),
                vmaxnmq_f32(a[2], a[3]),
            ))
        }
    }
    #[inline(always)]
    fn load_i32(self, from: &[i32; LANES]) -> Self::I {
        quarters!(I => vld1q_s32(from.as_ptr().add(4 * I)))
    }
    #[inline(always)]
    fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
        quarters!(I => vaddq_s32(a[I], b[I]))
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> Self::I {
        quarters!(_I => vdupq_n_s32(x))
    }
    #[inline(always)]
    fn to_f32(self, a: Self::I) -> Self::F {
        quarters!(I => vcvtq_f32_s32(a[I]))
    }
    #[inline(always)]
    fn load_quads(self, from: &[i8; 4 * LANES]) -> Self::Quads {
        quarters!(I => vld1q_s8(from.as_ptr().add(16 * I)))
    }
    #[inline(always)]
    fn dot4(self, acc: Self::I, a: [u8; 4], b: Self::Quads) -> Self::I {
        // SAFETY: the token proves NEON.
        let a = unsafe {
            veorq_s8(
                vreinterpretq_s8_u32(vdupq_n_u32(u32::from_ne_bytes(a))),
                vdupq_n_s8(i8::MIN),
            )
        };
        quarters!(I => Self::dot4_quarter(acc[I], a, b[I]))
    }
    #[inline(always)]
    fn pairs(self, low: Self::F, high: Self::F) -> Self::Pairs {
        quarters!(I => Self::pairs_quarter(low[I], high[I]))
    }
    #[inline(always)]
    fn load_pairs(self, from: &[u32; LANES]) -> Self::Pairs {
        quarters!(I => vld1q_u32(from.as_ptr().add(4 * I)))
    }
    #[inline(always)]
    fn store_pairs(self, v: Self::Pairs, to: &mut [u32; LANES]) {
        quarters!(I => vst1q_u32(to.as_mut_ptr().add(4 * I), v[I]));
    }
    #[inline(always)]
    fn dot2(self, acc: Self::F, a: u32, b: Self::Pairs) -> Self::F {
        let (a_low, a_high) = (f32::from_bits(a << 16), f32::from_bits(a & 0xffff_0000));
        quarters!(I => {
            let low = vreinterpretq_f32_u32(vshlq_n_u32::<16>(b[I]));
            let high = vreinterpretq_f32_u32(vandq_u32(b[I], vdupq_n_u32(0xffff_0000)));
            vfmaq_n_f32(vfmaq_n_f32(acc[I], low, a_low), high, a_high)
        })
    }
    #[inline(always)]
    fn widen(self, from: &[i8; 4 * LANES]) -> [Self::Pairs; 2] {
        let q = self.load_quads(from);
        let even = quarters!(I => {
            let up = vshlq_n_s16::<8>(vreinterpretq_s16_s8(q[I]));
            vreinterpretq_u32_s16(vshrq_n_s16::<8>(up))
        });
        let odd =
            quarters!(I => vreinterpretq_u32_s16(vshrq_n_s16::<8>(vreinterpretq_s16_s8(q[I]))));
        [even, odd]
    }
    #[inline(always)]
    fn dot2_i16(self, acc: Self::I, a: u32, b: Self::Pairs) -> Self::I {
        quarters!(I => {
            let a = vreinterpretq_s16_u32(vdupq_n_u32(a));
            let b = vreinterpretq_s16_u32(b[I]);
            let (low, high) = (vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_high_s16(a, b));
            vaddq_s32(acc[I], vpaddq_s32(low, high))
        })
    }
    #[inline(always)]
    fn store_u8_offset(self, a: Self::F, to: &mut [u8; LANES]) {
        let whole = quarters!(I => vaddq_s32(vcvtnq_s32_f32(a[I]), vdupq_n_s32(128)));
        // SAFETY: the token proves NEON; `to` has exactly the number of bytes written.
        unsafe {
            let low = vcombine_s16(vmovn_s32(whole[0]), vmovn_s32(whole[1]));
            let high = vcombine_s16(vmovn_s32(whole[2]), vmovn_s32(whole[3]));
            vst1q_u8(
                to.as_mut_ptr(),
                vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)),
            );
        }
    }
}
