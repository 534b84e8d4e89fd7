//! The search for the best token sequence of a window at one temperature.
//!
//! In: logits. Out: requests for more logits, then the best sequence. The search is a state
//! machine, so that one pass of the decoder can serve several windows.

use super::beam::BeamSearchDecoder;
use super::filters::LogitFilters;
use super::greedy::GreedyDecoder;
use super::guards;
use super::hypothesis::{Hypothesis, TokenDecoder, most_likely};
use super::logits::{NotFinite, log_sum_exp};
use super::options::DecodingOptions;
use crate::cpu::Isa;
use crate::tokenizer::Tokenizer;
use crate::whisper::inference::Request;

/// Maximum number of predicted tokens checked in one pass. Their logits take 200 kB per token.
const MAX_PREDICTED: usize = 96;

/// State of OpenAI's `_main_loop` between two passes of the decoder.
pub(super) struct Search {
    isa: Isa,
    n_vocab: usize,
    no_speech: u32,
    /// End of the text. Timestamps are above it.
    eot: u32,
    filters: LogitFilters,
    decoder: Box<dyn TokenDecoder>,
    live: Vec<Hypothesis>,
    length_penalty: Option<f32>,
    /// Number of tokens before the first sampled one.
    begin: usize,
    sampled: usize,
    sample_len: usize,
    /// Number of tokens of the prefix that are said in the same sound.
    n_said: usize,
    /// Seconds of sound, if known.
    sound_s: Option<f32>,
    n_text_ctx: usize,
    /// Predicted tokens that were fed after the initial tokens.
    predicted: Vec<u32>,
    /// Whether the first row of logits serves `<|nospeech|>` only.
    sot_apart: bool,
    no_speech_prob: Option<f32>,
}

/// Outcome of an answer.
pub(super) enum Found {
    /// The search continues.
    Wants(Request),
    /// The best sequence and the probability of `<|nospeech|>`.
    Best(Hypothesis, f32),
}

impl Search {
    /// Begins a search after the `initial` tokens.
    pub fn begin(
        isa: Isa,
        tokenizer: &Tokenizer,
        options: &DecodingOptions,
        initial: Vec<u32>,
        n_text_ctx: usize,
    ) -> (Self, Request) {
        let special = tokenizer.special();
        let bound = options.audio_s.map_or(usize::MAX, guards::most_tokens);
        let sample_len = options
            .sample_len
            .unwrap_or(n_text_ctx / 2)
            .min(bound)
            .max(1);
        let decoder: Box<dyn TokenDecoder> = match options.beam_size {
            Some(beams) => Box::new(BeamSearchDecoder::new(
                isa,
                beams,
                options.patience,
                special.eot,
            )),
            None => {
                let best_of = options.best_of.unwrap_or(1);
                Box::new(GreedyDecoder::new(
                    isa,
                    options.temperature,
                    special.eot,
                    best_of,
                    options.seed,
                ))
            }
        };
        let begin = initial.len();
        let last = begin.saturating_sub(1);
        let sot = initial
            .iter()
            .rposition(|&token| token == special.sot)
            .unwrap_or(last);
        let room = n_text_ctx
            .saturating_sub(begin)
            .min(sample_len - 1)
            .min(MAX_PREDICTED);
        let known = |token: &&u32| **token != special.eot && **token < special.n_vocab;
        let greedy = options.beam_size.is_none() && options.temperature == 0.0;
        let predicted: Vec<u32> = options
            .predicted
            .iter()
            .take(if greedy { room } else { 0 })
            .take_while(known)
            .copied()
            .collect();
        let mut wanted: Vec<usize> = (last..=last + predicted.len()).collect();
        if sot != last {
            wanted.insert(0, sot);
        }
        let tokens = initial
            .into_iter()
            .chain(predicted.iter().copied())
            .collect();
        let search = Self {
            isa,
            n_vocab: tokenizer.n_vocab(),
            no_speech: special.no_speech,
            eot: special.eot,
            filters: LogitFilters::new(isa, tokenizer, options),
            decoder,
            live: vec![Hypothesis::default()],
            length_penalty: options.length_penalty,
            begin,
            sampled: 0,
            sample_len,
            n_said: options.n_said(),
            sound_s: options.sound_s,
            n_text_ctx,
            predicted,
            sot_apart: sot != last,
            no_speech_prob: None,
        };
        (search, Request::Prefill { tokens, wanted })
    }

    /// Takes the requested logits, `[rows][n_vocab]`.
    pub fn advance(&mut self, logits: &mut [f32]) -> Result<Found, NotFinite> {
        let no_speech_prob = match self.no_speech_prob {
            Some(known) => known,
            None => self.no_speech_prob(logits)?,
        };
        let first = if self.no_speech_prob.is_none() && self.sot_apart {
            self.n_vocab.min(logits.len())
        } else {
            0
        };
        self.no_speech_prob = Some(no_speech_prob);
        let mut logits = &mut logits[first..];
        loop {
            // With predicted tokens there is one hypothesis; each row of logits is a step of its own.
            let (rows, rest) =
                logits.split_at_mut((self.live.len() * self.n_vocab).min(logits.len()));
            logits = rest;
            for (row, hypothesis) in rows.chunks_exact_mut(self.n_vocab).zip(&self.live) {
                self.filters.apply(row, &hypothesis.tokens);
            }
            let next = self.decoder.update(&self.live, rows, self.n_vocab)?;
            let unmoved = next.sources.iter().copied().eq(0..self.live.len());
            self.live = next.live;
            self.sampled += 1;
            let full =
                self.sampled == self.sample_len || self.begin + self.sampled > self.n_text_ctx;
            let looping = self.live.iter().all(|hypothesis| {
                let n_tokens = self.n_said + hypothesis.tokens.len();
                !guards::can_be_said(n_tokens, self.sound_s)
                    && guards::repetition(&hypothesis.tokens, self.eot).is_some()
            });
            if next.completed || full || looping {
                let candidates = self.decoder.finalize(std::mem::take(&mut self.live));
                return Ok(Found::Best(
                    most_likely(candidates, self.length_penalty),
                    no_speech_prob,
                ));
            }
            let tokens: Vec<u32> = self
                .live
                .iter()
                .filter_map(|hypothesis| hypothesis.tokens.last().copied())
                .collect();
            let predicted = self.predicted.get(self.sampled - 1).copied();
            if predicted.is_some_and(|token| tokens == [token]) {
                continue;
            }
            // The predictions after the first wrong token are dropped.
            let keep = predicted.map(|_| self.begin + self.sampled - 1);
            self.predicted.clear();
            let sources = (!unmoved).then_some(next.sources);
            return Ok(Found::Wants(Request::Step {
                sources,
                keep,
                tokens,
            }));
        }
    }

    /// Returns the probability of `<|nospeech|>` in the first row of logits.
    fn no_speech_prob(&self, logits: &[f32]) -> Result<f32, NotFinite> {
        let row = logits.get(..self.n_vocab).unwrap_or_default();
        let no_speech = row
            .get(self.no_speech as usize)
            .copied()
            .unwrap_or(f32::NEG_INFINITY);
        Ok((no_speech - log_sum_exp(self.isa, row)?).exp())
    }
}
