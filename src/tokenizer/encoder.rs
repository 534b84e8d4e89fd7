//! Text to token ids, with Hugging Face's `tokenizers`.
//!
//! In: a text and the vocabulary. Out: the ids that openai-whisper gets from tiktoken.
//!
//! A text token's id is its rank, so the vocabulary alone determines the merges. The merges of a
//! `tokenizer.json` are not used: in the CTranslate2 layout of base the first one, space and "t",
//! is missing, which splits " the" into two tokens that the model was not trained on.
//!
//! BPE only joins pieces to tokens that occur in the text, so each text gets a model of just these.
//! That takes less than a millisecond, while a model of all 50,000 tokens takes 0.1 s to build and
//! 17 MB to keep.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, OffsetType, PreTokenizedString, PreTokenizer};

use super::TokenizerError;
use super::letters::to_letters;
use super::vocabulary::Vocabulary;

/// The ids of `text` among the first `n_text` ids of the vocabulary, the text tokens. What looks like
/// a special token is text.
///
/// # Errors
/// Returns an error if the vocabulary has no tokens for a part of the text.
pub(super) fn encode(
    text: &str,
    vocabulary: &Vocabulary,
    n_text: u32,
) -> Result<Vec<u32>, TokenizerError> {
    let bpe = model_of(text, vocabulary, n_text).map_err(failed)?;
    let mut pieces = PreTokenizedString::from(text);
    ByteLevel::new(false, false, true)
        .pre_tokenize(&mut pieces)
        .map_err(failed)?;
    pieces
        .tokenize(|piece| {
            let tokens = bpe.tokenize(piece.get())?;
            // BPE skips letters that are not tokens.
            let encoded: usize = tokens.iter().map(|token| token.value.len()).sum();
            if encoded == piece.get().len() {
                Ok(tokens)
            } else {
                let missing = piece.get_original();
                Err(format!("the vocabulary has no tokens for {missing:?}").into())
            }
        })
        .map_err(failed)?;
    let encoding = pieces.into_encoding(None, 0, OffsetType::None);
    Ok(encoding.map_err(failed)?.get_ids().to_vec())
}

/// A BPE model of the tokens that occur in `text`.
fn model_of(text: &str, vocabulary: &Vocabulary, n_text: u32) -> tokenizers::Result<BPE> {
    let tokens = tokens_in(text.as_bytes(), vocabulary, n_text);
    let ids: Vocab = tokens.iter().cloned().collect();
    let merges = tokens
        .iter()
        .flat_map(|(token, _)| merges(token, &ids))
        .collect();
    BPE::builder()
        .vocab_and_merges(ids, merges)
        // Its caches would outlive the model.
        .cache_capacity(0)
        .build()
}

/// The tokens that occur in `text`, as letters, with their ids, ascending.
fn tokens_in(text: &[u8], vocabulary: &Vocabulary, n_text: u32) -> Vec<(String, u32)> {
    // Most tokens have a pair of bytes that the text does not have.
    let index = |pair: &[u8; 2]| usize::from(u16::from_le_bytes(*pair));
    let mut has_pair = vec![false; 1 << u16::BITS];
    for pair in text.array_windows() {
        has_pair[index(pair)] = true;
    }
    let letters = to_letters(text);
    (0..n_text)
        .map(|id| (vocabulary.token(id), id))
        .filter(|(token, _)| token.array_windows().all(|pair| has_pair[index(pair)]))
        .map(|(token, id)| (to_letters(token), id))
        .filter(|(token, _)| letters.contains(token.as_str()))
        .collect()
}

/// All pairs of tokens that `token` can be joined from. Ranked by `token`, they let BPE join the
/// neighbours whose union ranks lowest, which is tiktoken's rule; `tokenizers` imports tiktoken
/// files in the same way (`extract_vocab_merges_from_model` in transformers'
/// `convert_slow_tokenizer.py`).
fn merges(token: &str, ids: &Vocab) -> Vec<(String, String)> {
    token
        .char_indices()
        .skip(1)
        .map(|(middle, _)| token.split_at(middle))
        .filter(|&(left, right)| ids.contains_key(left) && ids.contains_key(right))
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect()
}

fn failed(error: tokenizers::Error) -> TokenizerError {
    TokenizerError::Encode(error.to_string())
}
