//! OpenAI's decoding rules: from a decoder bound to the audio of one window to its transcript.
//!
//! In: an [`Inference`], whose logits the rules filter and whose sequences they rearrange. Out: a [`DecodingResult`],
//! and from its tokens timed [`Segment`]s. [`decode_with_fallback`] is what a transcriber calls; [`PromptHistory`]
//! carries the text of one window to the next.

mod beam;
mod error;
mod fallback;
mod filters;
mod greedy;
mod hypothesis;
mod language;
mod logits;
mod options;
mod prompt;
mod result;
mod segments;

pub use error::DecodingError;
pub use fallback::{FallbackOptions, decode_with_fallback};
pub use language::detect_language;
pub use options::{DecodingOptions, OptionsError, SuppressTokens};
pub use prompt::PromptHistory;
pub use result::DecodingResult;
pub use segments::{Segment, Segmentation, segments_from_tokens};

use beam::BeamSearchDecoder;
use filters::LogitFilters;
use greedy::GreedyDecoder;
use hypothesis::{Hypothesis, TokenDecoder, most_likely};
use logits::log_sum_exp;
use prompt::initial_tokens;
use result::compression_ratio;

use super::Inference;
use super::tokenizer::{Language, Task, Tokenizer};

/// Decodes the window that `inference` is bound to (`DecodingTask` in openai-whisper's `decoding.py`).
///
/// `cancelled` is asked before each step of the decoder.
///
/// # Errors
/// When the options contradict each other or the model, the decoder fails, or `cancelled` says so.
pub fn decode_window<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<DecodingResult, DecodingError<I::Error>> {
    options.verify()?;
    if cancelled() {
        return Err(DecodingError::Cancelled);
    }
    let (language, language_probs) = language_of(inference, tokenizer, options)?;
    let initial = initial_tokens(tokenizer.special(), options, language, inference.n_text_ctx());
    let mut search = Search { inference, tokenizer, options, cancelled };
    let (no_speech_prob, logits) = search.prefill(&initial)?;
    let best = search.sample(initial.len(), logits)?;
    let text = tokenizer.decode(&best.tokens).trim().to_owned();
    Ok(DecodingResult {
        language,
        language_probs,
        avg_logprob: best.avg_logprob(),
        tokens: best.tokens,
        no_speech_prob,
        temperature: options.temperature,
        compression_ratio: compression_ratio(&text),
        text,
    })
}

type LanguageProbs = Option<Vec<(Language, f32)>>;

/// The language of the options, or the one detected, if the model can serve them.
fn language_of<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
) -> Result<(Language, LanguageProbs), DecodingError<I::Error>> {
    let special = tokenizer.special();
    if !special.is_multilingual {
        let language = options.language.unwrap_or(Language::ENGLISH);
        return match (options.task, language) {
            (Task::Translate, _) => Err(OptionsError::Translate.into()),
            (_, Language::ENGLISH) => Ok((language, None)),
            _ => Err(OptionsError::Language(language).into()),
        };
    }
    match options.language {
        Some(language) if special.language_token(language).is_some() => Ok((language, None)),
        Some(language) => Err(OptionsError::Language(language).into()),
        None => {
            let probabilities = detect_language(inference, tokenizer, &options.allowed_languages)?;
            let likeliest = probabilities.first().map_or(Language::ENGLISH, |&(language, _)| language);
            Ok((likeliest, Some(probabilities)))
        }
    }
}

/// The logits of `rows` positions, if they are as many as the vocabulary needs.
fn checked<E>(logits: Result<Vec<f32>, E>, rows: usize, tokenizer: &Tokenizer) -> Result<Vec<f32>, DecodingError<E>> {
    let logits = logits.map_err(DecodingError::Inference)?;
    let wanted = rows * tokenizer.n_vocab();
    if logits.len() == wanted { Ok(logits) } else { Err(DecodingError::LogitsLength { given: logits.len(), wanted }) }
}

/// The search for the best token sequence of a window.
struct Search<'a, I> {
    inference: &'a mut I,
    tokenizer: &'a Tokenizer,
    options: &'a DecodingOptions,
    cancelled: &'a dyn Fn() -> bool,
}

impl<I: Inference> Search<'_, I> {
    /// Feeds the initial tokens. Returns the probability of `<|nospeech|>` and the logits `[n_vocab]` that follow.
    fn prefill(&mut self, initial: &[u32]) -> Result<(f32, Vec<f32>), DecodingError<I::Error>> {
        let special = self.tokenizer.special();
        let last = initial.len().saturating_sub(1);
        let sot = initial.iter().rposition(|&token| token == special.sot).unwrap_or(last);
        let wanted = if sot == last { vec![last] } else { vec![sot, last] };
        let mut logits = checked(self.inference.prefill(initial, &wanted), wanted.len(), self.tokenizer)?;
        let at_sot = logits.get(..self.tokenizer.n_vocab()).unwrap_or_default();
        let no_speech = at_sot.get(special.no_speech as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let no_speech_prob = (no_speech - log_sum_exp(at_sot)?).exp();
        Ok((no_speech_prob, logits.split_off((wanted.len() - 1) * self.tokenizer.n_vocab())))
    }

    /// Samples tokens until the decoder is satisfied or the context is full (OpenAI's `_main_loop`). `logits` are the
    /// first step's.
    fn sample(&mut self, sample_begin: usize, mut logits: Vec<f32>) -> Result<Hypothesis, DecodingError<I::Error>> {
        let n_vocab = self.tokenizer.n_vocab();
        let n_text_ctx = self.inference.n_text_ctx();
        let sample_len = self.options.sample_len.unwrap_or(n_text_ctx / 2).max(1);
        let filters = LogitFilters::new(self.tokenizer, self.options);
        let mut decoder = self.decoder();
        let mut live = vec![Hypothesis::default()];
        for sampled in 1..=sample_len {
            for (row, hypothesis) in logits.chunks_exact_mut(n_vocab).zip(&live) {
                filters.apply(row, &hypothesis.tokens);
            }
            let next = decoder.update(&live, &logits, n_vocab)?;
            let unmoved = next.sources.iter().copied().eq(0..live.len());
            live = next.live;
            if next.completed || sampled == sample_len || sample_begin + sampled > n_text_ctx {
                break;
            }
            logits = self.step(&live, &next.sources, unmoved)?;
        }
        Ok(most_likely(decoder.finalize(live), self.options.length_penalty))
    }

    fn decoder(&self) -> Box<dyn TokenDecoder> {
        let eot = self.tokenizer.special().eot;
        let options = self.options;
        match options.beam_size {
            Some(beams) => Box::new(BeamSearchDecoder::new(beams, options.patience, eot)),
            None => Box::new(GreedyDecoder::new(options.temperature, eot, options.best_of.unwrap_or(1), options.seed)),
        }
    }

    /// Feeds the last token of each live hypothesis, and returns the logits that follow.
    fn step(
        &mut self,
        live: &[Hypothesis],
        sources: &[usize],
        unmoved: bool,
    ) -> Result<Vec<f32>, DecodingError<I::Error>> {
        if (self.cancelled)() {
            return Err(DecodingError::Cancelled);
        }
        if !unmoved {
            self.inference.rearrange(sources);
        }
        let tokens: Vec<u32> = live.iter().filter_map(|hypothesis| hypothesis.tokens.last().copied()).collect();
        checked(self.inference.step(&tokens), tokens.len(), self.tokenizer)
    }
}

#[cfg(test)]
mod tests;
