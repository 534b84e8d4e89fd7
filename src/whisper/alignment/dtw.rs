//! Dynamic time warping: the path through a matrix of tokens and positions, forwards in both, with
//! the best fit.

use ndarray::{Array2, ArrayView2};

/// Returns the position at which each token begins, given how well each token fits each position,
/// `[n_tokens, n_positions]` (`dtw_cpu` and `backtrace` in openai-whisper's `timing.py`).
pub(super) fn begins(fit: ArrayView2<'_, f32>) -> Vec<usize> {
    let (n_tokens, n_positions) = fit.dim();
    let trace = trace(fit);
    let mut begins = vec![0; n_tokens];
    let mut i = n_tokens;
    let mut j = n_positions;
    while i > 0 && j > 0 {
        begins[i - 1] = j - 1;
        match trace[[i, j]] {
            Step::Both => (i, j) = (i - 1, j - 1),
            Step::Token => i -= 1,
            Step::Position => j -= 1,
        }
    }
    begins
}

/// Step of a path.
#[derive(Clone, Copy)]
enum Step {
    /// To the next token and the next position.
    Both,
    /// To the next token, at the same position.
    Token,
    /// To the next position, of the same token.
    Position,
}

/// Returns the last step of the best path to each token and position, counted from 1,
/// `[n_tokens + 1, n_positions + 1]`.
fn trace(fit: ArrayView2<'_, f32>) -> Array2<Step> {
    let (n_tokens, n_positions) = fit.dim();
    let mut trace = Array2::from_elem((n_tokens + 1, n_positions + 1), Step::Both);
    // Costs of the best paths to the previous token and to this one, by position.
    let mut previous = vec![f32::INFINITY; n_positions + 1];
    let mut current = vec![f32::INFINITY; n_positions + 1];
    previous[0] = 0.0;
    for (fit, mut steps) in fit
        .rows()
        .into_iter()
        .zip(trace.rows_mut().into_iter().skip(1))
    {
        current[0] = f32::INFINITY;
        for (j, fit) in (1..).zip(fit) {
            let both = previous[j - 1];
            let token = previous[j];
            let position = current[j - 1];
            let (least, step) = if position <= both && position <= token {
                (position, Step::Position)
            } else if both <= token {
                (both, Step::Both)
            } else {
                (token, Step::Token)
            };
            current[j] = least - fit;
            steps[j] = step;
        }
        std::mem::swap(&mut previous, &mut current);
    }
    trace
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, s};
    use proptest::prelude::*;

    #[test]
    fn tokens_begin_where_they_fit() {
        #[rustfmt::skip]
        let fit = array![
            [1.0, 1.0, -1.0, -1.0, -1.0, -1.0],
            [-1.0, -1.0, 1.0, -1.0, -1.0, -1.0],
            [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0],
        ];
        assert_eq!(begins(fit.view()), [0, 2, 3]);
        assert_eq!(begins(Array2::zeros((0, 6)).view()), [0; 0]);
        assert_eq!(begins(Array2::zeros((0, 0)).view()), [0; 0]);
        assert_eq!(
            begins(array![[1.0], [2.0], [3.0]].view()),
            [0, 0, 0],
            "more tokens than positions"
        );
    }

    /// Fit of the best path that ends at token i and position j, by trying all paths.
    fn best(fit: ArrayView2<'_, f32>, i: usize, j: usize) -> f32 {
        let before = [
            (i > 0 && j > 0).then(|| best(fit, i - 1, j - 1)),
            (i > 0).then(|| best(fit, i - 1, j)),
            (j > 0).then(|| best(fit, i, j - 1)),
        ];
        fit[[i, j]] + before.into_iter().flatten().reduce(f32::max).unwrap_or(0.0)
    }

    proptest! {
        #[test]
        fn no_path_fits_better(fit in prop::collection::vec(-8i8..8, 12)) {
            for n_positions in [3, 4] {
                let n_tokens = 12 / n_positions;
                let fit = Array2::from_shape_fn((n_tokens, n_positions), |(i, j)| {
                    f32::from(fit[i * n_positions + j])
                });
                let begins = begins(fit.view());
                prop_assert!(begins[0] == 0 && begins.is_sorted());
                // A path with these begins: each token lasts until the next one begins, or until
                // the position before that.
                let mut reached = 0.0;
                for i in 0..n_tokens {
                    let end = begins.get(i + 1).map_or(n_positions - 1, |next| *next);
                    let before = end.max(begins[i] + 1).min(n_positions);
                    let until_before = fit.slice(s![i, begins[i]..before]).sum();
                    let until_end = fit.slice(s![i, begins[i]..=end]).sum();
                    reached += if i + 1 == n_tokens {
                        until_end
                    } else {
                        f32::max(until_before, until_end)
                    };
                }
                prop_assert_eq!(reached, best(fit.view(), n_tokens - 1, n_positions - 1));
            }
        }
    }
}
