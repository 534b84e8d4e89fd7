//! What the interfaces share: the configuration, the engine, and who owns which session.

use super::BusError;
use super::protocol::{JobStatus, SegmentTuple};
use crate::config::{Config, ConfigError};
use crate::npu::BackendState;
use crate::session::{EngineEvent, PreCapture, Session, SessionEvent, SharedEngine};
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

/// Pause before a message that has to be sent is tried again: the bus is slow only while somebody
/// stalls it.
const RETRY: Duration = Duration::from_millis(5);

/// Something for the thread that serves the bus.
#[derive(Debug)]
pub enum Message {
    /// Text of a session.
    Text(u64, Event),
    /// The state of a session has changed.
    SessionChanged(u64),
    /// A session is to be closed.
    CloseSession(u64),
    /// A job has come further.
    JobProgress(u64),
    /// A job has ended.
    JobEnded(u64, JobResult),
    /// The engine's state has changed.
    EngineChanged,
    /// Another device encodes.
    BackendChanged(BackendState),
    /// More or less of what is said is kept.
    PreCaptureChanged,
    /// The configuration is to be read again.
    Reload,
    /// The service manager wants a sign of life.
    Watchdog,
    /// The daemon is to end.
    Quit,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// Whether the whole recording was transcribed.
    pub status: JobStatus,
    /// The text.
    pub text: String,
    /// Start and end in seconds, and text, of each segment.
    pub segments: Vec<SegmentTuple>,
    /// The words of the text, in seconds of the recording.
    pub words: Vec<Word>,
    /// Code of the language spoken; empty where nobody speaks.
    pub language: String,
    /// Seconds of audio.
    pub duration_s: f64,
    /// What went wrong; empty where nothing did.
    pub error: String,
}

impl JobResult {
    /// The result of a job that ended with this status, with no text yet.
    pub fn empty(status: JobStatus) -> Self {
        Self {
            status,
            text: String::new(),
            segments: Vec::new(),
            words: Vec::new(),
            language: String::new(),
            duration_s: 0.0,
            error: String::new(),
        }
    }
}

/// A session and whose it is.
#[derive(Clone)]
pub(super) struct OwnedSession {
    pub session: Arc<Session>,
    pub owner: OwnedUniqueName,
    pub captions: bool,
}

/// A job and whose it is.
#[derive(Clone)]
pub(super) struct OwnedJob {
    pub owner: OwnedUniqueName,
    pub stop: Arc<AtomicBool>,
}

/// What the interfaces share.
pub struct Hub {
    config_path: PathBuf,
    config: Mutex<Config>,
    engine: Arc<SharedEngine>,
    pre_capture: PreCapture,
    outbox: Sender<Message>,
    sessions: Mutex<BTreeMap<u64, OwnedSession>>,
    jobs: Mutex<BTreeMap<u64, OwnedJob>>,
    next: AtomicU64,
}

impl Hub {
    /// A hub over a configuration that was read from `config_path`, and what runs by it; messages go
    /// to `outbox`.
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
            pre_capture,
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

    /// What was said lately.
    pub(super) fn pre_capture(&self) -> &PreCapture {
        &self.pre_capture
    }

    /// The configuration now.
    pub(super) fn config(&self) -> Config {
        self.config.lock_unpoisoned().clone()
    }

    /// Reads the configuration again; sessions that exist keep theirs.
    ///
    /// # Errors
    /// When it makes no sense; the old one goes on.
    pub fn reload(&self) -> Result<(), ConfigError> {
        let config = Config::read(&self.config_path)?;
        *self.config.lock_unpoisoned() = config.clone();
        self.engine.reload(&config);
        self.pre_capture.configure(&config.audio);
        post_soon(&self.outbox, Message::PreCaptureChanged);
        info!("the configuration has been read again");
        Ok(())
    }

    /// Hands a message to the thread that serves the bus; waits while that is overwhelmed. Not for
    /// that thread itself.
    pub fn post(&self, message: Message) {
        post(&self.outbox, message);
    }

    /// A number for a session or job.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Creates a session of `owner`.
    pub(super) fn create_session(
        self: &Arc<Self>,
        number: u64,
        owner: OwnedUniqueName,
        wanted: super::options::Wanted,
    ) -> Arc<Session> {
        let outbox = self.outbox.clone();
        let session = Session::new(
            wanted.settings,
            self.engine.clone(),
            move |notice| match notice {
                // A partial that finds no room is replaced by the next one anyhow.
                SessionEvent::Text(event @ Event::Partial(_)) => {
                    drop(outbox.clone().try_send(Message::Text(number, event)))
                }
                SessionEvent::Text(event) => post(&outbox, Message::Text(number, event)),
                SessionEvent::Changed => post_soon(&outbox, Message::SessionChanged(number)),
            },
        );
        let owned = OwnedSession {
            session: session.clone(),
            owner,
            captions: wanted.captions,
        };
        self.sessions.lock_unpoisoned().insert(number, owned);
        session
    }

    /// A session.
    pub(super) fn session(&self, number: u64) -> Option<OwnedSession> {
        self.sessions.lock_unpoisoned().get(&number).cloned()
    }

    /// Numbers of all sessions.
    pub(super) fn sessions(&self) -> Vec<u64> {
        self.sessions.lock_unpoisoned().keys().copied().collect()
    }

    /// Ends a session.
    pub(super) fn close_session(&self, number: u64) {
        if let Some(owned) = self.sessions.lock_unpoisoned().remove(&number) {
            owned.session.close();
        }
    }

    /// Notes a job of `owner`.
    pub(super) fn add_job(&self, number: u64, job: OwnedJob) {
        self.jobs.lock_unpoisoned().insert(number, job);
    }

    /// Forgets a job and tells whose it was.
    pub(super) fn remove_job(&self, number: u64) -> Option<OwnedUniqueName> {
        self.jobs
            .lock_unpoisoned()
            .remove(&number)
            .map(|job| job.owner)
    }

    /// Sessions of a client that has left the bus; its jobs are told to stop.
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

    /// Ends all sessions and jobs.
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

/// What posts an engine's events to `outbox`.
pub fn engine_events(outbox: &Sender<Message>) -> impl Fn(EngineEvent) + Send + Sync + 'static {
    let outbox = outbox.clone();
    move |event| match event {
        EngineEvent::State => post_soon(&outbox, Message::EngineChanged),
        EngineEvent::Backend(state) => post_soon(&outbox, Message::BackendChanged(state)),
    }
}

/// Who sent a method call.
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

/// As [`post`], without waiting: for what may be called by the thread that empties the outbox.
fn post_soon(outbox: &Sender<Message>, message: Message) {
    if let Err(error) = outbox.clone().try_send(message)
        && error.is_full()
    {
        let outbox = outbox.clone();
        std::thread::spawn(move || post(&outbox, error.into_inner()));
    }
}
