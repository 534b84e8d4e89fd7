//! `org.hearken.Hearken1.Job`: a recording on its way to text.

use super::BusError;
use super::hub::{Hub, JobResult, Message, OwnedJob, sender};
use super::options::Wanted;
use super::protocol::JobStatus;
use crate::advice::Advice;
use crate::audio::{AudioError, AudioSource, AudioWarning, Block, FileSource, SAMPLE_RATE, clock};
use crate::pipeline::{self, PipelineError, Settings};
use crate::text::timed;
use crate::text::{append, trimmed, written};
use crate::tokenizer::TokenizerError;
use crate::whisper::LONGEST_WINDOW;
use crate::whisper::decoding::{DecodingOptions, FallbackOptions, Hotwords};
use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Variant, interface};

/// Progress is told in steps of this size.
const STEP: f64 = 0.01;

/// What a job transcribes.
pub(super) enum Recording {
    /// What a file descriptor is open on.
    File(OwnedFd),
    /// Samples, 16 kHz, mono.
    Samples(Vec<f32>),
}

impl Recording {
    /// The sound; that of a pipe ends when `stop` is set.
    fn open(self, stop: Arc<AtomicBool>) -> Result<Box<dyn AudioSource>, AudioError> {
        match self {
            Self::File(file) => {
                // The kernel's name of an open file.
                let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                Ok(Box::new(FileSource::open_as(&path, "the recording", stop)?))
            }
            Self::Samples(samples) => Ok(Box::new(Excerpt {
                samples,
                is_read: false,
            })),
        }
    }
}

/// Samples as a source.
struct Excerpt {
    samples: Vec<f32>,
    is_read: bool,
}

impl AudioSource for Excerpt {
    fn duration(&self) -> Option<f64> {
        Some(clock::seconds(self.samples.len() as u64))
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        let is_over = std::mem::replace(&mut self.is_read, true) || self.samples.is_empty();
        Ok((!is_over).then_some(Block {
            samples: &self.samples,
            rate: SAMPLE_RATE,
            channels: 1,
        }))
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        Vec::new()
    }
}

/// A job's object.
pub(super) struct JobObject {
    pub job: OwnedJob,
    pub progress: Arc<Progress>,
}

/// How far a job has come.
#[derive(Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Notes progress; true where it is worth telling.
    fn set(&self, share: f64) -> bool {
        let is_news = share >= self.get() + STEP;
        if is_news {
            self.0.store(share.min(1.0).to_bits(), Ordering::Relaxed);
        }
        is_news
    }
}

#[interface(name = "org.hearken.Hearken1.Job")]
impl JobObject {
    /// Ends the job early: Finished follows with status 2. Only for its owner, others get
    /// Error.NotOwner.
    async fn cancel(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BusError> {
        if sender(&header)? != self.job.owner {
            return Err(BusError::NotOwner(
                "only the client that started a job may cancel it".to_owned(),
            ));
        }
        self.job.stop.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Share of the recording that is done, 0 to 1; stays 0 where its length is not known.
    #[zbus(property)]
    fn progress(&self) -> f64 {
        self.progress.get()
    }

    /// The one result, to the owner alone; the object is removed after it. status: 1 done, 2
    /// cancelled, 3 failed. details: segments (a(dds)): start and end in seconds, and text, of
    /// each; words (a(sddd)): the words of text, each with start and end in seconds of the
    /// recording and confidence from 0 to 1; language (s), duration (d) in seconds, error (s) where
    /// there was one.
    #[zbus(signal)]
    pub(super) async fn finished(
        emitter: &SignalEmitter<'_>,
        status: u32,
        text: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

/// Transcribes a recording on a thread of its own, and posts how that goes.
pub(super) fn start(
    hub: Arc<Hub>,
    number: u64,
    recording: Recording,
    wanted: Wanted,
    stop: Arc<AtomicBool>,
    progress: Arc<Progress>,
) {
    std::thread::spawn(move || {
        let result = run(&hub, number, recording, &wanted, &stop, &progress);
        let is_cancelled = stop.load(Ordering::Relaxed);
        let result = match result {
            Ok(result) if is_cancelled => JobResult {
                status: JobStatus::Cancelled,
                ..result
            },
            Ok(result) => result,
            Err(_) if is_cancelled => JobResult::empty(JobStatus::Cancelled),
            Err(error) => JobResult {
                error: error.explain(),
                ..JobResult::empty(JobStatus::Failed)
            },
        };
        hub.post(Message::JobEnded(number, result));
    });
}

/// Why a job fails.
#[derive(Debug, thiserror::Error)]
enum JobError {
    /// The engine is not ready, and why.
    #[error("{0}")]
    Engine(String),
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Text(#[from] TokenizerError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError<Infallible>),
}

impl Advice for JobError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Audio(error) => error.remedy(),
            Self::Pipeline(error) => error.remedy(),
            Self::Engine(_) | Self::Text(_) => None,
        }
    }
}

fn run(
    hub: &Hub,
    number: u64,
    recording: Recording,
    wanted: &Wanted,
    stop: &Arc<AtomicBool>,
    progress: &Progress,
) -> Result<JobResult, JobError> {
    let gives_up =
        |status_message: &str| !status_message.is_empty() || stop.load(Ordering::Relaxed);
    let whisper = hub
        .engine()
        .wait(&gives_up)
        .ok_or_else(|| JobError::Engine(hub.engine().status_message()))?;
    let source = recording.open(stop.clone())?;
    let duration = source.duration();
    let hotwords = Hotwords::shared(whisper.tokenizer(), &wanted.settings.hotwords)?;
    let settings = Settings {
        n_ctx: LONGEST_WINDOW.min(whisper.file().dims().n_audio_ctx),
        decoding: DecodingOptions {
            hotwords,
            ..wanted.settings.decoding.clone()
        },
        fallback: FallbackOptions::default(),
        initial_prompt: whisper.tokenizer().encode_prompt(&wanted.settings.prompt)?,
        condition_on_previous_text: false,
        word_timestamps: true,
    };
    let mut result = JobResult::empty(JobStatus::Done);
    let ending = pipeline::transcribe(&whisper, source, &settings, stop, |mut window| {
        let language = written(settings.decoding.task, window.language);
        wanted
            .settings
            .rules
            .segments(&mut window.segments, language);
        if duration.is_some_and(|length| length > 0.0 && progress.set(window.end_s / length)) {
            hub.post(Message::JobProgress(number));
        }
        for segment in window.segments {
            result.language = window.language.code().to_owned();
            result.words.extend(timed(&segment.words, language));
            append(&mut result.text, &segment.text);
            result.segments.push((
                segment.start,
                segment.end,
                trimmed(&segment.text).to_owned(),
            ));
        }
        Ok::<(), Infallible>(())
    })?;
    result.text = trimmed(&result.text).to_owned();
    result.duration_s = ending.duration_s;
    result.error = ending
        .damage
        .map(|damage| damage.explain())
        .unwrap_or_default();
    Ok(result)
}
