//! A session: text from a microphone for one client, whenever it listens.
//!
//! ```text
//! Microphone ──capture thread: 16 kHz mono──▶ bounded channel ──work thread: Live──▶ SessionEvent
//! ```
//!
//! The microphone is open only from start to stop. Each start begins a run with a capture thread of
//! its own (`recording.rs`); one work thread transcribes the runs in order (`transcription.rs`). All
//! sessions share one [`SharedEngine`].

use super::levels::Level;
use super::metrics::{MetricsSnapshot, SessionMetrics};
use super::pre_capture::PreCapture;
use super::runs::{Run, Runs, SessionState};
use super::session_settings::SessionSettings;
use super::shared_engine::SharedEngine;
use crate::advice::Advice;
use crate::audio::capture::CaptureStats;
use crate::stream::Event;
use crate::sync::LockExt;
use crossbeam_channel::{Receiver, bounded};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};

/// Number of audio blocks that may wait for the engine: a minute at the usual 60 ms. Further ones
/// are counted as lost.
const BACKLOG: usize = 1000;

/// Event of a session.
#[derive(Debug, Clone)]
pub enum SessionEvent {
    /// Its state, device or status message has changed.
    Changed,
    /// Text; utterances are numbered through the whole session.
    Text(Event),
    /// How loud the microphone is, if the settings ask for it.
    Level(Level),
}

/// Reason that a session refuses a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It has been closed.
    #[error("the session is closed")]
    Closed,
}

impl Advice for SessionError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some("create another".into())
    }
}

/// Number of characters before the cursor that are kept.
const MAX_CONTEXT: usize = 1000;

/// A session.
pub struct Session {
    pub(super) settings: SessionSettings,
    pub(super) engine: Arc<SharedEngine>,
    pub(super) pre_capture: Arc<PreCapture>,
    pub(super) notify: Box<dyn Fn(SessionEvent) + Send + Sync>,
    pub(super) stats: Arc<CaptureStats>,
    pub(super) metrics: SessionMetrics,
    /// Number of utterances that have ended.
    pub(super) utterances: AtomicU64,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub runs: Runs,
    /// Runs that are still to be transcribed, and their sound.
    waiting: VecDeque<(Run, Receiver<Vec<f32>>)>,
    /// Whether the work thread runs.
    is_working: bool,
    pub device: String,
    pub status_message: String,
    /// Text before the cursor.
    context: String,
    /// Whether the session has been started but the model is not loaded yet.
    pub waits_for_model: bool,
    is_closed: bool,
}

impl Session {
    /// Creates an idle session; `notify` is called from its threads.
    pub fn new(
        settings: SessionSettings,
        engine: Arc<SharedEngine>,
        pre_capture: Arc<PreCapture>,
        notify: impl Fn(SessionEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let inner = Inner {
            runs: Runs::default(),
            waiting: VecDeque::new(),
            is_working: false,
            device: String::new(),
            status_message: String::new(),
            context: String::new(),
            waits_for_model: false,
            is_closed: false,
        };
        Arc::new(Self {
            settings,
            engine,
            pre_capture,
            notify: Box::new(notify),
            stats: Arc::default(),
            metrics: SessionMetrics::default(),
            utterances: AtomicU64::new(0),
            inner: Mutex::new(inner),
        })
    }

    /// Opens the microphone; does nothing if it is open already. If earlier speech is still being
    /// transcribed, the new speech follows it.
    ///
    /// # Errors
    /// Returns an error if the session is closed.
    pub fn start(self: &Arc<Self>) -> Result<(), SessionError> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(SessionError::Closed);
        }
        let Some(run) = inner.runs.start() else {
            return Ok(());
        };
        let (sender, receiver) = bounded(BACKLOG);
        inner.waits_for_model = true;
        inner.waiting.push_back((run.clone(), receiver));
        let is_working = std::mem::replace(&mut inner.is_working, true);
        drop(inner);
        (self.notify)(SessionEvent::Changed);
        let session = self.clone();
        std::thread::spawn(move || session.record(&run, &sender));
        if !is_working {
            let session = self.clone();
            std::thread::spawn(move || {
                let _guard = Working(session.clone());
                session.transcribe_runs();
            });
        }
        Ok(())
    }

    /// Closes the microphone and transcribes the remaining speech, or drops it if there is no
    /// model. Does nothing if the session is not listening.
    pub fn stop(&self) {
        self.change(Runs::stop);
    }

    /// Closes the microphone and drops speech since the last final text.
    pub fn cancel(&self) {
        self.change(|runs| {
            runs.cancel();
            true
        });
    }

    /// Starts the session, or stops it if it is listening.
    ///
    /// # Errors
    /// Returns an error as [`Session::start`] does.
    pub fn toggle(self: &Arc<Self>) -> Result<(), SessionError> {
        match self.state() {
            SessionState::Idle | SessionState::Finishing => self.start(),
            _ => {
                self.stop();
                Ok(())
            }
        }
    }

    /// Ends the session permanently.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.cancel();
    }

    /// Returns its state.
    pub fn state(&self) -> SessionState {
        self.lock().runs.state()
    }

    /// Returns the id of the device that is open or was last open; empty if there was none.
    pub fn device(&self) -> String {
        self.lock().device.clone()
    }

    /// Returns why there is no sound or text; empty if all is well.
    pub fn status_message(&self) -> String {
        let inner = self.lock();
        if inner.status_message.is_empty() && inner.waits_for_model {
            drop(inner);
            return self.engine.status_message();
        }
        inner.status_message.clone()
    }

    /// Returns the text before the cursor.
    pub fn context(&self) -> String {
        self.lock().context.clone()
    }

    /// Sets the text before the cursor, which the next utterance continues. Its last thousand
    /// characters are kept.
    pub fn set_context(&self, text: &str) {
        let n = text.chars().count().saturating_sub(MAX_CONTEXT);
        self.lock().context = text.chars().skip(n).collect();
    }

    /// Returns how well the session keeps up.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// Returns what was lost while capturing.
    pub fn capture_stats(&self) -> &CaptureStats {
        &self.stats
    }

    /// Changes the runs and reports the change, if `how` returns true.
    pub(super) fn change(&self, how: impl FnOnce(&mut Runs) -> bool) {
        if how(&mut self.lock().runs) {
            (self.notify)(SessionEvent::Changed);
        }
    }

    pub(super) fn set_status_message(&self, reason: String) {
        self.lock().status_message = reason;
        (self.notify)(SessionEvent::Changed);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock_unpoisoned()
    }

    /// Transcribes the runs in order until none waits.
    fn transcribe_runs(&self) {
        while let Some((run, sound)) = self.next_run() {
            self.transcribe(&run, &sound);
            self.change(|runs| {
                runs.end(&run);
                true
            });
        }
    }

    /// Returns the next run to be transcribed. If there is none, the work thread ends.
    fn next_run(&self) -> Option<(Run, Receiver<Vec<f32>>)> {
        let mut inner = self.lock();
        let next = inner.waiting.pop_front();
        inner.is_working = next.is_some();
        inner.waits_for_model &= next.is_some();
        next
    }
}

/// Makes a session idle if its work thread panics.
struct Working(Arc<Session>);

impl Drop for Working {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut inner = self.0.lock();
        inner.runs.cancel();
        inner.runs = Runs::default();
        inner.waiting.clear();
        inner.is_working = false;
        inner.waits_for_model = false;
        drop(inner);
        (self.0.notify)(SessionEvent::Changed);
    }
}
