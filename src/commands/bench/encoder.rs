//! `hearken bench encoder`: the time of the encoder for one window, the shortest time in which the
//! machine could do its multiplications, and the difference from the reference.

use super::golden::{Golden, GoldenError};
use super::{COMPARED_WINDOW, Spread, cosine, json, milliseconds, window};
use crate::audio::clock;
use crate::cli::BenchEncoderArgs;
use crate::commands::error::{Error, exit};
use crate::compute::Device;
use crate::cpu::{Operand, peak_macs};
use crate::engine::{Engine, EngineError, EngineOptions};
use crate::models::{ModelFile, Store, write_random};
use crate::npu::{Submission, Times};
use crate::output::{self, OutputError};
use crate::whisper::{Dims, EncodeError, Precision, SAMPLES_PER_POSITION, Tails, Whisper};
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::Array2;
use serde::Serialize;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Untimed runs, in which buffers are allocated and weights read from disk.
const WARM_UP: usize = 2;

/// Measurements.
#[derive(Debug, Serialize)]
struct Report {
    /// Name of the model.
    model: String,
    /// `real` or `random`.
    weights: &'static str,
    /// `f32` or `int8`; on an NPU `bf16` or `int8`.
    compute: &'static str,
    /// `cpu`, `npu`, or `npu-emulator`, whose times say nothing about hardware.
    device: &'static str,
    /// Mean time of the parts of a run on an NPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    /// Instruction set.
    cpu: &'static str,
    /// Threads.
    threads: usize,
    /// Seconds of audio in the window.
    window_s: f64,
    /// Runs timed.
    iterations: usize,
    /// Median time of a run.
    median_ms: f64,
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
    /// Median time over the window's length.
    real_time_factor: f64,
    /// Limit of the CPU, if the CPU encodes.
    #[serde(flatten)]
    roofline: Option<Roofline>,
    /// Cosine similarity to the states of the f32 encoder.
    cosine_to_f32: f64,
    /// Lowest cosine similarity of a position's states to openai-whisper's.
    #[serde(skip_serializing_if = "Option::is_none")]
    cosine_to_pytorch: Option<f64>,
    /// Number of NaN and infinite values over all runs.
    non_finite: usize,
    /// Number of runs, warm-up included, whose states are not the first's bit for bit.
    differing: usize,
}

/// Limit of the CPU.
#[derive(Debug, Serialize)]
struct Roofline {
    /// Peak of the machine in the linear layers' number format, in 10⁹ multiply-adds per second.
    peak_linear: f64,
    /// The same in the number format of attention.
    peak_attention: f64,
    /// Time of all multiply-adds of a window at those peaks.
    roofline_ms: f64,
    /// Share of the median time.
    roofline_percent: f64,
}

/// Parts of a run on an NPU, in milliseconds.
#[derive(Debug, Serialize)]
struct Split {
    /// Setting arguments and starting runs.
    submit_ms: f64,
    /// Waiting for their results.
    wait_ms: f64,
    /// Synchronising buffers between host and device.
    sync_ms: f64,
    /// Everything else: attention, layer norm, conversions.
    cpu_ms: f64,
    /// Number of runs on the NPU.
    runs: usize,
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// Returns an error if the model is missing or damaged, the NPU fails, or the report cannot be
/// written.
pub fn encoder(args: &BenchEncoderArgs) -> Result<u8, Error> {
    let mut file = Arc::new(Store::locate()?.open(&args.engine.options().model)?);
    // Must outlive the model that is mapped from it.
    let scratch = tempfile::tempdir().map_err(|e| OutputError::Directory {
        path: std::env::temp_dir(),
        source: e,
    })?;
    if args.random_weights {
        let path = scratch.path().join("random.safetensors");
        write_random(&file, &path)?;
        file = Arc::new(ModelFile::open(&path)?);
    }
    let report = measure(args, file)?;
    let text = if args.json {
        json(&report)
    } else {
        table(&report)
    };
    output::print(&text)?;
    Ok(exit::SUCCESS)
}

fn measure(args: &BenchEncoderArgs, file: Arc<ModelFile>) -> Result<Report, Error> {
    let options = args.engine.options();
    let compute = options.compute_types().map_err(EngineError::from)?;
    let longest = options.longest_window(COMPARED_WINDOW, file.dims());
    let golden = match &args.golden {
        Some(directory) => Some(Golden::read(directory, file.dims().n_mels).map_err(read_error)?),
        None => None,
    };
    let n_ctx = match args.utterance {
        _ if golden.is_some() => Golden::N_CTX,
        Some(seconds) => Tails::load(&file)?.window(clock::samples(seconds), longest),
        None => longest,
    };
    let mel = match &golden {
        Some(golden) => golden.mel.clone(),
        None => window(n_ctx, file.dims().n_mels),
    };
    let reference = Whisper::load(file.clone(), Precision::F32, options.threads())?
        .encoder()
        .encode(&mel)?;
    let engine = on_device(file, &options, args.run_list)?;
    let whisper = &engine.whisper;
    let mut encoder = whisper.encoder();
    let iterations = args.iterations as usize;
    let bar = ProgressBar::new((WARM_UP + iterations) as u64);
    // The template is constant; if it were invalid, indicatif's default would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    let attention = if compute.cpu == Precision::Int8 {
        Operand::Bf16
    } else {
        Operand::F32
    };
    let linear = if compute.cpu == Precision::Int8 {
        Operand::Int8
    } else {
        Operand::F32
    };
    let mut elapsed_ms = Vec::new();
    let mut non_finite = 0;
    let mut cosine_to_f32 = 0.0;
    let mut cosine_to_pytorch = None;
    let mut first = None;
    let mut differing = 0;
    let mut peaks_linear = Vec::new();
    let mut peaks_attention = Vec::new();
    let mut spent = Times::default();
    for i in 0..WARM_UP + iterations {
        let (elapsed, features) = milliseconds(|| encoder.encode(&mel));
        let states = features?.states;
        let times = still_there(&engine)?;
        differing += usize::from(!same_bits(
            first.get_or_insert_with(|| states.clone()),
            &states,
        ));
        if i >= WARM_UP {
            elapsed_ms.push(elapsed);
            spent += times;
            if compute.npu.is_none() {
                // Alternately, so that other load on the machine affects all of them.
                peaks_linear.push(peak_macs(whisper.cpu(), linear));
                peaks_attention.push(peak_macs(whisper.cpu(), attention));
            }
            non_finite += states.iter().filter(|x| !x.is_finite()).count();
            cosine_to_f32 = cosine(&states, &reference.states);
            cosine_to_pytorch = golden.as_ref().map(|golden| golden.cosine(&states));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let average_ms = elapsed_ms.iter().sum::<f64>() / elapsed_ms.len() as f64;
    let Spread {
        median: median_ms,
        minimum: minimum_ms,
        maximum: maximum_ms,
        deviation: deviation_ms,
    } = Spread::of(elapsed_ms);
    let roofline = compute.npu.is_none().then(|| {
        let peak_linear = Spread::of(peaks_linear).median;
        let peak_attention = Spread::of(peaks_attention).median;
        let macs = macs(whisper.file().dims(), n_ctx, reference.bias.len());
        let roofline_ms = 1e3 * (macs.0 / peak_linear + macs.1 / peak_attention);
        Roofline {
            peak_linear: peak_linear / 1e9,
            peak_attention: peak_attention / 1e9,
            roofline_ms,
            roofline_percent: 100.0 * roofline_ms / median_ms,
        }
    });
    let window_s = clock::seconds((n_ctx * SAMPLES_PER_POSITION) as u64);
    Ok(Report {
        model: options.model,
        weights: if args.random_weights {
            "random"
        } else {
            "real"
        },
        compute: compute.name(),
        device: options.device.name(),
        split: compute.npu.map(|_| split(spent, iterations, average_ms)),
        cpu: whisper.cpu().isa.name(),
        threads: whisper.cpu().pool.threads(),
        window_s,
        iterations,
        median_ms,
        average_ms,
        minimum_ms,
        maximum_ms,
        deviation_ms,
        consistency_percent: 100.0 - 100.0 * deviation_ms / average_ms,
        real_time_factor: median_ms / 1e3 / window_s,
        roofline,
        cosine_to_f32,
        cosine_to_pytorch,
        non_finite,
        differing,
    })
}

fn read_error(error: GoldenError) -> Error {
    match error {
        GoldenError::Audio(error) => error.into(),
        GoldenError::States(error) => error.into(),
    }
}

/// Returns true if two runs gave the same bits: a run on an NPU may end well and with wrong data.
fn same_bits(a: &Array2<f32>, b: &Array2<f32>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Loads the model on the requested device.
fn on_device(
    file: Arc<ModelFile>,
    options: &EngineOptions,
    run_list: bool,
) -> Result<Engine, EngineError> {
    let engine = Engine::from_file(file, options)?;
    let Some(mut npu) = options.npu()? else {
        return Ok(engine);
    };
    if run_list {
        npu.submission = Submission::List;
    }
    let npu = engine.open_npu(npu, |_| ())?;
    Ok(engine.with_npu(npu))
}

/// Returns how the NPU spent the time of the last run.
///
/// # Errors
/// Returns an error if the run fell back to the CPU, so that it does not measure the NPU.
pub(super) fn still_there(engine: &Engine) -> Result<Times, Error> {
    match &engine.npu {
        None => Ok(Times::default()),
        Some(npu) if npu.state().device == Device::Cpu => {
            Err(EncodeError::Device(npu.state().to_string().into()).into())
        }
        Some(npu) => Ok(npu.take_times()),
    }
}

fn split(spent: Times, iterations: usize, average_ms: f64) -> Split {
    let mean = |time: Duration| time.as_secs_f64() * 1e3 / iterations as f64;
    let submit_ms = mean(spent.submit);
    let wait_ms = mean(spent.wait);
    let sync_ms = mean(spent.sync);
    let cpu_ms = average_ms - submit_ms - wait_ms - sync_ms;
    Split {
        submit_ms,
        wait_ms,
        sync_ms,
        cpu_ms,
        runs: spent.runs / iterations,
    }
}

/// Returns the multiply-adds of the linear layers, including convolutions, and of attention.
pub(super) fn macs(dims: &Dims, n_ctx: usize, n_tail: usize) -> (f64, f64) {
    let n = n_ctx as f64;
    let width = dims.n_audio_state as f64;
    let layers = dims.n_audio_layer as f64;
    let convolutions = 2.0 * n * 3.0 * dims.n_mels as f64 * width + n * 3.0 * width * width;
    // Query, key, value and output have 4 squares, the two layers of the MLP 8.
    let linear = layers * n * 12.0 * width * width;
    (
        convolutions + linear,
        layers * n * (n + n_tail as f64) * 2.0 * width,
    )
}

fn table(report: &Report) -> String {
    let Report {
        model,
        weights,
        compute,
        device,
        cpu,
        threads,
        window_s,
        iterations,
        ..
    } = report;
    let device = match *device {
        "cpu" => String::new(),
        "npu-emulator" => {
            "npu-emulator (no NPU: its times say nothing about hardware), ".to_owned()
        }
        device => format!("{device}, "),
    };
    let mut text = format!(
        "encoder of {model} ({weights} weights), {device}{compute}, {cpu}, {threads} threads: {iterations} runs of a {window_s:.2} s window\n"
    );
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<18} {value}");
    };
    row("median", format!("{:.2} ms", report.median_ms));
    row("average", format!("{:.2} ms", report.average_ms));
    row("minimum", format!("{:.2} ms", report.minimum_ms));
    row("maximum", format!("{:.2} ms", report.maximum_ms));
    row("deviation", format!("{:.2} ms", report.deviation_ms));
    row(
        "consistency",
        format!("{:.1} %", report.consistency_percent),
    );
    row(
        "real-time factor",
        format!(
            "{:.4} ({:.1}× realtime)",
            report.real_time_factor,
            1.0 / report.real_time_factor
        ),
    );
    if let Some(Roofline {
        roofline_ms,
        roofline_percent,
        peak_linear,
        peak_attention,
    }) = &report.roofline
    {
        let peaks = format!("{peak_linear:.0} and {peak_attention:.0} G multiply-adds per second");
        row(
            "roofline",
            format!("{roofline_ms:.2} ms, {roofline_percent:.1} % of the median ({peaks})"),
        );
    }
    if let Some(Split {
        submit_ms,
        wait_ms,
        sync_ms,
        cpu_ms,
        runs,
    }) = &report.split
    {
        row("submit", format!("{submit_ms:.2} ms, {runs} runs"));
        row("wait", format!("{wait_ms:.2} ms"));
        row("sync", format!("{sync_ms:.2} ms"));
        row("CPU work", format!("{cpu_ms:.2} ms"));
    }
    row("cosine to f32", format!("{:.6}", report.cosine_to_f32));
    if let Some(cosine) = report.cosine_to_pytorch {
        row(
            "cosine to PyTorch",
            format!("{cosine:.6}, of the worst position"),
        );
    }
    row("non-finite values", report.non_finite.to_string());
    row("differing runs", report.differing.to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_compared_bit_by_bit() {
        let first = Array2::from_elem((2, 3), 1.0f32);
        assert!(same_bits(&first, &first.clone()));
        let mut other = first.clone();
        other[[1, 2]] = f32::from_bits(1.0f32.to_bits() + 1);
        assert!(!same_bits(&first, &other));
        assert!(!same_bits(&first, &Array2::from_elem((3, 2), 1.0)));
        let nan = Array2::from_elem((1, 1), f32::NAN);
        assert!(same_bits(&nan, &nan.clone()));
    }
}
