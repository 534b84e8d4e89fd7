//! `hearken bench gemm`: every instruction stream of an NPU's overlay by itself, right or wrong, and how fast.

use super::{Spread, json};
use crate::cli::BenchGemmArgs;
use crate::cpu::Cpu;
use crate::error::{Error, exit};
use crate::models::Store;
use crate::npu::{DeviceKind, NpuOptions, StreamCheck, check_streams};
use crate::output;
use crate::transcribe::npu_format;
use crate::whisper::LoadError;
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt::Write;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// `npu`, or `npu-software`, which says nothing of hardware.
    device: &'static str,
    streams: Vec<Row>,
}

/// A stream.
#[derive(Debug, Serialize)]
struct Row {
    m: usize,
    k: usize,
    n: usize,
    /// Wrong values of the product with the identity.
    identity_errors: usize,
    /// Mean error of a signed random product over its mean mass.
    error: f64,
    /// Products that were not what they were at first.
    unsteady: usize,
    /// Median time of a product with its conversions, in milliseconds.
    median_ms: f64,
    /// Multiplications with addition a second in that time, in 10⁹.
    gmacs: f64,
    passed: bool,
}

impl Row {
    fn new(check: &StreamCheck) -> Self {
        let StreamCheck { m, k, n, identity_errors, error, unsteady, .. } = *check;
        let median_ms = Spread::of(check.times.iter().map(|time| time.as_secs_f64() * 1e3).collect()).median;
        let gmacs = (m * k * n) as f64 / median_ms / 1e6;
        Self { m, k, n, identity_errors, error, unsteady, median_ms, gmacs, passed: check.passed() }
    }
}

/// Runs the checks and prints their report; the exit code is a failure where a stream does not pass.
///
/// # Errors
/// Where something is missing, the device fails, or the report cannot be written.
pub fn gemm(args: &BenchGemmArgs) -> Result<u8, Error> {
    let file = Store::locate()?.open(&args.model)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = Cpu::new(threads).map_err(LoadError::from)?;
    let kind = DeviceKind::from(args.device);
    let options = NpuOptions::new(kind, npu_format(args.compute)).map_err(LoadError::from)?;
    let bar = ProgressBar::new_spinner();
    let checks = check_streams(&cpu, &file, &options, args.iterations as usize, &mut || bar.inc(1));
    bar.finish_and_clear();
    let report = Report { device: kind.name(), streams: checks?.iter().map(Row::new).collect() };
    output::print(&if args.json { json(&report) } else { table(&report) })?;
    Ok(if report.streams.iter().all(|row| row.passed) { exit::SUCCESS } else { exit::UNEXPECTED })
}

fn table(report: &Report) -> String {
    let software = if report.device == "npu-software" { " (no NPU: its times say nothing of hardware)" } else { "" };
    let mut text = format!("products on {}{software}\n", report.device);
    text += "     m     k     n  identity  error/mass  unsteady  median ms    GMAC/s\n";
    for Row { m, k, n, identity_errors, error, unsteady, median_ms, gmacs, passed } in &report.streams {
        let verdict = if *passed { "" } else { "  WRONG" };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{m:>6}{k:>6}{n:>6}{identity_errors:>10}{error:>12.2e}{unsteady:>10}{median_ms:>11.3}{gmacs:>10.1}{verdict}"
        );
    }
    text
}
