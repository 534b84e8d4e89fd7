//! The model that all sessions share: loaded in the background, waited for where it is missing.

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

/// How often a model that is missing is looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How often somebody who waits for the model looks whether the wait is over for another reason.
const POLL: Duration = Duration::from_millis(200);

/// Whether the engine can transcribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// The model is being loaded.
    Loading,
    /// It can.
    Ready,
    /// The model is not installed as this version needs it; it is looked for until it is.
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

/// What an engine reports.
#[derive(Debug, Clone)]
pub enum EngineEvent {
    /// Whether it can transcribe has changed.
    State,
    /// Another device encodes.
    Backend(BackendState),
}

/// The engine.
pub struct SharedEngine {
    inner: Mutex<Inner>,
    changed: Condvar,
    tell: Box<dyn Fn(EngineEvent) + Send + Sync>,
}

struct Inner {
    state: EngineState,
    whisper: Option<Arc<Whisper>>,
    wanted: ModelSettings,
    backend: BackendState,
    /// Counts the loaders; only the latest one's result counts.
    generation: u64,
}

impl SharedEngine {
    /// Begins to load the model of `config`; `tell` is called whenever the state has changed.
    pub fn start(config: &Config, tell: impl Fn(EngineEvent) + Send + Sync + 'static) -> Arc<Self> {
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
            tell: Box::new(tell),
        });
        engine.clone().spawn_loader(config.clone());
        engine
    }

    /// Loads another model where the configuration names another; sessions that run keep theirs.
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
        (self.tell)(EngineEvent::State);
        self.clone().spawn_loader(config.clone());
    }

    /// Whether it can transcribe.
    pub fn state(&self) -> EngineState {
        self.lock().state.clone()
    }

    /// What encodes, and why not what was asked for.
    pub fn backend(&self) -> BackendState {
        self.lock().backend.clone()
    }

    /// Name of the model that is wanted.
    pub fn model(&self) -> String {
        self.lock().wanted.name.clone()
    }

    /// Why it cannot transcribe; empty where it can, or is about to.
    pub fn status_message(&self) -> String {
        self.lock().state.status_message().to_owned()
    }

    /// Waits until the model is loaded; `None` where `gives_up` says so before, which is told the
    /// status_message of the moment, empty while the model is being loaded.
    pub fn wait(&self, gives_up: &dyn Fn(&str) -> bool) -> Option<Arc<Whisper>> {
        let mut inner = self.lock();
        while !gives_up(inner.state.status_message()) {
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
                let goes_on = matches!(state, EngineState::Missing(_));
                self.set(state, whisper, generation);
                if !goes_on {
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
        (inner.state, inner.whisper) = (state, whisper);
        drop(inner);
        self.changed.notify_all();
        (self.tell)(EngineEvent::State);
    }

    fn load(self: &Arc<Self>, config: &Config, generation: u64) -> Result<Whisper, EngineError> {
        let options = config.engine();
        let mut state = BackendState {
            device: Device::Cpu,
            reason: String::new(),
        };
        // The NPU belongs to the model, and that to the engine.
        let engine = Arc::downgrade(self);
        let tell = move |state: &BackendState| {
            if let Some(engine) = engine.upgrade() {
                engine.set_backend(state.clone(), generation);
            }
        };
        let mut loaded = engine::Engine::on_cpu(&options)?;
        let npu = options
            .npu()
            .and_then(|npu| Ok(npu.map(|npu| loaded.open_npu(npu, tell)).transpose()?));
        match npu {
            Ok(None) => {}
            Ok(Some(npu)) => {
                state = npu.state();
                loaded = loaded.with_npu(npu);
            }
            // Dictation goes on without what an NPU needs.
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
        (self.tell)(EngineEvent::Backend(state));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock_unpoisoned()
    }
}
