//! How loud the microphone is and whether somebody speaks, for clients that show it.
//!
//! In: blocks of 16 kHz mono samples. Out: a [`Level`] for each fifteenth of a second.

use crate::audio::SAMPLE_RATE;
use crate::audio::vad::{FRAME, VOICE, Vad};

/// Number of levels in a second.
const RATE: usize = 15;
/// Loudness of silence, in dB of full scale.
const SILENCE_DB: f64 = -120.0;

/// Level of the sound of a fifteenth of a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Mean square in dB of full scale, at least −120.
    pub loudness_db: f64,
    /// Whether somebody speaks.
    pub is_speech: bool,
}

/// Measures the level of a stream.
pub(super) struct LevelMeter {
    vad: Vad,
    /// Samples that do not yet fill a frame of the voice detector.
    frame: Vec<f32>,
    /// Sum of the squares of the samples since the last level.
    power: f64,
    n_samples: usize,
    is_speech: bool,
}

impl LevelMeter {
    /// Creates a meter at the start of a stream.
    pub fn new() -> Self {
        Self {
            vad: Vad::new(),
            frame: Vec::with_capacity(FRAME),
            power: 0.0,
            n_samples: 0,
            is_speech: false,
        }
    }

    /// Takes the next samples and returns the levels that they complete.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Level> {
        samples
            .iter()
            .filter_map(|sample| self.push_sample(*sample))
            .collect()
    }

    fn push_sample(&mut self, sample: f32) -> Option<Level> {
        self.frame.push(sample);
        if let Ok(frame) = self.frame.as_slice().try_into() {
            self.is_speech |= self.vad.score(frame).speech >= VOICE;
            self.frame.clear();
        }
        self.power += f64::from(sample * sample);
        self.n_samples += 1;
        if self.n_samples * RATE < SAMPLE_RATE as usize {
            return None;
        }
        let mean_square = self.power / self.n_samples as f64;
        self.power = 0.0;
        self.n_samples = 0;
        Some(Level {
            loudness_db: (10.0 * mean_square.log10()).max(SILENCE_DB),
            is_speech: std::mem::take(&mut self.is_speech),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn levels(samples: &[f32], block: usize) -> Vec<Level> {
        let mut meter = LevelMeter::new();
        let blocks = samples.chunks(block);
        blocks.flat_map(|block| meter.push(block)).collect()
    }

    #[test]
    fn a_tone_of_full_scale_is_at_minus_three_decibels_and_nobody_speaks_in_silence() {
        let tone: Vec<f32> = (0..16_000)
            .map(|i| (i as f32 * 1000.0 * TAU / 16_000.0).sin())
            .collect();
        let found = levels(&tone, 960);
        assert_eq!(
            found.len(),
            14,
            "a second of whole intervals of 1,067 samples"
        );
        assert!(
            found
                .iter()
                .all(|level| (level.loudness_db + 3.01).abs() < 0.1),
            "{found:?}"
        );
        let quiet: Vec<f32> = tone.iter().map(|x| x * 0.01).collect();
        let quieter = levels(&quiet, 960)[5].loudness_db - found[5].loudness_db;
        assert!((quieter + 40.0).abs() < 0.1, "{quieter}");
        let silence = Level {
            loudness_db: SILENCE_DB,
            is_speech: false,
        };
        assert!(
            levels(&[0.0; 16_000], 960)
                .iter()
                .all(|level| *level == silence)
        );
    }

    #[test]
    fn speech_is_told_from_the_pause_after_it_however_it_is_cut_into_blocks() {
        let mut spoken = crate::audio::sample()[..36_000].to_vec();
        spoken.extend(vec![0.0; 32_000]);
        let found = levels(&spoken, 960);
        let n_speech = found[..33].iter().filter(|level| level.is_speech).count();
        assert!(n_speech > 20, "{n_speech} of 33");
        assert!(
            found[50..].iter().all(|level| !level.is_speech),
            "{found:?}"
        );
        assert_eq!(levels(&spoken, 37), found);
    }
}
