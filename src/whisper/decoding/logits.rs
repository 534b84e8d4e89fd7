//! Arithmetic on one row of logits, `[n_vocab]`.
//!
//! A row has some 52,000 values and is looked at for every token, so the loops run over blocks of independent lanes,
//! which the compiler turns into vector code.

use std::ops::Range;

/// A row holds NaN, +∞, or nothing but −∞: nothing can be chosen from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

/// Independent partial results per loop.
const LANES: usize = 16;

/// Values summed in f32 before the sum goes into f64.
const BLOCK: usize = 1024;

/// The greatest value; NaN counts for nothing, an empty row gives −∞.
pub(super) fn max(row: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = greater(*lane, value);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, greater)
}

/// The first place of the greatest value.
pub(super) fn argmax(row: &[f32]) -> Result<u32, NotFinite> {
    let greatest = max(row);
    let place = row.iter().position(|&value| value == greatest);
    place.filter(|_| greatest.is_finite()).map(|place| place as u32).ok_or(NotFinite)
}

/// ln Σ e^x: what a logit must be lowered by to become a log-probability.
pub(super) fn log_sum_exp(row: &[f32]) -> Result<f32, NotFinite> {
    let greatest = max(row);
    let total = greatest + sum_exp(row, greatest, 1.0).ln() as f32;
    if total.is_finite() { Ok(total) } else { Err(NotFinite) }
}

/// Σ e^((x − shift) · scale).
fn sum_exp(row: &[f32], shift: f32, scale: f32) -> f64 {
    let mut total = 0.0;
    for block in row.chunks(BLOCK) {
        let mut lanes = [0.0; LANES];
        let chunks = block.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|&x| exp((x - shift) * scale)).sum();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += exp((x - shift) * scale);
            }
        }
        total += f64::from(lanes.iter().sum::<f32>() + rest);
    }
    total
}

/// The `k` greatest values with their places, greatest first; −∞ is never among them.
pub(super) fn top_k(row: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut top: Vec<(u32, f32)> = Vec::with_capacity(k + 1);
    let mut least = f32::NEG_INFINITY;
    for (place, &value) in row.iter().enumerate() {
        if value > least {
            let rank = top.partition_point(|&(_, better)| better >= value);
            top.insert(rank, (place as u32, value));
            top.truncate(k);
            if top.len() == k {
                least = top.last().map_or(f32::NEG_INFINITY, |&(_, value)| value);
            }
        }
    }
    top
}

/// Draws a place with probability proportional to e^(x / temperature). `uniform` is in 0..1.
pub(super) fn sample(row: &[f32], temperature: f32, uniform: f64) -> Result<u32, NotFinite> {
    let greatest = max(row);
    let scale = temperature.recip();
    let mut left = uniform * sum_exp(row, greatest, scale);
    if !left.is_finite() {
        return Err(NotFinite);
    }
    let mut drawn = Err(NotFinite);
    for (place, &x) in row.iter().enumerate() {
        if x > f32::NEG_INFINITY {
            drawn = Ok(place as u32);
            left -= f64::from(exp((x - greatest) * scale));
            if left < 0.0 {
                break;
            }
        }
    }
    drawn
}

/// Forbids the tokens of `range`.
pub(super) fn mask(row: &mut [f32], range: Range<u32>) {
    let end = (range.end as usize).min(row.len());
    let start = (range.start as usize).min(end);
    if let Some(forbidden) = row.get_mut(start..end) {
        forbidden.fill(f32::NEG_INFINITY);
    }
}

/// e^x for x ≤ 0, flushed to e^−87 ≈ 1.6e-38 below −87; NaN stays NaN. Relative error below 3e-7.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody & Waite's reduction, ln 2 in two parts), e^r by its Taylor series. The
/// library's `exp` cannot be vectorised.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LEAST: f32 = -87.0;
    // 1.5 · 2^23: adding it leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if LEAST > x { LEAST } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * r + coefficient;
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough values to fill blocks, lanes and a remainder.
    fn row() -> Vec<f32> {
        (0..5003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 2000.0 - 20.0).collect()
    }

    #[test]
    fn exp_is_that_of_the_library() {
        for i in 0..87_000 {
            let x = -(i as f32) / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "e^{x}: relative error {error}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_greatest_and_the_sum_are_those_of_plain_loops() {
        let row = row();
        let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(max(&row), greatest);
        assert_eq!(argmax(&row), Ok(row.iter().position(|&x| x == greatest).unwrap_or_default() as u32));
        let exact = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        let error = log_sum_exp(&row).map(|sum| (f64::from(sum) - exact).abs());
        assert!(error.is_ok_and(|error| error < 3e-6), "{error:?}");
    }

    #[test]
    fn the_top_is_sorted_and_leaves_forbidden_tokens_out() {
        let row = [1.0, 5.0, f32::NEG_INFINITY, 3.0, 5.0, f32::NAN];
        assert_eq!(top_k(&row, 3), [(1, 5.0), (4, 5.0), (3, 3.0)]);
        assert_eq!(top_k(&row, 10), [(1, 5.0), (4, 5.0), (3, 3.0), (0, 1.0)]);
    }

    #[test]
    fn a_row_without_a_choice_is_an_error() {
        for bad in [&[][..], &[f32::NEG_INFINITY; 40], &[f32::INFINITY, 0.0]] {
            assert_eq!(argmax(bad), Err(NotFinite), "{bad:?}");
            assert_eq!(log_sum_exp(bad), Err(NotFinite), "{bad:?}");
            assert_eq!(sample(bad, 1.0, 0.5), Err(NotFinite), "{bad:?}");
        }
        assert_eq!(log_sum_exp(&[0.0, f32::NAN]), Err(NotFinite));
    }

    #[test]
    fn samples_have_the_frequencies_of_the_flattened_probabilities() {
        let logits = [0.0, f32::NEG_INFINITY, 2.0_f32.ln(), 5.0_f32.ln()];
        // At temperature 0.5 the weights 1, 2, 5 become 1, 4, 25.
        let mut counts = [0_i32; 4];
        for i in 0..3000 {
            if let Ok(place) = sample(&logits, 0.5, f64::from(i) / 3000.0) {
                counts[place as usize] += 1;
            }
        }
        assert_eq!(counts[1], 0);
        for (count, expected) in [(counts[0], 100), (counts[2], 400), (counts[3], 2500)] {
            assert!((count - expected).abs() <= 1, "{counts:?}");
        }
        // The end of the range must not run into the forbidden tail.
        assert_eq!(sample(&[0.0, f32::NEG_INFINITY], 1.0, 1.0), Ok(0));
    }

    #[test]
    fn masks_stay_within_the_row() {
        let mut row = [0.0; 4];
        mask(&mut row, 3..9);
        mask(&mut row, 7..9);
        assert_eq!(row, [0.0, 0.0, 0.0, f32::NEG_INFINITY]);
    }
}
