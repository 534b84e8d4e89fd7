//! `org.hearken.Hearken1.Job`: the transcription of a recording.

use super::BusError;
use super::hub::{Hub, JobResult, Message, OwnedJob, sender};
use super::options::Request;
use super::protocol::JobStatus;
use crate::advice::Advice;
use crate::audio::{
    AudioError, AudioSource, AudioWarning, Block, FileSource, InputOptions, SAMPLE_RATE, clock,
};
use crate::pipeline::{self, PipelineError, Settings};
use crate::text::{append, timed, trimmed, written};
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

/// Smallest step of progress that is reported.
const STEP: f64 = 0.01;

/// What a job transcribes.
pub(super) enum Recording {
    /// An open file.
    File(OwnedFd),
    /// Samples at 16 kHz, mono.
    Samples(Vec<f32>),
}

impl Recording {
    /// Opens the audio. A pipe ends once `stop` is set. Returns what the user may want to know of it,
    /// too.
    fn open(
        self,
        stop: Arc<AtomicBool>,
    ) -> Result<(Box<dyn AudioSource>, Vec<String>), AudioError> {
        match self {
            Self::File(file) => {
                // The kernel's path of an open file, as FileSource opens files by path.
                let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                let options = InputOptions::default();
                let source = FileSource::open_as(&path, "the recording", options, stop)?;
                let notes = source.notes().iter().map(ToString::to_string).collect();
                Ok((Box::new(source), notes))
            }
            Self::Samples(samples) => {
                let excerpt = Excerpt {
                    samples,
                    is_read: false,
                };
                Ok((Box::new(excerpt), Vec::new()))
            }
        }
    }
}

/// Source of samples in memory.
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

/// Progress of a job, from 0 to 1.
#[derive(Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Records progress. Returns whether it has grown enough to be reported.
    fn set(&self, share: f64) -> bool {
        let is_visible = share >= self.get() + STEP;
        if is_visible {
            self.0.store(share.min(1.0).to_bits(), Ordering::Relaxed);
        }
        is_visible
    }
}

#[interface(name = "org.hearken.Hearken1.Job")]
impl JobObject {
    /// Ends the job early: Finished follows with status 2. Only the owner may call it; others get
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

    /// Share of the recording that is done, from 0 to 1; stays 0 if its length is unknown.
    #[zbus(property)]
    fn progress(&self) -> f64 {
        self.progress.get()
    }

    /// Result of the job, sent once and to the owner only; then the object is removed. status: 1
    /// done, 2 cancelled, 3 failed. details: segments (a(dds)): start and end in seconds, and text;
    /// words (a(sddd)): the words of text, each with start and end in seconds of the recording and
    /// confidence from 0 to 1; language (s); duration (d) in seconds; error (s), empty if there was
    /// none; notes (as): which track was read, whether ffmpeg did, and damage that was passed over.
    #[zbus(signal)]
    pub(super) async fn finished(
        emitter: &SignalEmitter<'_>,
        status: u32,
        text: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

/// Transcribes a recording on its own thread and posts progress and result.
pub(super) fn start(
    hub: Arc<Hub>,
    number: u64,
    recording: Recording,
    request: Request,
    stop: Arc<AtomicBool>,
    progress: Arc<Progress>,
) {
    std::thread::spawn(move || {
        let result = run(&hub, number, recording, &request, &stop, &progress);
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

/// Reason that a job fails.
#[derive(Debug, thiserror::Error)]
enum JobError {
    /// The engine is not ready, for this reason.
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
    request: &Request,
    stop: &Arc<AtomicBool>,
    progress: &Progress,
) -> Result<JobResult, JobError> {
    let should_stop =
        |status_message: &str| !status_message.is_empty() || stop.load(Ordering::Relaxed);
    let whisper = hub
        .engine()
        .wait(&should_stop)
        .ok_or_else(|| JobError::Engine(hub.engine().status_message()))?;
    let (source, notes) = recording.open(stop.clone())?;
    let duration = source.duration();
    let hotwords = Hotwords::shared(whisper.tokenizer(), &request.settings.hotwords)?;
    let settings = Settings {
        n_ctx: LONGEST_WINDOW.min(whisper.file().dims().n_audio_ctx),
        decoding: DecodingOptions {
            hotwords,
            ..request.settings.decoding.clone()
        },
        fallback: FallbackOptions::default(),
        initial_prompt: whisper
            .tokenizer()
            .encode_prompt(&request.settings.prompt)?,
        condition_on_previous_text: false,
        word_timestamps: true,
    };
    let mut result = JobResult {
        notes,
        ..JobResult::empty(JobStatus::Done)
    };
    let summary = pipeline::transcribe(&whisper, source, &settings, stop, |mut window| {
        let language = written(settings.decoding.task, window.language);
        request
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
    result.duration_s = summary.duration_s;
    let warnings = summary.warnings.iter().map(ToString::to_string);
    result.notes.extend(warnings);
    result.error = summary
        .damage
        .map(|damage| damage.explain())
        .unwrap_or_default();
    Ok(result)
}
