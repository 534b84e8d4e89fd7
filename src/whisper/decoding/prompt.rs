//! The decoder's initial tokens: text before the window, start of the transcript, prefix.

use super::options::DecodingOptions;
use super::result::DecodingResult;
use crate::tokenizer::{Language, SpecialTokens};
use crate::whisper::Segment;

/// Temperature above which the text of a window is not used as the prompt of the next one
/// (openai-whisper's `transcribe.py`).
const TRUSTED_TEMPERATURE: f32 = 0.5;

/// Length of silence after which earlier text is no longer used as a prompt, in seconds.
const FORGOTTEN_AFTER: f64 = 15.0;

/// Returns the maximum number of prompt tokens.
fn prompt_len(n_text_ctx: usize) -> usize {
    (n_text_ctx / 2).saturating_sub(1)
}

/// Returns the tokens before the first sampled one (`_get_initial_tokens` in openai-whisper's
/// `decoding.py`).
pub(super) fn initial_tokens(
    special: &SpecialTokens,
    options: &DecodingOptions,
    language: Language,
    n_text_ctx: usize,
) -> Vec<u32> {
    let start = special.sot_sequence(language, options.task, options.without_timestamps);
    let mut tokens = Vec::new();
    if !options.prompt.is_empty() {
        tokens.push(special.sot_prev);
        tokens.extend_from_slice(last(&options.prompt, prompt_len(n_text_ctx)));
    }
    tokens.extend_from_slice(&start);
    // The prefix shares its half of the context with the start and with the sampled tokens. If
    // sampling may fill that half, the tokens of the prefix are missing at the end.
    let half = n_text_ctx - n_text_ctx / 2;
    let room = match options.sample_len {
        Some(sample_len) if sample_len < n_text_ctx / 2 => n_text_ctx / 2 - sample_len,
        _ => half,
    };
    tokens.extend_from_slice(last(
        &options.prefix,
        room.min(half.saturating_sub(start.len())),
    ));
    tokens
}

/// Returns the last `count` of `tokens`.
fn last(tokens: &[u32], count: usize) -> &[u32] {
    tokens
        .get(tokens.len().saturating_sub(count)..)
        .unwrap_or_default()
}

/// Text so far as the prompt of the next window: OpenAI's `initial_prompt` and
/// `condition_on_previous_text`.
#[derive(Debug, Clone)]
pub struct PromptHistory {
    condition_on_previous_text: bool,
    limit: usize,
    tokens: Vec<u32>,
    /// Whether the tokens include text of a window. An initial prompt alone is never dropped.
    has_text: bool,
}

impl PromptHistory {
    /// Creates a history that begins with the tokens of `initial_prompt` (see
    /// [`Tokenizer::encode_prompt`](crate::tokenizer::Tokenizer::encode_prompt)) for a decoder of
    /// `n_text_ctx` positions.
    ///
    /// Without `condition_on_previous_text`, only the first window has a prompt: the initial one.
    pub fn new(
        initial_prompt: Vec<u32>,
        condition_on_previous_text: bool,
        n_text_ctx: usize,
    ) -> Self {
        let mut history = Self {
            condition_on_previous_text,
            limit: prompt_len(n_text_ctx),
            tokens: initial_prompt,
            has_text: false,
        };
        history.truncate();
        history
    }

    /// The prompt for the next window: `DecodingOptions::prompt`.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens
    }

    /// Records the text of a window. Silent windows are not recorded.
    ///
    /// Text from a high temperature, or that was rejected at every temperature, may be wrong and
    /// would mislead the next window. It clears the history.
    pub fn record(&mut self, segments: &[Segment], result: &DecodingResult) {
        if !self.condition_on_previous_text
            || result.is_rejected
            || result.temperature > TRUSTED_TEMPERATURE
        {
            self.tokens.clear();
            return;
        }
        self.has_text = true;
        self.tokens
            .extend(segments.iter().flat_map(|segment| &segment.tokens));
        self.truncate();
    }

    /// Records a pause in speech. What follows a long one may be about something else.
    pub fn pause(&mut self, seconds: f64) {
        if seconds > FORGOTTEN_AFTER && self.has_text {
            self.tokens.clear();
        }
    }

    /// Limits the history to the length of a prompt.
    fn truncate(&mut self) {
        self.tokens
            .drain(..self.tokens.len().saturating_sub(self.limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerError;

    fn segment(tokens: Vec<u32>) -> Segment {
        Segment {
            start: 0.0,
            end: 1.0,
            text: "x".to_owned(),
            tokens,
            words: Vec::new(),
        }
    }

    /// Returns a result with this temperature.
    fn at(temperature: f32) -> DecodingResult {
        DecodingResult {
            language: Language::ENGLISH,
            language_probs: None,
            tokens: Vec::new(),
            text: String::new(),
            avg_logprob: -0.5,
            no_speech_prob: 0.0,
            temperature,
            compression_ratio: 1.0,
            can_be_said: false,
            is_non_speech: false,
            is_rejected: false,
        }
    }

    fn initial(options: &DecodingOptions) -> Result<Vec<u32>, TokenizerError> {
        Ok(initial_tokens(
            &SpecialTokens::for_n_vocab(51865)?,
            options,
            Language::ENGLISH,
            448,
        ))
    }

    #[test]
    fn a_prompt_keeps_its_last_half_context() -> Result<(), TokenizerError> {
        let start = [50258, 50259, 50359];
        assert_eq!(initial(&DecodingOptions::default())?, start);
        let short = DecodingOptions {
            prompt: vec![7, 8],
            ..DecodingOptions::default()
        };
        assert_eq!(initial(&short)?, [50361, 7, 8, 50258, 50259, 50359]);
        let long = DecodingOptions {
            prompt: (0..1000).collect(),
            ..DecodingOptions::default()
        };
        let tokens = initial(&long)?;
        assert_eq!(
            (tokens.len(), tokens[0], tokens[1]),
            (1 + 223 + 3, 50361, 777)
        );
        assert_eq!(tokens[224..], start);
        Ok(())
    }

    #[test]
    fn a_prefix_leaves_room_for_what_is_sampled() -> Result<(), TokenizerError> {
        let prefix: Vec<u32> = (0..1000).collect();
        let options = DecodingOptions {
            sample_len: Some(200),
            prefix,
            ..DecodingOptions::default()
        };
        assert_eq!(initial(&options)?[3..], (976..1000).collect::<Vec<_>>());
        let prompt = vec![1; 1000];
        let full = DecodingOptions {
            sample_len: None,
            prompt,
            without_timestamps: true,
            ..options
        };
        assert_eq!(initial(&full)?.len(), 448);
        Ok(())
    }

    #[test]
    fn the_history_is_bounded_and_drops_unreliable_text() {
        let mut history = PromptHistory::new(vec![1, 2], true, 12);
        assert_eq!(history.prompt(), [1, 2]);
        history.record(&[segment(vec![3, 4]), segment(vec![5])], &at(0.4));
        assert_eq!(history.prompt(), [1, 2, 3, 4, 5]);
        history.record(&[segment(vec![6])], &at(0.0));
        assert_eq!(history.prompt(), [2, 3, 4, 5, 6]);
        history.record(&[segment(vec![7])], &at(0.6));
        assert!(history.prompt().is_empty());
        history.record(&[segment(vec![8])], &at(0.0));
        assert_eq!(history.prompt(), [8]);
    }

    #[test]
    fn rejected_text_and_a_long_silence_clear_the_history() {
        let mut history = PromptHistory::new(vec![1], true, 12);
        history.pause(60.0);
        assert_eq!(
            history.prompt(),
            [1],
            "the initial prompt does not depend on speech"
        );
        history.record(&[segment(vec![2])], &at(0.0));
        history.pause(10.0);
        assert_eq!(history.prompt(), [1, 2]);
        history.pause(20.0);
        assert!(history.prompt().is_empty());
        history.record(&[segment(vec![3])], &at(0.0));
        history.record(
            &[segment(vec![4])],
            &DecodingResult {
                is_rejected: true,
                ..at(0.0)
            },
        );
        assert!(history.prompt().is_empty());
    }

    #[test]
    fn without_conditioning_only_the_first_window_has_a_prompt() {
        let mut history = PromptHistory::new((0..9).collect(), false, 12);
        assert_eq!(history.prompt(), [4, 5, 6, 7, 8]);
        history.record(&[segment(vec![10])], &at(0.0));
        assert!(history.prompt().is_empty());
    }
}
