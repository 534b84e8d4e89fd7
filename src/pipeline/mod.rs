//! Transcribes a recording in stages, each on its own thread, joined by bounded channels.
//!
//! In: an [`AudioSource`]. Out: a [`WindowTranscript`] for each window, in order, then a
//! [`StreamSummary`].
//!
//! ```text
//! AudioSource ──frontend: 16 kHz mono, utterances──▶ encoder: log-mel, AudioFeatures ──▶ decoder: text ──▶ caller
//! ```
//!
//! A file is a stream that ends: no stage after the source knows the difference. A stage ends when
//! the one before it does. Dropping a receiver stops the stages before it.

mod channels;
mod compute_lock;
mod decode;
mod running;
mod transcriber;
mod window;

use crate::advice::Advice;
use crate::audio::{
    AudioError, AudioSource, AudioWarning, Mono16k, Segmenter, SegmenterOptions, Utterance, clock,
};
use crate::recognize::{WindowAudio, WindowEncoder, WindowError};
use crate::whisper::decoding::DecodingError;
use crate::whisper::{DecodeError, EncodeError, SAMPLES_PER_POSITION, Whisper};
use compute_lock::ComputeLock;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

pub use channels::{ChannelEvent, ChannelsSummary, transcribe_channels};
pub use decode::IN_FLIGHT;
pub use transcriber::Transcriber;
use window::{Encoded, Incoming};
pub use window::{Settings, WindowTranscript};

/// Number of items that may wait between two stages, so that a stage can begin its next item before
/// the other takes the last.
const QUEUE: usize = 2;

/// Pause that ends an utterance whose language is detected, in samples: 1.2 s. Somebody who speaks
/// another language mostly begins after a pause, and a window has one language.
const END_PAUSE_DETECTED: usize = clock::samples(1.2);

/// Summary of a stream that has ended.
#[derive(Debug)]
pub struct StreamSummary {
    /// Length of the audio read, in seconds.
    pub duration_s: f64,
    /// Damage that ended the stream early. Everything before it was transcribed.
    pub damage: Option<AudioError>,
    /// Minor defects of the audio.
    pub warnings: Vec<AudioWarning>,
}

/// Error of a transcription. `E` is the caller's error in taking a transcript.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError<E> {
    /// The caller could not take a transcript.
    #[error(transparent)]
    Publish(E),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed, or the caller stopped it.
    #[error(transparent)]
    Decode(#[from] DecodingError<DecodeError>),
    /// A stage panicked because of a bug.
    #[error("a stage of the pipeline has panicked")]
    Panicked,
}

impl<E: Advice> Advice for PipelineError<E> {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Publish(error) => return error.remedy(),
            Self::Encode(error) => return error.remedy(),
            Self::Decode(error) => return error.remedy(),
            Self::Panicked => "please report this".into(),
        })
    }
}

impl<E> PipelineError<E> {
    /// Whether the transcription only failed because the caller stopped it.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Decode(DecodingError::Cancelled))
    }
}

impl<E> From<WindowError> for PipelineError<E> {
    fn from(error: WindowError) -> Self {
        match error {
            WindowError::Encode(error) => Self::Encode(error),
            WindowError::Decode(error) => Self::Decode(error),
        }
    }
}

/// Transcribes a source to its end, or until `stop` is set, and passes each window's transcript to
/// `publish`, in order.
///
/// # Errors
/// Returns an error if a stage or `publish` fails. A damaged source is not an error: the
/// [`StreamSummary`] reports it.
pub fn transcribe<E>(
    whisper: &Whisper,
    source: Box<dyn AudioSource>,
    settings: &Settings,
    stop: &AtomicBool,
    publish: impl FnMut(WindowTranscript) -> Result<(), E>,
) -> Result<StreamSummary, PipelineError<E>> {
    let lock = ComputeLock::default();
    transcribe_sharing(&lock, whisper, source, settings, stop, publish)
}

/// As [`transcribe`]; computes while nobody else has the lock.
fn transcribe_sharing<E>(
    lock: &ComputeLock,
    whisper: &Whisper,
    source: Box<dyn AudioSource>,
    settings: &Settings,
    stop: &AtomicBool,
    mut publish: impl FnMut(WindowTranscript) -> Result<(), E>,
) -> Result<StreamSummary, PipelineError<E>> {
    std::thread::scope(|scope| {
        let (to_encoder, utterances) = bounded(QUEUE);
        let (to_decoder, encoded) = bounded(QUEUE);
        let (to_publisher, transcripts) = bounded(QUEUE);
        let frontend = scope.spawn(move || segment(source, settings, stop, &to_encoder));
        let encoder =
            scope.spawn(move || encode(whisper, settings, lock, &utterances, &to_decoder));
        let decoder = scope
            .spawn(move || decode::decode(whisper, settings, stop, lock, &encoded, &to_publisher));
        let published = transcripts.iter().try_for_each(&mut publish);
        // Stops the stages that still run.
        drop(transcripts);
        let decoded = decoder.join().map_err(|_| PipelineError::Panicked);
        let encoded = encoder.join().map_err(|_| PipelineError::Panicked);
        let summary = frontend.join().map_err(|_| PipelineError::Panicked)?;
        published.map_err(PipelineError::Publish)?;
        encoded??;
        decoded??;
        Ok(summary)
    })
}

/// First stage: from audio to utterances that fit the window.
fn segment(
    source: Box<dyn AudioSource>,
    settings: &Settings,
    stop: &AtomicBool,
    next: &Sender<Utterance>,
) -> StreamSummary {
    let mut stream = Mono16k::new(source);
    let max_samples = settings.n_ctx * SAMPLES_PER_POSITION;
    let mut segmenter = Segmenter::new(SegmenterOptions {
        max_samples,
        end_pause: if settings.decoding.language.is_some() {
            SegmenterOptions::default().end_pause
        } else {
            END_PAUSE_DETECTED
        },
    });
    let mut n_samples = 0;
    let mut is_taken = true;
    let damage = loop {
        if !is_taken || stop.load(Ordering::Relaxed) {
            break None;
        }
        match stream.next_block() {
            Ok(Some(block)) => {
                n_samples += block.len();
                is_taken = segmenter
                    .push(block)
                    .into_iter()
                    .all(|utterance| next.send(utterance).is_ok());
            }
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    if is_taken && !stop.load(Ordering::Relaxed) {
        // If the next stage has ended, nobody needs the last utterance.
        let _ = segmenter
            .finish()
            .into_iter()
            .try_for_each(|utterance| next.send(utterance));
    }
    StreamSummary {
        duration_s: clock::seconds(n_samples as u64),
        damage,
        warnings: stream.warnings(),
    }
}

/// Second stage: from utterances to encoder states.
fn encode(
    whisper: &Whisper,
    settings: &Settings,
    lock: &ComputeLock,
    utterances: &Receiver<Utterance>,
    next: &Sender<Incoming>,
) -> Result<(), EncodeError> {
    let mut encoder = WindowEncoder::new(whisper);
    let mut continues = false;
    for utterance in utterances {
        let follows = std::mem::replace(&mut continues, utterance.continues);
        // What the window before leaves is decoded with this utterance, so its window is not known.
        let encoded = if follows {
            Incoming::Waits(utterance)
        } else {
            let audio = WindowAudio::new(whisper, utterance.samples.clone(), settings.n_ctx);
            let mel = encoder.mel(&audio);
            let guard = lock.encoder();
            let features = encoder.encode_mel(&mel)?;
            drop(guard);
            Incoming::Encoded(Encoded {
                utterance,
                audio,
                features,
            })
        };
        if next.send(encoded).is_err() {
            break;
        }
    }
    Ok(())
}
