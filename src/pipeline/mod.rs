//! The stages of a transcription, each on a thread of its own, joined by bounded channels.
//!
//! ```text
//! AudioSource ──frontend: 16 kHz mono, utterances──▶ encoder: log-mel, AudioFeatures ──▶ decoder: text ──▶ caller
//! ```
//!
//! A file is a stream that ends: nothing behind the source knows the difference. A stage ends when
//! the one before it does; dropping a receiver stops the stages before it.

mod compute_lock;
mod decode;
mod window;

use crate::advice::Advice;
use crate::audio::{
    AudioError, AudioSource, AudioWarning, Mono16k, SAMPLE_RATE, Segmenter, SegmenterOptions,
    Utterance,
};
use crate::recognize::{WindowAudio, WindowEncoder, WindowError};
use crate::whisper::decoding::DecodingError;
use crate::whisper::{DecodeError, EncodeError, SAMPLES_PER_POSITION, Whisper};
use compute_lock::ComputeLock;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

pub use decode::IN_FLIGHT;
use window::Encoded;
pub use window::{Settings, WindowTranscript};

/// Utterances or features that wait between two stages: enough that no stage waits for another's
/// start.
const QUEUE: usize = 2;

/// How a stream ended.
#[derive(Debug)]
pub struct StreamSummary {
    /// Seconds of audio that were read.
    pub duration_s: f64,
    /// Damage that ended the stream early; everything before it was transcribed.
    pub damage: Option<AudioError>,
    /// Lesser defects of the audio.
    pub warnings: Vec<AudioWarning>,
}

/// Why a transcription fails. `E` is the caller's error in taking a passage.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError<E> {
    /// The caller could not take a passage.
    #[error(transparent)]
    Publish(E),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed, or was told to stop.
    #[error(transparent)]
    Decode(#[from] DecodingError<DecodeError>),
    /// A stage ended by a defect of the program.
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
    /// Whether it is merely that the caller said stop.
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

/// Transcribes a source to its end, or until `stop` is set, and hands each window's text to
/// `publish`, in order.
///
/// # Errors
/// Where a stage fails or `publish` does; a damaged source is no error but told by the [`StreamSummary`].
pub fn transcribe<E>(
    whisper: &Whisper,
    source: Box<dyn AudioSource>,
    settings: &Settings,
    stop: &AtomicBool,
    mut publish: impl FnMut(WindowTranscript) -> Result<(), E>,
) -> Result<StreamSummary, PipelineError<E>> {
    let lock = &ComputeLock::default();
    std::thread::scope(|scope| {
        let (to_encoder, utterances) = bounded(QUEUE);
        let (to_decoder, encoded) = bounded(QUEUE);
        let (to_publisher, transcripts) = bounded(QUEUE);
        let frontend = scope.spawn(move || listen(source, settings, stop, &to_encoder));
        let encoder =
            scope.spawn(move || encode(whisper, settings, lock, &utterances, &to_decoder));
        let decoder = scope
            .spawn(move || decode::decode(whisper, settings, stop, lock, &encoded, &to_publisher));
        let published = transcripts.iter().try_for_each(&mut publish);
        // Stages that still run find their receivers gone.
        drop(transcripts);
        let decoded = decoder.join().map_err(|_| PipelineError::Panicked);
        let encoded = encoder.join().map_err(|_| PipelineError::Panicked);
        let ending = frontend.join().map_err(|_| PipelineError::Panicked)?;
        published.map_err(PipelineError::Publish)?;
        encoded??;
        decoded??;
        Ok(ending)
    })
}

/// First stage: the source's audio as utterances that fit the window.
fn listen(
    source: Box<dyn AudioSource>,
    settings: &Settings,
    stop: &AtomicBool,
    next: &Sender<Utterance>,
) -> StreamSummary {
    let mut stream = Mono16k::new(source);
    let max_samples = settings.n_ctx * SAMPLES_PER_POSITION;
    let mut segmenter = Segmenter::new(SegmenterOptions {
        max_samples,
        ..SegmenterOptions::default()
    });
    let mut n_samples = 0;
    let mut heard = true;
    let damage = loop {
        if !heard || stop.load(Ordering::Relaxed) {
            break None;
        }
        match stream.next_block() {
            Ok(Some(block)) => {
                n_samples += block.len();
                heard = segmenter
                    .push(block)
                    .into_iter()
                    .all(|utterance| next.send(utterance).is_ok());
            }
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        }
    };
    if heard && !stop.load(Ordering::Relaxed) {
        // Where nobody listens any more there is nobody to tell.
        let _ = segmenter
            .finish()
            .into_iter()
            .try_for_each(|utterance| next.send(utterance));
    }
    let duration_s = n_samples as f64 / f64::from(SAMPLE_RATE);
    StreamSummary {
        duration_s,
        damage,
        warnings: stream.warnings(),
    }
}

/// Second stage: utterances to encoder states.
fn encode(
    whisper: &Whisper,
    settings: &Settings,
    lock: &ComputeLock,
    utterances: &Receiver<Utterance>,
    next: &Sender<Encoded>,
) -> Result<(), EncodeError> {
    let mut encoder = WindowEncoder::new(whisper);
    for Utterance { samples, start } in utterances {
        let audio = WindowAudio::new(whisper, samples, settings.n_ctx);
        let mel = encoder.mel(&audio);
        let guard = lock.encoder();
        let features = encoder.encode_mel(&mel)?;
        drop(guard);
        let encoded = Encoded {
            start_s: start as f64 / f64::from(SAMPLE_RATE),
            audio,
            features,
        };
        if next.send(encoded).is_err() {
            break;
        }
    }
    Ok(())
}
