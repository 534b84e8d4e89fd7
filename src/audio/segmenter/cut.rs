//! Where to cut speech that fills the window: at the best pause in its later part, or failing that
//! where it hurts least.
//!
//! A pause is a run of frames that are no speech to the voice detector or close to the noise floor:
//! the detector is slow to notice pauses of a tenth of a second, the level is not. Long pauses are
//! where sentences end, and late cuts fill the window, so length counts up to half a second and
//! lateness about as much as a quarter of a second.

use super::frames::{HANGOVER, OFFSET_THRESHOLD, PRE_ROLL};
use crate::audio::vad::FrameScore;

/// Share of the window, at its end, where a cut is looked for.
const LATE_SHARE: f64 = 0.4;
/// Share of it where a pause is looked for when there is none so late: better a short window than a
/// cut word.
const WIDE_SHARE: f64 = 0.75;
/// Shortest pause worth the name, in frames: 96 ms, longer than the closure of a stop consonant.
const MIN_PAUSE: usize = 6;
/// Pauses from this length on are equally good, in frames: 0.5 s.
const LONG_PAUSE: usize = 31;
/// What the latest possible cut is worth over the earliest, in frames of pause: 0.25 s.
const LATENESS: f64 = 16.0;
/// Where the line between noise and speech is drawn, as a share of the way from the floor to the
/// loudest level.
const QUIET_SHARE: f32 = 0.3;
/// Levels below this share of the frames are the floor; levels above the rest of them are the
/// loudest.
const FLOOR_SHARE: f64 = 0.1;
/// Frames that make up the quietest spot where there is no pause: 80 ms.
const SPOT: usize = 5;
/// How many dB of level a sure speech probability is worth in finding that spot.
const SPEECH_DB: f32 = 10.0;

/// Where an utterance ends and the next begins, in frames from the start of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// End of the utterance, exclusive.
    pub end: usize,
    /// Start of the next one; `None` where silence is known to follow.
    pub next: Option<usize>,
}

/// The best place to cut a full window with these scores.
pub(super) fn best_cut(scores: &[FrameScore]) -> Cut {
    let before = |share: f64| scores.len() - (scores.len() as f64 * share) as usize;
    let best_pause = |from: usize| {
        let worth = |pause: &Pause| {
            let lateness = (pause.end - from) as f64 / (scores.len() - from).max(1) as f64;
            (pause.end - pause.start).min(LONG_PAUSE) as f64 + LATENESS * lateness
        };
        pauses(scores, from)
            .into_iter()
            .max_by(|a, b| worth(a).total_cmp(&worth(b)))
    };
    let late = before(LATE_SHARE);
    match best_pause(late).or_else(|| best_pause(before(WIDE_SHARE))) {
        Some(pause) => pause.cut(scores.len()),
        None => {
            let at = quietest_spot(scores, late);
            Cut {
                end: at,
                next: Some(at),
            }
        }
    }
}

/// A run of frames without speech, or next to none.
#[derive(Debug, Clone, Copy)]
struct Pause {
    start: usize,
    end: usize,
    /// Whether the detector hears no speech in any of its frames.
    silent: bool,
}

impl Pause {
    /// The cut in this pause of a window of `len` frames: in its middle, or leaving out silence
    /// beyond the hangover of the one utterance and the pre-roll of the other.
    fn cut(self, len: usize) -> Cut {
        // A pause that goes on beyond the window has no middle yet.
        let middle = if self.end == len {
            len
        } else {
            self.start.midpoint(self.end)
        };
        if !self.silent {
            return Cut {
                end: middle,
                next: Some(middle),
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
        }
    }
}

/// The pauses that end after frame `late`, cut off there.
fn pauses(scores: &[FrameScore], late: usize) -> Vec<Pause> {
    let quiet_db = quiet_level(scores);
    let quiet = |s: &FrameScore| s.speech <= OFFSET_THRESHOLD || s.level_db < quiet_db;
    let mut pauses = Vec::new();
    let mut open: Option<Pause> = None;
    for (i, score) in scores.iter().enumerate().skip(late) {
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

/// Level below which a frame is silence in dB, from the distribution of levels in the window.
fn quiet_level(scores: &[FrameScore]) -> f32 {
    let mut levels: Vec<f32> = scores.iter().map(|s| s.level_db).collect();
    levels.sort_by(f32::total_cmp);
    let rank = (levels.len() as f64 * FLOOR_SHARE) as usize;
    let (floor, loudest) = (levels.get(rank), levels.iter().rev().nth(rank));
    let (floor, loudest) = (
        floor.copied().unwrap_or(0.0),
        loudest.copied().unwrap_or(0.0),
    );
    floor + (loudest - floor) * QUIET_SHARE
}

/// The middle of the quietest, least speech-like 80 ms after frame `late`.
fn quietest_spot(scores: &[FrameScore], late: usize) -> usize {
    let noise = |spot: &[FrameScore]| {
        spot.iter()
            .map(|s| s.level_db + SPEECH_DB * s.speech)
            .sum::<f32>()
    };
    let spots = scores
        .get(late..)
        .unwrap_or_default()
        .windows(SPOT)
        .enumerate();
    let quietest = spots.min_by(|(_, a), (_, b)| noise(a).total_cmp(&noise(b)));
    late + quietest.map_or(0, |(i, _)| i) + SPOT / 2
}
