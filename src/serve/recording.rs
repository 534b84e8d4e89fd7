//! The transcription of a recording that a client has sent, on threads of its own.
//!
//! In: bytes in memory, and what the client asks for. Out: segments while it is being transcribed,
//! then a [`Summary`].

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::advice::Advice;
use crate::audio::{AudioError, AudioSource, AudioWarning, Block, FileSource, InputOptions};
use crate::output::{Segment, Word};
use crate::pipeline::{self, PipelineError, Settings, WindowTranscript};
use crate::session::{SessionSettings, SharedEngine};
use crate::text::{trimmed, written};
use crate::tokenizer::{Language, Task, TokenizerError};
use crate::whisper::decoding::{DecodingOptions, FallbackOptions, Hotwords};
use crate::whisper::{LONGEST_WINDOW, Whisper};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Order {
    /// Language, task, prompt, hotwords and rules of the text.
    pub settings: SessionSettings,
    /// The only sampling temperature; `None` is 0, and higher ones if the text is doubtful.
    pub temperature: Option<f32>,
    /// Length of the longest recording in seconds.
    pub longest_s: f64,
}

/// What is known of a recording at its end.
#[derive(Debug)]
pub struct Summary {
    /// Length in seconds.
    pub duration_s: f64,
    /// Damage that ended it early; what is before it was transcribed.
    pub damage: Option<AudioError>,
}

/// Reason that a recording is not transcribed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The engine is not ready, for this reason.
    #[error("{0}")]
    Engine(String),
    /// The model knows English only.
    #[error("the model {0} cannot translate: it knows English only")]
    CannotTranslate(String),
    /// The bytes are no sound, or damaged from the start.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// It is too long.
    #[error("the recording is longer than {0} s")]
    TooLong(f64),
    /// The prompt or a hotword cannot be spelled.
    #[error(transparent)]
    Text(#[from] TokenizerError),
    /// The model failed, or nobody waits for the text.
    #[error(transparent)]
    Pipeline(#[from] PipelineError<Gone>),
}

/// Nobody waits for the text any longer.
#[derive(Debug, thiserror::Error)]
#[error("nobody waits for the text any longer")]
pub struct Gone;

impl Advice for Gone {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        None
    }
}

impl Advice for RecordingError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Audio(error) => error.remedy(),
            Self::Pipeline(error) => error.remedy(),
            Self::CannotTranslate(_) => Some("use a multilingual model".into()),
            Self::TooLong(_) => Some("send it in parts, or raise server.longest".into()),
            Self::Engine(_) | Self::Text(_) => None,
        }
    }
}

/// Transcribes a recording, until `stop` is set. `publish` gets the segments of each window, and the
/// language spoken in it.
///
/// # Errors
/// Returns an error if the engine is not ready, the recording is no sound or too long, the model
/// fails, or `publish` does.
pub fn transcribe(
    engine: &SharedEngine,
    recording: &File,
    order: &Order,
    stop: &Arc<AtomicBool>,
    mut publish: impl FnMut(Vec<Segment>, Language) -> Result<(), Gone>,
) -> Result<Summary, RecordingError> {
    let should_stop = |message: &str| !message.is_empty() || stop.load(Ordering::Relaxed);
    let whisper = engine
        .wait(&should_stop)
        .ok_or_else(|| RecordingError::Engine(engine.status_message()))?;
    let task = order.settings.decoding.task;
    if task == Task::Translate && !whisper.file().dims().is_multilingual() {
        return Err(RecordingError::CannotTranslate(engine.model()));
    }
    let settings = settings(&whisper, order)?;
    let is_too_long = Arc::new(AtomicBool::new(false));
    let source = Limited {
        source: open(recording, stop.clone())?,
        left_s: order.longest_s,
        is_too_long: is_too_long.clone(),
    };
    if source.duration().is_some_and(|s| s > order.longest_s) {
        return Err(RecordingError::TooLong(order.longest_s));
    }
    let mut n_segments = 0;
    let source = Box::new(source);
    let summary = pipeline::transcribe(&whisper, source, &settings, stop, |mut window| {
        let language = window.language;
        let rules = &order.settings.rules;
        rules.segments(&mut window.segments, written(task, language));
        let segments = segments(window, n_segments);
        n_segments += segments.len();
        if segments.is_empty() {
            return Ok(());
        }
        publish(segments, language)
    })?;
    if is_too_long.load(Ordering::Relaxed) {
        return Err(RecordingError::TooLong(order.longest_s));
    }
    match summary.damage {
        Some(damage) if n_segments == 0 => Err(damage.into()),
        damage => Ok(Summary {
            duration_s: summary.duration_s,
            damage,
        }),
    }
}

fn settings(whisper: &Whisper, order: &Order) -> Result<Settings, TokenizerError> {
    let SessionSettings {
        decoding,
        hotwords,
        prompt,
        ..
    } = &order.settings;
    Ok(Settings {
        n_ctx: LONGEST_WINDOW.min(whisper.file().dims().n_audio_ctx),
        decoding: DecodingOptions {
            hotwords: Hotwords::shared(whisper.tokenizer(), hotwords)?,
            ..decoding.clone()
        },
        fallback: match order.temperature {
            Some(temperature) => FallbackOptions {
                temperatures: vec![temperature],
                ..FallbackOptions::default()
            },
            None => FallbackOptions::default(),
        },
        initial_prompt: whisper.tokenizer().encode_prompt(prompt)?,
        condition_on_previous_text: false,
        word_timestamps: true,
    })
}

fn open(recording: &File, stop: Arc<AtomicBool>) -> Result<FileSource, AudioError> {
    // The kernel's path of an open file, as FileSource opens files by path.
    let path = PathBuf::from(format!("/proc/self/fd/{}", recording.as_raw_fd()));
    FileSource::open_as(&path, "the recording", InputOptions::default(), stop)
}

/// Converts a window to segments, numbered from `first`.
fn segments(window: WindowTranscript, first: usize) -> Vec<Segment> {
    let spoken = window.segments.into_iter();
    let spoken = spoken.filter(|segment| !trimmed(&segment.text).is_empty());
    spoken
        .enumerate()
        .map(|(i, segment)| Segment {
            id: first + i,
            speaker: None,
            start_s: segment.start,
            end_s: segment.end,
            text: segment.text,
            tokens: segment.tokens,
            temperature: window.temperature,
            avg_logprob: window.avg_logprob,
            compression_ratio: window.compression_ratio,
            no_speech_prob: window.no_speech_prob,
            words: Some(segment.words.iter().map(word).collect()),
        })
        .collect()
}

fn word(word: &crate::whisper::TimedWord) -> Word {
    Word {
        word: word.text.clone(),
        start_s: word.start,
        end_s: word.end,
        probability: word.probability,
    }
}

/// Source that ends if it is too long: a small file may hold days of silence.
struct Limited {
    source: FileSource,
    left_s: f64,
    is_too_long: Arc<AtomicBool>,
}

impl AudioSource for Limited {
    fn duration(&self) -> Option<f64> {
        self.source.duration()
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        if self.left_s < 0.0 {
            self.is_too_long.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        let block = self.source.next_block()?;
        if let Some(block) = &block {
            let frames = block.samples.len() / block.channels.max(1);
            self.left_s -= frames as f64 / f64::from(block.rate.max(1));
        }
        Ok(block)
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        self.source.warnings()
    }
}
