//! The model that all sessions share: loaded in the background; a missing one is awaited.

use crate::advice::Advice;
use crate::compute::Device;
use crate::config::Config;
use crate::engine::{self, EngineError};
use crate::models::ModelError;
use crate::npu::BackendState;
use crate::settings::ModelSettings;
use crate::sync::{LockExt, WaitExt};
use crate::whisper::Whisper;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tracing::{info, warn};

/// Interval at which a missing model is looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Interval at which a waiting session checks whether to stop.
const POLL: Duration = Duration::from_millis(200);

/// Whether the engine can transcribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// The model is being loaded.
    Loading,
    /// The engine can transcribe.
    Ready,
    /// The model is missing or outdated; the engine looks for it until it is installed.
    Missing(String),
    /// The model cannot be used, for this reason.
    Failed(String),
}

impl EngineState {
    fn status_message(&self) -> &str {
        match self {
            Self::Missing(reason) | Self::Failed(reason) => reason,
            Self::Loading | Self::Ready => "",
        }
    }
}

/// Event of the engine.
#[derive(Debug, Clone)]
pub enum EngineEvent {
    /// Its state has changed.
    State,
    /// The encoder runs on another device.
    Backend(BackendState),
}

/// The engine that all sessions share.
pub struct SharedEngine {
    inner: Mutex<Inner>,
    changed: Condvar,
    notify: Box<dyn Fn(EngineEvent) + Send + Sync>,
}

struct Inner {
    state: EngineState,
    whisper: Option<Arc<Whisper>>,
    wanted: ModelSettings,
    backend: BackendState,
    /// Number of the latest loader; results of earlier ones are ignored.
    generation: u64,
}

impl SharedEngine {
    /// Starts to load the model of `config`; `notify` is called on every change.
    pub fn start(
        config: &Config,
        notify: impl Fn(EngineEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let wanted = config.model.clone();
        let backend = BackendState {
            device: Device::Cpu,
            reason: String::new(),
        };
        let inner = Inner {
            state: EngineState::Loading,
            whisper: None,
            wanted,
            backend,
            generation: 0,
        };
        let engine = Arc::new(Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            notify: Box::new(notify),
        });
        engine.clone().spawn_loader(config.clone());
        engine
    }

    /// Loads another model if the configuration names one; running sessions keep theirs.
    pub fn reload(self: &Arc<Self>, config: &Config) {
        let mut inner = self.lock();
        if inner.wanted == config.model {
            return;
        }
        inner.wanted = config.model.clone();
        inner.state = EngineState::Loading;
        inner.whisper = None;
        inner.generation += 1;
        drop(inner);
        (self.notify)(EngineEvent::State);
        self.clone().spawn_loader(config.clone());
    }

    /// Returns its state.
    pub fn state(&self) -> EngineState {
        self.lock().state.clone()
    }

    /// Returns where the encoder runs, and why not on the requested device.
    pub fn backend(&self) -> BackendState {
        self.lock().backend.clone()
    }

    /// Returns the name of the configured model.
    pub fn model(&self) -> String {
        self.lock().wanted.name.clone()
    }

    /// Returns why it cannot transcribe; empty if it can or is loading the model.
    pub fn status_message(&self) -> String {
        self.lock().state.status_message().to_owned()
    }

    /// Blocks until the model is loaded. `should_stop` is called with the current status message,
    /// which is empty while the model loads; returns `None` once it returns true.
    pub fn wait(&self, should_stop: &dyn Fn(&str) -> bool) -> Option<Arc<Whisper>> {
        let mut inner = self.lock();
        while !should_stop(inner.state.status_message()) {
            if let Some(whisper) = &inner.whisper {
                return Some(whisper.clone());
            }
            inner = self.changed.wait_timeout_unpoisoned(inner, POLL);
        }
        None
    }

    fn spawn_loader(self: Arc<Self>, config: Config) {
        let generation = self.lock().generation;
        std::thread::spawn(move || {
            while self.lock().generation == generation {
                let loaded = self.load(&config, generation);
                let (state, whisper) = match loaded {
                    Ok(whisper) => (EngineState::Ready, Some(Arc::new(whisper))),
                    Err(EngineError::Model(
                        e @ (ModelError::NotInstalled { .. }
                        | ModelError::Unknown { .. }
                        | ModelError::Outdated { .. }),
                    )) => (EngineState::Missing(e.explain()), None),
                    Err(error) => (EngineState::Failed(error.explain()), None),
                };
                let is_missing = matches!(state, EngineState::Missing(_));
                self.set(state, whisper, generation);
                if !is_missing {
                    break;
                }
                std::thread::sleep(LOOK);
            }
        });
    }

    fn set(&self, state: EngineState, whisper: Option<Arc<Whisper>>, generation: u64) {
        let mut inner = self.lock();
        if inner.generation != generation || inner.state == state {
            return;
        }
        match state.status_message() {
            "" => info!(model = inner.wanted.name, "the model is ready"),
            reason => warn!("{reason}"),
        }
        inner.state = state;
        inner.whisper = whisper;
        drop(inner);
        self.changed.notify_all();
        (self.notify)(EngineEvent::State);
    }

    fn load(self: &Arc<Self>, config: &Config, generation: u64) -> Result<Whisper, EngineError> {
        let options = config.engine();
        let mut state = BackendState {
            device: Device::Cpu,
            reason: String::new(),
        };
        // The model owns the NPU and the engine owns the model, so a strong reference would be a
        // cycle.
        let engine = Arc::downgrade(self);
        let notify = move |state: &BackendState| {
            if let Some(engine) = engine.upgrade() {
                engine.set_backend(state.clone(), generation);
            }
        };
        let mut loaded = engine::Engine::on_cpu(&options)?;
        let npu = options
            .npu()
            .and_then(|npu| Ok(npu.map(|npu| loaded.open_npu(npu, notify)).transpose()?));
        match npu {
            Ok(None) => {}
            Ok(Some(npu)) => {
                state = npu.state();
                loaded = loaded.with_npu(npu);
            }
            // Dictation continues on the CPU.
            Err(EngineError::Npu(error)) => state.reason = error.explain(),
            Err(error) => return Err(error),
        }
        self.set_backend(state, generation);
        Ok(loaded.whisper)
    }

    fn set_backend(&self, state: BackendState, generation: u64) {
        let mut inner = self.lock();
        if inner.generation != generation || inner.backend == state {
            return;
        }
        inner.backend = state.clone();
        drop(inner);
        if state.reason.is_empty() {
            info!("{state}")
        } else {
            warn!("{state}")
        }
        (self.notify)(EngineEvent::Backend(state));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock_unpoisoned()
    }
}
