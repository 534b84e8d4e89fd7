//! A stretch of speech, which may be joined with the next one and cut elsewhere.

use super::cut::best_cut;
use super::frames::OFFSET_THRESHOLD;
use crate::audio::vad::{FRAME, FrameScore};

/// Stretch of speech.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Utterance {
    /// Samples, 16 kHz, mono.
    pub samples: Vec<f32>,
    /// Index of the first sample on the stream's clock (16 kHz).
    pub start: u64,
    /// The voice detector's scores of the samples, one for each full frame of 16 ms.
    pub scores: Vec<FrameScore>,
    /// Whether the speech goes on after it without a real pause, so that it may end within a
    /// sentence or even a word. The next utterance then begins where this one ends.
    pub continues: bool,
}

impl Utterance {
    /// Index of the sample after the last one on the stream's clock.
    pub fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// Whether any of it may be speech.
    pub fn has_voice(&self) -> bool {
        self.scores
            .iter()
            .any(|score| score.speech > OFFSET_THRESHOLD)
    }

    /// Whether any of it from its `n`th sample on may be speech.
    pub fn after_has_voice(&self, n: usize) -> bool {
        let rest = self.scores.iter().skip(n / FRAME);
        let mut speech = rest.map(|score| score.speech);
        speech.any(|speech| speech > OFFSET_THRESHOLD)
    }

    /// Joins an utterance that ends where `next` begins with `next`.
    pub fn joined(mut self, next: Self) -> Self {
        debug_assert_eq!(self.end(), next.start);
        self.samples.extend_from_slice(&next.samples);
        self.scores.extend_from_slice(&next.scores);
        self.continues = next.continues;
        self
    }

    /// Cuts the utterance at its best pause if it has more than `max_samples`. Returns the first
    /// part and the rest.
    pub fn cut(mut self, max_samples: usize) -> (Self, Option<Self>) {
        if self.samples.len() <= max_samples {
            return (self, None);
        }
        let window = (max_samples / FRAME).min(self.scores.len());
        let cut = best_cut(self.scores.get(..window).unwrap_or_default());
        let rest = self.split_off(cut.end);
        self.continues = cut.continues();
        (self, Some(rest))
    }

    /// Cuts off and returns what follows after `n` samples, rounded down to a frame.
    pub fn after(mut self, n: usize) -> Self {
        self.split_off(n / FRAME)
    }

    /// Cuts off and returns what follows after `n` frames.
    fn split_off(&mut self, n: usize) -> Self {
        let n = n.min(self.scores.len());
        Self {
            samples: self.samples.split_off(n * FRAME),
            start: self.start + (n * FRAME) as u64,
            scores: self.scores.split_off(n),
            continues: self.continues,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An utterance of `n` frames of speech, quiet from `quiet` on for 20 frames.
    fn utterance(start: usize, n: usize, quiet: usize) -> Utterance {
        let score = |i: usize| {
            let speech = if (quiet..quiet + 20).contains(&i) {
                0.1
            } else {
                0.9
            };
            FrameScore {
                speech,
                level_db: 60.0 * speech - 80.0,
            }
        };
        Utterance {
            samples: (0..n * FRAME).map(|i| (start * FRAME + i) as f32).collect(),
            start: (start * FRAME) as u64,
            scores: (0..n).map(score).collect(),
            continues: true,
        }
    }

    #[test]
    fn a_joined_utterance_is_cut_anew_and_loses_nothing() {
        let joined = utterance(100, 300, 250).joined(utterance(400, 300, 0));
        let whole = joined.samples.clone();
        let (first, rest) = joined.cut(500 * FRAME);
        let rest = rest.expect("more than fits");
        assert_eq!((first.end(), rest.end()), (rest.start, 700 * FRAME as u64));
        assert!(first.scores.len() <= 500 && rest.scores.len() + first.scores.len() == 600);
        assert_eq!([first.samples, rest.samples].concat(), whole);
        let short = utterance(0, 300, 250);
        assert_eq!(short.clone().cut(300 * FRAME), (short, None));
    }

    #[test]
    fn what_follows_a_sample_begins_with_its_frame() {
        let rest = utterance(10, 300, 250).after(100 * FRAME + 7);
        assert_eq!((rest.start, rest.scores.len()), (110 * FRAME as u64, 200));
        assert_eq!(rest.samples.first(), Some(&(110.0 * FRAME as f32)));
    }
}
