//! The NPU as the program uses it: opened when it can be, left when it fails, tried again after a
//! pause.

use super::gemm::{Gemm, Times};
use super::setup::{NpuOptions, SetupError, Source};
use crate::compute::Device;
use crate::mel::Mel;
use crate::models::ModelFile;
use crate::sync::LockExt;
use crate::whisper::{AudioFeatures, CpuEncoder, EncodeError, Encoder, EncoderFactory};
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use xrt_sys::emulator::Machine;

/// Longest pause before the device is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What encodes now, and why not the NPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendState {
    /// What encodes.
    pub device: Device,
    /// Why it is the CPU where an NPU was asked for; empty otherwise.
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

/// An NPU that encoders share.
pub struct Npu {
    source: Source,
    options: NpuOptions,
    connection: Mutex<Connection>,
    state: Mutex<BackendState>,
    tell: Box<dyn Fn(&BackendState) + Send + Sync>,
}

/// The way to the device.
struct Connection {
    /// With weights and instructions on it; none while it is away.
    gemm: Option<Box<Gemm>>,
    /// When it is tried again.
    until: Instant,
    /// The pause after the next failure; a window that succeeds makes it short again.
    pause: Duration,
}

impl Connection {
    fn close(&mut self) {
        // All that belongs to the device goes: after a timeout its context is in an unknown state.
        self.gemm = None;
        self.until = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
    }
}

impl Npu {
    /// Finds what an NPU needs, the packed weights among it, then tries to open it. `tell` is
    /// called, on the thread that encodes, whenever another device begins to encode.
    ///
    /// # Errors
    /// Where something is missing that trying again would not mend. A device that cannot be opened
    /// is none of these.
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
        let (connection, state) = (Mutex::new(connection), Mutex::new(state));
        let npu = Self {
            source,
            options,
            connection,
            state,
            tell: Box::new(tell),
        };
        npu.connect(&mut npu.connection.lock_unpoisoned());
        Ok(Arc::new(npu))
    }

    /// What encodes now.
    pub fn state(&self) -> BackendState {
        self.state.lock_unpoisoned().clone()
    }

    /// The emulator's machine, where it is that.
    pub fn machine(&self) -> Option<&Arc<Machine>> {
        self.source.machine.as_ref()
    }

    /// Where the time went since the last call; nothing while the device is away.
    pub fn take_times(&self) -> Times {
        self.connection
            .lock_unpoisoned()
            .gemm
            .as_mut()
            .map(|gemm| gemm.take_times())
            .unwrap_or_default()
    }

    /// Does `work` on the device; `None` where it is away or fails in this, and the work is to be
    /// done elsewhere.
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

    /// Opens the device, or notes when to try again.
    fn connect(&self, connection: &mut Connection) {
        match self.source.open(&self.options) {
            Ok(gemm) => {
                connection.gemm = Some(Box::new(gemm));
                self.set(self.options.kind, "");
            }
            Err(error) => {
                connection.close();
                self.set(Device::Cpu, &error.to_string());
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

/// An encoder on an NPU that goes on without it.
pub struct NpuEncoder {
    npu: Arc<Npu>,
    cpu: CpuEncoder,
}

impl NpuEncoder {
    /// An encoder on `npu`; `cpu` does what the NPU does not, and all of it where that fails.
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
        // A window that was begun on the NPU is computed from its start: the log-mel is still
        // there.
        npu.try_on_device(|gemm| cpu.encode_on(gemm, mel, &mut |_| ()))
            .unwrap_or_else(|| cpu.encode(mel))
    }
}
