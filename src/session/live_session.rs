//! A session: somebody who wants text from a microphone, now and then.
//!
//! ```text
//! Microphone ──capture thread: 16 kHz mono──▶ bounded channel ──work thread: Live──▶ SessionEvent
//! ```
//!
//! The threads and the microphone live from start to stop only. All sessions share one [`SharedEngine`].

use super::metrics::{MetricsSnapshot, SessionMetrics};
use super::shared_engine::SharedEngine;
use crate::advice::Advice;
use crate::audio::SegmenterOptions;
use crate::audio::capture::{CaptureEvent, CaptureStats, Microphone, StopHandle};
use crate::audio::{Mono16k, clock};
use crate::config::{Config, ConfigError};
use crate::stream::{Event, Live, LiveOptions, WhisperRecognizer};
use crate::sync::LockExt;
use crate::text::{Rules, written};
use crate::whisper::LONGEST_WINDOW;
use crate::whisper::decoding::{DecodingOptions, Hotwords};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Blocks of sound that may wait for the engine: a minute at the usual 60 ms. What does not fit is
/// counted as lost.
const BACKLOG: usize = 1000;

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing; the microphone is closed.
    Idle,
    /// The microphone is about to be open.
    Starting,
    /// It listens.
    Listening,
    /// There is no sound: the device is lost and tried again, or suspended and waited for.
    DeviceLost,
    /// The microphone is closed; what was said is still being transcribed.
    Finishing,
}

/// What a session tells.
#[derive(Debug, Clone)]
pub enum SessionEvent {
    /// Its state, its device or the reason of its status_message has changed.
    Changed,
    /// Text, in utterances numbered through all of the session.
    Text(Event),
}

/// How a session transcribes.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Id or a part of the description of the device; the default one when `None`.
    pub device: Option<String>,
    /// Options for every window.
    pub decoding: DecodingOptions,
    /// Text that precedes what is said: names and words to expect.
    pub prompt: String,
    /// Names and terms to expect.
    pub hotwords: Vec<String>,
    /// What to make of the text.
    pub rules: Rules,
    /// Cutting and guessing.
    pub live: LiveOptions,
    /// Time from the start without a word after which it stops by itself.
    pub nothing_said: Option<Duration>,
}

impl SessionSettings {
    /// The settings of a configuration.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let segmenter = SegmenterOptions {
            max_samples: clock::samples(config.endpoint.longest),
            end_pause: clock::samples(config.endpoint.pause),
        };
        Ok(Self {
            device: Some(config.audio.device.clone()).filter(|name| !name.is_empty()),
            decoding: DecodingOptions {
                task: config.text.task,
                language: config.text.language.0,
                allowed_languages: config.text.languages.clone(),
                ..DecodingOptions::default()
            },
            prompt: String::new(),
            hotwords: config.text.hotwords.clone(),
            rules: config.rules()?,
            live: LiveOptions {
                segmenter,
                step_s: config.live.partials.then_some(config.live.step),
            },
            nothing_said: Some(config.endpoint.nothing_said)
                .filter(|s| *s > 0.0)
                .map(Duration::from_secs_f64),
        })
    }
}

/// Why a session does not do as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is still busy with what was said before.
    #[error("the session is still transcribing what was said before")]
    Finishing,
    /// It has been closed.
    #[error("the session is closed")]
    Closed,
}

impl Advice for SessionError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Finishing => "wait until its state is idle".into(),
            Self::Closed => "create another".into(),
        })
    }
}

/// How far a run has come with the sound: what the lag of words is told by.
#[derive(Debug)]
struct LatencyTracker {
    /// Samples that the engine was given.
    samples: usize,
    /// Blocks that they came in.
    blocks: usize,
    /// When it was given the last of them.
    at: Instant,
    /// Words of the utterance that goes on that are committed.
    committed: usize,
}

impl LatencyTracker {
    /// Length of the audio in seconds.
    fn audio_s(&self) -> f64 {
        clock::seconds(self.samples as u64)
    }

    /// What an event commits: for each word the time since its end, in seconds.
    fn lags_s(&mut self, event: &Event) -> Vec<f64> {
        let Event::Partial(partial) = event else {
            self.committed = 0;
            return Vec::new();
        };
        let now_s = self.audio_s() + self.at.elapsed().as_secs_f64();
        let known = std::mem::replace(&mut self.committed, partial.words.len());
        partial
            .words
            .iter()
            .skip(known)
            .map(|word| now_s - word.end_s)
            .collect()
    }
}

/// A session.
pub struct Session {
    settings: SessionSettings,
    engine: Arc<SharedEngine>,
    tell: Box<dyn Fn(SessionEvent) + Send + Sync>,
    stats: Arc<CaptureStats>,
    metrics: SessionMetrics,
    /// Utterances of earlier runs.
    utterances: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    state: SessionState,
    device: String,
    status_message: String,
    stop: Option<StopHandle>,
    /// Whether it has been started and the model is not there yet.
    waits_for_model: bool,
    is_closed: bool,
}

impl Session {
    /// A session that does nothing yet; `tell` is called from its threads.
    pub fn new(
        settings: SessionSettings,
        engine: Arc<SharedEngine>,
        tell: impl Fn(SessionEvent) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let inner = Inner {
            state: SessionState::Idle,
            device: String::new(),
            status_message: String::new(),
            stop: None,
            waits_for_model: false,
            is_closed: false,
        };
        Arc::new(Self {
            settings,
            engine,
            tell: Box::new(tell),
            stats: Arc::default(),
            metrics: SessionMetrics::default(),
            utterances: AtomicU64::new(0),
            inner: Mutex::new(inner),
        })
    }

    /// Begins to listen; does nothing where it listens already.
    ///
    /// # Errors
    /// While it finishes, and once it is closed.
    pub fn start(self: &Arc<Self>) -> Result<(), SessionError> {
        let mut inner = self.lock();
        match inner.state {
            _ if inner.is_closed => return Err(SessionError::Closed),
            SessionState::Finishing => return Err(SessionError::Finishing),
            SessionState::Idle => {}
            _ => return Ok(()),
        }
        let stop = StopHandle::default();
        inner.state = SessionState::Starting;
        inner.stop = Some(stop.clone());
        inner.waits_for_model = true;
        drop(inner);
        (self.tell)(SessionEvent::Changed);
        let (sender, receiver) = bounded(BACKLOG);
        let (capture, work) = (self.clone(), self.clone());
        let for_work = stop.clone();
        std::thread::spawn(move || capture.capture(stop, &sender));
        std::thread::spawn(move || {
            let _idle = Idle(work.clone());
            work.work(&for_work, &receiver);
        });
        Ok(())
    }

    /// Closes the microphone and transcribes what was said, or drops it where there is no model;
    /// does nothing where it is not listening.
    pub fn stop(&self) {
        self.halt(StopHandle::finish);
    }

    /// Closes the microphone and drops what was said since the last final.
    pub fn cancel(&self) {
        self.halt(StopHandle::cancel);
    }

    /// Starts it, or stops it.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn toggle(self: &Arc<Self>) -> Result<(), SessionError> {
        match self.state() {
            SessionState::Idle | SessionState::Finishing => self.start(),
            _ => {
                self.stop();
                Ok(())
            }
        }
    }

    /// Ends it for good.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.cancel();
    }

    /// What it is doing.
    pub fn state(&self) -> SessionState {
        self.lock().state
    }

    /// Id of the device that is or was open; empty before there was one.
    pub fn device(&self) -> String {
        self.lock().device.clone()
    }

    /// Why there is no sound or no text; empty where all is well.
    pub fn status_message(&self) -> String {
        let (own, waits_for_model) = {
            let inner = self.lock();
            (inner.status_message.clone(), inner.waits_for_model)
        };
        if own.is_empty() && waits_for_model {
            self.engine.status_message()
        } else {
            own
        }
    }

    /// How well it keeps up.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// What was lost while capturing.
    pub fn capture_stats(&self) -> &CaptureStats {
        &self.stats
    }

    fn halt(&self, how: fn(&StopHandle)) {
        let mut inner = self.lock();
        let Some(stop) = inner.stop.clone() else {
            return;
        };
        how(&stop);
        if inner.state == SessionState::Finishing {
            return;
        }
        inner.state = SessionState::Finishing;
        drop(inner);
        (self.tell)(SessionEvent::Changed);
    }

    /// The capture thread: the microphone's sound as blocks, until it is stopped.
    fn capture(self: Arc<Self>, stop: StopHandle, next: &Sender<Vec<f32>>) {
        let told = self.clone();
        let microphone = Microphone::new(
            self.settings.device.clone(),
            stop,
            self.stats.clone(),
            move |event| {
                told.follow(event);
            },
        );
        let mut stream = Mono16k::new(Box::new(microphone));
        loop {
            match stream.next_block() {
                Ok(Some(block)) if next.send(block.to_vec()).is_ok() => {}
                Ok(_) => break,
                Err(error) => {
                    error!("{}", error.explain());
                    self.set_status_message(error.explain());
                    break;
                }
            }
        }
    }

    /// Takes note of what becomes of the device.
    fn follow(&self, event: CaptureEvent) {
        let mut inner = self.lock();
        match event {
            CaptureEvent::Opened(device) => {
                info!(device, "the microphone is open");
                inner.device = device;
                inner.status_message.clear();
                if inner.state != SessionState::Finishing {
                    inner.state = SessionState::Listening;
                }
            }
            CaptureEvent::Moved(device) => {
                info!(device, "the sound server has moved the recording");
                inner.device = device;
            }
            CaptureEvent::Lost(reason) => {
                warn!(reason, "no sound");
                inner.status_message = reason;
                if inner.state != SessionState::Finishing {
                    inner.state = SessionState::DeviceLost;
                }
            }
        }
        drop(inner);
        (self.tell)(SessionEvent::Changed);
    }

    /// The work thread: blocks to text.
    fn work(&self, stop: &StopHandle, blocks: &Receiver<Vec<f32>>) {
        let cancelled = || stop.is_cancelled();
        let Some(mut live) = self.live(stop) else {
            return;
        };
        let (begun, mut spoke) = (Instant::now(), false);
        let mut heard = LatencyTracker {
            samples: 0,
            blocks: 0,
            at: begun,
            committed: 0,
        };
        let mut goes_on = true;
        while goes_on && !cancelled() {
            match blocks.recv() {
                Ok(block) => {
                    for block in std::iter::once(block).chain(blocks.try_iter()) {
                        heard.samples += block.len();
                        heard.blocks += 1;
                        live.push(&block);
                    }
                    heard.at = Instant::now();
                }
                Err(_) => {
                    live.finish();
                    goes_on = false;
                }
            }
            spoke |= live.hears_speech();
            if !spoke
                && self
                    .settings
                    .nothing_said
                    .is_some_and(|most| begun.elapsed() > most)
            {
                self.halt(StopHandle::finish);
            }
            if !self.tell_events(&mut live, &mut heard, &cancelled) {
                self.cancel();
                return;
            }
            let backlog = blocks.len() as f64 * heard.audio_s() / heard.blocks.max(1) as f64;
            self.metrics
                .heard(heard.audio_s(), live.busy(), live.step_s(), backlog);
        }
        if cancelled() {
            // The utterance that was dropped keeps its number.
            self.utterances.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells all that is due; false when that failed.
    fn tell_events(
        &self,
        live: &mut Live,
        heard: &mut LatencyTracker,
        cancelled: &dyn Fn() -> bool,
    ) -> bool {
        loop {
            match live.next_event(cancelled) {
                Ok(Some(event)) => {
                    heard
                        .lags_s(&event)
                        .into_iter()
                        .for_each(|lag_s| self.metrics.committed(lag_s));
                    (self.tell)(SessionEvent::Text(self.numbered(self.rewritten(event))));
                }
                Ok(None) => return true,
                Err(_) if cancelled() => return true,
                Err(error) => {
                    error!("transcription failed: {}", error.explain());
                    self.set_status_message(error.explain());
                    return false;
                }
            }
        }
    }

    /// The event with the text that the user wants.
    fn rewritten(&self, event: Event) -> Event {
        let SessionSettings {
            rules, decoding, ..
        } = &self.settings;
        let language = match &event {
            Event::Partial(partial) => partial.language,
            Event::Final(done) => done.language,
        };
        event.rewritten(rules, written(decoding.task, language))
    }

    /// The event with its utterance numbered through the session.
    fn numbered(&self, mut event: Event) -> Event {
        match &mut event {
            Event::Partial(partial) => {
                partial.utterance = self.utterances.load(Ordering::Relaxed) + 1
            }
            Event::Final(done) => {
                done.utterance = self.utterances.fetch_add(1, Ordering::Relaxed) + 1;
                self.metrics.finished(done.latency);
            }
        }
        event
    }

    /// A live engine, once the model is there; `None` where nobody waits for it any more.
    fn live(&self, stop: &StopHandle) -> Option<Live> {
        let is_finishing = || self.state() == SessionState::Finishing;
        let gives_up = |status_message: &str| {
            stop.is_cancelled() || (!status_message.is_empty() && is_finishing())
        };
        let whisper = self.engine.wait(&gives_up)?;
        self.lock().waits_for_model = false;
        let SessionSettings { decoding, live, .. } = &self.settings;
        let prompt = whisper
            .tokenizer()
            .encode_prompt(&self.settings.prompt)
            .unwrap_or_default();
        let hotwords =
            Hotwords::shared(whisper.tokenizer(), &self.settings.hotwords).unwrap_or_default();
        let decoding = DecodingOptions {
            prompt,
            hotwords,
            ..decoding.clone()
        };
        let live = live.for_model(whisper.file().dims());
        let recognizer = WhisperRecognizer::new(whisper, LONGEST_WINDOW, decoding);
        Some(Live::new(Box::new(recognizer), live))
    }

    fn set_status_message(&self, reason: String) {
        self.lock().status_message = reason;
        (self.tell)(SessionEvent::Changed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock_unpoisoned()
    }
}

/// Makes a session idle when its work ends, however it does.
struct Idle(Arc<Session>);

impl Drop for Idle {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        if let Some(stop) = inner.stop.take() {
            stop.cancel();
        }
        inner.waits_for_model = false;
        inner.state = SessionState::Idle;
        drop(inner);
        (self.0.tell)(SessionEvent::Changed);
    }
}
