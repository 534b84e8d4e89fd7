//! `hearken bench`: how fast the parts are, each next to the limit of the machine, measured in the
//! same process.

mod decoder;
mod encoder;
mod file;
mod golden;
#[cfg(feature = "daemon")]
mod live;

pub use decoder::decoder;
pub use encoder::encoder;
pub use file::file;
#[cfg(feature = "daemon")]
pub use live::live;

use crate::mel::{LogMel, Mel};
use crate::whisper::SAMPLES_PER_POSITION;
use ndarray::Array2;
use serde::Serialize;
use std::time::Instant;

/// Positions of the default window of the encoder's and the decoder's benchmark: 10.24 s.
const COMPARED_WINDOW: usize = 512;

/// Spread of times.
struct Spread {
    median: f64,
    minimum: f64,
    maximum: f64,
    deviation: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let deviation = (times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / n).sqrt();
        let at = |i: usize| times.get(i).copied().unwrap_or(f64::NAN);
        Self {
            median: at(times.len() / 2),
            minimum: at(0),
            maximum: at(times.len() - 1),
            deviation,
        }
    }
}

/// Returns the time that `work` takes, and its result.
fn milliseconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64() * 1e3, result)
}

/// Returns a window of sound: a sweep from 100 Hz to 4 kHz, modulated at 4 Hz like syllables.
fn window(n_ctx: usize, n_mels: usize) -> Mel {
    let rate = f64::from(crate::audio::SAMPLE_RATE);
    let n = n_ctx * SAMPLES_PER_POSITION;
    let sample = |i: usize| {
        let t = i as f64 / rate;
        let share = i as f64 / n as f64;
        let phase = std::f64::consts::TAU * t * (100.0 + 1950.0 * share);
        (0.3 * phase.sin() * (0.6 + 0.4 * (std::f64::consts::TAU * 4.0 * t).sin())) as f32
    };
    LogMel::new(n_mels).compute(&(0..n).map(sample).collect::<Vec<_>>(), 2 * n_ctx)
}

fn cosine(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let dot = |a: &Array2<f32>, b: &Array2<f32>| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn json(report: &impl Serialize) -> String {
    // A struct of numbers and names always has a JSON form.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}
