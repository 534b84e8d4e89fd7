//! Events of live text.

use crate::text::Word;
use crate::tokenizer::Language;
use std::time::Duration;

/// New text.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Text of an utterance that continues.
    Partial(Partial),
    /// Text of an utterance that has ended, one for each.
    Final(Final),
}

/// Text of an utterance that continues.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// Number of the event within the utterance, from 1.
    pub revision: u64,
    /// Start of the utterance in seconds of the stream.
    pub start_s: f64,
    /// End of the transcribed audio in seconds of the stream.
    pub end_s: f64,
    /// Text that never changes again: the committed text of each later event begins with it.
    pub committed: String,
    /// Words of the committed text, in seconds of the stream.
    pub words: Vec<Word>,
    /// Text after it that may still change.
    pub interim: String,
    /// Language spoken.
    pub language: Language,
}

/// Text of an utterance that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// Number of the utterance, from 1.
    pub utterance: u64,
    /// Number of the event within the utterance: one more than that of the last partial.
    pub revision: u64,
    /// Start of the utterance in seconds of the stream.
    pub start_s: f64,
    /// End of the utterance in seconds of the stream.
    pub end_s: f64,
    /// The text. It begins with the committed text.
    pub text: String,
    /// Its words, in seconds of the stream. Times may differ from those of a partial, which was
    /// computed from less audio.
    pub words: Vec<Word>,
    /// Language spoken.
    pub language: Language,
    /// Mean log-probability of a token.
    pub avg_logprob: f32,
    /// Time since the end of the utterance became known.
    pub latency: Duration,
}
