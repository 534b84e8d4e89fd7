//! Voice activity detection: the probability that each 16 ms of a 16 kHz mono stream is speech, and
//! its level.
//!
//! The probability comes from earshot, a small recurrent network whose weights are part of its
//! crate. It scores quiet speech low, so a slow automatic gain first brings every stream to the
//! same level.
//!
//! Measured on 414 recordings of speech (79 minutes, 10 languages; read, accented, noisy,
//! telephone) and 9 of other sounds, with the segmenter's thresholds (sure from 0.6, for 80 ms;
//! unsure down to 0.35) and margins:
//!
//! | | without the gain | with it |
//! |---|---|---|
//! | recordings that lose a loud frame at either end | 15, one its first words | 4, clicks and noise only |
//! | silence, room noise, a robin: share passed | 0 | 0 |
//! | traffic, a trumpet: share passed | 0.2, 0.3 | 0 |
//! | hens: share passed | 0 | 1 |
//! | voices in a café, music: share passed | 1 | 1 |
//!
//! The level follows only speech at once: clicks and slams do not make quiet speech after them
//! inaudible. Where it is quiet, each frame is also scored at the level of the voice that spoke last,
//! which falls fast, so that somebody farther away is heard between near voices. Amplified noise
//! may sound like speech to the detector; as long as its level is steady, that score does not count.
//!
//! Scoring takes 0.7 ms for a second of audio on one core.

use super::SAMPLE_RATE;
use earshot::Detector;
use std::collections::VecDeque;
use std::ops::Range;

/// Samples per frame: 16 ms, the frame of earshot.
pub const FRAME: usize = 256;
/// Length of a frame in seconds.
const FRAME_S: f32 = FRAME as f32 / SAMPLE_RATE as f32;

/// Target level of the loudest frames, in dB of full scale (mean square).
const TARGET_DB: f32 = -18.0;
/// Loudest level assumed at the start of a stream, in dB of full scale: that of a quiet speaker.
const START_DB: f32 = -40.0;
/// Level below which the gain stays at 30 dB, in dB of full scale.
const MIN_DB: f32 = -48.0;
/// How fast the remembered level of the loudest voice falls, in dB a second.
const DECAY_DB: f32 = 2.0;
/// The same for the level of the voice that spoke last.
const QUICK_DECAY_DB: f32 = 40.0;
/// How fast sound that is no speech raises a remembered level, in dB a second. A click does not last
/// long enough to matter; steady noise does.
const RISE_DB: f32 = 20.0;
/// Distance between the two levels from which a frame is scored at both of them, in dB.
const TWO_VOICES_DB: f32 = 12.0;
/// Number of frames over which a quiet voice is told from noise: half a second.
const MODULATION_FRAMES: usize = 32;
/// Least range of the levels of speech in that time, in dB. Amplified, steady noise may sound like
/// speech to the detector, but its level hardly varies.
const MODULATION_DB: f32 = 8.0;
/// Share of a frame in the running mean of power: the gain looks at about 50 ms, so that a click
/// does not lower it.
const SMOOTHING: f32 = 0.3;
/// Probability from which a frame counts as voice.
pub const VOICE: f32 = 0.5;

/// Score of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameScore {
    /// Probability of speech, 0 to 1.
    pub speech: f32,
    /// Level (mean square) in dB of full scale, at least −120.
    pub level_db: f32,
}

/// Scores a stream, frame by frame.
pub struct Vad {
    /// Running mean of power.
    power: f32,
    /// For the loudest voice lately.
    loudest: LevelledDetector,
    /// For the voice that spoke last, which may be much quieter: someone farther away.
    latest: LevelledDetector,
    /// Levels of the latest frames scored for it, in dB of full scale.
    quiet_levels: VecDeque<f32>,
}

/// A detector behind a gain that brings a remembered level to [`TARGET_DB`].
struct LevelledDetector {
    detector: Box<Detector>,
    /// Remembered level, in dB of full scale.
    level_db: f32,
    amplified: [f32; FRAME],
}

impl Default for Vad {
    fn default() -> Self {
        Self {
            power: 0.0,
            loudest: LevelledDetector::new(),
            latest: LevelledDetector::new(),
            quiet_levels: VecDeque::with_capacity(MODULATION_FRAMES),
        }
    }
}

impl Vad {
    /// Creates a detector at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scores the next frame of the stream (16 kHz, mono, full scale ±1).
    pub fn score(&mut self, frame: &[f32; FRAME]) -> FrameScore {
        let power = frame.iter().map(|x| x * x).sum::<f32>() / FRAME as f32;
        self.power += (power - self.power) * SMOOTHING;
        self.loudest.forget(DECAY_DB);
        self.latest.forget(QUICK_DECAY_DB);
        let mut speech = self.loudest.score(frame);
        let level_db = to_db(self.power);
        if self.loudest.level_db - self.latest.level_db > TWO_VOICES_DB {
            if self.quiet_levels.len() == MODULATION_FRAMES {
                self.quiet_levels.pop_front();
            }
            self.quiet_levels.push_back(level_db);
            let quiet_speech = self.latest.score(frame);
            if self.is_modulated() {
                speech = speech.max(quiet_speech);
            }
        } else {
            self.quiet_levels.clear();
        }
        self.loudest.hear(level_db, speech);
        self.latest.hear(level_db, speech);
        FrameScore {
            speech,
            level_db: to_db(power),
        }
    }

    /// Whether the levels of the latest quiet frames vary as those of speech do.
    fn is_modulated(&self) -> bool {
        let levels = || self.quiet_levels.iter().copied();
        let range_db = levels().fold(f32::MIN, f32::max) - levels().fold(f32::MAX, f32::min);
        range_db >= MODULATION_DB
    }
}

impl LevelledDetector {
    fn new() -> Self {
        Self {
            detector: Box::default(),
            level_db: START_DB,
            amplified: [0.0; FRAME],
        }
    }

    /// Lowers the remembered level by a frame at `decay_db` dB a second.
    fn forget(&mut self, decay_db: f32) {
        self.level_db = (self.level_db - decay_db * FRAME_S).max(MIN_DB);
    }

    /// Remembers the level of a frame. Only speech raises it at once.
    fn hear(&mut self, level_db: f32, speech: f32) {
        let most = if speech >= VOICE {
            f32::INFINITY
        } else {
            self.level_db + RISE_DB * FRAME_S
        };
        self.level_db = self.level_db.max(level_db.min(most));
    }

    /// Probability that a frame is speech.
    fn score(&mut self, frame: &[f32; FRAME]) -> f32 {
        let gain = 10f32.powf((TARGET_DB - self.level_db) / 20.0);
        for (out, x) in self.amplified.iter_mut().zip(frame) {
            *out = (x * gain).clamp(-1.0, 1.0);
        }
        self.detector.predict_f32(&self.amplified)
    }
}

/// Where a voice is heard in a stretch of audio.
#[derive(Debug, Clone)]
pub struct Voice(Vec<f32>);

impl Voice {
    /// Listens to samples (16 kHz, mono).
    pub fn of(samples: &[f32]) -> Self {
        let mut vad = Vad::new();
        let (frames, _) = samples.as_chunks::<FRAME>();
        Self(frames.iter().map(|frame| vad.score(frame).speech).collect())
    }

    /// Seconds of voice between two times in seconds.
    pub fn seconds(&self, time: Range<f64>) -> f64 {
        let frame =
            |seconds: f64| ((seconds.max(0.0) / f64::from(FRAME_S)) as usize).min(self.0.len());
        let frames = frame(time.start)..frame(time.end).max(frame(time.start));
        let voiced = self.0[frames].iter().filter(|speech| **speech >= VOICE);
        voiced.count() as f64 * f64::from(FRAME_S)
    }
}

fn to_db(power: f32) -> f32 {
    10.0 * power.max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::sample;

    fn at(samples: &[f32], decibels: f32) -> Vec<f32> {
        let gain = 10f32.powf(decibels / 20.0);
        samples.iter().map(|x| x * gain).collect()
    }

    /// Noise of a level in dB of full scale.
    fn noise(seconds: f32, decibels: f32) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let gain = 10f32.powf(decibels / 20.0) * 3f32.sqrt();
        (0..(seconds * SAMPLE_RATE as f32) as usize)
            .map(|_| gain * next())
            .collect()
    }

    fn voice_s(samples: &[f32]) -> f64 {
        Voice::of(samples).seconds(0.0..1e3)
    }

    #[test]
    fn quiet_speech_is_heard_after_a_click_and_after_a_near_voice() {
        let near = sample();
        let far = at(&near, -25.0);
        let alone = voice_s(&far);
        assert!(alone > 5.0, "{alone} s");
        let click = [noise(0.3, -1.0), noise(0.2, -70.0)].concat();
        let after_click = voice_s(&[click.as_slice(), &far].concat());
        assert!(after_click > 0.9 * alone, "{after_click} of {alone} s");
        let both = voice_s(&[near.as_slice(), &far].concat());
        assert!(both > voice_s(&near) + 0.7 * alone, "{both} of {alone} s");
    }

    #[test]
    fn noise_is_no_voice_alone_nor_between_sentences() {
        assert!(
            voice_s(&noise(10.0, -45.0)) < 0.2,
            "but for the first moment"
        );
        let speech = sample();
        let after = |seconds| [speech.as_slice(), &noise(seconds, -50.0)].concat();
        let added = voice_s(&after(8.0)) - voice_s(&speech);
        assert!(added < 0.7, "only its onset: {added} s");
        // Between "Americans" and "ask not", in the noise of the recording.
        assert!(Voice::of(&speech).seconds(2.4..3.2) < 0.1);
    }
}
