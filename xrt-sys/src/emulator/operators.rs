//! The arithmetic of the operators beside the product, by their definitions.
//!
//! In: the operands' bytes as the device sees them. Out: the result's. Intermediate values are f32
//! (GELU: f64), results are rounded once: hardware approximates powers of two and the error function,
//! so it is close to this, not equal bit for bit.

use crate::manifest::{Operator, OperatorStream};
use half::bf16;

/// Width of a head.
const HEAD: usize = 64;
/// Columns of the array, each with its own parameters of attention.
const COLUMNS: usize = 8;
/// Bytes of a column's parameters, of which four i32 are used.
const PARAMETERS: usize = 16_384;
/// Queries that a column's four tiles take at a time, and keys of two blocks.
const QUERIES: usize = 256;
const KEYS: usize = 64;

/// What layer normalisation adds to the variance.
const EPSILON: f32 = 1e-5;

/// Sizes of an operator's data arguments in bytes, in the order of [`Operator::roles`].
pub fn sizes(operator: Operator, stream: &OperatorStream) -> Vec<usize> {
    let (m, n) = stream.shape();
    match operator {
        Operator::BiasGelu | Operator::BiasAdd => vec![2 * m * n, 4 * n, 2 * m * n],
        Operator::LayerNorm => vec![4 * m * n, 8 * n, 2 * m * n],
        Operator::Residual => vec![2 * m * n, 4 * m * n, 4 * n, 4 * m * n],
        Operator::Attention => vec![6 * m * n, COLUMNS * PARAMETERS, 2 * m * n],
    }
}

/// Computes an operator.
pub fn operate(operator: Operator, stream: &OperatorStream, operands: &[&[u8]]) -> Vec<u8> {
    let (m, n) = stream.shape();
    match operator {
        Operator::BiasGelu => biased(operands, m, n, gelu),
        Operator::BiasAdd => biased(operands, m, n, |x| x),
        Operator::LayerNorm => layer_norm(operands, m, n),
        Operator::Residual => residual(operands, m, n),
        Operator::Attention => attention(operands, stream),
    }
}

/// Number of valid keys in the parameters of attention.
///
/// # Errors
/// Returns what is wrong with the parameters: a tile would wait for data that never come.
pub fn attention_keys(stream: &OperatorStream, parameters: &[u8]) -> Result<usize, String> {
    let heads = stream.width() / HEAD;
    let mut keys = Vec::new();
    for (column, words) in parameters.chunks(PARAMETERS).take(COLUMNS).enumerate() {
        let word = |i: usize| {
            let bytes = words[4 * i..].first_chunk().copied().unwrap_or_default();
            i32::from_le_bytes(bytes) as usize
        };
        let mine = (column..heads).step_by(COLUMNS).count();
        let wanted = (mine * stream.m / QUERIES, stream.m / KEYS);
        if (word(0), word(1)) != wanted {
            return Err(format!(
                "attention's parameters of column {column} are {:?}, not {wanted:?}",
                (word(0), word(1))
            ));
        }
        keys.push(word(2));
    }
    match keys.first() {
        Some(&first) if (1..=stream.m).contains(&first) && keys.iter().all(|k| *k == first) => {
            Ok(first)
        }
        _ => Err(format!("attention's numbers of valid keys are {keys:?}")),
    }
}

fn biased(operands: &[&[u8]], m: usize, n: usize, function: fn(f32) -> f32) -> Vec<u8> {
    let (x, bias) = (bf16s(operands[0], m * n), f32s(operands[1], n));
    let rows = x.chunks_exact(n);
    let values = rows.flat_map(|row| row.iter().zip(&bias).map(|(x, b)| function(x + b)));
    to_bf16(values)
}

/// GELU by the error function, as Whisper has it.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * erfc(-x / std::f64::consts::SQRT_2)) as f32
}

/// Complementary error function by its continued fraction or its series; the relative error is below
/// 1e-12 where the result matters in bf16.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let scale = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
    if x < 2.5 {
        // erf(x) = 2/√π e^(−x²) Σ 2^i x^(2i+1) / (2i+1)!!
        let (mut term, mut sum) = (x, x);
        for i in 1..80 {
            term *= 2.0 * x * x / f64::from(2 * i + 1);
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    // erfc(x) = 2/√π e^(−x²) / (2x + 2/(2x + 4/(2x + 6/…)))
    let mut below = 2.0 * x;
    for i in (1..60).rev() {
        below = 2.0 * x + f64::from(2 * i) / below;
    }
    scale / below
}

fn layer_norm(operands: &[&[u8]], m: usize, n: usize) -> Vec<u8> {
    let (x, parameters) = (f32s(operands[0], m * n), f32s(operands[1], 2 * n));
    let (gamma, beta) = parameters.split_at(n);
    let mut values = Vec::with_capacity(m * n);
    for row in x.chunks_exact(n) {
        let mean = row.iter().sum::<f32>() / n as f32;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n as f32;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        let columns = gamma.iter().zip(beta);
        values.extend(
            row.iter()
                .zip(columns)
                .map(|(x, (g, b))| (x - mean) * scale * g + b),
        );
    }
    to_bf16(values.into_iter())
}

fn residual(operands: &[&[u8]], m: usize, n: usize) -> Vec<u8> {
    let (x, residual) = (bf16s(operands[0], m * n), f32s(operands[1], m * n));
    let bias = f32s(operands[2], n);
    let sums = x.iter().zip(&residual).enumerate();
    sums.flat_map(|(i, (x, residual))| (residual + (x + bias[i % n])).to_le_bytes())
        .collect()
}

/// Weights are rounded to bf16 for the product with V, and summed after that.
fn attention(operands: &[&[u8]], stream: &OperatorStream) -> Vec<u8> {
    let (m, n) = stream.shape();
    let qkv = bf16s(operands[0], 3 * m * n);
    let keys = attention_keys(stream, operands[1]).unwrap_or(m);
    let part = |row: usize, which: usize, head: usize| {
        &qkv[row * 3 * n + which * n + head * HEAD..][..HEAD]
    };
    let mut out = vec![0.0; m * n];
    let mut weights = vec![0.0f32; keys];
    for head in 0..n / HEAD {
        for row in 0..m {
            let q = part(row, 0, head);
            for (key, weight) in weights.iter_mut().enumerate() {
                let products = q.iter().zip(part(key, 1, head)).map(|(q, k)| q * k);
                *weight = products.sum::<f32>() / 8.0;
            }
            let greatest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut total = 0.0;
            let mut sums = [0.0f32; HEAD];
            for (key, weight) in weights.iter().enumerate() {
                let weight = bf16::from_f32((weight - greatest).exp()).to_f32();
                total += weight;
                for (sum, v) in sums.iter_mut().zip(part(key, 2, head)) {
                    *sum += weight * v;
                }
            }
            for (to, sum) in out[row * n + head * HEAD..].iter_mut().zip(sums) {
                *to = sum / total;
            }
        }
    }
    to_bf16(out.into_iter())
}

fn bf16s(data: &[u8], count: usize) -> Vec<f32> {
    let (pairs, _) = data[..2 * count].as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| bf16::from_le_bytes(*pair).to_f32())
        .collect()
}

fn f32s(data: &[u8], count: usize) -> Vec<f32> {
    let (words, _) = data[..4 * count].as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn to_bf16(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values
        .flat_map(|x| bf16::from_f32(x).to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_right_at_known_points() {
        // Abramowitz and Stegun, table 7.1, and erfc(3) and erfc(5) from their asymptotic series.
        for (x, want) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_2),
            (1.0, 0.157_299_207_1),
            (2.0, 0.004_677_734_98),
            (3.0, 2.209_049_7e-5),
            (5.0, 1.537_459_8e-12),
            (-1.0, 1.842_700_793),
        ] {
            let got = erfc(x);
            assert!(
                (got - want).abs() <= 1e-7 * want,
                "erfc({x}) = {got:e}, not {want:e}"
            );
        }
        // Both ways meet.
        let (below, above) = (erfc(2.5 - 1e-12), erfc(2.5));
        assert!((below / above - 1.0).abs() < 1e-9, "{below:e} {above:e}");
    }
}
