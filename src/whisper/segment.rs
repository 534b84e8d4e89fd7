//! Transcript pieces: segments and the words in them, with times in seconds from the window's start.

/// Piece of a transcript between two timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Start in seconds from the start of the window.
    pub start: f64,
    /// End in seconds from the start of the window.
    pub end: f64,
    /// Text, including its leading space.
    pub text: String,
    /// Tokens, timestamps included.
    pub tokens: Vec<u32>,
    /// Words with their times, empty unless word timestamps were requested.
    pub words: Vec<TimedWord>,
}

/// Word with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedWord {
    /// Text, including its leading space and the punctuation around it.
    pub text: String,
    /// Number of its text tokens.
    pub tokens: usize,
    /// Start in seconds from the start of the window.
    pub start: f64,
    /// End in seconds from the start of the window.
    pub end: f64,
    /// Confidence, 0 to 1: the mean probability of its tokens, given the text before them.
    pub probability: f32,
}
