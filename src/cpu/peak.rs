//! Peak rate of multiply-adds: the upper bound for products.
//!
//! The loop is that of a register tile without its loads, so the result is the best that the tile
//! could reach.

use super::{Cpu, Operand};
use crate::cpu::attention::format::{Bf16, F32, Format};
use crate::cpu::gemm::product::with_rows;
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use std::hint::black_box;
use std::time::Instant;

/// Number of tasks; more than threads, so that a late one does not leave another thread idle.
const TASKS: usize = 64;
/// Tile steps per task: about 50 µs.
const STEPS: usize = 8192;

/// Multiply-adds per second of all threads together, on operands in registers.
pub fn peak_macs(cpu: &Cpu, operands: Operand) -> f64 {
    let bf16 = operands == Operand::Bf16 && cpu.isa.has_bf16();
    let begun = Instant::now();
    cpu.pool.run(TASKS, |_| match operands {
        Operand::Int8 => cpu.isa.dispatch(TileI8),
        _ if bf16 => cpu.isa.dispatch(TileOf::<Bf16>(black_box(0))),
        _ => cpu.isa.dispatch(TileOf::<F32>(black_box(0.0))),
    });
    let values = match operands {
        Operand::Int8 => 4,
        _ if bf16 => Bf16::PACK,
        _ => F32::PACK,
    };
    let (rows, panels) = cpu.isa.tile();
    (TASKS * STEPS * rows * panels * LANES * values) as f64 / begun.elapsed().as_secs_f64()
}

struct TileI8;

impl Kernel for TileI8 {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_rows!(S::MR, S, M => {
            let weights = black_box([1; 4 * LANES]);
            let quads = s.load_quads(&weights);
            let [even, odd] = s.widen(&weights);
            let mut acc = [[s.splat_i32(0); 2]; M];
            for step in 0..STEPS {
                let a = step as u32;
                for r in 0..M {
                    // With equal operands, the compiler would multiply once for all rows.
                    let a = if S::WIDE { a + r as u32 } else { a };
                    for p in 0..S::NP {
                        if S::WIDE {
                            acc[r][p] = s.dot2_i16(s.dot2_i16(acc[r][p], a, even), a, odd);
                        } else {
                            acc[r][p] = s.dot4(acc[r][p], a.to_ne_bytes(), quads);
                        }
                    }
                }
            }
            black_box(acc);
        });
    }
}

struct TileOf<F: Format>(F::Stored);

impl<F: Format> Kernel for TileOf<F> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_rows!(S::MR, S, M => {
            let vector = F::load(s, &black_box([self.0; LANES]));
            let mut acc = [[s.splat(0.0); 2]; M];
            for _ in 0..STEPS {
                for r in 0..M {
                    for p in 0..S::NP {
                        acc[r][p] = F::dot(s, acc[r][p], self.0, vector);
                    }
                }
            }
            black_box(acc);
        });
    }
}
