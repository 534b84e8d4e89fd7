//! Symmetric 8-bit quantisation of weights.

/// Quantises a matrix `[n][k]`, row-major, to whole numbers −127 … 127 with one scale for each row (output channel):
/// scale = max |w| / 127, weight ≈ scale × whole number. A row of zeros has scale 0.
pub fn quantize_rows(weights: &[f32], n: usize, k: usize) -> (Vec<i8>, Vec<f32>) {
    let mut whole = Vec::with_capacity(n * k);
    let mut scales = Vec::with_capacity(n);
    for row in weights.chunks_exact(k).take(n) {
        let max = row.iter().fold(0f32, |max, w| max.max(w.abs()));
        let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
        whole.extend(row.iter().map(|w| (w * inverse).round_ties_even().clamp(-127.0, 127.0) as i8));
        scales.push(max / 127.0);
    }
    (whole, scales)
}
