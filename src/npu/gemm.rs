//! The encoder's linear layers on an NPU, with weights resident in its buffers and activations in
//! two alternating sets.
//!
//! The rows of a product are divided into runs of heights that the overlay supports. While the
//! array computes one run, the CPU writes the rows of the next into the other set of buffers and
//! reads the results of the previous one.

use super::blocks::Blocks;
use super::device::{Buffer, Device, DeviceError, Kernel, List, OPCODE, Run};
use super::times::Times;
use super::weights::{BlockWeights, PackedLayer};
use crate::cpu::{
    Cpu, Epilogue, LayerNorm, MatMut, MatRef, Product, finish_product, to_bf16_terms, to_i8,
};
use crate::whisper::{EncodeError, Layer, Layers};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xrt_sys::manifest::{Manifest, Overlay, Role, Stream, Type};
use xrt_sys::{CACHEABLE, HOST_ONLY};

/// How runs are submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Submission {
    /// Each on its own.
    #[default]
    Single,
    /// Two at a time, as a list.
    List,
}

/// Products on a device.
pub struct Gemm {
    // Dropped in this order: the list releases the runs.
    list: Option<List>,
    lanes: [Lane; 2],
    /// Everything between stem and last norm, if it is to run on the array.
    blocks: Option<Blocks>,
    kernel: Kernel,
    weights: Vec<Resident>,
    streams: Vec<Loaded>,
    overlay: Overlay,
    timeout: Duration,
    /// Since the last call of [`Gemm::take_times`].
    times: Times,
}

/// A set of activations with its run.
struct Lane {
    run: Run,
    a: Buffer,
    c: Buffer,
    /// Scale of each row of `a`, for integers.
    scales: Vec<f32>,
}

struct Resident {
    b: Buffer,
    k: usize,
    n: usize,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

struct Loaded {
    stream: Stream,
    instructions: Buffer,
}

/// Rows of a product for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: usize,
    rows: usize,
    /// Index of the stream.
    stream: usize,
}

impl Gemm {
    /// Opens a context for the overlay in `directory`, and writes instructions and weights to
    /// device buffers.
    ///
    /// # Errors
    /// Returns an error if the device refuses or the overlay's files are not the declared ones.
    pub fn open(
        device: &Arc<Device>,
        directory: &Path,
        overlay: &Overlay,
        weights: &[PackedLayer],
        timeout: Duration,
        submission: Submission,
    ) -> Result<Self, DeviceError> {
        let declared = |e: xrt_sys::manifest::ManifestError| {
            DeviceError::Overlay(format!("{e}; {}", e.remedy()))
        };
        let xclbin = overlay.xclbin(directory).map_err(declared)?;
        let kernel = Kernel::open(device, &xclbin, &overlay.kernel)?;
        let most = |bytes: fn(&Overlay, &Stream) -> usize| {
            overlay.streams.iter().map(|s| bytes(overlay, s)).max()
        };
        let a_bytes = most(|overlay, s| overlay.a.dtype.bytes(s.m * s.k)).unwrap_or(0);
        let c_bytes = most(|overlay, s| overlay.c.dtype.bytes(s.m * s.n)).unwrap_or(0);
        let lane = || {
            Ok(Lane {
                run: kernel.run()?,
                a: kernel.buffer(a_bytes, HOST_ONLY, overlay.argument(Role::A))?,
                c: kernel.buffer(c_bytes, HOST_ONLY, overlay.argument(Role::C))?,
                scales: Vec::new(),
            })
        };
        let load = |stream: &Stream| {
            let data = stream.read(directory).map_err(declared)?;
            let mut instructions =
                kernel.buffer(data.len(), CACHEABLE, overlay.argument(Role::Instructions))?;
            instructions.write(data.len(), |to| to.copy_from_slice(&data))?;
            Ok(Loaded {
                stream: stream.clone(),
                instructions,
            })
        };
        let reside = |layer: &PackedLayer| {
            let mut b = kernel.buffer(layer.data.len(), HOST_ONLY, overlay.argument(Role::B))?;
            b.write(layer.data.len(), |to| to.copy_from_slice(&layer.data))?;
            Ok(Resident {
                b,
                k: layer.k,
                n: layer.n,
                scales: layer.scales.clone(),
                bias: layer.bias.clone(),
            })
        };
        Ok(Self {
            list: (submission == Submission::List)
                .then(|| kernel.list())
                .transpose()?,
            lanes: [lane()?, lane()?],
            blocks: None,
            kernel: kernel.clone(),
            weights: weights
                .iter()
                .map(reside)
                .collect::<Result<_, DeviceError>>()?,
            streams: overlay
                .streams
                .iter()
                .map(load)
                .collect::<Result<_, DeviceError>>()?,
            overlay: overlay.clone(),
            timeout,
            times: Times::default(),
        })
    }

    /// Loads the whole blocks into the product's own context; windows without a tail then run on the
    /// array.
    ///
    /// # Errors
    /// Returns an error if the device refuses, or a file is not the declared one.
    pub fn load_blocks(
        &mut self,
        directory: &Path,
        manifest: &Manifest,
        weights: &[BlockWeights],
    ) -> Result<(), DeviceError> {
        let blocks = Blocks::open(&self.kernel, directory, manifest, weights, self.timeout)?;
        self.blocks = Some(blocks);
        Ok(())
    }

    /// Returns the times since the last call.
    pub fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn product(
        &mut self,
        cpu: &Cpu,
        layer: usize,
        input: (MatRef<'_>, Option<&LayerNorm>),
        mut out: MatMut<'_>,
        epilogue: Epilogue,
    ) -> Result<(), DeviceError> {
        let Resident { k, n, .. } = self.weights[layer];
        let parts = divide(
            &self.streams.iter().map(|s| &s.stream).collect::<Vec<_>>(),
            (k, n),
            input.0.rows(),
        )?;
        match self.list {
            Some(_) => self.in_lists(cpu, layer, input, &mut out, epilogue, &parts),
            None => self.one_by_one(cpu, layer, input, &mut out, epilogue, &parts),
        }
    }

    /// Computes two parts at a time, one in each set of buffers: nothing overlaps, but there are
    /// fewer submissions.
    fn in_lists(
        &mut self,
        cpu: &Cpu,
        layer: usize,
        input: (MatRef<'_>, Option<&LayerNorm>),
        out: &mut MatMut<'_>,
        epilogue: Epilogue,
        parts: &[Part],
    ) -> Result<(), DeviceError> {
        for pair in parts.chunks(2) {
            for (lane, part) in pair.iter().enumerate() {
                self.prepare(cpu, lane, layer, input, *part)?;
            }
            self.execute_list(pair.len())?;
            for (lane, part) in pair.iter().enumerate() {
                self.finish(cpu, lane, layer, out, *part, epilogue)?;
            }
        }
        Ok(())
    }

    /// While the array computes a part, prepares the rows of the next and reads the results of the
    /// previous one.
    fn one_by_one(
        &mut self,
        cpu: &Cpu,
        layer: usize,
        input: (MatRef<'_>, Option<&LayerNorm>),
        out: &mut MatMut<'_>,
        epilogue: Epilogue,
        parts: &[Part],
    ) -> Result<(), DeviceError> {
        for (i, part) in parts.iter().enumerate() {
            self.prepare(cpu, i % 2, layer, input, *part)?;
            self.start(i % 2)?;
            if let Some(before) = i.checked_sub(1) {
                self.wait(before % 2)?;
                self.finish(cpu, before % 2, layer, out, parts[before], epilogue)?;
            }
        }
        if let Some(last) = parts.len().checked_sub(1) {
            self.wait(last % 2)?;
            self.finish(cpu, last % 2, layer, out, parts[last], epilogue)?;
        }
        Ok(())
    }

    /// Writes rows to a set of buffers and sets the run's arguments.
    fn prepare(
        &mut self,
        cpu: &Cpu,
        lane: usize,
        layer: usize,
        (x, norm): (MatRef<'_>, Option<&LayerNorm>),
        part: Part,
    ) -> Result<(), DeviceError> {
        let Self {
            lanes,
            weights,
            streams,
            overlay,
            times,
            ..
        } = self;
        let Lane { run, a, c, scales } = &mut lanes[lane];
        let weights = &weights[layer];
        let Loaded {
            stream,
            instructions,
        } = &streams[part.stream];
        let rows = x.part(part.first, part.rows);
        // Rows beyond the last keep old contents; nothing computed from them is used.
        times.sync += match overlay.a.dtype {
            Type::I8 => a.write(part.rows * stream.k, |to| {
                scales.resize(part.rows, 0.0);
                to_i8(cpu, rows, norm, to, stream.k, scales);
            }),
            _ => a.write(2 * part.rows * stream.k, |to| {
                to_bf16_terms(cpu, rows, norm, bytemuck::cast_slice_mut(to), stream.k);
            }),
        }?;
        let begun = Instant::now();
        run.set_scalar(overlay.argument(Role::Opcode), OPCODE)?;
        run.set_buffer(overlay.argument(Role::Instructions), instructions)?;
        run.set_scalar(
            overlay.argument(Role::InstructionWords),
            stream.words as u32,
        )?;
        run.set_buffer(overlay.argument(Role::A), a)?;
        run.set_buffer(overlay.argument(Role::B), &weights.b)?;
        run.set_buffer(overlay.argument(Role::C), c)?;
        times.submit += begun.elapsed();
        Ok(())
    }

    fn start(&mut self, lane: usize) -> Result<(), DeviceError> {
        let begun = Instant::now();
        self.lanes[lane].run.start()?;
        self.times.submit += begun.elapsed();
        self.times.runs += 1;
        Ok(())
    }

    fn wait(&mut self, lane: usize) -> Result<(), DeviceError> {
        let begun = Instant::now();
        self.lanes[lane].run.wait(self.timeout)?;
        self.times.wait += begun.elapsed();
        Ok(())
    }

    fn execute_list(&mut self, runs: usize) -> Result<(), DeviceError> {
        let Some(list) = &mut self.list else {
            return Ok(());
        };
        let begun = Instant::now();
        list.execute(
            self.lanes[..runs].iter_mut().map(|lane| &mut lane.run),
            self.timeout,
        )?;
        self.times.wait += begun.elapsed();
        self.times.runs += runs;
        Ok(())
    }

    /// Applies the layer's epilogue to a run's results.
    fn finish(
        &mut self,
        cpu: &Cpu,
        lane: usize,
        layer: usize,
        out: &mut MatMut<'_>,
        part: Part,
        epilogue: Epilogue,
    ) -> Result<(), DeviceError> {
        let Lane {
            c,
            scales: row_scales,
            ..
        } = &mut self.lanes[lane];
        let weights = &self.weights[layer];
        let stride = self.streams[part.stream].stream.n;
        let (data, time) = c.read(self.overlay.c.dtype.bytes(part.rows * stride))?;
        self.times.sync += time;
        let product = match self.overlay.c.dtype {
            Type::I32 => Product::I32(bytemuck::cast_slice(data), row_scales, &weights.scales),
            _ => Product::Bf16(bytemuck::cast_slice(data)),
        };
        finish_product(
            cpu,
            product,
            stride,
            &weights.bias,
            out.part(part.first, part.rows),
            epilogue,
        );
        Ok(())
    }
}

impl Layers for Gemm {
    fn apply(
        &mut self,
        cpu: &Cpu,
        layer: Layer,
        x: MatRef<'_>,
        norm: Option<&LayerNorm>,
        out: MatMut<'_>,
        epilogue: Epilogue,
    ) -> Result<(), EncodeError> {
        self.product(cpu, layer.index(), (x, norm), out, epilogue)
            .map_err(|e| EncodeError::Device(Box::new(e)))
    }

    fn blocks(&mut self, x: &mut [f32], width: usize) -> Option<Result<(), EncodeError>> {
        let Self { blocks, times, .. } = self;
        let blocks = blocks.as_mut()?;
        if !blocks.takes(x.len() / width) {
            return None;
        }
        let done = blocks.apply(x, times);
        Some(done.map_err(|e| EncodeError::Device(Box::new(e))))
    }
}

/// Divides rows among streams for (k, n): at least two runs, so that CPU and NPU work in parallel, of
/// the largest height that allows this. The rows that remain go in the smallest run that holds them.
fn divide(
    streams: &[&Stream],
    (k, n): (usize, usize),
    rows: usize,
) -> Result<Vec<Part>, DeviceError> {
    let mut heights: Vec<(usize, usize)> = streams
        .iter()
        .enumerate()
        .filter(|(_, s)| (s.k, s.n) == (k, n))
        .map(|(i, s)| (s.m, i))
        .collect();
    heights.sort_unstable();
    let lowest = heights.first().copied();
    let none = || DeviceError::Overlay(format!("the overlay has no stream for k {k}, n {n}"));
    let (height, stream) = heights
        .iter()
        .copied()
        .rfind(|(m, _)| *m < rows)
        .or(lowest)
        .ok_or_else(none)?;
    let part = |first: usize| {
        let rows = height.min(rows - first);
        let stream = heights
            .iter()
            .find(|(m, _)| *m >= rows)
            .map_or(stream, |(_, i)| *i);
        Part {
            first,
            rows,
            stream,
        }
    };
    Ok((0..rows).step_by(height).map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_divided_into_runs_that_overlap() {
        let stream = |m: usize, k: usize| Stream {
            file: String::new(),
            words: 1,
            sha256: String::new(),
            m,
            k,
            n: 64,
        };
        let streams = [
            stream(512, 512),
            stream(256, 512),
            stream(256, 1024),
            stream(1024, 512),
        ];
        let mut streams: Vec<&Stream> = streams.iter().collect();
        let divided = |streams: &[&Stream], rows: usize| {
            let parts = divide(streams, (512, 64), rows).expect("streams");
            parts
                .iter()
                .map(|p| (p.first, p.rows, streams[p.stream].m))
                .collect::<Vec<_>>()
        };
        let all = streams.clone();
        let parts = |rows: usize| divided(&all, rows);
        assert_eq!(parts(1), [(0, 1, 256)]);
        assert_eq!(parts(256), [(0, 256, 256)]);
        assert_eq!(parts(320), [(0, 256, 256), (256, 64, 256)]);
        assert_eq!(parts(512), [(0, 256, 256), (256, 256, 256)]);
        assert_eq!(parts(640), [(0, 512, 512), (512, 128, 256)]);
        // A window of 15.36 s: two runs, not three.
        assert_eq!(parts(768), [(0, 512, 512), (512, 256, 256)]);
        assert_eq!(parts(1024), [(0, 512, 512), (512, 512, 512)]);
        assert_eq!(parts(1500), [(0, 1024, 1024), (1024, 476, 512)]);
        streams.retain(|stream| stream.m < 1024);
        assert_eq!(
            divided(&streams, 1500),
            [(0, 512, 512), (512, 512, 512), (1024, 476, 512)]
        );
        assert!(divide(&streams, (512, 128), 8).is_err());
    }
}
