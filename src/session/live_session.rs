//! A session: text from a microphone for one client, whenever it listens.
//!
//! ```text
//! Microphone ──capture thread: 16 kHz mono──▶ bounded channel ──work thread: Live──▶ SessionEvent
//! ```
//!
//! The threads run and the microphone is open only from start to stop. All sessions share one
//! [`SharedEngine`].

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

/// Number of audio blocks that may wait for the engine: a minute at the usual 60 ms. Further ones
/// are counted as lost.
const BACKLOG: usize = 1000;

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The microphone is closed.
    Idle,
    /// The microphone is being opened.
    Starting,
    /// The microphone is open.
    Listening,
    /// There is no sound: the device is lost or suspended, and the session waits for it.
    DeviceLost,
    /// The microphone is closed; the last words are still being transcribed.
    Finishing,
}

/// Event of a session.
#[derive(Debug, Clone)]
pub enum SessionEvent {
    /// Its state, device or status message has changed.
    Changed,
    /// Text; utterances are numbered through the whole session.
    Text(Event),
}

/// How a session transcribes.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Id of the device or a part of its description; `None` is the default device.
    pub device: Option<String>,
    /// Decoding options for every window.
    pub decoding: DecodingOptions,
    /// Text that precedes the speech: names and words to expect.
    pub prompt: String,
    /// Names and terms to expect.
    pub hotwords: Vec<String>,
    /// Rules that rewrite the text.
    pub rules: Rules,
    /// Segmentation and interim passes.
    pub live: LiveOptions,
    /// Time without a word from the start after which the session stops automatically.
    pub nothing_said: Option<Duration>,
}

impl SessionSettings {
    /// Returns the settings of a configuration.
    ///
    /// # Errors
    /// Returns an error if a value is invalid.
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

/// Reason that a session refuses a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It is still transcribing earlier speech.
    #[error("the session is still transcribing earlier speech")]
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

/// Measures how long words take until they are committed.
#[derive(Debug)]
struct LatencyTracker {
    /// Samples that the engine has received.
    samples: usize,
    /// Number of blocks that contained them.
    blocks: usize,
    /// When it received the last of them.
    at: Instant,
    /// Number of committed words of the current utterance.
    committed: usize,
}

impl LatencyTracker {
    /// Returns the length of the audio in seconds.
    fn audio_s(&self) -> f64 {
        clock::seconds(self.samples as u64)
    }

    /// Returns, for each word that the event commits, the time since its end in seconds.
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
    notify: Box<dyn Fn(SessionEvent) + Send + Sync>,
    stats: Arc<CaptureStats>,
    metrics: SessionMetrics,
    /// Number of utterances that have ended.
    utterances: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    state: SessionState,
    device: String,
    status_message: String,
    stop: Option<StopHandle>,
    /// Whether the session has been started but the model is not loaded yet.
    waits_for_model: bool,
    is_closed: bool,
}

impl Session {
    /// Creates an idle session; `notify` is called from its threads.
    pub fn new(
        settings: SessionSettings,
        engine: Arc<SharedEngine>,
        notify: impl Fn(SessionEvent) + Send + Sync + 'static,
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
            notify: Box::new(notify),
            stats: Arc::default(),
            metrics: SessionMetrics::default(),
            utterances: AtomicU64::new(0),
            inner: Mutex::new(inner),
        })
    }

    /// Opens the microphone; does nothing if it is open already.
    ///
    /// # Errors
    /// Returns an error if the session is finishing or closed.
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
        (self.notify)(SessionEvent::Changed);
        let (sender, receiver) = bounded(BACKLOG);
        let capture = self.clone();
        let work = self.clone();
        let for_work = stop.clone();
        std::thread::spawn(move || capture.capture(stop, &sender));
        std::thread::spawn(move || {
            let _idle = Idle(work.clone());
            work.work(&for_work, &receiver);
        });
        Ok(())
    }

    /// Closes the microphone and transcribes the remaining speech, or drops it if there is no
    /// model. Does nothing if the session is not listening.
    pub fn stop(&self) {
        self.halt(StopHandle::finish);
    }

    /// Closes the microphone and drops speech since the last final text.
    pub fn cancel(&self) {
        self.halt(StopHandle::cancel);
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
        self.lock().state
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

    /// Returns how well the session keeps up.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    /// Returns what was lost while capturing.
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
        (self.notify)(SessionEvent::Changed);
    }

    /// The capture thread: reads blocks from the microphone until stopped.
    fn capture(self: Arc<Self>, stop: StopHandle, next: &Sender<Vec<f32>>) {
        let session = self.clone();
        let microphone = Microphone::new(
            self.settings.device.clone(),
            stop,
            self.stats.clone(),
            move |event| {
                session.follow(event);
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

    /// Records what has happened to the device.
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
                info!(device, "the sound server has moved the stream");
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
        (self.notify)(SessionEvent::Changed);
    }

    /// The work thread: turns blocks into text.
    fn work(&self, stop: &StopHandle, blocks: &Receiver<Vec<f32>>) {
        let cancelled = || stop.is_cancelled();
        let Some(mut live) = self.live(stop) else {
            return;
        };
        let begun = Instant::now();
        let mut has_speech = false;
        let mut latency = LatencyTracker {
            samples: 0,
            blocks: 0,
            at: begun,
            committed: 0,
        };
        let mut is_open = true;
        while is_open && !cancelled() {
            match blocks.recv() {
                Ok(block) => {
                    for block in std::iter::once(block).chain(blocks.try_iter()) {
                        latency.samples += block.len();
                        latency.blocks += 1;
                        live.push(&block);
                    }
                    latency.at = Instant::now();
                }
                Err(_) => {
                    live.finish();
                    is_open = false;
                }
            }
            has_speech |= live.hears_speech();
            if !has_speech
                && self
                    .settings
                    .nothing_said
                    .is_some_and(|most| begun.elapsed() > most)
            {
                self.halt(StopHandle::finish);
            }
            if !self.publish_events(&mut live, &mut latency, &cancelled) {
                self.cancel();
                return;
            }
            let backlog = blocks.len() as f64 * latency.audio_s() / latency.blocks.max(1) as f64;
            self.metrics
                .processed(latency.audio_s(), live.busy(), live.step_s(), backlog);
        }
        if cancelled() {
            // A dropped utterance keeps its number.
            self.utterances.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publishes the events that are due. Returns false if transcription failed.
    fn publish_events(
        &self,
        live: &mut Live,
        latency: &mut LatencyTracker,
        cancelled: &dyn Fn() -> bool,
    ) -> bool {
        loop {
            match live.next_event(cancelled) {
                Ok(Some(event)) => {
                    latency
                        .lags_s(&event)
                        .into_iter()
                        .for_each(|lag_s| self.metrics.committed(lag_s));
                    (self.notify)(SessionEvent::Text(self.numbered(self.rewritten(event))));
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

    /// Applies the user's rules to the text of an event.
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

    /// Numbers the utterance of an event through the session.
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

    /// Waits for the model and creates a live engine. Returns `None` if the session ends first.
    fn live(&self, stop: &StopHandle) -> Option<Live> {
        let is_finishing = || self.state() == SessionState::Finishing;
        let should_stop = |status_message: &str| {
            stop.is_cancelled() || (!status_message.is_empty() && is_finishing())
        };
        let whisper = self.engine.wait(&should_stop)?;
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
        (self.notify)(SessionEvent::Changed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock_unpoisoned()
    }
}

/// Makes a session idle when its work ends, even by a panic.
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
        (self.0.notify)(SessionEvent::Changed);
    }
}
