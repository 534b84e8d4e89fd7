//! Passes samples from an audio callback to a thread, through a preallocated ring.
//!
//! The callback's side never allocates, locks, logs or blocks. Samples that do not fit are dropped
//! and counted.

use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::Thread;

/// Capacity of the ring in seconds. The reader only resamples, so it is never that late.
const RING_SECONDS: usize = 4;

/// Counts of capture errors.
#[derive(Debug, Default)]
pub struct CaptureStats {
    dropped: AtomicU64,
    overruns: AtomicU64,
}

impl CaptureStats {
    /// Frames (samples of each channel, at the device's rate) that were dropped because they were
    /// not read in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Number of times that samples were lost, here or according to the audio system.
    pub fn overruns(&self) -> u64 {
        self.overruns.load(Relaxed)
    }

    /// Counts a loss that the audio system reports.
    pub(super) fn count_overrun(&self) {
        self.overruns.fetch_add(1, Relaxed);
    }
}

/// The callback's side.
pub(super) struct Feed {
    producer: Producer<f32>,
    channels: usize,
    stats: Arc<CaptureStats>,
    reader: Thread,
}

impl Feed {
    /// Appends samples (interleaved, whole frames) and wakes the reader.
    pub fn push(&mut self, samples: impl ExactSizeIterator<Item = f32>) {
        let n = samples.len();
        let room = self.producer.slots().min(n);
        // Half a frame would swap the channels from then on.
        let room = room - room % self.channels;
        if let Ok(chunk) = self.producer.write_chunk_uninit(room) {
            chunk.fill_from_iter(samples);
        }
        if room < n {
            self.stats
                .dropped
                .fetch_add(((n - room) / self.channels) as u64, Relaxed);
            self.stats.overruns.fetch_add(1, Relaxed);
        }
        self.reader.unpark();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reader.unpark();
    }
}

/// The reader's side.
pub(super) struct Drain {
    consumer: Consumer<f32>,
}

impl Drain {
    /// Moves all available samples to the end of `out`.
    pub fn read(&mut self, out: &mut Vec<f32>) {
        let n = self.consumer.slots();
        if let Ok(chunk) = self.consumer.read_chunk(n) {
            out.extend(chunk);
        }
    }

    /// Returns true if the callback no longer exists.
    pub fn is_abandoned(&self) -> bool {
        self.consumer.is_abandoned()
    }
}

/// Creates a ring for sound at `rate` Hz with at least one channel, to be read by the calling
/// thread.
pub(super) fn ring(rate: u32, channels: usize, stats: Arc<CaptureStats>) -> (Feed, Drain) {
    ring_of(rate as usize * RING_SECONDS * channels, channels, stats)
}

fn ring_of(capacity: usize, channels: usize, stats: Arc<CaptureStats>) -> (Feed, Drain) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (
        Feed {
            producer,
            channels,
            stats,
            reader: std::thread::current(),
        },
        Drain { consumer },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_the_rest_kept_in_order() {
        let stats = Arc::new(CaptureStats::default());
        let (mut feed, mut drain) = ring_of(5, 1, stats.clone());
        let mut out = Vec::new();
        feed.push([1.0, 2.0, 3.0].into_iter());
        feed.push([4.0, 5.0, 6.0, 7.0].into_iter());
        drain.read(&mut out);
        feed.push([8.0].into_iter());
        drain.read(&mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, 4.0, 5.0, 8.0]);
        assert_eq!((stats.dropped(), stats.overruns()), (2, 1));
        assert!(!drain.is_abandoned());
        drop(feed);
        assert!(drain.is_abandoned());
    }

    #[test]
    fn frames_are_dropped_whole() {
        let stats = Arc::new(CaptureStats::default());
        let (mut feed, mut drain) = ring_of(5, 2, stats.clone());
        let mut out = Vec::new();
        feed.push([1.0, -1.0].into_iter());
        feed.push([2.0, -2.0, 3.0, -3.0].into_iter());
        drain.read(&mut out);
        feed.push([4.0, -4.0].into_iter());
        drain.read(&mut out);
        assert_eq!(out, [1.0, -1.0, 2.0, -2.0, 4.0, -4.0]);
        assert_eq!((stats.dropped(), stats.overruns()), (1, 1));
    }
}
