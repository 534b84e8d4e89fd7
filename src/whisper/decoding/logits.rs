//! Computations on one row of logits, `[n_vocab]`. A row has about 52,000 values and is read for
//! every token.

use std::ops::Range;

use crate::cpu::{self, Isa};

/// Error of a row that holds NaN, +∞ or only −∞: no token can be chosen from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFinite;

/// Number of values of a row that are skipped together if none of them is drawn.
const PIECE: usize = 1024;

/// Returns the greatest value, ignoring NaN; −∞ for an empty row.
pub(super) fn max(isa: Isa, row: &[f32]) -> f32 {
    cpu::argmax(isa, row).map_or(f32::NEG_INFINITY, |(_, value)| value)
}

/// Returns the first index of the greatest value.
pub(super) fn argmax(isa: Isa, row: &[f32]) -> Result<u32, NotFinite> {
    let greatest = cpu::argmax(isa, row).filter(|(_, value)| value.is_finite());
    greatest.map(|(place, _)| place as u32).ok_or(NotFinite)
}

/// Returns ln Σ e^x. A logit minus this is a log-probability.
pub(super) fn log_sum_exp(isa: Isa, row: &[f32]) -> Result<f32, NotFinite> {
    let greatest = max(isa, row);
    let total = greatest + cpu::sum_exp(isa, row, greatest, 1.0).ln() as f32;
    if total.is_finite() {
        Ok(total)
    } else {
        Err(NotFinite)
    }
}

/// Returns the `k` greatest values with their indices, greatest first, without −∞.
pub(super) fn top_k(isa: Isa, row: &[f32], k: usize) -> Vec<(u32, f32)> {
    cpu::top_k(isa, row, k)
        .into_iter()
        .map(|(place, value)| (place as u32, value))
        .collect()
}

/// Draws an index with a probability proportional to e^(x / temperature). `uniform` is in 0..1.
pub(super) fn sample(
    isa: Isa,
    row: &[f32],
    temperature: f32,
    uniform: f64,
) -> Result<u32, NotFinite> {
    let greatest = max(isa, row);
    let scale = temperature.recip();
    let mut left = uniform * cpu::sum_exp(isa, row, greatest, scale);
    if !left.is_finite() {
        return Err(NotFinite);
    }
    let last = row.len().saturating_sub(1) / PIECE;
    for (i, piece) in row.chunks(PIECE).enumerate() {
        let weight = cpu::sum_exp(isa, piece, greatest, scale);
        if weight > left || i == last {
            return draw(piece, greatest, scale, left).map(|place| (i * PIECE + place) as u32);
        }
        left -= weight;
    }
    Err(NotFinite)
}

/// Returns the index in a piece of a row at which the sum of the weights e^((x − greatest) · scale)
/// exceeds `left`; if it never does, the last index that may be drawn.
fn draw(piece: &[f32], greatest: f32, scale: f32, mut left: f64) -> Result<usize, NotFinite> {
    let mut drawn = Err(NotFinite);
    for (place, &x) in piece.iter().enumerate() {
        if x > f32::NEG_INFINITY {
            drawn = Ok(place);
            left -= f64::from(((x - greatest) * scale).exp());
            if left < 0.0 {
                break;
            }
        }
    }
    drawn
}

/// Forbids the tokens in `range`.
pub(super) fn mask(row: &mut [f32], range: Range<u32>) {
    let end = (range.end as usize).min(row.len());
    let start = (range.start as usize).min(end);
    if let Some(forbidden) = row.get_mut(start..end) {
        forbidden.fill(f32::NEG_INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough values to fill blocks, lanes and a remainder.
    fn row() -> Vec<f32> {
        (0..5003_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 2000.0 - 20.0)
            .collect()
    }

    #[test]
    fn the_greatest_and_the_sum_equal_those_of_plain_loops() {
        for isa in Isa::available() {
            let row = row();
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(max(isa, &row), greatest);
            assert_eq!(
                argmax(isa, &row),
                Ok(row.iter().position(|&x| x == greatest).unwrap_or_default() as u32)
            );
            let exact = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            let error = log_sum_exp(isa, &row).map(|sum| (f64::from(sum) - exact).abs());
            assert!(error.is_ok_and(|error| error < 3e-6), "{error:?}");
        }
    }

    #[test]
    fn the_top_is_sorted_and_leaves_forbidden_tokens_out() {
        for isa in Isa::available() {
            let row = [1.0, 5.0, f32::NEG_INFINITY, 3.0, 5.0, f32::NAN];
            assert_eq!(top_k(isa, &row, 3), [(1, 5.0), (4, 5.0), (3, 3.0)]);
            assert_eq!(
                top_k(isa, &row, 10),
                [(1, 5.0), (4, 5.0), (3, 3.0), (0, 1.0)]
            );
        }
    }

    #[test]
    fn a_row_without_a_choice_is_an_error() {
        for isa in Isa::available() {
            for bad in [&[][..], &[f32::NEG_INFINITY; 40], &[f32::INFINITY, 0.0]] {
                assert_eq!(argmax(isa, bad), Err(NotFinite), "{bad:?}");
                assert_eq!(log_sum_exp(isa, bad), Err(NotFinite), "{bad:?}");
                assert_eq!(sample(isa, bad, 1.0, 0.5), Err(NotFinite), "{bad:?}");
            }
            assert_eq!(log_sum_exp(isa, &[0.0, f32::NAN]), Err(NotFinite));
        }
    }

    #[test]
    fn samples_have_the_frequencies_of_the_flattened_probabilities() {
        for isa in Isa::available() {
            let logits = [0.0, f32::NEG_INFINITY, 2.0_f32.ln(), 5.0_f32.ln()];
            // At temperature 0.5 the weights 1, 2, 5 become 1, 4, 25.
            let mut counts = [0_i32; 4];
            for i in 0..3000 {
                if let Ok(place) = sample(isa, &logits, 0.5, f64::from(i) / 3000.0) {
                    counts[place as usize] += 1;
                }
            }
            assert_eq!(counts[1], 0);
            for (count, expected) in [(counts[0], 100), (counts[2], 400), (counts[3], 2500)] {
                assert!((count - expected).abs() <= 1, "{counts:?}");
            }
            // The end of the range must not run into the forbidden tail.
            assert_eq!(sample(isa, &[0.0, f32::NEG_INFINITY], 1.0, 1.0), Ok(0));
        }
    }

    #[test]
    fn masks_stay_within_the_row() {
        let mut row = [0.0; 4];
        mask(&mut row, 3..9);
        mask(&mut row, 7..9);
        assert_eq!(row, [0.0, 0.0, 0.0, f32::NEG_INFINITY]);
    }
}
