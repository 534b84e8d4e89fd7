//! The NPU as the program uses it: opened if possible, abandoned on failure, tried again after a
//! pause.

use super::detect::lock_limit_note;
use super::gemm::Gemm;
use super::setup::{NpuOptions, SetupError, Source};
use super::times::Times;
use crate::compute::Device;
use crate::mel::Mel;
use crate::models::ModelFile;
use crate::sync::LockExt;
use crate::whisper::{AudioFeatures, CpuEncoder, EncodeError, Encoder, EncoderFactory};
use std::fmt::{self, Display};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use xrt_sys::emulator::Machine;

/// Longest pause before the device is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What encodes now, and why it is not the NPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendState {
    /// What encodes.
    pub device: Device,
    /// Why the CPU encodes although an NPU was requested; empty otherwise.
    pub reason: String,
}

impl Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device {
            Device::Npu => write!(f, "the encoder runs on the NPU"),
            Device::NpuEmulator => {
                write!(f, "the encoder runs on the NPU emulator, without an NPU")
            }
            Device::Cpu if self.reason.is_empty() => write!(f, "the encoder runs on the CPU"),
            Device::Cpu => write!(f, "the encoder runs on the CPU: {}", self.reason),
        }
    }
}

/// NPU shared by encoders.
pub struct Npu {
    source: Source,
    options: NpuOptions,
    connection: Mutex<Connection>,
    state: Mutex<BackendState>,
    tell: Box<dyn Fn(&BackendState) + Send + Sync>,
}

/// Connection to the device.
struct Connection {
    /// Holds weights and instructions on the device; `None` while it is unavailable.
    gemm: Option<Box<Gemm>>,
    /// Time of the next attempt to open the device.
    until: Instant,
    /// Pause after the next failure; a successful window resets it.
    pause: Duration,
}

impl Connection {
    fn close(&mut self) {
        // Drop everything that belongs to the device: after a timeout its context is in an unknown
        // state.
        self.gemm = None;
        self.until = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
    }
}

impl Npu {
    /// Finds what an NPU needs, including the packed weights, then tries to open it. `tell` is
    /// called on the thread that encodes whenever encoding moves to a different device.
    ///
    /// # Errors
    /// Returns an error if something is missing that a later attempt would not find either. A
    /// device that cannot be opened is not an error.
    pub fn new(
        file: &Arc<ModelFile>,
        options: NpuOptions,
        tell: impl Fn(&BackendState) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, SetupError> {
        let source = Source::new(file, &options)?;
        let connection = Connection {
            gemm: None,
            until: Instant::now(),
            pause: options.first_pause,
        };
        let state = BackendState {
            device: options.kind,
            reason: String::new(),
        };
        let npu = Self {
            source,
            options,
            connection: Mutex::new(connection),
            state: Mutex::new(state),
            tell: Box::new(tell),
        };
        npu.connect(&mut npu.connection.lock_unpoisoned());
        Ok(Arc::new(npu))
    }

    /// Returns what encodes now.
    pub fn state(&self) -> BackendState {
        self.state.lock_unpoisoned().clone()
    }

    /// Returns the emulator's machine; `None` for hardware.
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        self.source.machine.as_ref()
    }

    /// Returns the times since the last call; zero while the device is unavailable.
    pub fn take_times(&self) -> Times {
        self.connection
            .lock_unpoisoned()
            .gemm
            .as_mut()
            .map(|gemm| gemm.take_times())
            .unwrap_or_default()
    }

    /// Runs `work` on the device; returns `None` if the device is unavailable or fails, so that the
    /// work must be done elsewhere.
    fn try_on_device<T>(
        &self,
        work: impl FnOnce(&mut Gemm) -> Result<T, EncodeError>,
    ) -> Option<Result<T, EncodeError>> {
        let mut connection = self.connection.lock_unpoisoned();
        if connection.gemm.is_none() && connection.until <= Instant::now() {
            self.connect(&mut connection);
        }
        match work(connection.gemm.as_mut()?) {
            Err(EncodeError::Device(error)) => {
                connection.close();
                self.set(Device::Cpu, &error.to_string());
                None
            }
            outcome => {
                connection.pause = self.options.first_pause;
                Some(outcome)
            }
        }
    }

    /// Opens the device, or schedules the next attempt.
    fn connect(&self, connection: &mut Connection) {
        match self.source.open(&self.options) {
            Ok(gemm) => {
                connection.gemm = Some(Box::new(gemm));
                self.set(self.options.kind, "");
            }
            Err(error) => {
                connection.close();
                let note = match self.options.kind {
                    // XRT calls a device that cannot be opened for lack of memory "no such device".
                    Device::Npu => lock_limit_note(Path::new("/")),
                    _ => None,
                };
                let reason = note.map_or(error.to_string(), |note| format!("{error}; {note}"));
                self.set(Device::Cpu, &reason);
            }
        }
    }

    fn set(&self, device: Device, reason: &str) {
        let state = BackendState {
            device,
            reason: reason.to_owned(),
        };
        let before = std::mem::replace(&mut *self.state.lock_unpoisoned(), state.clone());
        if before.device != device {
            (self.tell)(&state);
        }
    }
}

/// Encoder on an NPU that falls back to the CPU.
pub struct NpuEncoder {
    npu: Arc<Npu>,
    cpu: CpuEncoder,
}

impl NpuEncoder {
    /// Creates an encoder on `npu`; `cpu` computes the rest, and everything if the NPU fails.
    pub fn new(npu: Arc<Npu>, cpu: CpuEncoder) -> Self {
        Self { npu, cpu }
    }
}

impl EncoderFactory for Npu {
    fn encoder(self: Arc<Self>, cpu: CpuEncoder) -> Box<dyn Encoder> {
        Box::new(NpuEncoder::new(self, cpu))
    }
}

impl Encoder for NpuEncoder {
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError> {
        let Self { npu, cpu } = self;
        // A window that was begun on the NPU is computed again from its log-mel spectrogram.
        npu.try_on_device(|gemm| cpu.encode_on(gemm, mel, &mut |_| ()))
            .unwrap_or_else(|| cpu.encode(mel))
    }
}
