//! Finds the place to cut speech that fills the window: the best pause in its later part, or else
//! the quietest spot.
//!
//! In: the voice detector's scores of the window. Out: a [`Cut`].
//!
//! A pause is a run of frames that the voice detector scores as silence or that are close to the
//! noise floor: the detector misses pauses of a tenth of a second, the level does not. Sentences
//! end at long pauses, and late cuts fill the window. Length therefore counts up to half a second,
//! and lateness up to a quarter of a second.

use super::frames::{HANGOVER, OFFSET_THRESHOLD, PRE_ROLL};
use crate::audio::vad::FrameScore;

/// Share of the window, at its end, that is searched for a cut.
const LATE_SHARE: f64 = 0.4;
/// Share that is searched if there is no pause so late: a short window is better than a cut word.
const WIDE_SHARE: f64 = 0.75;
/// Shortest pause in frames: 96 ms. The closure of a stop consonant is shorter.
const MIN_PAUSE: usize = 6;
/// Length from which pauses are equally good, in frames: 0.5 s.
const LONG_PAUSE: usize = 31;
/// Length from which a pause separates what was said, in frames: 0.3 s.
const REAL_PAUSE: usize = 18;
/// Advantage of the latest possible cut over the earliest, in frames of pause: 0.25 s.
const LATENESS: f64 = 16.0;
/// Level between noise and speech, as a share of the way from the floor to the loudest level.
const QUIET_SHARE: f32 = 0.3;
/// Quantile of the levels that counts as the floor. The same share from the top is the loudest
/// level.
const FLOOR_SHARE: f64 = 0.1;
/// Number of frames of the quietest spot, which is used if there is no pause: 80 ms.
const SPOT: usize = 5;
/// Level in dB that a speech probability of 1 adds to a frame in the search for that spot.
const SPEECH_DB: f32 = 10.0;

/// End of an utterance and start of the next, in frames from the start of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// End of the utterance, exclusive.
    pub end: usize,
    /// Start of the next one; `None` if silence is known to follow.
    pub next: Option<usize>,
    /// Length of the pause at the cut.
    pub pause: usize,
}

impl Cut {
    /// A cut after all speech, `end` frames from the start.
    pub fn after_speech(end: usize) -> Self {
        Self {
            end,
            next: None,
            pause: LONG_PAUSE,
        }
    }

    /// Whether somebody goes on speaking after it without a real pause.
    pub fn continues(&self) -> bool {
        self.next == Some(self.end) && self.pause < REAL_PAUSE
    }
}

/// Returns the best place to cut a full window with these scores.
pub(super) fn best_cut(scores: &[FrameScore]) -> Cut {
    let start_of_last = |share: f64| scores.len() - (scores.len() as f64 * share) as usize;
    let late = start_of_last(LATE_SHARE);
    let pause = best_pause(scores, late).or_else(|| best_pause(scores, start_of_last(WIDE_SHARE)));
    match pause {
        Some(pause) => pause.cut(scores.len()),
        None => {
            let at = quietest_spot(scores, late);
            Cut {
                end: at,
                next: Some(at),
                pause: 0,
            }
        }
    }
}

/// Returns the best pause that ends after frame `from`.
fn best_pause(scores: &[FrameScore], from: usize) -> Option<Pause> {
    let score = |pause: &Pause| {
        let lateness = (pause.end - from) as f64 / (scores.len() - from).max(1) as f64;
        (pause.end - pause.start).min(LONG_PAUSE) as f64 + LATENESS * lateness
    };
    pauses(scores, from)
        .into_iter()
        .max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// Run of frames with little or no speech.
#[derive(Debug, Clone, Copy)]
struct Pause {
    start: usize,
    end: usize,
    /// Whether the detector finds no speech in any of its frames.
    silent: bool,
}

impl Pause {
    /// Returns the cut in this pause of a window of `len` frames: in its middle, or around silence
    /// beyond the hangover of the one utterance and the pre-roll of the other.
    fn cut(self, len: usize) -> Cut {
        // A pause that continues beyond the window has no middle yet.
        let middle = if self.end == len {
            len
        } else {
            self.start.midpoint(self.end)
        };
        let pause = self.end - self.start;
        if !self.silent {
            return Cut {
                end: middle,
                next: Some(middle),
                pause,
            };
        }
        let end = middle.min(self.start + HANGOVER);
        let next = if self.end == len {
            end
        } else {
            middle.max(self.end.saturating_sub(PRE_ROLL))
        };
        Cut {
            end,
            next: Some(next),
            pause,
        }
    }
}

/// Returns the pauses after frame `from`, where the first may be cut off.
fn pauses(scores: &[FrameScore], from: usize) -> Vec<Pause> {
    let quiet_db = quiet_level(scores);
    let quiet = |s: &FrameScore| s.speech <= OFFSET_THRESHOLD || s.level_db < quiet_db;
    let mut pauses = Vec::new();
    let mut open: Option<Pause> = None;
    for (i, score) in scores.iter().enumerate().skip(from) {
        if quiet(score) {
            let pause = open.get_or_insert(Pause {
                start: i,
                end: i,
                silent: true,
            });
            pause.end = i + 1;
            pause.silent &= score.speech <= OFFSET_THRESHOLD;
        } else {
            pauses.extend(open.take());
        }
    }
    pauses.extend(open);
    pauses.retain(|p| p.end - p.start >= MIN_PAUSE);
    pauses
}

/// Returns the level in dB below which a frame is silent, from the distribution of levels in the
/// window.
fn quiet_level(scores: &[FrameScore]) -> f32 {
    let mut levels: Vec<f32> = scores.iter().map(|s| s.level_db).collect();
    levels.sort_by(f32::total_cmp);
    let rank = (levels.len() as f64 * FLOOR_SHARE) as usize;
    let floor = levels.get(rank).copied().unwrap_or(0.0);
    let loudest = levels.iter().rev().nth(rank).copied().unwrap_or(0.0);
    floor + (loudest - floor) * QUIET_SHARE
}

/// Returns the middle of the quietest, least speech-like 80 ms after frame `from`.
fn quietest_spot(scores: &[FrameScore], from: usize) -> usize {
    let noise = |spot: &[FrameScore]| {
        spot.iter()
            .map(|s| s.level_db + SPEECH_DB * s.speech)
            .sum::<f32>()
    };
    let spots = scores
        .get(from..)
        .unwrap_or_default()
        .windows(SPOT)
        .enumerate();
    let quietest = spots.min_by(|(_, a), (_, b)| noise(a).total_cmp(&noise(b)));
    from + quietest.map_or(0, |(i, _)| i) + SPOT / 2
}
