//! A complete kernel, to copy from: y ← y + a x, as new ones are written.

use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{load_part, store_part};
use crate::cpu::{Cpu, Isa, Pool};

/// The arguments of the kernel, which a closure could not carry: it would be compiled without the
/// instruction set.
struct AddScaled<'a> {
    a: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for AddScaled<'_> {
    type Out = ();

    // Inlined into the function that has the instruction set's features enabled.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let a = s.splat(self.a);
        // 16 lanes on every instruction set; the last vector may be a part of one.
        for i in (0..self.y.len()).step_by(LANES) {
            let x = load_part(s, &self.x[i..], 0.0);
            let y = load_part(s, &self.y[i..], 0.0);
            store_part(s, s.mul_add(a, x, y), &mut self.y[i..]);
        }
    }
}

/// y ← y + a x, each thread taking pieces of `PIECE` values. What a value becomes does not depend
/// on the piece that it falls in.
fn add_scaled(cpu: &Cpu, a: f32, x: &[f32], y: &mut [f32]) {
    const PIECE: usize = 1024;
    assert_eq!(x.len(), y.len(), "vectors of different lengths");
    cpu.pool.pieces(y, PIECE, |i, y| {
        let x = &x[i * PIECE..][..y.len()];
        cpu.isa.dispatch(AddScaled { a, x, y });
    });
}

#[test]
fn a_scaled_vector_is_added_on_every_instruction_set() {
    // Small integers, so that one rounding or two make no difference.
    let x: Vec<f32> = (0..3000).map(|i| (i % 100) as f32).collect();
    for isa in Isa::available() {
        let cpu = Cpu {
            isa,
            pool: Pool::new(2),
        };
        let mut y = vec![1.0; x.len()];
        add_scaled(&cpu, 3.0, &x, &mut y);
        for (x, y) in x.iter().zip(y) {
            assert_eq!(y, 1.0 + 3.0 * x, "{}", isa.name());
        }
    }
}
