//! Language detection.
//!
//! In: the logits after the start token. Out: probabilities of the languages.

use super::hypothesis::Hypothesis;
use super::logits::{NotFinite, log_sum_exp};
use super::options::{DecodingOptions, OptionsError};
#[cfg(test)]
use super::result::DecodingError;
use super::thresholds::{MIN_LANGUAGE_CHANGE_S, MIN_LANGUAGE_PROB, MIN_LANGUAGE_PROB_CHANGE};
use crate::cpu::Isa;
use crate::tokenizer::{Language, Task, Tokenizer};
#[cfg(test)]
use crate::whisper::Inference;
use crate::whisper::inference::Request;

/// Share of the likeliest language's probability from which another language is a rival.
const RIVAL_SHARE: f32 = 0.2;
/// Maximum number of rivals that are tried.
const RIVALS: usize = 2;
/// Weight of a language's log-probability relative to the mean log-probability of a token of its
/// text. Speech decoded in a wrong language loses 0.1 to 0.8 per token; a language with a fifth of
/// the other's probability loses 0.3.
const PRIOR: f32 = 0.2;

/// Returns the language in the options, if the model supports it; `None` if it must be detected.
pub(super) fn given_language(
    tokenizer: &Tokenizer,
    options: &DecodingOptions,
) -> Result<Option<Language>, OptionsError> {
    let special = tokenizer.special();
    if !special.is_multilingual {
        let language = options.language.unwrap_or(Language::ENGLISH);
        return match (options.task, language) {
            (Task::Translate, _) => Err(OptionsError::Translate),
            (_, Language::ENGLISH) => Ok(Some(language)),
            _ => Err(OptionsError::Language(language)),
        };
    }
    match options.language {
        Some(language) if special.language_token(language).is_none() => {
            Err(OptionsError::Language(language))
        }
        language => Ok(language),
    }
}

/// Languages that detection chooses from, with their tokens.
pub(super) struct Candidates(Vec<(Language, u32)>);

impl Candidates {
    /// Returns the languages in `allowlist` (all if it is empty) that the model has tokens for, and
    /// the request whose answer distinguishes them.
    pub fn new(
        tokenizer: &Tokenizer,
        allowlist: &[Language],
    ) -> Result<(Self, Request), OptionsError> {
        let special = tokenizer.special();
        let known = |language: &Language| allowlist.is_empty() || allowlist.contains(language);
        let candidates: Vec<(Language, u32)> = special
            .languages()
            .filter(known)
            .filter_map(|language| Some((language, special.language_token(language)?)))
            .collect();
        if candidates.is_empty() {
            let unknown = allowlist.first().filter(|_| special.is_multilingual);
            return Err(unknown.map_or(OptionsError::Detect, |&language| {
                OptionsError::Language(language)
            }));
        }
        Ok((
            Self(candidates),
            Request::Prefill {
                tokens: vec![special.sot],
                wanted: vec![0],
            },
        ))
    }

    /// Returns their probabilities, likeliest first, from the logits after the start. They add up
    /// to 1.
    pub fn probabilities(
        &self,
        isa: Isa,
        logits: &[f32],
    ) -> Result<Vec<(Language, f32)>, NotFinite> {
        let score = |&(_, token): &(Language, u32)| logits.get(token as usize).copied();
        let scores: Vec<f32> = self.0.iter().filter_map(score).collect();
        let normaliser = log_sum_exp(isa, &scores)?;
        let languages = self.0.iter().map(|&(language, _)| language);
        let mut probabilities: Vec<(Language, f32)> = languages
            .zip(scores)
            .map(|(language, score)| (language, (score - normaliser).exp()))
            .collect();
        probabilities.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(probabilities)
    }
}

/// Whether somebody still speaks `expected` in a window with these probabilities, likeliest first, and
/// `audio_s` seconds of audio.
pub(super) fn is_still(
    expected: Language,
    probabilities: &[(Language, f32)],
    audio_s: Option<f32>,
) -> bool {
    let is_short = audio_s.is_some_and(|seconds| seconds < MIN_LANGUAGE_CHANGE_S);
    let changes = probabilities
        .first()
        .is_some_and(|(other, p)| *other != expected && *p >= MIN_LANGUAGE_PROB_CHANGE);
    is_short || !changes
}

/// Returns the languages that may be spoken instead of the likeliest, the least likely first; none
/// if the likeliest is sure.
pub(super) fn rivals(probabilities: &[(Language, f32)]) -> Vec<Language> {
    match probabilities {
        [(_, best), others @ ..] if *best < MIN_LANGUAGE_PROB => {
            let near = others
                .iter()
                .take(RIVALS)
                .filter(|(_, p)| *p >= RIVAL_SHARE * best);
            near.rev().map(|(language, _)| *language).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns how well a text in a language fits the audio. `prior` is the log-probability of the
/// language from the detection.
pub(super) fn text_score(text: &Hypothesis, prior: f32) -> f32 {
    text.avg_logprob() + PRIOR * prior
}

/// Returns the probabilities of the languages in `allowlist` (all if it is empty), likeliest first.
/// They add up to 1. Languages that the model has no token for are left out.
///
/// # Errors
/// Returns an error if the model is English-only or knows none of the languages, or if the decoder
/// fails.
#[cfg(test)]
pub(crate) fn detect_language<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    allowlist: &[Language],
) -> Result<Vec<(Language, f32)>, DecodingError<I::Error>> {
    let (candidates, request) = Candidates::new(tokenizer, allowlist)?;
    let logits = request.ask(inference).map_err(DecodingError::Inference)?;
    if logits.len() != tokenizer.n_vocab() {
        return Err(DecodingError::LogitsLength {
            given: logits.len(),
            wanted: tokenizer.n_vocab(),
        });
    }
    Ok(candidates.probabilities(inference.isa(), &logits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_changes_its_language_only_surely_and_not_for_a_word() {
        let german: Language = "de".parse().expect("a language");
        let found = |p: f32| [(german, p), (Language::ENGLISH, 1.0 - p)];
        let is_still = |p, audio_s| is_still(Language::ENGLISH, &found(p), audio_s);
        assert!(!is_still(0.95, Some(8.0)) && !is_still(0.95, None));
        assert!(is_still(0.6, Some(8.0)), "not sure");
        assert!(is_still(0.95, Some(1.0)), "too short");
        assert!(
            super::is_still(german, &found(0.4), Some(8.0)),
            "the same language"
        );
        assert!(super::is_still(german, &[], None));
    }
}
