//! What was said in one recording: the segments that the decoder delivers, and what frames them.

use serde::{Serialize, Serializer};

/// What is known of a recording before the first word of it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The input as the user named it, or `-` for standard input.
    pub file: String,
    /// Name of the model, e.g. `base.en`.
    pub model: String,
    /// `transcribe` or `translate`.
    pub task: String,
}

/// A stretch of speech with its text; fields as in openai-whisper's `transcribe` result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Position in the transcript, from 0.
    pub id: usize,
    /// Begin, in seconds from the start of the recording.
    #[serde(rename = "start", serialize_with = "rounded_to_ms")]
    pub start_s: f64,
    /// End, in seconds from the start of the recording.
    #[serde(rename = "end", serialize_with = "rounded_to_ms")]
    pub end_s: f64,
    /// Text as decoded: it usually begins with a space, so that segments can be joined as they are.
    pub text: String,
    /// Token ids behind the text.
    pub tokens: Vec<u32>,
    /// Sampling temperature with which the text was accepted (0 = greedy or beam search).
    pub temperature: f32,
    /// Mean natural-log probability of the window's tokens.
    pub avg_logprob: f32,
    /// Bytes of the window's text over its bytes after zlib: above 2.4 the text probably repeats
    /// itself.
    pub compression_ratio: f32,
    /// Probability of `<|nospeech|>`, 0 to 1.
    pub no_speech_prob: f32,
    /// The words of the text, where their times were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// A word and when it was said; fields as in openai-whisper's `transcribe` result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// As written, with the space before it and the punctuation around it.
    pub word: String,
    /// Begin, in seconds from the start of the recording.
    #[serde(rename = "start", serialize_with = "rounded_to_ms")]
    pub start_s: f64,
    /// End, in seconds from the start of the recording.
    #[serde(rename = "end", serialize_with = "rounded_to_ms")]
    pub end_s: f64,
    /// How sure the model is of it, 0 to 1: mean probability of its tokens.
    pub probability: f32,
}

/// What is known of a recording only at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Footer {
    /// Language code such as `en`; `None` if nobody spoke, so that none was detected.
    pub language: Option<String>,
    /// Length of the recording in seconds.
    pub duration_s: f64,
}

/// Seconds with three decimals: sums of sample counts otherwise show digits such as
/// 10.240000000000002.
pub(super) fn round_to_ms(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn rounded_to_ms<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round_to_ms(*seconds))
}
