//! AVX2 with FMA and F16C, and the same with AVX-VNNI: a vector is a pair of 256-bit registers.
//!
//! Without VNNI, an 8-bit product uses `vpmaddubsw`, whose 16-bit sums saturate if both operands
//! are large. Here the unsigned operand is |a − 128| ≤ 127 and the signed one, |b| ≤ 127, carries
//! the sign, so a pair sums to at most 2 × 127 × 127 = 32,258 < 32,768: exact, and the same integer
//! as with VNNI.

use crate::cpu::isa::simd::{LANES, Simd};
use std::arch::x86_64::*;

/// Proof of AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

/// Proof of AVX2, FMA, F16C and AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub struct AvxVnni(());

impl Avx2 {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        there.then_some(Self(()))
    }

    /// Runs `kernel` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: Avx2, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }

    /// Four products per lane without VNNI; the module's header explains why it cannot saturate.
    #[inline(always)]
    fn dot4_half(self, acc: __m256i, a: [u8; 4], b: __m256i) -> __m256i {
        // SAFETY: the token proves AVX2.
        unsafe {
            let signed = _mm256_set1_epi32(i32::from_ne_bytes(a) ^ 0x8080_8080u32 as i32);
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(b, signed));
            let quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            _mm256_add_epi32(acc, quads)
        }
    }
}

impl AvxVnni {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        (Avx2::new().is_some() && is_x86_feature_detected!("avxvnni")).then_some(Self(()))
    }

    /// Runs `kernel` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: AvxVnni, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }

    #[inline(always)]
    fn dot4_half(self, acc: __m256i, a: [u8; 4], b: __m256i) -> __m256i {
        // SAFETY: the token proves AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(acc, _mm256_set1_epi32(i32::from_ne_bytes(a)), b) }
    }
}

/// Sum of 8 lanes: halves folded onto each other.
///
/// # Safety
/// The machine must have AVX.
#[inline(always)]
pub(in crate::cpu) unsafe fn sum8(a: __m256) -> f32 {
    // SAFETY: the caller proves AVX.
    unsafe {
        let a4 = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a2 = _mm_add_ps(a4, _mm_movehl_ps(a4, a4));
        _mm_cvtss_f32(_mm_add_ss(a2, _mm_movehdup_ps(a2)))
    }
}

/// 8 lanes of [`Simd::pairs`]. Adding half of the last place kept, less one if that place is even,
/// rounds to nearest even.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn pairs8(low: __m256, high: __m256) -> __m256i {
    // SAFETY: the caller proves AVX2.
    unsafe {
        let one = _mm256_set1_epi32(1);
        let almost_half = _mm256_set1_epi32(0x7fff);
        let low = _mm256_castps_si256(low);
        let high = _mm256_castps_si256(high);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(low), one);
        let low = _mm256_add_epi32(low, _mm256_add_epi32(odd, almost_half));
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(high), one);
        let high = _mm256_add_epi32(high, _mm256_add_epi32(odd, almost_half));
        _mm256_blend_epi16::<0b1010_1010>(_mm256_srli_epi32::<16>(low), high)
    }
}

/// 8 lanes of [`Simd::dot2`].
///
/// # Safety
/// The machine must have AVX2 and FMA.
#[inline(always)]
unsafe fn dot2_half(acc: __m256, a: u32, b: __m256i) -> __m256 {
    // SAFETY: the caller proves AVX2 and FMA.
    unsafe {
        let (a_low, a_high) = (f32::from_bits(a << 16), f32::from_bits(a & 0xffff_0000));
        let high = _mm256_and_si256(b, _mm256_set1_epi32(0xffff_0000u32 as i32));
        let low = _mm256_slli_epi32::<16>(b);
        let acc = _mm256_fmadd_ps(_mm256_set1_ps(a_low), _mm256_castsi256_ps(low), acc);
        _mm256_fmadd_ps(_mm256_set1_ps(a_high), _mm256_castsi256_ps(high), acc)
    }
}

/// Operations that both tokens share; they differ in `$unsigned` and `dot4_half`.
macro_rules! simd256 {
    ($token:ty, $unsigned:expr) => {
        // SAFETY of every block below: the token proves the features; pointers come from array
        // references of twice the size that each half reads or writes, and the loads and stores
        // used need no alignment.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Simd for $token {
            type F = [__m256; 2];
            type I = [__m256i; 2];
            type Quads = [__m256i; 2];
            type Pairs = [__m256i; 2];
            const MR: usize = 4;
            const NP: usize = 1;
            const UNSIGNED: bool = $unsigned;
            const BF16: bool = false;
            const WIDE: bool = !$unsigned;

            #[inline(always)]
            fn splat(self, x: f32) -> Self::F {
                [unsafe { _mm256_set1_ps(x) }; 2]
            }
            #[inline(always)]
            fn load(self, from: &[f32; LANES]) -> Self::F {
                unsafe {
                    [
                        _mm256_loadu_ps(from.as_ptr()),
                        _mm256_loadu_ps(from.as_ptr().add(8)),
                    ]
                }
            }
            #[inline(always)]
            fn store(self, v: Self::F, to: &mut [f32; LANES]) {
                unsafe {
                    _mm256_storeu_ps(to.as_mut_ptr(), v[0]);
                    _mm256_storeu_ps(to.as_mut_ptr().add(8), v[1]);
                }
            }
            #[inline(always)]
            fn load_f16(self, from: &[u16; LANES]) -> Self::F {
                unsafe {
                    let low = _mm_loadu_si128(from.as_ptr().cast());
                    let high = _mm_loadu_si128(from.as_ptr().add(8).cast());
                    [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)]
                }
            }
            #[inline(always)]
            fn store_f16(self, v: Self::F, to: &mut [u16; LANES]) {
                unsafe {
                    let least = self.splat(-65504.0);
                    let most = self.splat(65504.0);
                    // `v` is the second operand, so that NaN stays NaN.
                    let v = self.min(most, self.max(least, v));
                    _mm_storeu_si128(
                        to.as_mut_ptr().cast(),
                        _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v[0]),
                    );
                    let high = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v[1]);
                    _mm_storeu_si128(to.as_mut_ptr().add(8).cast(), high);
                }
            }
            #[inline(always)]
            fn load_i8(self, from: &[i8; LANES]) -> Self::F {
                unsafe {
                    let low = _mm_loadl_epi64(from.as_ptr().cast());
                    let high = _mm_loadl_epi64(from.as_ptr().add(8).cast());
                    [
                        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)),
                        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
                    ]
                }
            }
            #[inline(always)]
            fn add(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn sub(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn mul(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn div(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                unsafe {
                    [
                        _mm256_fmadd_ps(a[0], b[0], c[0]),
                        _mm256_fmadd_ps(a[1], b[1], c[1]),
                    ]
                }
            }
            #[inline(always)]
            fn max(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn min(self, a: Self::F, b: Self::F) -> Self::F {
                unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
            }
            #[inline(always)]
            fn abs(self, a: Self::F) -> Self::F {
                unsafe {
                    [
                        _mm256_andnot_ps(_mm256_set1_ps(-0.0), a[0]),
                        _mm256_andnot_ps(_mm256_set1_ps(-0.0), a[1]),
                    ]
                }
            }
            #[inline(always)]
            fn round(self, a: Self::F) -> Self::F {
                unsafe {
                    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
                    [
                        _mm256_round_ps::<NEAREST>(a[0]),
                        _mm256_round_ps::<NEAREST>(a[1]),
                    ]
                }
            }
            #[inline(always)]
            fn exp2i(self, n: Self::F) -> Self::F {
                unsafe {
                    let bias = _mm256_set1_epi32(127);
                    let low = _mm256_add_epi32(_mm256_cvtps_epi32(n[0]), bias);
                    let high = _mm256_add_epi32(_mm256_cvtps_epi32(n[1]), bias);
                    [
                        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
                        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
                    ]
                }
            }
            #[inline(always)]
            fn sum(self, a: Self::F) -> f32 {
                unsafe { sum8(_mm256_add_ps(a[0], a[1])) }
            }
            #[inline(always)]
            fn max_lane(self, a: Self::F) -> f32 {
                unsafe {
                    let a8 = _mm256_max_ps(a[0], a[1]);
                    let a4 = _mm_max_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps::<1>(a8));
                    let a2 = _mm_max_ps(a4, _mm_movehl_ps(a4, a4));
                    _mm_cvtss_f32(_mm_max_ss(a2, _mm_movehdup_ps(a2)))
                }
            }
            #[inline(always)]
            fn load_i32(self, from: &[i32; LANES]) -> Self::I {
                unsafe {
                    [
                        _mm256_loadu_si256(from.as_ptr().cast()),
                        _mm256_loadu_si256(from.as_ptr().add(8).cast()),
                    ]
                }
            }
            #[inline(always)]
            fn add_i32(self, a: Self::I, b: Self::I) -> Self::I {
                unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
            }
            #[inline(always)]
            fn splat_i32(self, x: i32) -> Self::I {
                [unsafe { _mm256_set1_epi32(x) }; 2]
            }
            #[inline(always)]
            fn to_f32(self, a: Self::I) -> Self::F {
                unsafe { [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])] }
            }
            #[inline(always)]
            fn load_quads(self, from: &[i8; 4 * LANES]) -> Self::Quads {
                unsafe {
                    [
                        _mm256_loadu_si256(from.as_ptr().cast()),
                        _mm256_loadu_si256(from.as_ptr().add(32).cast()),
                    ]
                }
            }
            #[inline(always)]
            fn dot4(self, acc: Self::I, a: [u8; 4], b: Self::Quads) -> Self::I {
                [
                    self.dot4_half(acc[0], a, b[0]),
                    self.dot4_half(acc[1], a, b[1]),
                ]
            }
            #[inline(always)]
            fn widen(self, from: &[i8; 4 * LANES]) -> [Self::Pairs; 2] {
                unsafe {
                    let q = self.load_quads(from);
                    let even = [_mm256_slli_epi16::<8>(q[0]), _mm256_slli_epi16::<8>(q[1])];
                    [
                        [
                            _mm256_srai_epi16::<8>(even[0]),
                            _mm256_srai_epi16::<8>(even[1]),
                        ],
                        [_mm256_srai_epi16::<8>(q[0]), _mm256_srai_epi16::<8>(q[1])],
                    ]
                }
            }
            #[inline(always)]
            fn dot2_i16(self, acc: Self::I, a: u32, b: Self::Pairs) -> Self::I {
                unsafe {
                    let a = _mm256_set1_epi32(a as i32);
                    let (low, high) = (_mm256_madd_epi16(a, b[0]), _mm256_madd_epi16(a, b[1]));
                    [
                        _mm256_add_epi32(acc[0], low),
                        _mm256_add_epi32(acc[1], high),
                    ]
                }
            }
            #[inline(always)]
            fn pairs(self, low: Self::F, high: Self::F) -> Self::Pairs {
                unsafe { [pairs8(low[0], high[0]), pairs8(low[1], high[1])] }
            }
            #[inline(always)]
            fn load_pairs(self, from: &[u32; LANES]) -> Self::Pairs {
                unsafe {
                    [
                        _mm256_loadu_si256(from.as_ptr().cast()),
                        _mm256_loadu_si256(from.as_ptr().add(8).cast()),
                    ]
                }
            }
            #[inline(always)]
            fn store_pairs(self, v: Self::Pairs, to: &mut [u32; LANES]) {
                unsafe {
                    _mm256_storeu_si256(to.as_mut_ptr().cast(), v[0]);
                    _mm256_storeu_si256(to.as_mut_ptr().add(8).cast(), v[1]);
                }
            }
            #[inline(always)]
            fn dot2(self, acc: Self::F, a: u32, b: Self::Pairs) -> Self::F {
                unsafe { [dot2_half(acc[0], a, b[0]), dot2_half(acc[1], a, b[1])] }
            }
            #[inline(always)]
            fn store_u8_offset(self, a: Self::F, to: &mut [u8; LANES]) {
                unsafe {
                    let words =
                        _mm256_packs_epi32(_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1]));
                    // `vpack` works within 128-bit halves: restore the order of the quarters.
                    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
                    let words = _mm256_add_epi16(words, _mm256_set1_epi16(128));
                    let low = _mm256_castsi256_si128(words);
                    let high = _mm256_extracti128_si256::<1>(words);
                    _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_packus_epi16(low, high));
                }
            }
        }
    };
}

simd256!(Avx2, false);
simd256!(AvxVnni, true);
