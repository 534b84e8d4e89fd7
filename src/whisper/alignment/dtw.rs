//! Dynamic time warping: the way through a matrix of tokens and positions, forwards in both, that
//! fits best.

/// The position at which each token begins, given how well each fits each position,
/// `[tokens][positions]` (`dtw_cpu` and `backtrace` in openai-whisper's `timing.py`).
pub(super) fn begins(fit: &[f32], positions: usize) -> Vec<usize> {
    if positions == 0 {
        return Vec::new();
    }
    let tokens = fit.len() / positions;
    let width = positions + 1;
    let mut cost = vec![f32::INFINITY; (tokens + 1) * width];
    let mut trace = vec![Step::Both; (tokens + 1) * width];
    cost[0] = 0.0;
    for i in 1..=tokens {
        for j in 1..=positions {
            let at = i * width + j;
            let (both, token, position) = (cost[at - width - 1], cost[at - width], cost[at - 1]);
            let (least, step) = if position <= both && position <= token {
                (position, Step::Position)
            } else if both <= token {
                (both, Step::Both)
            } else {
                (token, Step::Token)
            };
            cost[at] = least - fit[(i - 1) * positions + j - 1];
            trace[at] = step;
        }
    }
    let (mut i, mut j) = (tokens, positions);
    let mut begins = vec![0; tokens];
    while i > 0 && j > 0 {
        begins[i - 1] = j - 1;
        match trace[i * width + j] {
            Step::Both => (i, j) = (i - 1, j - 1),
            Step::Token => i -= 1,
            Step::Position => j -= 1,
        }
    }
    begins
}

/// Where the way comes from.
#[derive(Clone, Copy)]
enum Step {
    /// The token and the position before.
    Both,
    /// The token before, at the same position.
    Token,
    /// The same token, at the position before.
    Position,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_begin_where_they_fit() {
        #[rustfmt::skip]
        let fit = [
            1.0, 1.0, -1.0, -1.0, -1.0, -1.0,
            -1.0, -1.0, 1.0, -1.0, -1.0, -1.0,
            -1.0, -1.0, -1.0, 1.0, 1.0, 1.0,
        ];
        assert_eq!(begins(&fit, 6), [0, 2, 3]);
        assert_eq!(begins(&[], 6), [0; 0]);
        assert_eq!(begins(&[], 0), [0; 0]);
        assert_eq!(
            begins(&[1.0, 2.0, 3.0], 1),
            [0, 0, 0],
            "more tokens than positions"
        );
    }

    /// Fit of the best way that ends at token i and position j, by trying all.
    fn best(fit: &[f32], positions: usize, i: usize, j: usize) -> f32 {
        let here = fit[i * positions + j];
        let before = [
            (i > 0 && j > 0).then(|| best(fit, positions, i - 1, j - 1)),
            (i > 0).then(|| best(fit, positions, i - 1, j)),
            (j > 0).then(|| best(fit, positions, i, j - 1)),
        ];
        here + before.into_iter().flatten().reduce(f32::max).unwrap_or(0.0)
    }

    proptest! {
        #[test]
        fn no_way_fits_better(fit in prop::collection::vec(-8i8..8, 12)) {
            let fit: Vec<f32> = fit.into_iter().map(f32::from).collect();
            for positions in [3, 4] {
                let tokens = 12 / positions;
                let begins = begins(&fit, positions);
                prop_assert!(begins[0] == 0 && begins.is_sorted());
                // A way that begins there: each token goes on to where the next begins, or to the
                // position before it.
                let ends = |i: usize| if i + 1 < tokens { begins[i + 1] } else { positions - 1 };
                let mut reached = 0.0;
                for i in 0..tokens {
                    let row = &fit[i * positions..][..positions];
                    let to_before: f32 = row[begins[i]..ends(i).max(begins[i] + 1) .min(positions)].iter().sum();
                    let last = i + 1 == tokens;
                    let own: f32 = row[begins[i]..=ends(i)].iter().sum();
                    reached += if last { own } else { to_before.max(own) };
                }
                prop_assert_eq!(reached, best(&fit, positions, tokens - 1, positions - 1));
            }
        }
    }
}
