//! Reductions of one long row, such as the logits of a vocabulary: its largest values, and its sum
//! of exponentials.

use crate::cpu::Isa;
use crate::cpu::isa::simd::{Kernel, LANES, Simd};
use crate::cpu::math::{exp, load_part};

/// Block size: only blocks whose maximum is large enough are searched.
const BLOCK: usize = 16 * LANES;

/// Values summed in f32 before the sum is added to an f64.
const SUMMED: usize = 1024;

/// Returns the largest value and its first index. NaN is ignored; `None` if no value is above −∞.
pub fn argmax(isa: Isa, row: &[f32]) -> Option<(usize, f32)> {
    struct Greatest<'a>(&'a [f32]);
    impl Kernel for Greatest<'_> {
        type Out = Option<(usize, f32)>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            let mut block = None;
            let mut best = f32::NEG_INFINITY;
            for first in (0..self.0.len()).step_by(BLOCK) {
                let most = block_max(s, self.0, first);
                if most > best {
                    (block, best) = (Some(first), most);
                }
            }
            let mut place = block?;
            while self.0[place] != best {
                place += 1;
            }
            Some((place, best))
        }
    }
    isa.dispatch(Greatest(row))
}

/// Maximum of the block that begins at `first`; NaN is ignored.
#[inline(always)]
fn block_max<S: Simd>(s: S, row: &[f32], first: usize) -> f32 {
    let block = &row[first..row.len().min(first + BLOCK)];
    let mut max = s.splat(f32::NEG_INFINITY);
    for at in (0..block.len()).step_by(LANES) {
        max = s.max(load_part(s, &block[at..], f32::NEG_INFINITY), max);
    }
    s.max_lane(max)
}

/// Returns the `k` largest values with their indices, largest first, ties by index. −∞ and NaN are
/// never included.
pub fn top_k(isa: Isa, row: &[f32], k: usize) -> Vec<(usize, f32)> {
    struct Top<'a>(&'a [f32], usize);
    impl Kernel for Top<'_> {
        type Out = Vec<(usize, f32)>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Out {
            let Self(row, k) = self;
            let mut top: Vec<(usize, f32)> = Vec::with_capacity(k + 1);
            let mut least = f32::NEG_INFINITY;
            for first in (0..row.len()).step_by(BLOCK) {
                if block_max(s, row, first) > least {
                    for place in first..row.len().min(first + BLOCK) {
                        least = insert(&mut top, k, least, (place, row[place]));
                    }
                }
            }
            top
        }
    }
    isa.dispatch(Top(row, k))
}

/// Inserts a value into the top `k` if it is above `least`, the current threshold; returns the new
/// threshold.
fn insert(top: &mut Vec<(usize, f32)>, k: usize, least: f32, (place, value): (usize, f32)) -> f32 {
    if value > least {
        let rank = top.partition_point(|&(_, better)| better >= value);
        top.insert(rank, (place, value));
        top.truncate(k);
        if top.len() == k {
            return top.last().map_or(f32::NEG_INFINITY, |&(_, value)| value);
        }
    }
    least
}

/// Σ e^((x − shift) · scale), if no x is above `shift`. Terms below e⁻⁸⁷ count as e⁻⁸⁷; NaN makes
/// the sum NaN.
pub fn sum_exp(isa: Isa, row: &[f32], shift: f32, scale: f32) -> f64 {
    struct Sum<'a>(&'a [f32], f32, f32);
    impl Kernel for Sum<'_> {
        type Out = f64;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f64 {
            let shift = s.splat(self.1);
            let scale = s.splat(self.2);
            let mut total = 0.0;
            for first in (0..self.0.len()).step_by(SUMMED) {
                let block = &self.0[first..self.0.len().min(first + SUMMED)];
                let whole = block.len() / LANES * LANES;
                let mut sum = s.splat(0.0);
                for at in (0..whole).step_by(LANES) {
                    let x = load_part(s, &block[at..], 0.0);
                    sum = s.add(sum, exp(s, s.mul(s.sub(x, shift), scale)));
                }
                total += f64::from(s.sum(sum));
                for at in whole..block.len() {
                    let mut lanes = [0.0; LANES];
                    let x = s.splat(block[at]);
                    s.store(exp(s, s.mul(s.sub(x, shift), scale)), &mut lanes);
                    total += f64::from(lanes[0]);
                }
            }
            total
        }
    }
    isa.dispatch(Sum(row, shift, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unordered values with some duplicates.
    fn row(n: usize) -> Vec<f32> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 100.0 - 20.0)
            .collect()
    }

    #[test]
    fn the_greatest_are_those_of_a_sorted_row() {
        for isa in Isa::available() {
            for n in [1, 5, 16, 17, 255, 256, 257, 1000, 5003] {
                let mut row = row(n);
                if n > 16 {
                    row[n / 2] = f32::NAN;
                    row[n / 3] = f32::NEG_INFINITY;
                }
                let mut sorted: Vec<_> = row
                    .iter()
                    .copied()
                    .enumerate()
                    .filter(|(_, x)| *x > f32::NEG_INFINITY)
                    .collect();
                sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                assert_eq!(
                    argmax(isa, &row),
                    sorted.first().copied(),
                    "{} n={n}",
                    isa.name()
                );
                for k in [1, 6, 300] {
                    assert_eq!(
                        top_k(isa, &row, k),
                        sorted[..k.min(sorted.len())],
                        "{} n={n} k={k}",
                        isa.name()
                    );
                }
            }
            assert_eq!(argmax(isa, &[f32::NEG_INFINITY, f32::NAN]), None);
            assert_eq!(argmax(isa, &[]), None);
        }
    }

    #[test]
    fn sums_are_those_of_the_library() {
        for isa in Isa::available() {
            for n in [1, 15, 16, 1024, 1031, 5003] {
                let row = row(n);
                let shift = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exact: f64 = row
                    .iter()
                    .map(|x| (f64::from(*x - shift) * 0.5).exp())
                    .sum();
                let sum = sum_exp(isa, &row, shift, 0.5);
                assert!(
                    (sum / exact - 1.0).abs() < 1e-6,
                    "{} n={n}: {sum} {exact}",
                    isa.name()
                );
            }
            assert!(sum_exp(isa, &[0.0, f32::NAN], 0.0, 1.0).is_nan());
            let mut long = row(100);
            long[3] = f32::NAN;
            assert!(sum_exp(isa, &long, 30.0, 1.0).is_nan(), "{}", isa.name());
        }
    }
}
