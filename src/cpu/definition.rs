//! What the tests of both kinds of attention compare with.

/// Numbers in −2.5 … 2.5 that look random.
pub fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| (((i + seed) * 7919 + seed * 131) % 2003) as f32 / 400.0 - 2.5).collect()
}

/// One head's attention of one query by the definition, in f64; `stored` is what becomes of a key or value in storage.
pub fn attention(
    query: &[f32],
    keys: &[&[f32]],
    values: &[&[f32]],
    bias: &[f32],
    stored: impl Fn(f32) -> f64,
) -> Vec<f64> {
    let own = keys.len() - bias.len();
    let score = |(i, key): (usize, &&[f32])| {
        let dot: f64 = query.iter().zip(*key).map(|(q, k)| f64::from(*q) * stored(*k)).sum();
        dot / 8.0 + i.checked_sub(own).map_or(0.0, |i| f64::from(bias[i]))
    };
    let scores: Vec<f64> = keys.iter().enumerate().map(score).collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
    let weigh = |d: usize| scores.iter().zip(values).map(|(s, v)| (s - max).exp() / sum * stored(v[d])).sum();
    (0..query.len()).map(weigh).collect()
}
