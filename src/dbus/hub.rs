//! State shared by the interfaces: the configuration, the engine, and the owners of sessions and
//! jobs.

use super::BusError;
use super::options::Request;
use super::protocol::{JobStatus, SegmentTuple};
use crate::config::{Config, ConfigError};
use crate::npu::BackendState;
use crate::session::{EngineEvent, Level, PreCapture, Session, SessionEvent, SharedEngine};
use crate::stream::Event;
use crate::sync::LockExt;
use crate::text::Word;
use futures::channel::mpsc::Sender;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::info;
use zbus::message::Header;
use zbus::names::OwnedUniqueName;

/// Pause before posting a message again: the outbox is full only while a client stalls the bus.
const RETRY: Duration = Duration::from_millis(5);

/// Message to the thread that serves the bus.
#[derive(Debug)]
pub enum Message {
    /// Text of a session.
    Text(u64, Event),
    /// How loud the microphone of a session is.
    Level(u64, Level),
    /// The state, device or status message of a session has changed.
    SessionChanged(u64),
    /// Close a session.
    CloseSession(u64),
    /// A job has made progress.
    JobProgress(u64),
    /// A job has ended.
    JobEnded(u64, JobResult),
    /// The engine's state has changed.
    EngineChanged,
    /// The encoder runs on another device.
    BackendChanged(BackendState),
    /// The length of pre-capture has changed.
    PreCaptureChanged,
    /// Read the configuration again.
    Reload,
    /// Send a keep-alive to the service manager.
    Watchdog,
    /// Shut the daemon down.
    Quit,
}

/// Result of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// Whether the whole recording was transcribed.
    pub status: JobStatus,
    /// The text.
    pub text: String,
    /// Segments: start and end in seconds, text.
    pub segments: Vec<SegmentTuple>,
    /// Words of the text, with times in seconds of the recording.
    pub words: Vec<Word>,
    /// Code of the language spoken; empty if nobody speaks.
    pub language: String,
    /// Length of the recording in seconds.
    pub duration_s: f64,
    /// Error message; empty if there was none.
    pub error: String,
    /// What else the user may want to know: which track was read, and small damage.
    pub notes: Vec<String>,
}

impl JobResult {
    /// Returns the result of a job that ended with this status, without text.
    pub fn empty(status: JobStatus) -> Self {
        Self {
            status,
            text: String::new(),
            segments: Vec::new(),
            words: Vec::new(),
            language: String::new(),
            duration_s: 0.0,
            error: String::new(),
            notes: Vec::new(),
        }
    }
}

/// Session and its owner.
#[derive(Clone)]
pub(super) struct OwnedSession {
    pub session: Arc<Session>,
    pub owner: OwnedUniqueName,
    pub captions: bool,
}

/// Job and its owner.
#[derive(Clone)]
pub(super) struct OwnedJob {
    pub owner: OwnedUniqueName,
    pub stop: Arc<AtomicBool>,
}

/// State shared by the interfaces.
pub struct Hub {
    config_path: PathBuf,
    config: Mutex<Config>,
    engine: Arc<SharedEngine>,
    pre_capture: Arc<PreCapture>,
    outbox: Sender<Message>,
    sessions: Mutex<BTreeMap<u64, OwnedSession>>,
    jobs: Mutex<BTreeMap<u64, OwnedJob>>,
    next: AtomicU64,
}

impl Hub {
    /// Creates a hub with the configuration read from `config_path` and the parts that use it.
    /// Messages go to `outbox`.
    pub fn new(
        config_path: PathBuf,
        config: Config,
        engine: Arc<SharedEngine>,
        pre_capture: PreCapture,
        outbox: Sender<Message>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config_path,
            config: Mutex::new(config),
            engine,
            pre_capture: Arc::new(pre_capture),
            outbox,
            sessions: Mutex::default(),
            jobs: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// The engine that all sessions share.
    pub fn engine(&self) -> &Arc<SharedEngine> {
        &self.engine
    }

    /// The latest audio, kept for TranscribeLast.
    pub(super) fn pre_capture(&self) -> &PreCapture {
        &self.pre_capture
    }

    /// Returns the current configuration.
    pub fn config(&self) -> Config {
        self.config.lock_unpoisoned().clone()
    }

    /// Reads the configuration again; existing sessions keep theirs.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid; the old one stays in use.
    pub fn reload(&self) -> Result<(), ConfigError> {
        let config = Config::read(&self.config_path)?;
        *self.config.lock_unpoisoned() = config.clone();
        self.engine.reload(&config);
        self.pre_capture.configure(&config.audio);
        post_soon(&self.outbox, Message::PreCaptureChanged);
        info!("configuration reloaded");
        Ok(())
    }

    /// Posts a message to the thread that serves the bus, and waits while its queue is full. Must
    /// not be called by that thread.
    pub fn post(&self, message: Message) {
        post(&self.outbox, message);
    }

    /// Returns a new number for a session or job.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Creates a session for `owner`.
    pub(super) fn create_session(
        self: &Arc<Self>,
        number: u64,
        owner: OwnedUniqueName,
        request: Request,
    ) -> Arc<Session> {
        let outbox = self.outbox.clone();
        let session = Session::new(
            request.settings,
            self.engine.clone(),
            self.pre_capture.clone(),
            move |event| match event {
                // If the queue is full, a partial is dropped: the next one replaces it anyway.
                SessionEvent::Text(text @ Event::Partial(_)) => {
                    drop(outbox.clone().try_send(Message::Text(number, text)))
                }
                SessionEvent::Level(level) => {
                    drop(outbox.clone().try_send(Message::Level(number, level)))
                }
                SessionEvent::Text(text) => post(&outbox, Message::Text(number, text)),
                SessionEvent::Changed => post_soon(&outbox, Message::SessionChanged(number)),
            },
        );
        let owned = OwnedSession {
            session: session.clone(),
            owner,
            captions: request.captions,
        };
        self.sessions.lock_unpoisoned().insert(number, owned);
        session
    }

    /// Returns a session.
    pub(super) fn session(&self, number: u64) -> Option<OwnedSession> {
        self.sessions.lock_unpoisoned().get(&number).cloned()
    }

    /// Returns the numbers of all sessions.
    pub(super) fn sessions(&self) -> Vec<u64> {
        self.sessions.lock_unpoisoned().keys().copied().collect()
    }

    /// Closes a session.
    pub(super) fn close_session(&self, number: u64) {
        if let Some(owned) = self.sessions.lock_unpoisoned().remove(&number) {
            owned.session.close();
        }
    }

    /// Adds a job.
    pub(super) fn add_job(&self, number: u64, job: OwnedJob) {
        self.jobs.lock_unpoisoned().insert(number, job);
    }

    /// Removes a job and returns its owner.
    pub(super) fn remove_job(&self, number: u64) -> Option<OwnedUniqueName> {
        self.jobs
            .lock_unpoisoned()
            .remove(&number)
            .map(|job| job.owner)
    }

    /// Stops the jobs of a client that has left the bus, and returns the numbers of its sessions.
    pub(super) fn vanished(&self, client: &str) -> Vec<u64> {
        let jobs = self.jobs.lock_unpoisoned();
        jobs.values()
            .filter(|job| job.owner.as_str() == client)
            .for_each(|job| job.stop.store(true, Ordering::Relaxed));
        drop(jobs);
        let sessions = self.sessions.lock_unpoisoned();
        sessions
            .iter()
            .filter(|(_, owned)| owned.owner.as_str() == client)
            .map(|(number, _)| *number)
            .collect()
    }

    /// Closes all sessions and stops all jobs.
    pub(super) fn close(&self) {
        self.pre_capture.close();
        self.sessions
            .lock_unpoisoned()
            .values()
            .for_each(|owned| owned.session.close());
        self.jobs
            .lock_unpoisoned()
            .values()
            .for_each(|job| job.stop.store(true, Ordering::Relaxed));
    }
}

/// Returns the callback that posts an engine's events to `outbox`.
pub fn engine_events(outbox: &Sender<Message>) -> impl Fn(EngineEvent) + Send + Sync + 'static {
    let outbox = outbox.clone();
    move |event| match event {
        EngineEvent::State => post_soon(&outbox, Message::EngineChanged),
        EngineEvent::Backend(state) => post_soon(&outbox, Message::BackendChanged(state)),
    }
}

/// Returns the sender of a method call.
pub(super) fn sender(header: &Header<'_>) -> Result<OwnedUniqueName, BusError> {
    let unknown = || BusError::NotOwner("the call has no sender".to_owned());
    header
        .sender()
        .map(|name| name.to_owned().into())
        .ok_or_else(unknown)
}

fn post(outbox: &Sender<Message>, mut message: Message) {
    let mut outbox = outbox.clone();
    while let Err(error) = outbox.try_send(message) {
        if error.is_disconnected() {
            return;
        }
        message = error.into_inner();
        std::thread::sleep(RETRY);
    }
}

/// Like [`post`], but does not block: for callers that may run on the thread that empties the
/// outbox.
fn post_soon(outbox: &Sender<Message>, message: Message) {
    if let Err(error) = outbox.clone().try_send(message)
        && error.is_full()
    {
        let outbox = outbox.clone();
        std::thread::spawn(move || post(&outbox, error.into_inner()));
    }
}
