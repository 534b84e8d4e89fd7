//! `hearken bench encoder`: the time that the encoder takes for one window, and how far it is from the reference path.

mod live;

pub use live::live;

use crate::cli::BenchEncoderArgs;
use crate::error::{Error, exit};
use crate::mel::{LogMel, Mel};
use crate::models::{ModelFile, Store, write_random};
use crate::output::{self, OutputError};
use crate::transcribe::{compute, window_positions};
use crate::whisper::{Compute, Encoder, SAMPLES_PER_POSITION, Whisper};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

/// Runs before the clock starts: buffers are allocated, weights are read from disk.
const WARM_UP: usize = 2;

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the model.
    model: String,
    /// `real` or `random`.
    weights: &'static str,
    /// `f32` or `int8`.
    compute: &'static str,
    /// Instruction set.
    cpu: &'static str,
    /// Threads.
    threads: usize,
    /// Seconds of audio in the window.
    window_s: f64,
    /// Runs timed.
    iterations: usize,
    /// Mean time of a run.
    average_ms: f64,
    /// Shortest run.
    minimum_ms: f64,
    /// Longest run.
    maximum_ms: f64,
    /// Standard deviation.
    deviation_ms: f64,
    /// 100 % − deviation / average.
    consistency_percent: f64,
    /// Average time over the window's length.
    real_time_factor: f64,
    /// Cosine between the states and those of the f32 path.
    cosine_to_f32: f64,
    /// Values that are NaN or infinite, over all runs.
    non_finite: usize,
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// Where the model is missing or damaged, or the report cannot be written.
pub fn encoder(args: &BenchEncoderArgs) -> Result<u8, Error> {
    let mut file = Arc::new(Store::locate()?.open(&args.engine.model)?);
    // Lives as long as the model that is mapped from it.
    let scratch = tempfile::tempdir().map_err(|e| OutputError::Directory { path: std::env::temp_dir(), source: e })?;
    if args.random_weights {
        let path = scratch.path().join("random.safetensors");
        write_random(&file, &path)?;
        file = Arc::new(ModelFile::open(&path)?);
    }
    let report = measure(args, file)?;
    let text = if args.json { json(&report) } else { table(&report) };
    output::print(&text)?;
    Ok(exit::SUCCESS)
}

fn measure(args: &BenchEncoderArgs, file: Arc<ModelFile>) -> Result<Report, Error> {
    let threads = args.engine.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let n_ctx = window_positions(args.engine.window).min(file.dims().n_audio_ctx);
    let mel = window(n_ctx, file.dims().n_mels);
    let reference = Whisper::load(file.clone(), Compute::F32, threads)?.encoder().encode(&mel)?.states;
    let compute = compute(args.engine.compute);
    let whisper = Whisper::load(file, compute, threads)?;
    let mut encoder = whisper.encoder();
    let iterations = args.iterations as usize;
    let bar = ProgressBar::new((WARM_UP + iterations) as u64);
    // The template is constant: where it were wrong, indicatif's own would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    let (mut times, mut non_finite, mut cosine_to_f32) = (Vec::new(), 0, 0.0);
    for i in 0..WARM_UP + iterations {
        let begun = Instant::now();
        let states = encoder.encode(&mel)?.states;
        let elapsed = begun.elapsed().as_secs_f64() * 1e3;
        if i >= WARM_UP {
            times.push(elapsed);
            non_finite += states.iter().filter(|x| !x.is_finite()).count();
            cosine_to_f32 = cosine(&states, &reference);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let n = times.len() as f64;
    let average_ms = times.iter().sum::<f64>() / n;
    let deviation_ms = (times.iter().map(|t| (t - average_ms).powi(2)).sum::<f64>() / n).sqrt();
    let window_s = (n_ctx * SAMPLES_PER_POSITION) as f64 / f64::from(crate::audio::SAMPLE_RATE);
    Ok(Report {
        model: args.engine.model.clone(),
        weights: if args.random_weights { "random" } else { "real" },
        compute: compute.name(),
        cpu: whisper.cpu().level.name(),
        threads: whisper.cpu().pool.threads(),
        window_s,
        iterations,
        average_ms,
        minimum_ms: times.iter().copied().fold(f64::INFINITY, f64::min),
        maximum_ms: times.iter().copied().fold(0.0, f64::max),
        deviation_ms,
        consistency_percent: 100.0 - 100.0 * deviation_ms / average_ms,
        real_time_factor: average_ms / 1e3 / window_s,
        cosine_to_f32,
        non_finite,
    })
}

/// A window full of sound: a sweep from 100 Hz to 4 kHz under a syllable's rhythm of 4 Hz.
fn window(n_ctx: usize, n_mels: usize) -> Mel {
    let rate = f64::from(crate::audio::SAMPLE_RATE);
    let n = n_ctx * SAMPLES_PER_POSITION;
    let sample = |i: usize| {
        let (t, share) = (i as f64 / rate, i as f64 / n as f64);
        let phase = std::f64::consts::TAU * t * (100.0 + 1950.0 * share);
        (0.3 * phase.sin() * (0.6 + 0.4 * (std::f64::consts::TAU * 4.0 * t).sin())) as f32
    };
    LogMel::new(n_mels).compute(&(0..n).map(sample).collect::<Vec<_>>(), 2 * n_ctx)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn json(report: &Report) -> String {
    // A struct of numbers and names always has a JSON form.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

fn table(report: &Report) -> String {
    let Report { model, weights, compute, cpu, threads, window_s, iterations, .. } = report;
    let mut text = format!(
        "encoder of {model} ({weights} weights), {compute}, {cpu}, {threads} threads: {iterations} runs of a {window_s:.2} s window\n"
    );
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<18} {value}");
    };
    row("average", format!("{:.2} ms", report.average_ms));
    row("minimum", format!("{:.2} ms", report.minimum_ms));
    row("maximum", format!("{:.2} ms", report.maximum_ms));
    row("deviation", format!("{:.2} ms", report.deviation_ms));
    row("consistency", format!("{:.1} %", report.consistency_percent));
    row("real-time factor", format!("{:.4} ({:.1}× realtime)", report.real_time_factor, 1.0 / report.real_time_factor));
    row("cosine to f32", format!("{:.6}", report.cosine_to_f32));
    row("non-finite values", report.non_finite.to_string());
    text
}
