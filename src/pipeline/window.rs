//! Data that passes through the stages: settings, an encoded window, its transcript.

use crate::audio::Utterance;
use crate::recognize::WindowAudio;
use crate::tokenizer::Language;
use crate::whisper::decoding::{DecodingOptions, FallbackOptions};
use crate::whisper::{AudioFeatures, LONGEST_WINDOW, Segment};

/// Settings of a transcription.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Number of encoder positions of the longest window, 20 ms each: 768, or 1500 for OpenAI's
    /// 30 s.
    pub n_ctx: usize,
    /// Options for each window. A language that is not given is detected in each window until it is
    /// sure.
    pub decoding: DecodingOptions,
    /// When a window is decoded again at a higher temperature.
    pub fallback: FallbackOptions,
    /// Tokens of the text before the audio.
    pub initial_prompt: Vec<u32>,
    /// Whether the prompt of a window includes the text of the windows before it.
    pub condition_on_previous_text: bool,
    /// Whether segments have timed words.
    pub word_timestamps: bool,
}

impl Default for Settings {
    /// Windows of at most 15.36 s, greedy decoding with OpenAI's fallback, language detection.
    fn default() -> Self {
        Self {
            n_ctx: LONGEST_WINDOW,
            decoding: DecodingOptions::default(),
            fallback: FallbackOptions::default(),
            initial_prompt: Vec::new(),
            condition_on_previous_text: false,
            word_timestamps: false,
        }
    }
}

/// Transcript of a window.
#[derive(Debug, Clone)]
pub struct WindowTranscript {
    /// Start of the window's audio in seconds from the start of the stream.
    pub start_s: f64,
    /// End of the window's audio in seconds from the start of the stream.
    pub end_s: f64,
    /// Language spoken.
    pub language: Language,
    /// Segments with text, times in seconds from the start of the stream; empty if nobody spoke.
    pub segments: Vec<Segment>,
    /// Temperature at which the text was accepted.
    pub temperature: f32,
    /// Mean log-probability of its tokens.
    pub avg_logprob: f32,
    /// Compression ratio of its text.
    pub compression_ratio: f32,
    /// Probability of `<|nospeech|>`.
    pub no_speech_prob: f32,
}

impl WindowTranscript {
    /// The text of all segments, trimmed.
    pub fn text(&self) -> String {
        let texts = self.segments.iter().map(|segment| segment.text.as_str());
        texts.collect::<String>().trim().to_owned()
    }
}

/// An encoded utterance.
pub(super) struct Encoded {
    pub utterance: Utterance,
    pub audio: WindowAudio,
    pub features: AudioFeatures,
}

/// What the encoder's stage sends on.
pub(super) enum Incoming {
    /// An utterance that is a window.
    Encoded(Encoded),
    /// An utterance that follows another one without a pause: where its window begins depends on
    /// the text before it.
    Waits(Utterance),
}
