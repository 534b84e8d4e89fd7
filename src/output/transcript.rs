//! The transcript of one recording: header, segments, footer.

use serde::{Serialize, Serializer};

/// What is known of a recording before its first word.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Input as the user named it; `-` for standard input.
    pub file: String,
    /// Name of the model, e.g. `base.en`.
    pub model: String,
    /// `transcribe` or `translate`.
    pub task: String,
    /// Whether segments say who speaks.
    pub has_speakers: bool,
}

/// Who speaks, if channels are transcribed apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Speaker {
    /// Number of the channel, from 1.
    pub channel: usize,
    /// Name of the side, e.g. `Left`.
    #[serde(rename = "speaker")]
    pub name: String,
}

/// Stretch of speech with its text. The fields are those of openai-whisper's `transcribe` result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Position in the transcript, from 0.
    pub id: usize,
    /// Who speaks, if that is known.
    #[serde(flatten)]
    pub speaker: Option<Speaker>,
    /// Start in seconds from the start of the recording.
    #[serde(rename = "start", serialize_with = "rounded_to_ms")]
    pub start_s: f64,
    /// End in seconds from the start of the recording.
    #[serde(rename = "end", serialize_with = "rounded_to_ms")]
    pub end_s: f64,
    /// Text as decoded. It usually begins with a space, so that segments can be joined as they are.
    pub text: String,
    /// Ids of its tokens.
    pub tokens: Vec<u32>,
    /// Sampling temperature at which the text was accepted (0 = greedy or beam search).
    pub temperature: f32,
    /// Mean natural-log probability of the window's tokens.
    pub avg_logprob: f32,
    /// Length of the window's text in bytes, divided by its length after zlib compression. Above
    /// 2.4 the text probably repeats itself.
    pub compression_ratio: f32,
    /// Probability of `<|nospeech|>`, 0 to 1.
    pub no_speech_prob: f32,
    /// Words of the text, if their times are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// Word with its times. The fields are those of openai-whisper's `transcribe` result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// Text, with the space before it and the punctuation around it.
    pub word: String,
    /// Start in seconds from the start of the recording.
    #[serde(rename = "start", serialize_with = "rounded_to_ms")]
    pub start_s: f64,
    /// End in seconds from the start of the recording.
    #[serde(rename = "end", serialize_with = "rounded_to_ms")]
    pub end_s: f64,
    /// Confidence, 0 to 1: mean probability of its tokens.
    pub probability: f32,
}

/// What is only known of a recording at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Footer {
    /// Language code such as `en`; `None` if nobody spoke.
    pub language: Option<String>,
    /// Length of the recording in seconds.
    pub duration_s: f64,
}

/// Rounds seconds to three decimals. Sums of sample counts otherwise have digits such as
/// 10.240000000000002.
pub(super) fn round_to_ms(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn rounded_to_ms<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round_to_ms(*seconds))
}
