//! What goes through the stages: settings for all windows, an encoded window, its transcript.

use crate::recognize::WindowAudio;
use crate::tokenizer::Language;
use crate::whisper::decoding::{DecodingOptions, FallbackOptions};
use crate::whisper::{AudioFeatures, Segment};

/// How to transcribe.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Encoder positions of the longest window, 20 ms each: 768, or 1500 for OpenAI's 30 s.
    pub n_ctx: usize,
    /// Options for each window. A language that is not given is detected in each window, until one
    /// is sure of it.
    pub decoding: DecodingOptions,
    /// When a window is decoded again.
    pub fallback: FallbackOptions,
    /// The text before the audio, as tokens.
    pub initial_prompt: Vec<u32>,
    /// Whether a window's prompt is the text before it.
    pub condition_on_previous_text: bool,
    /// Whether to find the times of words.
    pub word_timestamps: bool,
}

/// What a window says.
#[derive(Debug, Clone)]
pub struct WindowTranscript {
    /// Start of the window's audio in seconds from the start of the stream.
    pub start_s: f64,
    /// End of the window's audio in seconds from the start of the stream.
    pub end_s: f64,
    /// Language spoken.
    pub language: Language,
    /// Segments with text, times in seconds from the start of the stream; none where nobody spoke.
    pub segments: Vec<Segment>,
    /// Temperature with which the text was accepted.
    pub temperature: f32,
    /// Mean log-probability of its tokens.
    pub avg_logprob: f32,
    /// Compression ratio of its text.
    pub compression_ratio: f32,
    /// Probability of `<|nospeech|>`.
    pub no_speech_prob: f32,
}

/// An encoded utterance.
pub(super) struct Encoded {
    /// Where it begins, in seconds of the stream.
    pub start_s: f64,
    pub audio: WindowAudio,
    pub features: AudioFeatures,
}
