//! Reads memory as fast as the machine allows: the upper bound for work that reads its weights
//! once.

use crate::cpu::Cpu;
use crate::cpu::isa::simd::{Kernel, LANES, Simd};

/// Values that a thread reads at a time (256 KiB).
const PIECE: usize = 1 << 16;

/// Reads all of `data` once, on all threads. Returns the largest value, so that the compiler cannot
/// remove the reads.
pub fn read_all(cpu: &Cpu, data: &[f32]) -> f32 {
    let mut largest = vec![f32::NEG_INFINITY; data.len().div_ceil(PIECE)];
    cpu.pool.pieces(&mut largest, 1, |i, to| {
        let piece = &data[i * PIECE..][..PIECE.min(data.len() - i * PIECE)];
        to[0] = cpu.isa.dispatch(Read(piece));
    });
    largest.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

struct Read<'a>(&'a [f32]);

impl Kernel for Read<'_> {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (vectors, rest) = self.0.as_chunks::<LANES>();
        let (fours, singles) = vectors.as_chunks::<4>();
        let mut max = [s.splat(f32::NEG_INFINITY); 4];
        for i in 0..fours.len() {
            for j in 0..4 {
                max[j] = s.max(s.load(&fours[i][j]), max[j]);
            }
        }
        for i in 0..singles.len() {
            max[0] = s.max(s.load(&singles[i]), max[0]);
        }
        let all = s.max(s.max(max[0], max[1]), s.max(max[2], max[3]));
        let mut largest = s.max_lane(all);
        for i in 0..rest.len() {
            largest = if rest[i] > largest { rest[i] } else { largest };
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Isa, Pool};

    #[test]
    fn every_value_is_read() {
        let n = 2 * PIECE + 16 * 3 + 5;
        for isa in Isa::available() {
            let cpu = Cpu {
                isa,
                pool: Pool::new(2),
            };
            for place in [0, 1, 63, 64, PIECE - 1, PIECE, 2 * PIECE + 17, n - 6, n - 1] {
                let mut data = vec![-1.0; n];
                data[place] = 7.0;
                assert_eq!(read_all(&cpu, &data), 7.0, "{} {place}", isa.name());
            }
        }
    }
}
