//! Reference implementations for the tests of both kinds of attention.

use crate::cpu::attention::panels::KvFormat;
use half::f16;

/// Pseudo-random numbers in −2.5 … 2.5.
pub fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (((i + seed) * 7919 + seed * 131) % 2003) as f32 / 400.0 - 2.5)
        .collect()
}

/// A key or value of a head, rounded to its storage format.
pub fn stored_as(stored: KvFormat, row: &[f32]) -> Vec<f64> {
    let largest = row.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let number = |x: &f32| match stored {
        KvFormat::F16 => f16::from_f32(*x).to_f64(),
        KvFormat::I8 => {
            f64::from((x * (127.0 / largest)).round_ties_even()) * f64::from(largest / 127.0)
        }
    };
    row.iter().map(number).collect()
}

/// Attention of one head and one query over the stored keys and values, by definition, in f64.
pub fn attention(query: &[f32], keys: &[Vec<f64>], values: &[Vec<f64>], bias: &[f32]) -> Vec<f64> {
    let own = keys.len() - bias.len();
    let score = |(i, key): (usize, &Vec<f64>)| {
        let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * k).sum();
        dot / 8.0 + i.checked_sub(own).map_or(0.0, |i| f64::from(bias[i]))
    };
    let scores: Vec<f64> = keys.iter().enumerate().map(score).collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
    let weigh = |d: usize| {
        scores
            .iter()
            .zip(values)
            .map(|(s, v)| (s - max).exp() / sum * v[d])
            .sum()
    };
    (0..query.len()).map(weigh).collect()
}
