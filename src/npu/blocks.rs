//! All blocks of the encoder on the array, in one context: attention, layer normalisation, bias, GELU
//! and the residual stream beside the products, with activations that stay in the device's buffers.
//!
//! ```text
//! x ──▶ layer_norm ──▶ gemm ──▶ bias_add ──▶ attention ──▶ gemm ──▶ residual ──▶ x
//! x ──▶ layer_norm ──▶ gemm ──▶ bias_gelu ──▶ gemm ──▶ residual ──▶ x
//! ```
//!
//! In: the residual stream behind the stem, in f32. Out: the same behind the last block. Products take
//! activations in one bf16 term, as the operators before them leave them.

use super::device::{Buffer, DeviceError, Kernel, OPCODE, Run};
use super::times::Times;
use super::weights::{BlockWeights, PackedLayer};
use crate::cpu::LayerNorm;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use xrt_sys::manifest::{Manifest, Operator, Overlay, Role, Type};
use xrt_sys::{CACHEABLE, HOST_ONLY};

/// Width of a head.
const HEAD: usize = 64;
/// Parameters of attention: one part for each column of the array, of which four i32 are used.
const COLUMNS: usize = 8;
const PARAMETER_BYTES: usize = 16_384;
/// Queries of a column's work item, and keys of two blocks of a tile.
const QUERIES: usize = 256;
const KEYS: usize = 64;

/// The blocks on a device.
pub struct Blocks {
    run: Run,
    streams: BTreeMap<Program, Stream>,
    activations: Activations,
    blocks: Vec<Resident>,
    /// Rows of the streams, ascending.
    heights: Vec<usize>,
    width: usize,
    timeout: Duration,
}

/// What a stream computes: an operator with rows and columns, or a product with K, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Program {
    Operator(&'static str, usize, usize),
    Product(usize, usize, usize),
}

struct Stream {
    instructions: Buffer,
    words: u32,
    /// Index of each data argument; the result is the last.
    arguments: Vec<u32>,
}

/// Buffers of a window.
struct Activations {
    /// The residual stream, f32.
    x: Buffer,
    /// A norm's result, or attention's.
    narrow: Buffer,
    /// A product's result.
    product: Buffer,
    /// The same with bias, or GELU.
    wide: Buffer,
    parameters: Buffer,
}

struct Resident {
    weights: [Buffer; 4],
    biases: [Buffer; 4],
    norms: [Buffer; 2],
}

/// Checks that all operators and the bf16 product are in one xclbin.
///
/// # Errors
/// Returns the reason why the blocks cannot run on the array.
pub fn in_one_context(manifest: &Manifest) -> Result<Overlay, String> {
    let product = manifest
        .gemms
        .iter()
        .find(|overlay| overlay.a.dtype == Type::Bf16)
        .ok_or("there is no product in bf16")?;
    for operator in Operator::ALL {
        let overlay = manifest
            .operators
            .iter()
            .find(|overlay| overlay.operator == operator)
            .ok_or_else(|| format!("there is no {}", operator.name()))?;
        if overlay.xclbin.sha256 != product.xclbin.sha256 {
            return Err(format!(
                "{} and {} are in different xclbins, and each switch between them would take longer \
                 than what they compute",
                overlay.name, product.name
            ));
        }
    }
    Ok(product.clone())
}

impl Blocks {
    /// Loads streams and weights into buffers of `kernel`, whose xclbin has all operators.
    ///
    /// # Errors
    /// Returns an error if the device refuses, or a file is not the declared one.
    pub fn open(
        kernel: &Kernel,
        directory: &Path,
        manifest: &Manifest,
        weights: &[BlockWeights],
        timeout: Duration,
    ) -> Result<Self, DeviceError> {
        let product = in_one_context(manifest).map_err(DeviceError::Overlay)?;
        let width = weights.first().map_or(0, |block| block.norms[0].bias.len());
        let declared = |e: xrt_sys::manifest::ManifestError| {
            DeviceError::Overlay(format!("{e}; {}", e.remedy()))
        };
        let instructions_at = product.argument(Role::Instructions);
        let load = |data: Vec<u8>| filled(kernel, CACHEABLE, instructions_at, &data);
        let mut streams = BTreeMap::new();
        for stream in &product.streams {
            let arguments = [Role::A, Role::B, Role::C].map(|role| product.argument(role));
            streams.insert(
                Program::Product(stream.m, stream.k, stream.n),
                Stream {
                    instructions: load(stream.read(directory).map_err(declared)?)?,
                    words: stream.words as u32,
                    arguments: arguments.into(),
                },
            );
        }
        let mut heights = Vec::new();
        for overlay in &manifest.operators {
            let roles = overlay.operator.roles().iter();
            let arguments: Vec<u32> = roles.filter_map(|role| overlay.argument(*role)).collect();
            for stream in &overlay.streams {
                let (m, n) = stream.shape();
                if overlay.operator == Operator::Attention && n == width {
                    heights.push(m);
                }
                streams.insert(
                    Program::Operator(overlay.operator.name(), m, n),
                    Stream {
                        instructions: load(stream.read(directory).map_err(declared)?)?,
                        words: stream.words as u32,
                        arguments: arguments.clone(),
                    },
                );
            }
        }
        heights.sort_unstable();
        let rows = heights.last().copied().unwrap_or(0);
        let data_at = product.argument(Role::A);
        let empty = |bytes: usize| kernel.buffer(bytes.max(1), HOST_ONLY, data_at);
        let activations = Activations {
            x: empty(4 * rows * width)?,
            narrow: empty(2 * rows * width)?,
            product: empty(2 * rows * 4 * width)?,
            wide: empty(2 * rows * 4 * width)?,
            parameters: empty(COLUMNS * PARAMETER_BYTES)?,
        };
        let resident = |block: &BlockWeights| reside(kernel, data_at, block);
        Ok(Self {
            run: kernel.run()?,
            streams,
            activations,
            blocks: weights.iter().map(resident).collect::<Result<_, _>>()?,
            heights,
            width,
            timeout,
        })
    }

    /// Returns true if a window of this number of rows fits the streams.
    pub fn takes(&self, rows: usize) -> bool {
        self.heights.iter().any(|height| *height >= rows)
    }

    /// Applies all blocks to the residual stream, `[rows][width]`, in place.
    ///
    /// # Errors
    /// Returns an error if the device fails; `x` is then unchanged.
    pub fn apply(&mut self, x: &mut [f32], times: &mut Times) -> Result<(), DeviceError> {
        let width = self.width;
        let rows = x.len() / width;
        let height = self.heights.iter().copied().find(|height| *height >= rows);
        let Some(m) = height else {
            let reason = format!("no stream of attention for {rows} rows of {width}");
            return Err(DeviceError::Overlay(reason));
        };
        let parameters = attention_parameters(m, width / HEAD, rows);
        let written = self.activations.parameters.write(parameters.len(), |to| {
            to.copy_from_slice(&parameters);
        });
        times.sync += written?;
        // Padding must be finite: no key of it has a weight, but a product with 0 does not remove NaN.
        times.sync += self.activations.x.write(4 * m * width, |to| {
            let to: &mut [f32] = bytemuck::cast_slice_mut(to);
            to[..x.len()].copy_from_slice(x);
            to[x.len()..].fill(0.0);
        })?;
        for block in 0..self.blocks.len() {
            self.block(block, m, times)?;
        }
        let (data, time) = self.activations.x.read(4 * x.len())?;
        times.sync += time;
        x.copy_from_slice(bytemuck::cast_slice(data));
        Ok(())
    }

    fn block(&mut self, block: usize, m: usize, times: &mut Times) -> Result<(), DeviceError> {
        let Self {
            run,
            streams,
            activations,
            blocks,
            width,
            timeout,
            ..
        } = self;
        let d = *width;
        let Activations {
            x,
            narrow,
            product,
            wide,
            parameters,
        } = &*activations;
        let Resident {
            weights: [qkv, out, first, second],
            biases: [qkv_bias, out_bias, first_bias, second_bias],
            norms: [attn_norm, mlp_norm],
        } = &blocks[block];
        let operator = |operator: Operator, n| Program::Operator(operator.name(), m, n);
        let steps: [(Program, &[&Buffer]); 11] = [
            (operator(Operator::LayerNorm, d), &[x, attn_norm, narrow]),
            (Program::Product(m, d, 3 * d), &[narrow, qkv, product]),
            (
                operator(Operator::BiasAdd, 3 * d),
                &[product, qkv_bias, wide],
            ),
            (
                operator(Operator::Attention, d),
                &[wide, parameters, narrow],
            ),
            (Program::Product(m, d, d), &[narrow, out, product]),
            (operator(Operator::Residual, d), &[product, x, out_bias, x]),
            (operator(Operator::LayerNorm, d), &[x, mlp_norm, narrow]),
            (Program::Product(m, d, 4 * d), &[narrow, first, product]),
            (
                operator(Operator::BiasGelu, 4 * d),
                &[product, first_bias, wide],
            ),
            (Program::Product(m, 4 * d, d), &[wide, second, product]),
            (
                operator(Operator::Residual, d),
                &[product, x, second_bias, x],
            ),
        ];
        for (program, operands) in steps {
            let missing =
                || DeviceError::Overlay(format!("the overlay has no stream for {program:?}"));
            let stream = streams.get(&program).ok_or_else(missing)?;
            let begun = Instant::now();
            run.set_scalar(0, OPCODE)?;
            run.set_buffer(1, &stream.instructions)?;
            run.set_scalar(2, stream.words)?;
            for (index, operand) in stream.arguments.iter().zip(operands) {
                run.set_buffer(*index, operand)?;
            }
            run.start()?;
            times.submit += begun.elapsed();
            let begun = Instant::now();
            run.wait(*timeout)?;
            times.wait += begun.elapsed();
            times.runs += 1;
        }
        Ok(())
    }
}

fn reside(kernel: &Kernel, at: u32, block: &BlockWeights) -> Result<Resident, DeviceError> {
    let buffer = |data: &[u8]| filled(kernel, HOST_ONLY, at, data);
    let of = |layer: &PackedLayer| buffer(&layer.data);
    let bias = |layer: &PackedLayer| buffer(bytemuck::cast_slice(&layer.bias));
    let norm = |norm: &LayerNorm| {
        let both = [&norm.weight[..], &norm.bias].concat();
        buffer(bytemuck::cast_slice(&both))
    };
    let [qkv, out, first, second] = &block.layers;
    Ok(Resident {
        weights: [of(qkv)?, of(out)?, of(first)?, of(second)?],
        biases: [bias(qkv)?, bias(out)?, bias(first)?, bias(second)?],
        norms: [norm(&block.norms[0])?, norm(&block.norms[1])?],
    })
}

fn filled(kernel: &Kernel, kind: u32, at: u32, data: &[u8]) -> Result<Buffer, DeviceError> {
    let mut buffer = kernel.buffer(data.len(), kind, at)?;
    buffer.write(data.len(), |to| to.copy_from_slice(data))?;
    Ok(buffer)
}

/// Returns the parameters of attention: for each column of the array its work items, pairs of blocks
/// of keys, and valid keys.
fn attention_parameters(m: usize, heads: usize, keys: usize) -> Vec<u8> {
    let mut parameters = vec![0; COLUMNS * PARAMETER_BYTES];
    for (column, part) in parameters.chunks_exact_mut(PARAMETER_BYTES).enumerate() {
        let mine = (column..heads).step_by(COLUMNS).count();
        let words = [mine * m / QUERIES, m / KEYS, keys, 0];
        for (to, word) in part.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&(word as i32).to_le_bytes());
        }
    }
    parameters
}
