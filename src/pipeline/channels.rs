//! Transcribes the channels of a recording apart, all at the same time.
//!
//! In: a recording whose channels have been counted. Out: windows of each channel, in the order of
//! that channel, then one summary.
//!
//! ```text
//! CountedChannels ──split──▶ a pipeline for each channel ──▶ caller
//! ```
//!
//! The pipelines take turns at computing. The slowest one holds up the reading of the recording, so
//! memory does not grow with its length.

use std::sync::atomic::AtomicBool;

use crossbeam_channel::bounded;

use super::compute_lock::ComputeLock;
use super::{PipelineError, QUEUE, Settings, StreamSummary, WindowTranscript, transcribe_sharing};
use crate::audio::{AudioSource, AudioWarning, CountedChannels};
use crate::whisper::Whisper;

/// The caller takes no more transcripts.
struct Hangup;

/// Summary of a recording whose channels have been transcribed.
pub struct ChannelsSummary {
    /// Summary of the recording as a whole.
    pub stream: StreamSummary,
    /// Whether every channel had the same sound.
    pub are_alike: bool,
}

/// What the pipeline of a channel says.
pub enum ChannelEvent {
    /// A window has been transcribed.
    Window(Box<WindowTranscript>),
    /// The channel has ended.
    End,
}

/// Transcribes each channel to its end, or until `stop` is set, and passes what happens to
/// `publish` with the index of the channel.
///
/// # Errors
/// Returns an error if a stage or `publish` fails. A damaged recording is not an error: the summary
/// reports it.
pub fn transcribe_channels<E: Send>(
    whisper: &Whisper,
    recording: CountedChannels,
    settings: &Settings,
    stop: &AtomicBool,
    mut publish: impl FnMut(usize, ChannelEvent) -> Result<(), E>,
) -> Result<ChannelsSummary, PipelineError<E>> {
    let lock = &ComputeLock::default();
    let (splitter, channels) = recording.split();
    std::thread::scope(|scope| {
        let (sender, events) = bounded(QUEUE);
        let reader = scope.spawn(move || splitter.run(stop));
        let pipelines: Vec<_> = channels
            .into_iter()
            .enumerate()
            .map(|(i, channel)| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let send = |event| sender.send((i, event)).map_err(|_| Hangup);
                    let source: Box<dyn AudioSource> = Box::new(channel);
                    let publish = |window| send(ChannelEvent::Window(Box::new(window)));
                    let ended = transcribe_sharing(lock, whisper, source, settings, stop, publish);
                    // If the caller takes no more, its error says why.
                    let _ = send(ChannelEvent::End);
                    ended
                })
            })
            .collect();
        drop(sender);
        let published = events.iter().try_for_each(|(i, event)| publish(i, event));
        // Stops the pipelines that still run.
        drop(events);
        let mut duration_s = 0.0_f64;
        for pipeline in pipelines {
            match pipeline.join().map_err(|_| PipelineError::Panicked)? {
                Ok(summary) => duration_s = duration_s.max(summary.duration_s),
                Err(PipelineError::Publish(Hangup)) => {}
                Err(PipelineError::Encode(error)) => return Err(error.into()),
                Err(PipelineError::Decode(error)) => return Err(error.into()),
                Err(PipelineError::Panicked) => return Err(PipelineError::Panicked),
            }
        }
        let (recording, damage) = reader.join().map_err(|_| PipelineError::Panicked)?;
        published.map_err(PipelineError::Publish)?;
        let warnings: Vec<AudioWarning> = recording.warnings();
        Ok(ChannelsSummary {
            are_alike: recording.are_alike(),
            stream: StreamSummary {
                duration_s,
                damage,
                warnings,
            },
        })
    })
}
