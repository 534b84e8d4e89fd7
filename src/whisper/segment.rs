//! Transcript pieces: segments and the words in them, with times in seconds from the window's start.

/// A piece of the transcript between two timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Seconds from the start of the window.
    pub start: f64,
    /// Seconds from the start of the window.
    pub end: f64,
    /// Text, with the space it begins with.
    pub text: String,
    /// Tokens, timestamps included.
    pub tokens: Vec<u32>,
    /// Its words with their times, where these were asked for.
    pub words: Vec<TimedWord>,
}

impl Segment {
    /// Whether the text holds more than white space.
    pub(super) fn has_text(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

/// A word and when it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedWord {
    /// As it is written, with the space before it and the punctuation around it.
    pub text: String,
    /// Text tokens that it is made of.
    pub tokens: usize,
    /// Begin in seconds from the start of the window.
    pub start: f64,
    /// End in seconds from the start of the window.
    pub end: f64,
    /// Mean probability of its tokens, given the text before them: how sure the model is of it, 0
    /// to 1.
    pub probability: f32,
    /// The latest of the positions that its tokens attend to most, in seconds from the start of the
    /// window.
    pub attended: f64,
}
