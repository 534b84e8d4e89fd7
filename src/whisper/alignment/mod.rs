//! Word timestamps and confidence, from cross-attention by OpenAI's method (openai-whisper's
//! `timing.py`).
//!
//! In: a prepared window and the tokens of its text. Some of the decoder's cross-attention heads, the
//! model's *alignment heads*, follow the audio as it reads the text, which it does once more, all
//! tokens in one pass, unless it has just decoded the same tokens and only times are wanted. Dynamic
//! time warping finds the path through the heads' weights. Out: [`TimedWord`]s.

mod dtw;
mod fit;
mod pauses;
mod words;

pub use pauses::{Pauses, ends_sentence};

use super::decoder::{DecodeError, Decoder, Row, Workspace};
use super::kv_cache::WindowCache;
use super::segment::TimedWord;
use crate::cpu::{Isa, argmax, sum_exp};
use crate::tokenizer::{Language, Task, Tokenizer};
use fit::token_fit;
use words::{Piece, merge_punctuation, split};

/// Length of an encoder position in seconds.
const POSITION_S: f64 = 0.02;

/// Text of a window that is to be aligned with its audio.
#[derive(Debug, Clone, Copy)]
pub struct AlignmentInput<'a> {
    /// Text tokens at the start whose times are not needed.
    pub before: &'a [u32],
    /// Tokens that follow them. Tokens that are not text are ignored.
    pub tokens: &'a [u32],
    /// Language spoken.
    pub language: Language,
    /// Whether the text is a transcript or a translation.
    pub task: Task,
    /// Length of the audio in seconds.
    pub seconds: f64,
    /// Pauses in the audio.
    pub pauses: &'a Pauses,
}

/// Finds the times of words.
pub struct Aligner<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a Tokenizer,
}

impl<'a> Aligner<'a> {
    /// Creates an aligner.
    pub fn new(decoder: &'a Decoder, tokenizer: &'a Tokenizer) -> Self {
        Self { decoder, tokenizer }
    }

    /// Returns the words of `input`, the text of `window`. Without probabilities, which are 0 then, it
    /// is much faster: the decoder reads only what a sequence of the window does not have, such as
    /// the one that the text has just been decoded in. Drops the window's other sequences.
    ///
    /// # Errors
    /// Returns an error if the text is too long for the model's context.
    pub fn align(
        &self,
        window: &mut WindowCache,
        input: &AlignmentInput<'_>,
        with_probabilities: bool,
    ) -> Result<Vec<TimedWord>, DecodeError> {
        let before = self.text_tokens(input.before);
        let tokens = self.text_tokens(input.tokens);
        let n_positions = ((input.seconds / POSITION_S).ceil() as usize).min(window.n_ctx());
        if tokens.is_empty() || n_positions == 0 {
            return Ok(Vec::new());
        }
        let special = self.tokenizer.special();
        let start = special.sot_sequence(input.language, input.task, true);
        let sequence = [&start[..], &before, &tokens, &[special.eot]].concat();
        // The logits and the attention weights of a row belong to the next token.
        let first = start.len() - 1;
        let mut work = Workspace::default();
        let probabilities = if with_probabilities {
            self.probabilities(window, &sequence, first + before.len(), &tokens, &mut work)?
        } else {
            vec![0.0; tokens.len()]
        };
        let weights = self
            .decoder
            .alignment_weights(window, &sequence, n_positions, &mut work)?;
        let fit = token_fit(weights.view(), first..sequence.len() - 1);
        let begins = dtw::begins(fit.view());
        let timed = TimedTokens {
            begins: &begins[before.len()..],
            probabilities: &probabilities,
        };
        let mut words = timed.words(&split(self.tokenizer, &tokens, input.language));
        input.pauses.part(&mut words);
        Ok(words)
    }

    /// Returns the tokens that are text.
    fn text_tokens(&self, tokens: &[u32]) -> Vec<u32> {
        let eot = self.tokenizer.special().eot;
        tokens
            .iter()
            .copied()
            .filter(|token| *token < eot)
            .collect()
    }

    /// Reads `sequence` and returns the probability of each of its `tokens` among all text tokens.
    /// The logits of the first one are in row `first`.
    fn probabilities(
        &self,
        window: &mut WindowCache,
        sequence: &[u32],
        first: usize,
        tokens: &[u32],
        work: &mut Workspace,
    ) -> Result<Vec<f32>, DecodeError> {
        let rows = Row::of_one(sequence);
        let wanted: Vec<usize> = (first..first + tokens.len()).collect();
        window.begin();
        let logits = self.decoder.forward(&mut [window], &rows, &wanted, work)?;
        let eot = self.tokenizer.special().eot as usize;
        Ok(logits
            .chunks_exact(self.decoder.dims().n_vocab)
            .zip(tokens)
            .map(|(row, token)| probability(self.decoder.cpu().isa, &row[..eot], *token as usize))
            .collect())
    }
}

/// Returns the probability of `token` in a row of logits.
fn probability(isa: Isa, logits: &[f32], token: usize) -> f32 {
    let most = argmax(isa, logits).map_or(0.0, |(_, value)| value);
    (f64::from(logits[token] - most).exp() / sum_exp(isa, logits, most, 1.0)) as f32
}

/// Text tokens with their times and probabilities.
struct TimedTokens<'a> {
    /// Position at which each token begins, and the end of the last one.
    begins: &'a [usize],
    probabilities: &'a [f32],
}

impl TimedTokens<'_> {
    /// Joins the tokens to words, with their punctuation.
    fn words(&self, pieces: &[Piece]) -> Vec<TimedWord> {
        let seconds = |position: usize| position as f64 * POSITION_S;
        let mut words: Vec<Option<TimedWord>> = Vec::with_capacity(pieces.len());
        let mut from = 0;
        for piece in pieces {
            let to = from + piece.tokens;
            let sum: f32 = self.probabilities[from..to].iter().sum();
            words.push(Some(TimedWord {
                text: piece.text.clone(),
                tokens: piece.tokens,
                start: seconds(self.begins[from]),
                end: seconds(self.begins[to]),
                probability: sum / piece.tokens as f32,
            }));
            from = to;
        }
        for (i, owner) in merge_punctuation(pieces).into_iter().enumerate() {
            if i != owner
                && let Some(mark) = words[i].take()
                && let Some(word) = &mut words[owner]
            {
                // Punctuation takes no time to say.
                word.text = if i < owner {
                    mark.text + &word.text
                } else {
                    std::mem::take(&mut word.text) + &mark.text
                };
                word.tokens += mark.tokens;
            }
        }
        words.into_iter().flatten().collect()
    }
}
