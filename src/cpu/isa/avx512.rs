//! AVX-512 with VNNI, and the same with BF16: a vector is one 512-bit register.

use crate::cpu::isa::simd::{LANES, Simd};
use std::arch::x86_64::*;

/// Proof of AVX-512 F, BW, DQ, VL and VNNI (with AVX2 and FMA).
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

/// Proof of the same and AVX-512 BF16.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Bf16(());

impl Avx512 {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("fma");
        there.then_some(Self(()))
    }

    /// Runs `f` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: Avx512, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }
}

impl Avx512Bf16 {
    /// Returns the token if the machine has the features.
    pub fn new() -> Option<Self> {
        (Avx512::new().is_some() && is_x86_feature_detected!("avx512bf16")).then_some(Self(()))
    }

    /// Runs `f` compiled for these features.
    pub fn enter<K: crate::cpu::isa::simd::Kernel>(self, kernel: K) -> K::Out {
        #[target_feature(
            enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma"
        )]
        fn inner<K: crate::cpu::isa::simd::Kernel>(s: Avx512Bf16, kernel: K) -> K::Out {
            kernel.run(s)
        }
        // SAFETY: the token is only made where the machine has these features.
        unsafe { inner(self, kernel) }
    }

    #[inline(always)]
    fn pairs_of(self, low: __m512, high: __m512) -> __m512i {
        // SAFETY: the token proves AVX-512 BF16; the transmutations are between registers of the
        // same bits.
        unsafe {
            let low: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(low));
            let high: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(high));
            let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high));
            _mm512_or_si512(_mm512_cvtepu16_epi32(low), high)
        }
    }

    #[inline(always)]
    fn dot2_of(self, acc: __m512, a: u32, b: __m512i) -> __m512 {
        // SAFETY: the token proves AVX-512 BF16; the transmutations are between registers of the
        // same bits.
        unsafe {
            let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(a as i32));
            _mm512_dpbf16_ps(acc, a, std::mem::transmute::<__m512i, __m512bh>(b))
        }
    }
}

impl Avx512 {
    #[inline(always)]
    fn pairs_of(self, low: __m512, high: __m512) -> __m512i {
        // Adding half of the last place kept, less one if that place is even, rounds to nearest
        // even. SAFETY: the token proves AVX-512.
        unsafe {
            let one = _mm512_set1_epi32(1);
            let almost_half = _mm512_set1_epi32(0x7fff);
            let low = _mm512_castps_si512(low);
            let high = _mm512_castps_si512(high);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(low), one);
            let low =
                _mm512_srli_epi32::<16>(_mm512_add_epi32(low, _mm512_add_epi32(odd, almost_half)));
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(high), one);
            let high = _mm512_add_epi32(high, _mm512_add_epi32(odd, almost_half));
            _mm512_or_si512(
                low,
                _mm512_and_si512(high, _mm512_set1_epi32(0xffff_0000u32 as i32)),
            )
        }
    }

    #[inline(always)]
    fn dot2_of(self, acc: __m512, a: u32, b: __m512i) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe {
            let (a_low, a_high) = (f32::from_bits(a << 16), f32::from_bits(a & 0xffff_0000));
            let high = _mm512_and_si512(b, _mm512_set1_epi32(0xffff_0000u32 as i32));
            let low = _mm512_slli_epi32::<16>(b);
            let acc = _mm512_fmadd_ps(_mm512_set1_ps(a_low), _mm512_castsi512_ps(low), acc);
            _mm512_fmadd_ps(_mm512_set1_ps(a_high), _mm512_castsi512_ps(high), acc)
        }
    }
}

/// Operations that both tokens share; they differ in `$bf16`, `pairs_of` and `dot2_of`.
macro_rules! simd512 {
    ($token:ty, $bf16:expr) => {
        // SAFETY of every block below: the token proves the features; pointers come from array
        // references of the size that is read or written, and the loads and stores used need no
        // alignment.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Simd for $token {
            type F = __m512;
            type I = __m512i;
            type Quads = __m512i;
            type Pairs = __m512i;
            const MR: usize = 12;
            const NP: usize = 2;
            const UNSIGNED: bool = true;
            const BF16: bool = $bf16;
            const WIDE: bool = false;

            #[inline(always)]
            fn splat(self, x: f32) -> __m512 {
                unsafe { _mm512_set1_ps(x) }
            }
            #[inline(always)]
            fn load(self, from: &[f32; LANES]) -> __m512 {
                unsafe { _mm512_loadu_ps(from.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, v: __m512, to: &mut [f32; LANES]) {
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
            }
            #[inline(always)]
            fn load_f16(self, from: &[u16; LANES]) -> __m512 {
                unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
            }
            #[inline(always)]
            fn store_f16(self, v: __m512, to: &mut [u16; LANES]) {
                unsafe {
                    // `v` is the second operand, so that NaN stays NaN.
                    let v = _mm512_min_ps(
                        _mm512_set1_ps(65504.0),
                        _mm512_max_ps(_mm512_set1_ps(-65504.0), v),
                    );
                    _mm256_storeu_si256(
                        to.as_mut_ptr().cast(),
                        _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v),
                    );
                }
            }
            #[inline(always)]
            fn load_i8(self, from: &[i8; LANES]) -> __m512 {
                unsafe {
                    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())))
                }
            }
            #[inline(always)]
            fn add(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            fn sub(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_sub_ps(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            fn div(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_div_ps(a, b) }
            }
            #[inline(always)]
            fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            fn max(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_max_ps(a, b) }
            }
            #[inline(always)]
            fn min(self, a: __m512, b: __m512) -> __m512 {
                unsafe { _mm512_min_ps(a, b) }
            }
            #[inline(always)]
            fn abs(self, a: __m512) -> __m512 {
                unsafe { _mm512_abs_ps(a) }
            }
            #[inline(always)]
            fn round(self, a: __m512) -> __m512 {
                unsafe {
                    _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
                }
            }
            #[inline(always)]
            fn exp2i(self, n: __m512) -> __m512 {
                unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), n) }
            }
            #[inline(always)]
            fn sum(self, a: __m512) -> f32 {
                unsafe {
                    let a8 =
                        _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
                    crate::cpu::isa::avx2::sum8(a8)
                }
            }
            #[inline(always)]
            fn max_lane(self, a: __m512) -> f32 {
                unsafe { _mm512_reduce_max_ps(a) }
            }
            #[inline(always)]
            fn load_i32(self, from: &[i32; LANES]) -> __m512i {
                unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
            }
            #[inline(always)]
            fn add_i32(self, a: __m512i, b: __m512i) -> __m512i {
                unsafe { _mm512_add_epi32(a, b) }
            }
            #[inline(always)]
            fn splat_i32(self, x: i32) -> __m512i {
                unsafe { _mm512_set1_epi32(x) }
            }
            #[inline(always)]
            fn to_f32(self, a: __m512i) -> __m512 {
                unsafe { _mm512_cvtepi32_ps(a) }
            }
            #[inline(always)]
            fn load_quads(self, from: &[i8; 4 * LANES]) -> __m512i {
                unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
            }
            #[inline(always)]
            fn dot4(self, acc: __m512i, a: [u8; 4], b: __m512i) -> __m512i {
                unsafe { _mm512_dpbusd_epi32(acc, _mm512_set1_epi32(i32::from_ne_bytes(a)), b) }
            }
            #[inline(always)]
            fn widen(self, from: &[i8; 4 * LANES]) -> [__m512i; 2] {
                unsafe {
                    let q = self.load_quads(from);
                    [
                        _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(q)),
                        _mm512_srai_epi16::<8>(q),
                    ]
                }
            }
            #[inline(always)]
            fn dot2_i16(self, acc: __m512i, a: u32, b: __m512i) -> __m512i {
                unsafe { _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_set1_epi32(a as i32), b)) }
            }
            #[inline(always)]
            fn pairs(self, low: __m512, high: __m512) -> __m512i {
                self.pairs_of(low, high)
            }
            #[inline(always)]
            fn load_pairs(self, from: &[u32; LANES]) -> __m512i {
                unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
            }
            #[inline(always)]
            fn store_pairs(self, v: __m512i, to: &mut [u32; LANES]) {
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
            }
            #[inline(always)]
            fn dot2(self, acc: __m512, a: u32, b: __m512i) -> __m512 {
                self.dot2_of(acc, a, b)
            }
            #[inline(always)]
            fn store_u8_offset(self, a: __m512, to: &mut [u8; LANES]) {
                unsafe {
                    let whole = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(128));
                    _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(whole));
                }
            }
        }
    };
}

simd512!(Avx512, false);
simd512!(Avx512Bf16, true);
