//! How long words take until they are committed.

use crate::audio::clock;
use crate::stream::Event;
use std::time::Instant;

/// Measures how long words take until they are committed.
#[derive(Debug)]
pub(super) struct LatencyTracker {
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
    /// Creates a tracker at the start of a stream.
    pub fn new() -> Self {
        Self {
            samples: 0,
            blocks: 0,
            at: Instant::now(),
            committed: 0,
        }
    }

    /// Records that the engine has received a block of samples.
    pub fn received(&mut self, samples: usize) {
        self.samples += samples;
        self.blocks += 1;
        self.at = Instant::now();
    }

    /// Returns the length of the audio in seconds.
    pub fn audio_s(&self) -> f64 {
        clock::seconds(self.samples as u64)
    }

    /// Returns the length of `n` blocks in seconds.
    pub fn blocks_s(&self, n: usize) -> f64 {
        n as f64 * self.audio_s() / self.blocks.max(1) as f64
    }

    /// Returns, for each word that the event commits, the time since its end in seconds.
    pub fn lags_s(&mut self, event: &Event) -> Vec<f64> {
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
