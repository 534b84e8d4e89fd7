//! Values that have limits: each parser says what it takes when it is given something else.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Encoder windows in seconds: 128 encoder positions, which a word or two need, to the 1500 of OpenAI's window.
const WINDOW: RangeInclusive<f64> = 2.56..=30.0;

/// Beams or samples: each holds a key-value cache of its own, and more than a few dozen no longer change the text.
const CANDIDATES: RangeInclusive<usize> = 1..=32;

/// Threads: more than any machine has cores is a slip of the keyboard.
const THREADS: RangeInclusive<usize> = 1..=1024;

/// `--suppress-tokens`: token ids as OpenAI's option takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressTokens(
    /// Token ids; -1 stands for OpenAI's list of symbols that are not spoken.
    pub Vec<i32>,
);

impl FromStr for SuppressTokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        ids.map(token_id).collect::<Result<_, _>>().map(Self)
    }
}

fn token_id(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(id) if id >= -1 => Ok(id),
        _ => Err(format!("{text} is no token id: give whole numbers from 0, or -1, separated by commas")),
    }
}

pub(super) fn window(text: &str) -> Result<f64, String> {
    within(text, WINDOW, "seconds")
}

pub(super) fn candidates(text: &str) -> Result<usize, String> {
    within(text, CANDIDATES, "candidates")
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    within(text, THREADS, "threads")
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

/// A number within limits; NaN is within none.
fn within<T>(text: &str, limits: RangeInclusive<T>, unit: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    match text.trim().parse() {
        Ok(number) if limits.contains(&number) => Ok(number),
        _ => Err(format!("give a number from {} to {} {unit}", limits.start(), limits.end()).trim_end().to_owned()),
    }
}
