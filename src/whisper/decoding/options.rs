//! Options of the decoder, under OpenAI's names.

use std::str::FromStr;
use std::sync::Arc;

use super::hotwords::Hotwords;
use crate::tokenizer::{Language, Task};

/// Options for decoding one window (`DecodingOptions` in openai-whisper's `decoding.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct DecodingOptions {
    /// Whether to transcribe or to translate into English.
    pub task: Task,
    /// Language spoken; detected if `None`.
    pub language: Option<Language>,
    /// Languages that detection chooses from; all if empty.
    pub allowed_languages: Vec<Language>,
    /// Language of the speech before the window. A detected language replaces it only if it is very
    /// likely.
    pub expected_language: Option<Language>,
    /// Sampling temperature. 0 takes the likeliest token; above 0, tokens are drawn from the
    /// probabilities, which it flattens.
    pub temperature: f32,
    /// Maximum number of tokens to sample; half of `n_text_ctx` if `None`.
    pub sample_len: Option<usize>,
    /// Number of independent samples at a temperature above 0, of which the best is kept; 1 if
    /// `None`.
    pub best_of: Option<usize>,
    /// Number of beams; no beam search if `None`. With beams, the temperature has no effect, as in
    /// OpenAI's decoder.
    pub beam_size: Option<usize>,
    /// Beam search stops once `beam_size × patience` hypotheses are complete (arXiv:2204.05424); 1
    /// if `None`.
    pub patience: Option<f32>,
    /// Exponent α in 0..=1 of the length penalty ((5 + length) / 6)^α of Google's NMT paper
    /// (arXiv:1609.08144); if `None`, the length itself is the penalty.
    pub length_penalty: Option<f32>,
    /// Tokens of the text before the window, of which the last `n_text_ctx / 2 - 1` are used.
    pub prompt: Vec<u32>,
    /// Tokens that the transcript of the window must continue. They are not part of the result.
    pub prefix: Vec<u32>,
    /// Number of leading tokens of `prefix` that belong to sound before the audio that `audio_s` and
    /// `sound_s` describe.
    pub n_before: usize,
    /// Predicted transcript, including timestamps, such as the text of an earlier pass over the same
    /// audio. Greedy decoding (no beams, temperature 0) checks it in one pass of the decoder and
    /// continues from the first token that differs: the result does not change, but the more tokens
    /// are right, the sooner it is there. Other searches ignore it.
    pub predicted: Vec<u32>,
    /// Tokens never to sample. Special tokens that cannot be part of a transcript are always
    /// suppressed.
    pub suppress_tokens: SuppressTokens,
    /// Words whose probability is raised.
    pub hotwords: Option<Arc<Hotwords>>,
    /// Length of the audio in seconds, which limits the number of tokens; unlimited if `None`.
    pub audio_s: Option<f32>,
    /// Seconds of sound in the audio ([`sound_seconds`](crate::audio::sound_seconds)). A text
    /// without timestamps that is far too short for it is continued beyond its end. If `None`, every
    /// end is accepted.
    pub sound_s: Option<f32>,
    /// Whether to forbid a lone space and the end as the first token.
    pub suppress_blank: bool,
    /// Whether to sample text only, after `<|notimestamps|>`.
    pub without_timestamps: bool,
    /// Latest first timestamp in seconds; unlimited if `None`.
    pub max_initial_timestamp: Option<f32>,
    /// Latest timestamp in seconds, the length of a window shorter than 30 s; unlimited if `None`.
    pub max_timestamp: Option<f32>,
    /// Seed of the random numbers at a temperature above 0. The same window, options and seed give
    /// the same text.
    pub seed: u64,
}

impl Default for DecodingOptions {
    fn default() -> Self {
        Self {
            task: Task::Transcribe,
            language: None,
            allowed_languages: Vec::new(),
            expected_language: None,
            temperature: 0.0,
            sample_len: None,
            best_of: None,
            beam_size: None,
            patience: None,
            length_penalty: None,
            prompt: Vec::new(),
            prefix: Vec::new(),
            n_before: 0,
            predicted: Vec::new(),
            suppress_tokens: SuppressTokens::default(),
            hotwords: None,
            audio_s: None,
            sound_s: None,
            suppress_blank: true,
            without_timestamps: false,
            max_initial_timestamp: Some(1.0),
            max_timestamp: None,
            seed: 0,
        }
    }
}

impl DecodingOptions {
    /// Number of tokens of the prefix that are said in the audio itself.
    pub fn n_said(&self) -> usize {
        self.prefix.len().saturating_sub(self.n_before)
    }
}

/// Error of options that contradict each other or the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// Beams and samples cannot be combined.
    #[error("beam_size and best_of cannot be combined: give only one of them")]
    BeamAndBestOf,
    /// At temperature 0 all samples are the same.
    #[error("best_of {0} needs a temperature above 0: raise the temperature or leave best_of out")]
    BestOfWithoutTemperature(usize),
    /// Patience needs a beam search.
    #[error("patience needs beam search: give beam_size too")]
    PatienceWithoutBeams,
    /// A value is out of range.
    #[error("{name} is {value}, outside of {range}: choose a value within")]
    OutOfRange {
        /// Name of the option.
        name: &'static str,
        /// Value given.
        value: f32,
        /// Allowed range.
        range: &'static str,
    },
    /// The model has no token for the language.
    #[error("the model does not know {}: choose a multilingual model that does", .0.name())]
    Language(Language),
    /// An English-only model cannot translate.
    #[error("an English-only model cannot translate: choose a multilingual model")]
    Translate,
    /// An English-only model has no language tokens, so it cannot detect languages.
    #[error("an English-only model cannot detect languages: choose a multilingual model")]
    Detect,
    /// A token id is not in the vocabulary.
    #[error("the model has no token {token}, its last is {}: leave it out of suppress_tokens", .n_vocab - 1)]
    UnknownToken {
        /// The id.
        token: u32,
        /// Size of the vocabulary.
        n_vocab: u32,
    },
    /// The text is not a list of token ids.
    #[error(
        "'{0}' is not a token id: give a comma-separated list of ids, with -1 for all non-speech tokens"
    )]
    TokenId(String),
}

impl DecodingOptions {
    /// Maximum number of beams or samples. More do not improve the text, and each holds a KV cache.
    const MAX_GROUP: usize = 64;

    /// Checks the options against each other (`_verify_options` in openai-whisper's `decoding.py`).
    ///
    /// # Errors
    /// Returns the first contradiction.
    pub fn verify(&self) -> Result<(), OptionsError> {
        if self.beam_size.is_some() && self.best_of.is_some() {
            return Err(OptionsError::BeamAndBestOf);
        }
        if let (Some(best_of), true) = (self.best_of, self.temperature == 0.0) {
            return Err(OptionsError::BestOfWithoutTemperature(best_of));
        }
        if self.patience.is_some() && self.beam_size.is_none() {
            return Err(OptionsError::PatienceWithoutBeams);
        }
        let group = |size: Option<usize>| size.map(|size| size as f32);
        within(
            "beam_size",
            group(self.beam_size),
            1.0,
            Self::MAX_GROUP as f32,
            "1 to 64",
        )?;
        within(
            "best_of",
            group(self.best_of),
            1.0,
            Self::MAX_GROUP as f32,
            "1 to 64",
        )?;
        within("patience", self.patience, 0.01, 100.0, "0.01 to 100")?;
        within("length_penalty", self.length_penalty, 0.0, 1.0, "0 to 1")?;
        within(
            "temperature",
            Some(self.temperature),
            0.0,
            f32::MAX,
            "0 and above",
        )?;
        within(
            "max_initial_timestamp",
            self.max_initial_timestamp,
            0.0,
            f32::MAX,
            "0 and above",
        )?;
        within(
            "max_timestamp",
            self.max_timestamp,
            0.0,
            f32::MAX,
            "0 and above",
        )
    }
}

fn within(
    name: &'static str,
    value: Option<f32>,
    least: f32,
    most: f32,
    range: &'static str,
) -> Result<(), OptionsError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(OptionsError::OutOfRange { name, value, range })
        }
        _ => Ok(()),
    }
}

/// Tokens never to sample: OpenAI's `suppress_tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressTokens {
    /// Whether the tokenizer's non-speech tokens are suppressed: `-1` in OpenAI's list.
    pub non_speech: bool,
    /// Further token ids.
    pub tokens: Vec<u32>,
}

impl Default for SuppressTokens {
    fn default() -> Self {
        Self {
            non_speech: true,
            tokens: Vec::new(),
        }
    }
}

impl FromStr for SuppressTokens {
    type Err = OptionsError;

    /// Parses OpenAI's notation: comma-separated ids, `-1` for the non-speech tokens. An empty list
    /// suppresses nothing.
    fn from_str(list: &str) -> Result<Self, OptionsError> {
        let mut suppress = Self {
            non_speech: false,
            tokens: Vec::new(),
        };
        for id in list.split(',').map(str::trim).filter(|id| !id.is_empty()) {
            match id {
                "-1" => suppress.non_speech = true,
                id => suppress.tokens.push(
                    id.parse()
                        .map_err(|_| OptionsError::TokenId(id.to_owned()))?,
                ),
            }
        }
        Ok(suppress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_rejected() {
        let verify = |change: fn(&mut DecodingOptions)| {
            let mut options = DecodingOptions::default();
            change(&mut options);
            options.verify()
        };
        let out_of_range = |result| matches!(result, Err(OptionsError::OutOfRange { .. }));
        assert_eq!(verify(|_| ()), Ok(()));
        assert_eq!(
            verify(
                |o| (o.beam_size, o.patience, o.length_penalty) = (Some(5), Some(2.0), Some(0.5))
            ),
            Ok(())
        );
        assert_eq!(
            verify(|o| (o.temperature, o.best_of) = (0.2, Some(5))),
            Ok(())
        );
        let both = verify(|o| (o.beam_size, o.best_of, o.temperature) = (Some(5), Some(5), 0.2));
        assert_eq!(both, Err(OptionsError::BeamAndBestOf));
        assert_eq!(
            verify(|o| o.best_of = Some(5)),
            Err(OptionsError::BestOfWithoutTemperature(5))
        );
        assert_eq!(
            verify(|o| o.patience = Some(1.0)),
            Err(OptionsError::PatienceWithoutBeams)
        );
        assert!(out_of_range(verify(|o| o.beam_size = Some(0))));
        assert!(out_of_range(verify(|o| o.length_penalty = Some(1.5))));
        assert!(out_of_range(verify(|o| o.temperature = f32::NAN)));
        assert!(out_of_range(verify(|o| o.max_timestamp = Some(-1.0))));
    }

    #[test]
    fn suppressed_tokens_are_read_in_openais_notation() {
        let read = |list: &str| list.parse::<SuppressTokens>();
        assert_eq!(read("-1"), Ok(SuppressTokens::default()));
        assert_eq!(
            read(" 5, -1,7"),
            Ok(SuppressTokens {
                non_speech: true,
                tokens: vec![5, 7]
            })
        );
        assert_eq!(
            read(""),
            Ok(SuppressTokens {
                non_speech: false,
                tokens: vec![]
            })
        );
        assert_eq!(read("5,-2"), Err(OptionsError::TokenId("-2".to_owned())));
    }
}
