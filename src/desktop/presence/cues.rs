//! Short sounds: dictation starts, stops, or fails.
//!
//! They are made here, and played by the sound server. The one for the start is over before the
//! microphone opens, and the one for the stop begins after it is closed, so that none is recorded.

use std::f32::consts::TAU;
use std::time::Duration;

use tracing::debug;

use crate::advice::Advice;
use crate::audio::capture::playback;

/// Sample rate in Hz.
const RATE: u32 = 48_000;
/// Longest time in seconds that a tone needs to rise and to fade: without, it would click.
const FADE: f32 = 0.012;
/// Longest time that dictation waits for the end of a sound: a sound server that hangs must not keep
/// the microphone closed.
const LIMIT: Duration = Duration::from_millis(600);

/// What is to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// Two rising tones.
    Start,
    /// Two falling tones.
    Stop,
    /// A low tone, twice.
    Error,
}

/// Plays a sound, with a loudness from 0 to 1. The one for the start is over when this returns; the
/// others play on.
pub fn play(cue: Cue, volume: f64) {
    let samples = samples(cue, volume as f32);
    let play = move || {
        if let Err(error) = playback::play(samples, RATE, LIMIT) {
            debug!("no sound: {}", error.explain());
        }
    };
    if cue == Cue::Start {
        play();
    } else {
        std::thread::spawn(play);
    }
}

/// Tones of a sound: frequency in Hz and length in seconds; a frequency of 0 is a pause.
fn tones(cue: Cue) -> &'static [(f32, f32)] {
    match cue {
        Cue::Start => &[(660.0, 0.05), (880.0, 0.07)],
        Cue::Stop => &[(880.0, 0.05), (660.0, 0.07)],
        Cue::Error => &[(220.0, 0.09), (0.0, 0.04), (220.0, 0.09)],
    }
}

/// Mono samples from -1 to 1 at [`RATE`].
fn samples(cue: Cue, volume: f32) -> Vec<f32> {
    let tone = |&(frequency, length): &(f32, f32)| {
        let n = (length * RATE as f32) as usize;
        (0..n).map(move |i| {
            let time = i as f32 / RATE as f32;
            let edge = time.min(length - time);
            let envelope = (edge / FADE).clamp(0.0, 1.0);
            volume * envelope * (TAU * frequency * time).sin()
        })
    };
    tones(cue).iter().flat_map(tone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_short_and_do_not_click() {
        for cue in [Cue::Start, Cue::Stop, Cue::Error] {
            let samples = samples(cue, 0.5);
            let seconds = samples.len() as f32 / RATE as f32;
            assert!((0.1..0.25).contains(&seconds), "{cue:?}: {seconds} s");
            assert!(samples.iter().all(|x| x.abs() <= 0.5));
            let loudest = samples.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            assert!(loudest > 0.4, "{cue:?}: {loudest}");
            let steps = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs());
            assert!(steps.fold(0.0, f32::max) < 0.07, "{cue:?}");
        }
        assert!(samples(Cue::Start, 0.0).iter().all(|x| *x == 0.0));
    }
}
