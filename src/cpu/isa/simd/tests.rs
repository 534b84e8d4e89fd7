//! Compares every operation on every instruction set of this machine with plain Rust, bit by bit
//! except for fused multiply-add.

use super::*;
use crate::cpu::Isa;
use half::{bf16, f16};

/// Edge cases of the operations.
const EDGES: [f32; 16] = [
    0.0,
    -0.0,
    0.5,
    1.5,
    -2.5,
    126.5,
    -126.5,
    1e-7,
    -6e-8,
    65_504.0,
    -65_519.0,
    1e30,
    -1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// Vectors that combine each edge case with every other, and pseudo-random ones.
fn vectors() -> Vec<([f32; LANES], [f32; LANES])> {
    let edges = (0..LANES).map(|turn| (EDGES, std::array::from_fn(|i| EDGES[(i + turn) % LANES])));
    let noise = |seed: usize, i: usize| ((seed * 16 + i) * 7919 % 2003) as f32 / 8.0 - 125.0;
    let noises = (0..50).map(|n| {
        (
            std::array::from_fn(|i| noise(n, i)),
            std::array::from_fn(|i| noise(n + 50, i)),
        )
    });
    edges.chain(noises).collect()
}

/// Results of the operations on a pair of vectors.
struct Results {
    name: &'static str,
    lanes: [f32; LANES],
}

struct Operations<'a>(&'a [f32; LANES], &'a [f32; LANES]);

impl Kernel for Operations<'_> {
    type Out = Vec<Results>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<Results> {
        let (a, b) = (s.load(self.0), s.load(self.1));
        let mut halves = [0; LANES];
        s.store_f16(a, &mut halves);
        let bytes = std::array::from_fn(|i| self.0[i] as i8);
        let vectors = [
            ("splat", s.splat(self.0[3])),
            ("add", s.add(a, b)),
            ("sub", s.sub(a, b)),
            ("mul", s.mul(a, b)),
            ("div", s.div(a, b)),
            ("max", s.max(a, b)),
            ("min", s.min(a, b)),
            ("abs", s.abs(a)),
            ("round", s.round(a)),
            (
                "exp2i",
                s.exp2i(s.round(s.min(s.max(a, s.splat(-126.0)), s.splat(127.0)))),
            ),
            ("f16", s.load_f16(&halves)),
            ("i8", s.load_i8(&bytes)),
            ("max_lane", s.splat(s.max_lane(a))),
        ];
        let mut results = Vec::new();
        for (name, v) in vectors {
            let mut lanes = [0.0; LANES];
            s.store(v, &mut lanes);
            results.push(Results { name, lanes });
        }
        results
    }
}

/// The same results by definition.
fn wanted(a: &[f32; LANES], b: &[f32; LANES]) -> Vec<[f32; LANES]> {
    let of = |f: &dyn Fn(f32, f32) -> f32| std::array::from_fn(|i| f(a[i], b[i]));
    let half = |x: f32| {
        f16::from_f32(if x.is_nan() {
            x
        } else {
            x.clamp(-65_504.0, 65_504.0)
        })
        .to_f32()
    };
    let power = |x: f32| {
        (if x > -126.0 {
            x.min(127.0).round_ties_even()
        } else {
            -126.0
        })
        .exp2()
    };
    let largest = a.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    vec![
        [a[3]; LANES],
        of(&|a, b| a + b),
        of(&|a, b| a - b),
        of(&|a, b| a * b),
        of(&|a, b| a / b),
        of(&|a, b| if a > b { a } else { b }),
        of(&|a, b| if a < b { a } else { b }),
        of(&|a, _| a.abs()),
        of(&|a, _| a.round_ties_even()),
        of(&|a, _| power(a)),
        of(&|a, _| half(a)),
        of(&|a, _| f32::from(a as i8)),
        [largest; LANES],
    ]
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn operations_on_floats_are_their_definitions() {
    for isa in Isa::available() {
        for (a, b) in vectors() {
            for (got, want) in isa.dispatch(Operations(&a, &b)).iter().zip(wanted(&a, &b)) {
                // If a lane is NaN, the maximum depends on the machine.
                if got.name == "max_lane" && a.iter().any(|x| x.is_nan()) {
                    continue;
                }
                for i in 0..LANES {
                    let y = got.lanes[i];
                    let want = want[i];
                    assert!(
                        same(y, want),
                        "{} {}({}, {}): {y}, not {want}",
                        isa.name(),
                        got.name,
                        a[i],
                        b[i]
                    );
                }
            }
        }
    }
}

struct MulAdd<'a>(&'a [f32; LANES], &'a [f32; LANES]);

impl Kernel for MulAdd<'_> {
    type Out = ([f32; LANES], f32);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let (a, b) = (s.load(self.0), s.load(self.1));
        let mut lanes = [0.0; LANES];
        s.store(s.mul_add(a, b, s.splat(0.1)), &mut lanes);
        (lanes, s.sum(a))
    }
}

#[test]
fn sums_are_folded_alike_and_products_added_with_one_rounding_or_two() {
    for isa in Isa::available() {
        for (a, b) in vectors() {
            let (lanes, sum) = isa.dispatch(MulAdd(&a, &b));
            let fold =
                |from: &[f32], n: usize| (0..n).map(|i| from[i] + from[i + n]).collect::<Vec<_>>();
            let want = fold(&fold(&fold(&fold(&a, 8), 4), 2), 1)[0];
            assert!(
                same(sum, want),
                "{} sum({a:?}): {sum}, not {want}",
                isa.name()
            );
            for i in 0..LANES {
                let once = a[i].mul_add(b[i], 0.1);
                let twice = a[i] * b[i] + 0.1;
                let y = lanes[i];
                assert!(
                    same(y, once) || same(y, twice),
                    "{} {} × {} + 0.1: {y}",
                    isa.name(),
                    a[i],
                    b[i]
                );
            }
        }
    }
}

/// Sums of four products, twice: starting from a vector of integers, and added to another one.
struct Dot4<'a>([u8; 4], &'a [i8; 4 * LANES], &'a [i32; LANES]);

impl Kernel for Dot4<'_> {
    type Out = (bool, [f32; LANES]);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let sum = s.dot4(s.load_i32(self.2), self.0, s.load_quads(self.1));
        let mut lanes = [0.0; LANES];
        s.store(s.to_f32(s.add_i32(sum, s.splat_i32(-3))), &mut lanes);
        (S::UNSIGNED, lanes)
    }
}

#[test]
fn whole_number_products_are_exact_for_all_bytes() {
    for isa in Isa::available() {
        for a in 1..=u8::MAX {
            for shift in 0..4 {
                // All pairs of bytes within four vectors, and large neighbours.
                let b: [i8; 4 * LANES] =
                    std::array::from_fn(|i| (i as i32 * 4 + shift - 127).min(127) as i8);
                let row = [a, 255, 1, a ^ 1].map(|byte| byte.max(1));
                let init: [i32; LANES] = std::array::from_fn(|i| i as i32 * 1000 - 7000);
                let (unsigned, got) = isa.dispatch(Dot4(row, &b, &init));
                let zero = if unsigned { 0 } else { 128 };
                for i in 0..LANES {
                    let products =
                        (0..4).map(|j| (i32::from(row[j]) - zero) * i32::from(b[4 * i + j]));
                    let want = (init[i] + products.sum::<i32>() - 3) as f32;
                    assert_eq!(
                        got[i],
                        want,
                        "{} {row:?} · {:?}",
                        isa.name(),
                        &b[4 * i..4 * i + 4]
                    );
                }
            }
        }
        for (a, b) in [(255, 127), (255, -127), (1, 127), (1, -127)] {
            let (unsigned, got) = isa.dispatch(Dot4([a; 4], &[b; 4 * LANES], &[0; LANES]));
            let zero = if unsigned { 0 } else { 128 };
            let want = 4 * (i32::from(a) - zero) * i32::from(b) - 3;
            assert_eq!(got, [want as f32; LANES], "{} {a} · {b}", isa.name());
        }
    }
}

/// The same product of unsigned numbers widened to 16 bits.
struct Widened<'a>([u8; 4], &'a [i8; 4 * LANES], &'a [i32; LANES]);

impl Kernel for Widened<'_> {
    type Out = [f32; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let a = u32::from_le_bytes(self.0);
        let [even, odd] = s.widen(self.1);
        let sum = s.dot2_i16(s.load_i32(self.2), a & 0x00ff_00ff, even);
        let sum = s.dot2_i16(sum, a >> 8 & 0x00ff_00ff, odd);
        let mut lanes = [0.0; LANES];
        s.store(s.to_f32(sum), &mut lanes);
        lanes
    }
}

#[test]
fn widened_products_are_exact_for_all_bytes() {
    for isa in Isa::available() {
        for a in 0..=u8::MAX {
            let b: [i8; 4 * LANES] =
                std::array::from_fn(|i| (i as i32 * 4 + i32::from(a) % 4 - 127) as i8);
            let row = [a, 255, 0, a ^ 1];
            let init: [i32; LANES] = std::array::from_fn(|i| i as i32 * 1000 - 7000);
            let want: [f32; LANES] = std::array::from_fn(|i| {
                let products = (0..4).map(|j| i32::from(row[j]) * i32::from(b[4 * i + j]));
                (init[i] + products.sum::<i32>()) as f32
            });
            assert_eq!(
                isa.dispatch(Widened(row, &b, &init)),
                want,
                "{} {row:?}",
                isa.name()
            );
        }
    }
}

struct Bf16Pairs<'a>(&'a [f32; LANES], &'a [f32; LANES]);

impl Kernel for Bf16Pairs<'_> {
    type Out = ([u32; LANES], [f32; LANES]);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let mut pairs = [0; LANES];
        let mut lanes = [0.0; LANES];
        s.store_pairs(s.pairs(s.load(self.0), s.load(self.1)), &mut pairs);
        s.store(
            s.dot2(s.splat(1.0), 0x4040_bf80, s.load_pairs(&pairs)),
            &mut lanes,
        );
        (pairs, lanes)
    }
}

#[test]
fn bf16_pairs_are_rounded_to_even_and_multiplied() {
    for isa in Isa::available() {
        // Values halfway between two bf16 numbers, just below and just above.
        for bits in [
            0x3f80_7fff_u32,
            0x3f80_8000,
            0x3f80_8001,
            0x3f81_8000,
            0xc2f7_8000,
            0x4100_ffff,
        ] {
            let low: [f32; LANES] =
                std::array::from_fn(|i| f32::from_bits(bits + i as u32 * 0x0001_0000));
            let high = low.map(|x| -x * 1.5);
            let (pairs, dots) = isa.dispatch(Bf16Pairs(&low, &high));
            for i in 0..LANES {
                let (l, h) = (bf16::from_f32(low[i]), bf16::from_f32(high[i]));
                let want = u32::from(l.to_bits()) | u32::from(h.to_bits()) << 16;
                assert_eq!(
                    pairs[i],
                    want,
                    "{} {:x} {:x}",
                    isa.name(),
                    low[i].to_bits(),
                    high[i].to_bits()
                );
                // The lower half of the factor is −1, the upper one 3.
                let want = 1.0 - l.to_f64() + 3.0 * h.to_f64();
                assert!(
                    (f64::from(dots[i]) - want).abs() <= 1e-6 * want.abs().max(4.0),
                    "{}",
                    isa.name()
                );
            }
        }
    }
}

struct Bytes<'a>(&'a [f32; LANES]);

impl Kernel for Bytes<'_> {
    type Out = [u8; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Out {
        let mut bytes = [0; LANES];
        s.store_u8_offset(s.load(self.0), &mut bytes);
        bytes
    }
}

#[test]
fn bytes_are_rounded_to_even_and_offset() {
    for isa in Isa::available() {
        for quarter in -508..=508 - LANES as i32 {
            let a: [f32; LANES] = std::array::from_fn(|i| (quarter + i as i32) as f32 / 4.0);
            let want = a.map(|x| (x.round_ties_even() + 128.0) as u8);
            assert_eq!(isa.dispatch(Bytes(&a)), want, "{} {a:?}", isa.name());
        }
    }
}
