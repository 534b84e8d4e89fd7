//! Which language is spoken.

use super::checked;
use super::error::DecodingError;
use super::logits::log_sum_exp;
use super::options::OptionsError;
use crate::whisper::Inference;
use crate::whisper::tokenizer::{Language, Tokenizer};

/// The probabilities of the languages of `allowlist` (all, when it is empty), likeliest first; they sum up to 1.
///
/// Languages that the model has no token for are left out.
///
/// # Errors
/// When the model is English-only or knows none of the languages, or the decoder fails.
pub fn detect_language<I: Inference>(
    inference: &mut I,
    tokenizer: &Tokenizer,
    allowlist: &[Language],
) -> Result<Vec<(Language, f32)>, DecodingError<I::Error>> {
    let special = tokenizer.special();
    let known = |language: &Language| allowlist.is_empty() || allowlist.contains(language);
    let candidates: Vec<(Language, u32)> = special
        .languages()
        .filter(known)
        .filter_map(|language| Some((language, special.language_token(language)?)))
        .collect();
    if candidates.is_empty() {
        let unknown = allowlist.first().filter(|_| special.is_multilingual);
        return Err(unknown.map_or(OptionsError::Detect, |&language| OptionsError::Language(language)).into());
    }
    let logits = checked(inference.prefill(&[special.sot], &[0]), 1, tokenizer)?;
    let scores: Vec<f32> = candidates.iter().filter_map(|&(_, token)| logits.get(token as usize).copied()).collect();
    let normaliser = log_sum_exp(&scores)?;
    let mut probabilities: Vec<(Language, f32)> = candidates
        .into_iter()
        .zip(scores)
        .map(|((language, _), score)| (language, (score - normaliser).exp()))
        .collect();
    probabilities.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(probabilities)
}
