//! `hearken bench file`: the time from a model on disk to a recording's text, and the shortest time
//! in which the machine could do the multiplications and read the bytes that this takes.

use super::encoder::{macs, still_there};
use super::{Spread, json, milliseconds};
use crate::audio::{FileSource, clock};
use crate::cli::BenchFileArgs;
use crate::commands::error::{Error, exit};
use crate::commands::transcribe::load;
use crate::cpu::{LargePages, Operand, peak_macs, read_all};
use crate::engine::{Engine, EngineOptions};
use crate::output;
use crate::pipeline::{self, IN_FLIGHT, Settings, WindowTranscript};
use crate::whisper::decoding::{DecodingOptions, FallbackOptions};
use crate::whisper::{DecodeError, LONGEST_WINDOW, Precision, Tails, Whisper};
use serde::Serialize;
use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Number of measurements of the machine's limits; the best one counts.
const PEAKS: usize = 10;

/// Measurements.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the model.
    model: String,
    /// `f32` or `int8`; on an NPU `bf16` or `int8`.
    compute: &'static str,
    /// Where the encoder runs: `cpu`, `npu` or `npu-emulator`.
    device: &'static str,
    /// Instruction set.
    cpu: &'static str,
    /// Threads.
    threads: usize,
    /// Seconds of audio.
    audio_s: f64,
    /// Windows that it was cut into.
    windows: usize,
    /// Tokens of text.
    tokens: usize,
    /// Runs timed.
    iterations: usize,
    /// Median time of loading the model.
    load_ms: f64,
    /// Median time of a run, from opening the recording to its last text.
    median_s: f64,
    /// Shortest run.
    minimum_s: f64,
    /// Longest run.
    maximum_s: f64,
    /// Median time over the recording's length.
    real_time_factor: f64,
    /// Limit of the CPU, if the CPU encodes.
    #[serde(flatten)]
    roofline: Option<Roofline>,
}

/// Limits of the machine.
#[derive(Debug, Serialize)]
struct Roofline {
    /// Shortest time of the encoder's multiply-adds.
    encoder_bound_s: f64,
    /// Shortest time of reading the decoder's bytes, with as many windows decoded together as the
    /// pipeline does.
    decoder_bound_s: f64,
    /// Share of the median time that the sum takes.
    roofline_percent: f64,
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// Returns an error if the model or the recording cannot be used, or the report cannot be written.
pub fn file(args: &BenchFileArgs) -> Result<u8, Error> {
    let options = args.engine.options();
    let mut load_ms = Vec::new();
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..args.iterations {
        // If the last model were still in memory, loading would be faster than it usually is.
        drop(last.take());
        let (time, engine) = milliseconds(|| load(&options));
        load_ms.push(time);
        let engine = engine?;
        let begun = Instant::now();
        let run = transcribe(args, &engine.whisper)?;
        times.push(begun.elapsed().as_secs_f64());
        still_there(&engine)?;
        last = Some((engine, run));
    }
    let Some((engine, (audio_s, windows))) = last else {
        return Ok(exit::SUCCESS);
    };
    let whisper = &engine.whisper;
    let Spread {
        median: median_s,
        minimum: minimum_s,
        maximum: maximum_s,
        ..
    } = Spread::of(times);
    let roofline = match engine.compute.npu {
        None => Some(bounds(&options, &engine, &windows)?),
        Some(_) => None,
    };
    let roofline = roofline.map(|(encoder_bound_s, decoder_bound_s)| {
        let roofline_percent = 100.0 * (encoder_bound_s + decoder_bound_s) / median_s;
        Roofline {
            encoder_bound_s,
            decoder_bound_s,
            roofline_percent,
        }
    });
    let report = Report {
        model: options.model,
        compute: engine.compute.name(),
        device: options.device.name(),
        cpu: whisper.cpu().isa.name(),
        threads: whisper.cpu().pool.threads(),
        audio_s,
        windows: windows.len(),
        tokens: windows.iter().map(tokens).sum(),
        iterations: args.iterations as usize,
        load_ms: Spread::of(load_ms).median,
        median_s,
        minimum_s,
        maximum_s,
        real_time_factor: median_s / audio_s,
        roofline,
    };
    output::print(&if args.json {
        json(&report)
    } else {
        table(&report)
    })?;
    Ok(exit::SUCCESS)
}

/// Transcribes the recording. Returns its length in seconds and its text.
fn transcribe(
    args: &BenchFileArgs,
    whisper: &Whisper,
) -> Result<(f64, Vec<WindowTranscript>), Error> {
    let settings = Settings {
        n_ctx: args
            .engine
            .options()
            .longest_window(LONGEST_WINDOW, whisper.file().dims()),
        decoding: DecodingOptions {
            language: args.language,
            ..DecodingOptions::default()
        },
        fallback: FallbackOptions::default(),
        initial_prompt: Vec::new(),
        condition_on_previous_text: false,
        word_timestamps: false,
    };
    let mut windows = Vec::new();
    let source = Box::new(FileSource::open(&args.file)?);
    let publish = |window| {
        windows.push(window);
        Ok::<(), Error>(())
    };
    let summary =
        pipeline::transcribe(whisper, source, &settings, &AtomicBool::new(false), publish)?;
    match summary.damage {
        Some(damage) => Err(damage.into()),
        None => Ok((summary.duration_s, windows)),
    }
}

/// Returns the shortest times of encoder and decoder for `windows` at the machine's limits, in
/// seconds.
fn bounds(
    options: &EngineOptions,
    engine: &Engine,
    windows: &[WindowTranscript],
) -> Result<(f64, f64), Error> {
    let whisper = &engine.whisper;
    let operands = if engine.compute.cpu == Precision::Int8 {
        (Operand::Int8, Operand::Bf16)
    } else {
        (Operand::F32, Operand::F32)
    };
    let mut pages =
        LargePages::new(whisper.decoder().step_bytes() / 4 * 4).map_err(DecodeError::Memory)?;
    // Pages that were never written all map to the same zero page.
    pages.fill(1);
    let data: &[f32] = bytemuck::cast_slice(&pages);
    let mut linear = 0.0f64;
    let mut attention = 0.0f64;
    let mut read_s = f64::INFINITY;
    for _ in 0..PEAKS {
        linear = linear.max(peak_macs(whisper.cpu(), operands.0));
        attention = attention.max(peak_macs(whisper.cpu(), operands.1));
        read_s = read_s
            .min(milliseconds(|| std::hint::black_box(read_all(whisper.cpu(), data))).0 / 1e3);
    }
    let dims = whisper.file().dims();
    let tails = Tails::load(whisper.file())?;
    let mut encoder_s = 0.0;
    let mut steps = 0.0;
    for window in windows {
        let samples = clock::samples(window.end_s - window.start_s);
        let n_ctx = whisper.window(samples, options.longest_window(LONGEST_WINDOW, dims));
        let n_tail = tails.of(n_ctx).bias.len();
        let macs = macs(dims, n_ctx, n_tail);
        encoder_s += macs.0 / linear + macs.1 / attention;
        let share = whisper.decoder().window_bytes(n_ctx + n_tail) as f64
            / whisper.decoder().step_bytes() as f64;
        steps += tokens(window) as f64 * (1.0 / IN_FLIGHT as f64 + share);
    }
    Ok((encoder_s, steps * read_s))
}

fn tokens(window: &WindowTranscript) -> usize {
    window
        .segments
        .iter()
        .map(|segment| segment.tokens.len())
        .sum()
}

fn table(report: &Report) -> String {
    let Report {
        model,
        compute,
        device,
        cpu,
        threads,
        audio_s,
        windows,
        tokens,
        iterations,
        ..
    } = report;
    let mut text = format!(
        "{audio_s:.1} s of audio with {model}, {compute}, {device}, {cpu}, {threads} threads: {iterations} runs of {windows} windows, {tokens} tokens\n"
    );
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<18} {value}");
    };
    row("load", format!("{:.0} ms", report.load_ms));
    row("median", format!("{:.2} s", report.median_s));
    row("minimum", format!("{:.2} s", report.minimum_s));
    row("maximum", format!("{:.2} s", report.maximum_s));
    row(
        "real-time factor",
        format!(
            "{:.4} ({:.1}× realtime)",
            report.real_time_factor,
            1.0 / report.real_time_factor
        ),
    );
    if let Some(Roofline {
        encoder_bound_s,
        decoder_bound_s,
        roofline_percent,
    }) = &report.roofline
    {
        let parts = format!("encoder {encoder_bound_s:.2} s, decoder {decoder_bound_s:.2} s");
        row(
            "CPU's roofline",
            format!("{parts}: {roofline_percent:.1} % of the median"),
        );
    }
    text
}
