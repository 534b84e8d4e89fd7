//! Values with limits: each parser's error names the values that it accepts.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Encoder windows in seconds: those that have a tail and hold the shortest limit of the segmenter,
/// 4 s.
const WINDOW: RangeInclusive<f64> = 5.12..=15.36;

/// OpenAI's own window in seconds, which needs no tail.
const FULL_WINDOW: f64 = 30.0;

/// Utterances in seconds.
const UTTERANCE: RangeInclusive<f64> = 0.1..=FULL_WINDOW;

/// Beams or samples: each has its own key-value cache, and more than a few dozen no longer change
/// the text.
const CANDIDATES: RangeInclusive<usize> = 1..=32;

/// Patience of beam search that `DecodingOptions::verify` accepts: a factor, not a time.
const BEAM_PATIENCE: RangeInclusive<f32> = 0.01..=100.0;

/// Columns, lines and words of subtitles: more than a screen has are a typo.
const COLUMNS: RangeInclusive<usize> = 1..=1000;
const LINES: RangeInclusive<usize> = 1..=20;

/// Threads: more than any machine has cores is a typo.
const THREADS: RangeInclusive<usize> = 1..=1024;

/// Tracks with sound.
const TRACKS: RangeInclusive<usize> = 1..=usize::MAX;

/// What to do with the tracks of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackChoice {
    /// Show them.
    List,
    /// Transcribe this one, counted from 1.
    Number(usize),
}

/// Names of the channels of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Speakers(pub Vec<String>);

pub(super) fn speakers(text: &str) -> Result<Speakers, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names
        .iter()
        .any(|name| name.is_empty() || name.contains(char::is_control))
    {
        return Err("give a name for each channel, separated by commas".into());
    }
    Ok(Speakers(names))
}

pub(super) fn window(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(FULL_WINDOW) => Ok(FULL_WINDOW),
        _ => {
            within(text, WINDOW, "seconds").map_err(|limits| format!("{limits}, or {FULL_WINDOW}"))
        }
    }
}

pub(super) fn utterance(text: &str) -> Result<f64, String> {
    within(text, UTTERANCE, "seconds")
}

pub(super) fn candidates(text: &str) -> Result<usize, String> {
    within(text, CANDIDATES, "candidates")
}

pub(super) fn track(text: &str) -> Result<TrackChoice, String> {
    if text.trim() == "list" {
        return Ok(TrackChoice::List);
    }
    within(text, TRACKS, "")
        .map(TrackChoice::Number)
        .map_err(|_| "give list, or the number of a track, from 1".to_owned())
}

pub(super) fn columns(text: &str) -> Result<usize, String> {
    within(text, COLUMNS, "columns")
}

pub(super) fn lines(text: &str) -> Result<usize, String> {
    within(text, LINES, "lines")
}

pub(super) fn words(text: &str) -> Result<usize, String> {
    within(text, COLUMNS, "words")
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    within(text, THREADS, "threads")
}

#[cfg(feature = "daemon")]
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    within(text, f64::MIN_POSITIVE..=f64::MAX, "")
        .map_err(|_| "give a number of seconds above 0".to_owned())
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    within(text, 0.0..=1.0, "")
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    within(text, 0.0..=1.0, "")
}

pub(super) fn logprob(text: &str) -> Result<f32, String> {
    within(text, f32::MIN..=0.0, "")
        .map_err(|_| "give a number of 0 or less: the logarithm of a probability".to_owned())
}

pub(super) fn positive(text: &str) -> Result<f32, String> {
    within(text, f32::MIN_POSITIVE..=f32::MAX, "").map_err(|_| "give a number above 0".to_owned())
}

pub(super) fn patience(text: &str) -> Result<f32, String> {
    within(text, BEAM_PATIENCE, "")
}

/// Parses a number within limits; NaN is within none.
fn within<T>(text: &str, limits: RangeInclusive<T>, unit: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match text.trim().parse() {
        Ok(number) if limits.contains(&number) => Ok(number),
        _ => Err(format!(
            "give a number from {} to {} {unit}",
            limits.start(),
            limits.end()
        )
        .trim_end()
        .to_owned()),
    }
}
