//! What live transcription reports: interim text while an utterance is spoken, final text after it.

use crate::text::Word;
use crate::tokenizer::Language;
use std::time::Duration;

/// Text of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Text of an utterance that is still being spoken.
    Partial(Partial),
    /// Text of a finished utterance, once for each.
    Final(Final),
}

/// Text of an utterance that is still being spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// Grows with every event of the utterance, from 1.
    pub revision: u64,
    /// Where the utterance begins, in seconds of the stream.
    pub start_s: f64,
    /// Where the audio that was transcribed ends, in seconds of the stream.
    pub end_s: f64,
    /// Text that no longer changes: it begins with the committed text of the event before.
    pub committed: String,
    /// The words of the committed text, in seconds of the stream.
    pub words: Vec<Word>,
    /// Text after it that may change.
    pub interim: String,
    /// Language spoken.
    pub language: Language,
}

/// Text of a finished utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// One more than the revision of the last partial.
    pub revision: u64,
    /// Where the utterance begins, in seconds of the stream.
    pub start_s: f64,
    /// Where it ends, in seconds of the stream.
    pub end_s: f64,
    /// The text; it begins with the committed text.
    pub text: String,
    /// Its words, in seconds of the stream. Times may differ from those of a partial, which was made
    /// from less audio.
    pub words: Vec<Word>,
    /// Language spoken.
    pub language: Language,
    /// Mean log-probability of a token.
    pub avg_logprob: f32,
    /// Time from the moment that the end of the utterance was known.
    pub latency: Duration,
}
