//! Every instruction stream of an overlay by itself: are its products right, do they stay the same after other shapes
//! have run, and how long do they take?
//!
//! The first thing to ask of hardware that has never run them. Products with the identity find operands in a wrong
//! order; signed random ones find wrong arithmetic; a second round after all other shapes finds what a shape leaves
//! behind for the next.

use super::device::DeviceError;
use super::gemm::Gemm;
use super::setup::{NpuOptions, SetupError, Source};
use super::weights::PackedLayer;
use crate::cpu::{Cpu, Epilogue, Linear, MatMut, MatRef, pack_i8};
use crate::models::{ModelFile, quantize_rows};
use std::sync::Arc;
use std::time::{Duration, Instant};
use xrt_sys::manifest::{Overlay, Stream, Type};

/// Most mean error of a bf16 product over its mean mass Σ |a| |b|: amd/IRON's own limit for hardware
/// (`iron/operators/flm/gemm/test.py`). Products of whole numbers have no error.
pub const MOST_ERROR: f64 = 4e-3;

/// Most that a product with the identity may differ from its other operand, which holds whole numbers up to 127.
const MOST_IDENTITY_ERROR: f32 = 1e-4;

/// What became of a stream.
#[derive(Clone, Debug)]
pub struct StreamCheck {
    /// Rows of the left operand.
    pub m: usize,
    /// Rows of the right operand.
    pub k: usize,
    /// Columns of the right operand.
    pub n: usize,
    /// Values of the product with the identity that are wrong.
    pub identity_errors: usize,
    /// Mean error of a signed random product over its mean mass.
    pub error: f64,
    /// Whether that error is no larger than it may be.
    pub is_right: bool,
    /// Products that were not, bit for bit, what they were at first, after other shapes or again and again.
    pub unsteady: usize,
    /// Times of the repeated products, conversions on the CPU among them.
    pub times: Vec<Duration>,
}

impl StreamCheck {
    /// Whether all is well.
    pub fn passed(&self) -> bool {
        self.identity_errors == 0 && self.is_right && self.unsteady == 0
    }
}

/// Why streams cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Something is missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The device does not do its work.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Checks the streams of the overlay that the options name, `repeats` times each after the first two rounds; `progress`
/// is called after each product.
///
/// `file`: a model, for the shapes of the software device's overlays.
///
/// # Errors
/// Where something is missing, or the device fails.
pub fn check_streams(
    cpu: &Cpu,
    file: &Arc<ModelFile>,
    options: &NpuOptions,
    repeats: usize,
    progress: &mut dyn FnMut(),
) -> Result<Vec<StreamCheck>, CheckError> {
    let source = Source::new(file, options)?;
    let overlay = source.overlay();
    let mut operands: Vec<Operand> = Vec::new();
    let mut layers = Vec::new();
    for Stream { k, n, .. } in &overlay.streams {
        if !operands.iter().any(|o| (o.k, o.n) == (*k, *n)) {
            let operand = Operand::new(*k, *n);
            layers.extend([&operand.identity, &operand.signed].map(|w| packed(overlay, w, *k, *n)));
            operands.push(operand);
        }
    }
    let mut device = Device { cpu, gemm: source.open_with(options, &layers)?, overlay, operands, progress };
    let streams = 0..overlay.streams.len();
    let mut checks: Vec<StreamCheck> = Vec::new();
    let mut firsts = Vec::new();
    for i in streams.clone() {
        let (check, first) = device.first(i)?;
        checks.push(check);
        firsts.push(first);
    }
    // Each shape after all the others.
    for i in streams.clone() {
        checks[i].unsteady += usize::from(device.signed(i)?.0 != firsts[i]);
    }
    for i in streams {
        for _ in 0..repeats {
            let (product, time) = device.signed(i)?;
            checks[i].unsteady += usize::from(product != firsts[i]);
            checks[i].times.push(time);
        }
    }
    Ok(checks)
}

fn packed(overlay: &Overlay, weights: &[f32], k: usize, n: usize) -> PackedLayer {
    let bias = vec![0.0; n];
    match overlay.b.dtype {
        Type::I8 => {
            let (whole, scales) = quantize_rows(weights, n, k);
            PackedLayer::i8(overlay, &whole, scales, k, (k, n), bias)
        }
        _ => PackedLayer::bfp16(overlay, weights, k, (k, n), bias),
    }
}

/// Right operands of a shape, `[n][k]`.
struct Operand {
    k: usize,
    n: usize,
    /// Row i has a 1 in column i mod k.
    identity: Vec<f32>,
    signed: Vec<f32>,
}

impl Operand {
    fn new(k: usize, n: usize) -> Self {
        let identity = (0..n * k).map(|i| f32::from(u8::from(i / k % k == i % k))).collect();
        Self { k, n, identity, signed: noise(n * k, 1) }
    }
}

/// Numbers in −1 … 1 that look random.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        // Marsaglia's xorshift32.
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

struct Device<'a> {
    cpu: &'a Cpu,
    gemm: Gemm,
    overlay: &'a Overlay,
    operands: Vec<Operand>,
    progress: &'a mut dyn FnMut(),
}

impl Device<'_> {
    /// The first products of a stream, and the signed one's bits.
    fn first(&mut self, i: usize) -> Result<(StreamCheck, Vec<f32>), DeviceError> {
        let Stream { m, k, n, .. } = self.overlay.streams[i];
        // Whole numbers up to 127, which are exact in all formats; 127 in each row makes its 8-bit scale 1.
        let whole = |j: usize| if j % k == 0 { 127.0 } else { (j * 7919 % 255) as f32 - 127.0 };
        let whole: Vec<f32> = (0..m * k).map(whole).collect();
        let (product, _) = self.product(i, 0, &whole)?;
        let is_wrong = |(j, y): (usize, &f32)| (y - whole[j / n * k + j % n % k]).abs() > MOST_IDENTITY_ERROR;
        let identity_errors = product.iter().enumerate().filter(|(j, y)| is_wrong((*j, y))).count();
        let (signed, _) = self.signed(i)?;
        let error = self.error(i, &signed);
        let is_exact = self.overlay.c.dtype == Type::I32;
        let is_right = error <= if is_exact { 0.0 } else { MOST_ERROR };
        let check = StreamCheck { m, k, n, identity_errors, error, is_right, unsteady: 0, times: Vec::new() };
        Ok((check, signed))
    }

    /// The signed random product of a stream, and its time.
    fn signed(&mut self, i: usize) -> Result<(Vec<f32>, Duration), DeviceError> {
        let Stream { m, k, .. } = self.overlay.streams[i];
        self.product(i, 1, &noise(m * k, 2))
    }

    fn product(&mut self, i: usize, which: usize, x: &[f32]) -> Result<(Vec<f32>, Duration), DeviceError> {
        let Stream { m, k, n, .. } = self.overlay.streams[i];
        let place = self.operands.iter().position(|o| (o.k, o.n) == (k, n)).unwrap_or_default();
        let mut out = vec![0.0; m * n];
        let begun = Instant::now();
        self.gemm.run_stream(self.cpu, i, 2 * place + which, MatRef::dense(x, k), MatMut::dense(&mut out, n))?;
        let time = begun.elapsed();
        (self.progress)();
        Ok((out, time))
    }

    /// Mean error of the signed product over its mean mass: to the same product in f64, or to the CPU's 8-bit one.
    fn error(&self, i: usize, got: &[f32]) -> f64 {
        let Stream { m, k, n, .. } = self.overlay.streams[i];
        let Some(operand) = self.operands.iter().find(|o| (o.k, o.n) == (k, n)) else {
            return f64::INFINITY;
        };
        let x = noise(m * k, 2);
        let mut want = vec![0.0; m * n];
        let layer = match self.overlay.c.dtype {
            Type::I32 => {
                let (whole, scales) = quantize_rows(&operand.signed, n, k);
                Linear::i8(pack_i8(&whole, &scales, n, k), vec![0.0; n], n)
            }
            _ => Linear::f32(&operand.signed, vec![0.0; n], n, k),
        };
        layer.apply(self.cpu, MatRef::dense(&x, k), None, MatMut::dense(&mut want, n), Epilogue::default());
        let error: f64 = got.iter().zip(&want).map(|(a, b)| f64::from((a - b).abs())).sum();
        let mean = |x: &[f32]| x.iter().map(|x| f64::from(x.abs())).sum::<f64>() / x.len() as f64;
        error / (m * n) as f64 / (k as f64 * mean(&x) * mean(&operand.signed))
    }
}
