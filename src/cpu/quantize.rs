//! Symmetric int8 quantisation with one scale for each output channel.

/// Largest magnitude of a quantised weight; −128 is not used, so that negation is exact.
const MAX_INT8: f32 = 127.0;

/// Quantises a matrix `[n, k]` (row-major; a row is an output channel) to int8: value ≈ q · scale
/// of its row, with scale = max |w| / 127. A row of zeros has scale 0. Returns the values `[n, k]`
/// and the scales `[n]`.
///
/// If `weights` is shorter than `n` · `k`, the missing values are zero.
pub fn quantize_rows(weights: &[f32], n: usize, k: usize) -> (Vec<i8>, Vec<f32>) {
    let mut values = Vec::with_capacity(n * k);
    let mut scales = Vec::with_capacity(n);
    let rows = weights.chunks(k.max(1)).chain(std::iter::repeat(&[][..]));
    for row in rows.take(n) {
        let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
        let scale = largest / MAX_INT8;
        let quantize = |&w: &f32| {
            if scale > 0.0 {
                (w / scale).round_ties_even() as i8
            } else {
                0
            }
        };
        values.extend(row.iter().map(quantize));
        values.resize(values.len() + k - row.len(), 0);
        scales.push(scale);
    }
    (values, scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_have_their_own_scales() {
        let (values, scales) = quantize_rows(
            &[1.27, -0.64, 0.005, 0.0, 0.0, 0.0, -254.0, 2.0, 127.0],
            3,
            3,
        );
        assert_eq!(values, [127, -64, 0, 0, 0, 0, -127, 1, 64]);
        assert_eq!(scales, [0.01, 0.0, 2.0]);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_a_step(weights in prop::collection::vec(-1e3f32..1e3, 1..100)) {
            let k = weights.len();
            let (values, scales) = quantize_rows(&weights, 1, k);
            for (w, &q) in weights.iter().zip(&values) {
                prop_assert!(q != i8::MIN);
                prop_assert!((w - f32::from(q) * scales[0]).abs() <= scales[0] * 0.5001);
            }
        }
    }
}
