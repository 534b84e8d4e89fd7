//! From the attention weights of several heads to one matrix that says how well each token fits
//! each position (`find_alignment` in openai-whisper's `timing.py`).

use crate::whisper::attention_capture::AttentionCapture;
use std::ops::Range;

/// Positions that the median is taken of: OpenAI's `medfilt_width`.
const MEDIAN: usize = 7;

/// How well tokens fit positions.
pub(super) struct Matrix {
    /// Positions.
    pub cols: usize,
    /// `[tokens][cols]`
    pub fit: Vec<f32>,
}

impl Matrix {
    /// The rows `keep` of a pass: each head's weights, at every position less their mean over all
    /// rows and divided by their standard deviation, smoothed over time by a median, then the mean
    /// of the heads.
    pub fn new(attention: &AttentionCapture, keep: Range<usize>) -> Self {
        let (cols, rows) = (attention.positions(), attention.rows());
        let mut fit = vec![0.0; keep.len() * cols];
        let (mut mean, mut scale) = (vec![0.0; cols], vec![0.0; cols]);
        let (mut row, mut smooth) = (vec![0.0; cols], vec![0.0; cols]);
        let mut heads = 0.0;
        for weights in attention.heads() {
            statistics(weights, rows, &mut mean, &mut scale);
            for (from, to) in weights
                .chunks_exact(cols.max(1))
                .skip(keep.start)
                .zip(fit.chunks_exact_mut(cols.max(1)))
            {
                for (x, ((w, m), s)) in row.iter_mut().zip(from.iter().zip(&mean).zip(&scale)) {
                    *x = (w - m) * s;
                }
                median_filter(&row, &mut smooth);
                to.iter_mut().zip(&smooth).for_each(|(to, x)| *to += x);
            }
            heads += 1.0;
        }
        fit.iter_mut().for_each(|x| *x /= f32::max(heads, 1.0));
        Self { cols, fit }
    }

    /// Rows, one for each token.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.fit.chunks_exact(self.cols.max(1))
    }
}

/// Mean over `rows` rows, and what a deviation from it is multiplied by to be in units of the
/// standard deviation.
fn statistics(weights: &[f32], rows: usize, mean: &mut [f32], scale: &mut [f32]) {
    let cols = mean.len().max(1);
    let count = rows.max(1) as f32;
    mean.fill(0.0);
    scale.fill(0.0);
    for row in weights.chunks_exact(cols) {
        mean.iter_mut().zip(row).for_each(|(m, w)| *m += w / count);
    }
    for row in weights.chunks_exact(cols) {
        for (s, (w, m)) in scale.iter_mut().zip(row.iter().zip(mean.iter())) {
            *s += (w - m) * (w - m) / count;
        }
    }
    // A position that all rows weigh alike says nothing.
    scale
        .iter_mut()
        .for_each(|s| *s = if *s > 0.0 { s.sqrt().recip() } else { 0.0 });
}

/// The median of each value and its three neighbours on either side; what lies beyond an end is its
/// mirror image.
fn median_filter(x: &[f32], out: &mut [f32]) {
    const SIDE: usize = MEDIAN / 2;
    let n = x.len();
    if n <= SIDE {
        out.copy_from_slice(x);
        return;
    }
    let mirrored = (1..=SIDE)
        .rev()
        .chain(0..n)
        .chain((n - 1 - SIDE..n - 1).rev());
    let padded: Vec<f32> = mirrored.map(|i| x[i]).collect();
    for (out, window) in out.iter_mut().zip(padded.windows(MEDIAN)) {
        let &[a, b, c, d, e, f, g] = window else {
            continue;
        };
        *out = median([a, b, c, d, e, f, g]);
    }
}

/// The median of seven, by exchanges without branches (after N. Devillard, "Fast median search",
/// 1998).
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_median_is_that_of_sorting(x in prop::collection::vec(-9.0f32..9.0, 1..40)) {
            let at = |i: isize| {
                let last = x.len() as isize - 1;
                x[if i < 0 { -i } else if i > last { 2 * last - i } else { i } as usize]
            };
            let mut out = vec![0.0; x.len()];
            median_filter(&x, &mut out);
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
        let (mut mean, mut scale) = ([0.0; 3], [0.0; 3]);
        statistics(&[1.0, 5.0, 2.0, 3.0, 5.0, 4.0], 2, &mut mean, &mut scale);
        assert_eq!((mean, scale), ([2.0, 5.0, 3.0], [1.0, 0.0, 1.0]));
    }
}
