//! How well each token fits each position, from the attention weights of several heads
//! (`find_alignment` in openai-whisper's `timing.py`).
//!
//! In: attention weights, `[n_heads, n_rows, n_positions]`. Out: the fit,
//! `[n_tokens, n_positions]`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayView3, Zip, s};
use std::ops::Range;

/// Number of positions that the median is taken of: OpenAI's `medfilt_width`.
const MEDIAN: usize = 7;

/// Returns the fit of the tokens whose rows are `tokens`, `[n_tokens, n_positions]`: at each
/// position, the weights of a head minus their mean over all rows, divided by their standard
/// deviation and smoothed over time by a median; then the mean over the heads.
pub(super) fn token_fit(weights: ArrayView3<'_, f32>, tokens: Range<usize>) -> Array2<f32> {
    let (n_heads, _, n_positions) = weights.dim();
    let mut fit = Array2::zeros((tokens.len(), n_positions));
    for head in weights.outer_iter() {
        let (mean, scale) = statistics(head);
        let rows = head.slice_move(s![tokens.clone(), ..]);
        for (row, mut fit) in rows.rows().into_iter().zip(fit.rows_mut()) {
            let standardised = (&row - &mean) * &scale;
            fit += &median_filter(standardised.view());
        }
    }
    fit /= n_heads.max(1) as f32;
    fit
}

/// Returns the mean over the rows, and the factor that converts a deviation from the mean to
/// standard deviations, both `[n_positions]`.
fn statistics(weights: ArrayView2<'_, f32>) -> (Array1<f32>, Array1<f32>) {
    let (n_rows, n_positions) = weights.dim();
    let count = n_rows.max(1) as f32;
    let mut mean: Array1<f32> = Array1::zeros(n_positions);
    for row in weights.rows() {
        Zip::from(&mut mean)
            .and(row)
            .for_each(|m, w| *m += w / count);
    }
    let mut variance: Array1<f32> = Array1::zeros(n_positions);
    for row in weights.rows() {
        Zip::from(&mut variance)
            .and(row)
            .and(&mean)
            .for_each(|v, w, m| *v += (w - m) * (w - m) / count);
    }
    // A position that has the same weight in all rows carries no information.
    let scale = variance.mapv_into(|v| if v > 0.0 { v.sqrt().recip() } else { 0.0 });
    (mean, scale)
}

/// Returns the median of each value and its three neighbours on either side. Both ends are
/// mirrored.
fn median_filter(x: ArrayView1<'_, f32>) -> Array1<f32> {
    const SIDE: usize = MEDIAN / 2;
    let n = x.len();
    if n <= SIDE {
        return x.to_owned();
    }
    let mirrored = (1..=SIDE)
        .rev()
        .chain(0..n)
        .chain((n - 1 - SIDE..n - 1).rev());
    let padded: Vec<f32> = mirrored.map(|i| x[i]).collect();
    padded
        .array_windows()
        .map(|window| median(*window))
        .collect()
}

/// Median of seven by exchanges without branches (after N. Devillard, "Fast median search", 1998).
fn median(mut p: [f32; MEDIAN]) -> f32 {
    const EXCHANGES: [(usize, usize); 13] = [
        (0, 5),
        (0, 3),
        (1, 6),
        (2, 4),
        (0, 1),
        (3, 5),
        (2, 6),
        (2, 3),
        (3, 6),
        (4, 5),
        (1, 4),
        (1, 3),
        (3, 4),
    ];
    for (i, j) in EXCHANGES {
        let (low, high) = if p[i] < p[j] {
            (p[i], p[j])
        } else {
            (p[j], p[i])
        };
        (p[i], p[j]) = (low, high);
    }
    p[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_median_equals_that_of_sorting(x in prop::collection::vec(-9.0f32..9.0, 1..40)) {
            let at = |i: isize| {
                let last = x.len() as isize - 1;
                x[if i < 0 { -i } else if i > last { 2 * last - i } else { i } as usize]
            };
            let out = median_filter(ArrayView1::from(&x));
            for (i, median) in out.iter().enumerate() {
                let want = if x.len() <= 3 {
                    x[i]
                } else {
                    let mut window: Vec<f32> = (-3..=3).map(|d| at(i as isize + d)).collect();
                    window.sort_by(f32::total_cmp);
                    window[3]
                };
                prop_assert_eq!(*median, want);
            }
        }
    }

    #[test]
    fn weights_are_counted_in_standard_deviations() {
        let (mean, scale) = statistics(array![[1.0, 5.0, 2.0], [3.0, 5.0, 4.0]].view());
        assert_eq!(
            (mean, scale),
            (array![2.0, 5.0, 3.0], array![1.0, 0.0, 1.0])
        );
    }
}
