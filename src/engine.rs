//! The engine: a model in memory, with an NPU if one encodes.
//!
//! In: [`EngineOptions`], from the command line or from the configuration. Out: a [`Whisper`] that
//! is ready to transcribe. This is the one loader of transcription, daemon and benchmarks.

use crate::advice::Advice;
use std::borrow::Cow;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::audio::SAMPLE_RATE;
use crate::compute::{Compute, ComputeError, ComputeTypes, Device};
use crate::models::{DEFAULT_MODEL, ModelError, ModelFile, Store};
use crate::npu::{BackendState, Npu, NpuOptions, SetupError};
use crate::whisper::{Dims, LoadError, SAMPLES_PER_POSITION, TAIL_LENGTHS, Whisper};

/// Which model runs, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Name of the model.
    pub model: String,
    /// Precision of matrix products.
    pub compute: Compute,
    /// Where the encoder runs.
    pub device: Device,
    /// Longest window of audio in seconds; `None` leaves it to the caller.
    pub window: Option<f64>,
    /// CPU threads; `None` is one per core.
    pub threads: Option<usize>,
}

/// A model that is ready to transcribe.
pub struct Engine {
    /// The model.
    pub whisper: Whisper,
    /// The NPU that encodes, if one does.
    pub npu: Option<Arc<Npu>>,
    /// Number formats of its matrix products.
    pub compute: ComputeTypes,
}

/// Why an engine cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device does not have the number format.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The model is missing or damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be made ready.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What the NPU needs is missing.
    #[error("the NPU cannot be used: {0}")]
    Npu(#[from] SetupError),
}

impl Advice for EngineError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Model(error) => error.remedy(),
            Self::Load(error) => error.remedy(),
            Self::Npu(error) => error.remedy(),
            Self::Compute(_) => None,
        }
    }
}

impl Default for EngineOptions {
    /// The default model in int8 on the CPU, with one thread per core.
    fn default() -> Self {
        Self {
            model: DEFAULT_MODEL.to_owned(),
            compute: Compute::Auto,
            device: Device::Cpu,
            window: None,
            threads: None,
        }
    }
}

impl EngineOptions {
    /// Returns the number formats of matrix products.
    ///
    /// # Errors
    /// Returns an error if the device does not have the format.
    pub fn compute_types(&self) -> Result<ComputeTypes, ComputeError> {
        ComputeTypes::new(self.compute, self.device)
    }

    /// Returns how the NPU is used; `None` if the CPU encodes.
    ///
    /// # Errors
    /// Returns an error if the device does not have the number format, or the emulator's faults are
    /// invalid.
    pub fn npu(&self) -> Result<Option<NpuOptions>, EngineError> {
        let format = self.compute_types()?.npu;
        let options = format.map(|format| NpuOptions::new(self.device, format));
        Ok(options.transpose()?)
    }

    /// Returns the number of CPU threads.
    pub fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
    }

    /// Returns the longest window in encoder positions: the one asked for, else `default`, but no
    /// more than the model has.
    pub fn longest_window(&self, default: usize, dims: &Dims) -> usize {
        self.window
            .map_or(default, window_positions)
            .min(dims.n_audio_ctx)
    }
}

impl Engine {
    /// Loads an installed model. `tell` is called, on the thread that encodes, whenever another
    /// device begins to encode.
    ///
    /// # Errors
    /// Returns an error if the model is missing or damaged, the device does not have the number
    /// format, or what the NPU needs is missing.
    pub fn load(
        options: &EngineOptions,
        tell: impl Fn(&BackendState) + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let engine = Self::on_cpu(options)?;
        match options.npu()? {
            Some(npu) => {
                let npu = engine.open_npu(npu, tell)?;
                Ok(engine.with_npu(npu))
            }
            None => Ok(engine),
        }
    }

    /// Loads an installed model and leaves the encoder on the CPU.
    ///
    /// # Errors
    /// Returns an error if the model is missing or damaged, or the device does not have the number
    /// format.
    pub fn on_cpu(options: &EngineOptions) -> Result<Self, EngineError> {
        // A format that the device does not have is reported before the model is looked for.
        options.compute_types()?;
        let file = Store::locate()?.open(&options.model)?;
        Self::from_file(Arc::new(file), options)
    }

    /// Loads a model file and leaves the encoder on the CPU.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or the device does not have the number format.
    pub fn from_file(file: Arc<ModelFile>, options: &EngineOptions) -> Result<Self, EngineError> {
        let compute = options.compute_types()?;
        let whisper = Whisper::load(file, compute.cpu, options.threads())?;
        Ok(Self {
            whisper,
            npu: None,
            compute,
        })
    }

    /// Opens an NPU for this model. `tell` is called, on the thread that encodes, whenever another
    /// device begins to encode.
    ///
    /// # Errors
    /// Returns an error if what the NPU needs is missing.
    pub fn open_npu(
        &self,
        options: NpuOptions,
        tell: impl Fn(&BackendState) + Send + Sync + 'static,
    ) -> Result<Arc<Npu>, SetupError> {
        Npu::new(self.whisper.file(), options, tell)
    }

    /// Moves the encoder to an NPU that was opened for this model.
    pub fn with_npu(self, npu: Arc<Npu>) -> Self {
        Self {
            whisper: self.whisper.with_encoders(npu.clone()),
            npu: Some(npu),
            compute: self.compute,
        }
    }
}

/// Encoder positions of a window of that many seconds, rounded down to a window that has a silent
/// tail; a longer one than any of these stays as it is. A window without a tail makes the decoder
/// loop.
fn window_positions(seconds: f64) -> usize {
    let positions =
        (seconds * f64::from(SAMPLE_RATE) / SAMPLES_PER_POSITION as f64).round() as usize;
    match TAIL_LENGTHS.last() {
        Some(longest) if positions <= *longest => {
            TAIL_LENGTHS.into_iter().rfind(|n| *n <= positions)
        }
        _ => None,
    }
    .unwrap_or(positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_but_whispers_own_has_a_silent_tail() {
        for (seconds, positions) in [
            (5.12, 256),
            (5.2, 256),
            (6.3, 256),
            (6.4, 320),
            (10.24, 512),
            (15.36, 768),
            (30.0, 1500),
        ] {
            assert_eq!(window_positions(seconds), positions, "{seconds} s");
        }
    }
}
