//! The decoding of one window: the language, then a search at each temperature until a transcript
//! is accepted (`decode_with_fallback` in openai-whisper's `transcribe.py`).
//!
//! In: logits. Out: [`Request`]s for more, then the [`DecodingResult`].

use super::fallback::FallbackOptions;
use super::guards;
use super::hypothesis::Hypothesis;
use super::language::{Candidates, given_language, is_still, rivals, text_score};
use super::options::DecodingOptions;
use super::prompt::initial_tokens;
use super::result::{DecodingError, LanguageProbs, is_sure};
use super::result::{DecodingResult, compression_ratio};
use super::search::{Found, Search};
use super::thresholds::{MAX_NO_SPEECH_PROB, MIN_AVG_LOGPROB_SPARSE};
use crate::cpu::Isa;
use crate::tokenizer::{Language, Tokenizer};
use crate::whisper::inference::Request;
use std::collections::VecDeque;

/// Beams that look for a likelier text than an unlikely greedy one: OpenAI's command's own number.
const BEAMS: usize = 5;

/// State of the decoding of a window between two passes of the decoder.
pub struct Decoding<'t> {
    isa: Isa,
    tokenizer: &'t Tokenizer,
    n_text_ctx: usize,
    /// Options of the current attempt, followed by those of the next attempts.
    attempts: VecDeque<DecodingOptions>,
    fallback: FallbackOptions,
    language: Option<Language>,
    language_probs: LanguageProbs,
    /// Languages that may be spoken instead and were not tried yet.
    rivals: Vec<Language>,
    /// The likeliest text in the languages that were tried, while there are rivals left, with the
    /// probability of `<|nospeech|>`.
    likeliest: Option<(Language, Hypothesis, f32)>,
    /// Text that ended too early, while its continuation is being searched.
    begun: Option<Hypothesis>,
    /// An unlikely greedy text and whether it repeats itself, while a beam search looks for a
    /// likelier one.
    unlikely: Option<(DecodingResult, bool)>,
    /// The best rejected attempt.
    rejected: Option<DecodingResult>,
    stage: Stage,
}

enum Stage {
    Language(Candidates),
    Search(Box<Search>),
}

/// Outcome of an answer of the decoder.
pub enum Progress {
    /// More logits are needed.
    Wants(Request),
    /// The window is finished.
    Done(Box<DecodingResult>),
}

impl<'t> Decoding<'t> {
    /// Begins a window for a decoder of `n_text_ctx` positions. It is decoded at each temperature of
    /// `fallback` in turn until a transcript is accepted. If none is, the result is the likeliest
    /// that does not repeat itself. Beams are used at temperature 0, samples (`best_of`) at the
    /// others. The language is detected once.
    ///
    /// # Errors
    /// Returns an error if the options contradict each other or the model.
    pub fn new<E>(
        isa: Isa,
        tokenizer: &'t Tokenizer,
        n_text_ctx: usize,
        options: &DecodingOptions,
        fallback: &FallbackOptions,
    ) -> Result<(Self, Request), DecodingError<E>> {
        let temperatures = fallback.temperatures.as_slice();
        let temperatures = if temperatures.is_empty() {
            &[options.temperature]
        } else {
            temperatures
        };
        let attempts = temperatures
            .iter()
            .map(|&temperature| at_temperature(options, temperature))
            .collect();
        Self::begin(isa, tokenizer, n_text_ctx, attempts, fallback.clone())
    }

    #[cfg(test)]
    /// Begins a window that is decoded once, with exactly these options.
    pub(super) fn once<E>(
        isa: Isa,
        tokenizer: &'t Tokenizer,
        n_text_ctx: usize,
        options: &DecodingOptions,
    ) -> Result<(Self, Request), DecodingError<E>> {
        Self::begin(
            isa,
            tokenizer,
            n_text_ctx,
            [options.clone()].into(),
            FallbackOptions::default(),
        )
    }

    fn begin<E>(
        isa: Isa,
        tokenizer: &'t Tokenizer,
        n_text_ctx: usize,
        attempts: VecDeque<DecodingOptions>,
        fallback: FallbackOptions,
    ) -> Result<(Self, Request), DecodingError<E>> {
        let first = attempts.front().cloned().unwrap_or_default();
        attempts.iter().try_for_each(DecodingOptions::verify)?;
        let language = given_language(tokenizer, &first)?;
        let (stage, request) = match language {
            Some(language) => search(isa, tokenizer, n_text_ctx, &first, language),
            None => {
                let (candidates, request) = Candidates::new(tokenizer, &first.allowed_languages)?;
                (Stage::Language(candidates), request)
            }
        };
        let decoding = Self {
            isa,
            tokenizer,
            n_text_ctx,
            attempts,
            fallback,
            language,
            language_probs: None,
            rivals: Vec::new(),
            likeliest: None,
            begun: None,
            unlikely: None,
            rejected: None,
            stage,
        };
        Ok((decoding, request))
    }

    /// Takes the requested logits, `[rows][n_vocab]`, and filters them in place.
    ///
    /// # Errors
    /// Returns an error if the logits are not finite or have the wrong length.
    pub fn advance<E>(
        &mut self,
        request: &Request,
        logits: &mut [f32],
    ) -> Result<Progress, DecodingError<E>> {
        let given = logits.len();
        let wanted = request.rows() * self.tokenizer.n_vocab();
        if given != wanted {
            return Err(DecodingError::LogitsLength { given, wanted });
        }
        let found = match &mut self.stage {
            Stage::Language(candidates) => {
                let probabilities = candidates.probabilities(self.isa, logits)?;
                let options = self.attempts.front();
                let expected = options.and_then(|options| {
                    let expected = options.expected_language?;
                    is_still(expected, &probabilities, options.audio_s).then_some(expected)
                });
                if expected.is_some() {
                    self.language = expected;
                    return Ok(Progress::Wants(self.search()));
                }
                let likeliest = probabilities
                    .first()
                    .map_or(Language::ENGLISH, |&(language, _)| language);
                if self.attempts.len() > 1 {
                    self.rivals = rivals(&probabilities);
                }
                self.language = Some(likeliest);
                self.language_probs = Some(probabilities);
                return Ok(Progress::Wants(self.search()));
            }
            Stage::Search(search) => search.advance(logits)?,
        };
        Ok(match found {
            Found::Wants(request) => Progress::Wants(request),
            Found::Best(best, no_speech_prob) => self.accept(best, no_speech_prob),
        })
    }

    /// Begins the search of the current attempt, after the text that ended too early if there is
    /// one.
    fn search(&mut self) -> Request {
        let mut options = self.attempts.front().cloned().unwrap_or_default();
        if let Some(begun) = &self.begun {
            options.prefix.extend_from_slice(&begun.tokens);
            options.predicted.clear();
            // The first token is not the end.
            options.suppress_blank = true;
        }
        let language = self.language.unwrap_or(Language::ENGLISH);
        let (stage, request) = search(
            self.isa,
            self.tokenizer,
            self.n_text_ctx,
            &options,
            language,
        );
        self.stage = stage;
        request
    }

    /// Returns the text found, or the likeliest one in another language if it fits no worse.
    fn likeliest_language(&mut self, found: Hypothesis, no_speech_prob: f32) -> (Hypothesis, f32) {
        match self.likeliest.take() {
            Some((language, earlier, no_speech_prob))
                if self.fits_no_worse(language, &earlier, &found) =>
            {
                self.language = Some(language);
                (earlier, no_speech_prob)
            }
            _ => (found, no_speech_prob),
        }
    }

    /// Whether the text `earlier` in `language` fits no worse than the one `found` in the current
    /// language. A loop does not fit, however likely its tokens are, nor does a text with less than
    /// half of the other's tokens or an earlier one with too few for the sound: a single likely word of
    /// a sentence is not what was said.
    fn fits_no_worse(&self, language: Language, earlier: &Hypothesis, found: &Hypothesis) -> bool {
        let score = |language, text: &Hypothesis| {
            let probabilities = self.language_probs.iter().flatten();
            let prior = probabilities
                .filter(|(other, _)| Some(*other) == language)
                .map(|(_, p)| p.ln())
                .sum();
            text_score(text, prior)
        };
        match (self.is_loop(earlier), self.is_loop(found)) {
            (true, looping) => looping,
            (false, true) => true,
            (false, false) => {
                let falls_short = self.is_sparse(earlier) && !self.is_sparse(found);
                2 * found.tokens.len() < earlier.tokens.len()
                    || !falls_short && score(Some(language), earlier) >= score(self.language, found)
            }
        }
    }

    /// Whether a text repeats itself, by its tokens or by OpenAI's compression ratio.
    fn is_loop(&self, text: &Hypothesis) -> bool {
        let ratio = compression_ratio(self.tokenizer.decode(&text.tokens).trim());
        let most = self.fallback.compression_ratio_threshold;
        guards::repetition(&text.tokens, self.tokenizer.special().eot).is_some()
            || most.is_some_and(|most| ratio > most)
    }

    /// Returns the result of an attempt, or begins the next attempt.
    fn accept(&mut self, found: Hypothesis, no_speech_prob: f32) -> Progress {
        if no_speech_prob > MAX_NO_SPEECH_PROB {
            // Text in another language would be a hallucination as well.
            self.rivals.clear();
        }
        let (found, no_speech_prob) = self.likeliest_language(found, no_speech_prob);
        if let Some(rival) = self.rivals.pop() {
            self.likeliest = self
                .language
                .map(|language| (language, found, no_speech_prob));
            self.language = Some(rival);
            return Progress::Wants(self.search());
        }
        let (best, grown) = match self.begun.take() {
            Some(begun) => begun.continued_by(found),
            None => (found, true),
        };
        if grown && no_speech_prob <= MAX_NO_SPEECH_PROB && self.ends_early(&best) {
            self.begun = Some(best);
            return Progress::Wants(self.search());
        }
        let attempt = self.attempts.pop_front().unwrap_or_default();
        let found = self.result(&attempt, best, no_speech_prob);
        if self.wants_beams(&attempt, &found.0) {
            self.unlikely = Some(found);
            self.attempts.push_front(DecodingOptions {
                beam_size: Some(BEAMS),
                predicted: Vec::new(),
                ..attempt
            });
            return Progress::Wants(self.search());
        }
        let (mut result, repeats) = self.likelier(found);
        if !result.is_non_speech
            && (repeats || self.fallback.needs_fallback(&result) || self.is_guess(&result))
        {
            let rank = |result: &DecodingResult| {
                (!self.fallback.is_repetitive(result), result.avg_logprob)
            };
            result = match self.rejected.take() {
                Some(earlier) if rank(&earlier) >= rank(&result) => earlier,
                _ => result,
            };
            if !self.attempts.is_empty() {
                self.rejected = Some(result);
                return Progress::Wants(self.search());
            }
            result.is_rejected = true;
            // Neither a good text nor a sure language: no speech.
            result.is_non_speech |= !self.is_language_sure();
        }
        result.language_probs = self.language_probs.take();
        Progress::Done(Box::new(result))
    }

    /// Whether a beam search should look for a likelier text than the greedy one. The text of a
    /// silent window is not improved.
    fn wants_beams(&self, attempt: &DecodingOptions, result: &DecodingResult) -> bool {
        let is_greedy = attempt.temperature == 0.0 && attempt.beam_size.is_none();
        let is_unlikely = self
            .fallback
            .beam_logprob_threshold
            .is_some_and(|least| result.avg_logprob < least);
        is_greedy && is_unlikely && !self.attempts.is_empty() && !self.fallback.is_silence(result)
    }

    /// Returns the text of the beam search, or the greedy text if it is no less likely.
    fn likelier(&mut self, found: (DecodingResult, bool)) -> (DecodingResult, bool) {
        let rank = |(result, repeats): &(DecodingResult, bool)| {
            (
                !repeats && !self.fallback.is_repetitive(result),
                result.avg_logprob,
            )
        };
        match self.unlikely.take() {
            Some(greedy) if found.0.is_non_speech || rank(&greedy) >= rank(&found) => greedy,
            _ => found,
        }
    }

    /// Returns the text of an attempt without its repetitions, and whether there were any.
    fn result(
        &self,
        attempt: &DecodingOptions,
        mut best: Hypothesis,
        no_speech_prob: f32,
    ) -> (DecodingResult, bool) {
        let avg_logprob = best.avg_logprob();
        let n_tokens = attempt.n_said() + best.tokens.len();
        let is_sure = self.is_language_sure();
        let is_quiet = no_speech_prob > MAX_NO_SPEECH_PROB;
        // Music is a loop in many languages, and in most of them as likely as speech.
        let is_speech = is_sure && !is_quiet;
        let can_be_said =
            is_speech && best.has_ended && guards::can_be_said(n_tokens, attempt.sound_s);
        let repetition =
            guards::repetition(&best.tokens, self.tokenizer.special().eot).filter(|_| !can_be_said);
        best.tokens
            .truncate(best.tokens.len() - repetition.unwrap_or(0));
        let text = self.tokenizer.decode(&best.tokens).trim().to_owned();
        let n_tokens = attempt.n_said() + best.tokens.len();
        let is_caption = guards::is_caption(&text) || is_quiet && guards::is_credit(&text);
        let is_non_speech = |sound_s| {
            guards::is_non_speech(
                n_tokens,
                sound_s,
                avg_logprob,
                no_speech_prob,
                is_sure,
                is_caption,
            )
        };
        let result = DecodingResult {
            language: self.language.unwrap_or(Language::ENGLISH),
            language_probs: None,
            tokens: best.tokens,
            avg_logprob,
            no_speech_prob,
            temperature: attempt.temperature,
            compression_ratio: compression_ratio(&text),
            can_be_said,
            is_non_speech: attempt.sound_s.is_some_and(is_non_speech),
            is_rejected: false,
            text,
        };
        (result, repetition.is_some())
    }

    /// Whether a text is a guess: sampled, unlikely, and in a language that is not sure.
    fn is_guess(&self, result: &DecodingResult) -> bool {
        result.temperature > 0.0
            && result.avg_logprob < MIN_AVG_LOGPROB_SPARSE
            && !self.is_language_sure()
    }

    /// Whether the language is given or very likely.
    fn is_language_sure(&self) -> bool {
        is_sure(
            &self.language_probs,
            self.language.unwrap_or(Language::ENGLISH),
        )
    }

    /// Whether the current attempt ended before the speech, as the model does after a heading, and
    /// may be continued. With timestamps, the model itself reports how far it got.
    fn ends_early(&self, best: &Hypothesis) -> bool {
        let may_go_on = self
            .attempts
            .front()
            .is_some_and(|options| options.without_timestamps && options.temperature == 0.0);
        let likely = self
            .fallback
            .logprob_threshold
            .is_none_or(|least| best.avg_logprob() >= least);
        may_go_on && likely && self.is_sparse(best)
    }

    /// Whether a text is too short for the sound.
    fn is_sparse(&self, text: &Hypothesis) -> bool {
        self.attempts.front().is_some_and(|options| {
            let n_tokens = options.n_said() + text.tokens.len();
            options
                .sound_s
                .is_some_and(|sound_s| guards::is_sparse(n_tokens, sound_s))
        })
    }
}

fn search(
    isa: Isa,
    tokenizer: &Tokenizer,
    n_text_ctx: usize,
    options: &DecodingOptions,
    language: Language,
) -> (Stage, Request) {
    let initial = initial_tokens(tokenizer.special(), options, language, n_text_ctx);
    let (search, request) = Search::begin(isa, tokenizer, options, initial, n_text_ctx);
    (Stage::Search(Box::new(search)), request)
}

/// Returns the options for a temperature.
fn at_temperature(options: &DecodingOptions, temperature: f32) -> DecodingOptions {
    let mut options = DecodingOptions {
        temperature,
        ..options.clone()
    };
    if temperature > 0.0 {
        options.beam_size = None;
        options.patience = None;
    } else {
        options.best_of = None;
    }
    options
}
