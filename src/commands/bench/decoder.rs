//! `hearken bench decoder`: the time of the decoder's passes, and of only reading the bytes that
//! they read.

use super::{COMPARED_WINDOW, Spread, milliseconds, window};
use crate::cli::BenchDecoderArgs;
use crate::commands::error::{Error, exit};
use crate::commands::transcribe::load;
use crate::cpu::{LargePages, read_all};
use crate::output;
use crate::whisper::{AudioFeatures, DecodeError, Decoder, Row, WindowCache, Workspace};
use serde::Serialize;
use std::fmt::Write;

/// Untimed runs, in which buffers are allocated and weights read from disk.
const WARM_UP: usize = 3;

/// Tokens that precede a timed pass: the start of a transcript and some text.
const BEFORE: [u32; 16] = [
    50258, 50259, 50359, 50363, 400, 370, 452, 7177, 6280, 1029, 406, 437, 428, 1941, 393, 360,
];

/// The passes to measure: name, windows, tokens of each.
const PASSES: [(&str, usize, usize); 4] = [
    ("step, 1 window", 1, 1),
    ("step, 8 windows", 8, 1),
    ("prompt, 8 tokens", 1, 8),
    ("prompt, 64 tokens", 1, 64),
];

/// Measurements.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the model.
    model: String,
    /// `f32` or `int8`.
    compute: &'static str,
    /// Instruction set.
    cpu: &'static str,
    /// Threads.
    threads: usize,
    /// Bandwidth of all threads together, in 10⁹ bytes per second.
    bandwidth_gb_s: f64,
    /// Times of each kind of pass.
    passes: Vec<Pass>,
}

/// Times of a kind of pass.
#[derive(Debug, Serialize)]
struct Pass {
    name: &'static str,
    /// Windows that are decoded together.
    windows: usize,
    /// Tokens of each.
    tokens: usize,
    /// Passes timed.
    iterations: usize,
    /// Median time.
    median_ms: f64,
    /// Shortest time.
    minimum_ms: f64,
    /// Longest time.
    maximum_ms: f64,
    /// Standard deviation.
    deviation_ms: f64,
    /// Weights, keys and values read, in 10⁶ bytes.
    read_mb: f64,
    /// Median time of reading as many bytes with the same number of threads.
    bound_ms: f64,
    /// The bound's share of the pass's time.
    share_percent: f64,
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// Returns an error if the model is missing or damaged, or the report cannot be written.
pub fn decoder(args: &BenchDecoderArgs) -> Result<u8, Error> {
    let options = args.engine.options();
    let engine = load(&options)?;
    let whisper = &engine.whisper;
    let n_ctx = options.longest_window(COMPARED_WINDOW, whisper.file().dims());
    let features = whisper
        .encoder()
        .encode(&window(n_ctx, whisper.file().dims().n_mels))?;
    let bench = Bench {
        decoder: whisper.decoder(),
        features,
        iterations: args.iterations as usize,
    };
    let passes = PASSES
        .into_iter()
        .map(|pass| bench.run(pass))
        .collect::<Result<Vec<_>, _>>()?;
    let bandwidth_gb_s = passes
        .first()
        .map_or(0.0, |pass| pass.read_mb / pass.bound_ms);
    let report = Report {
        model: options.model,
        compute: engine.compute.cpu.name(),
        cpu: whisper.cpu().isa.name(),
        threads: whisper.cpu().pool.threads(),
        bandwidth_gb_s,
        passes,
    };
    output::print(&if args.json {
        super::json(&report)
    } else {
        table(&report)
    })?;
    Ok(exit::SUCCESS)
}

struct Bench<'a> {
    decoder: &'a Decoder,
    features: AudioFeatures,
    iterations: usize,
}

impl Bench<'_> {
    /// Times a kind of pass and the reading of as many bytes alternately, so that other load on the
    /// machine affects both.
    fn run(
        &self,
        (name, windows, tokens): (&'static str, usize, usize),
    ) -> Result<Pass, DecodeError> {
        let mut work = Workspace::default();
        let prepare = |_| self.decoder.prepare_window(&self.features, None, &mut work);
        let mut caches = (0..windows)
            .map(prepare)
            .collect::<Result<Vec<WindowCache>, _>>()?;
        let n_vocab = self.decoder.dims().n_vocab;
        let token = |i: usize| BEFORE[i % BEFORE.len()].min(n_vocab as u32 - 1);
        let read = self.decoder.step_bytes() + caches.iter().map(WindowCache::bytes).sum::<usize>();
        let mut pages = LargePages::new(read / size_of::<f32>() * size_of::<f32>())
            .map_err(DecodeError::Memory)?;
        // Pages that were never written all map to the same zero page.
        pages.fill(1);
        let data: &[f32] = bytemuck::cast_slice(&pages);
        let mut times = Vec::new();
        let mut bounds = Vec::new();
        for i in 0..WARM_UP + self.iterations {
            caches.iter_mut().for_each(WindowCache::begin);
            let mut windows: Vec<_> = caches.iter_mut().collect();
            let rows = |n: usize| {
                let of_window = move |window| {
                    (0..n).map(move |i| Row {
                        window,
                        sequence: 0,
                        token: token(i),
                    })
                };
                (0..windows.len()).flat_map(of_window).collect::<Vec<_>>()
            };
            let before = rows(BEFORE.len());
            let timed = rows(tokens);
            let last_rows: Vec<_> = (1..=windows.len()).map(|i| i * tokens - 1).collect();
            self.decoder
                .forward(&mut windows, &before, &[], &mut work)?;
            let (time, logits) = milliseconds(|| {
                self.decoder
                    .forward(&mut windows, &timed, &last_rows, &mut work)
                    .map(|_| ())
            });
            logits?;
            let (bound, _) =
                milliseconds(|| std::hint::black_box(read_all(self.decoder.cpu(), data)));
            if i >= WARM_UP {
                times.push(time);
                bounds.push(bound);
            }
        }
        let time = Spread::of(times);
        let bound_ms = Spread::of(bounds).median;
        Ok(Pass {
            name,
            windows,
            tokens,
            iterations: self.iterations,
            median_ms: time.median,
            minimum_ms: time.minimum,
            maximum_ms: time.maximum,
            deviation_ms: time.deviation,
            read_mb: read as f64 / 1e6,
            bound_ms,
            share_percent: 100.0 * bound_ms / time.median,
        })
    }
}

fn table(report: &Report) -> String {
    let Report {
        model,
        compute,
        cpu,
        threads,
        bandwidth_gb_s,
        passes,
    } = report;
    let mut text = format!(
        "decoder of {model}, {compute}, {cpu}, {threads} threads; memory is read at {bandwidth_gb_s:.1} GB/s\n  \
         {:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}\n",
        "times in ms", "median", "minimum", "maximum", "deviation", "MB read", "bound", "share"
    );
    for pass in passes {
        let Pass {
            name,
            median_ms,
            minimum_ms,
            maximum_ms,
            deviation_ms,
            read_mb,
            bound_ms,
            share_percent,
            ..
        } = pass;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  {name:<18} {median_ms:>9.3} {minimum_ms:>9.3} {maximum_ms:>9.3} {deviation_ms:>9.3} {read_mb:>9.1} \
             {bound_ms:>9.3} {share_percent:>6.1}%"
        );
    }
    text
}
