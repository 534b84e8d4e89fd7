//! Text to token ids, with Hugging Face's `tokenizers`.
//!
//! In: the vocabulary. Out: a byte-level BPE model, built in memory.
//!
//! A text token's id is its rank, so the vocabulary alone determines the merges. The merges of a
//! `tokenizer.json` are not used: in the CTranslate2 layout of base the first one, space and "t",
//! is missing, which splits " the" into two tokens that the model was not trained on.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, OffsetType, PreTokenizedString, PreTokenizer};

use super::TokenizerError;
use super::letters::to_letters;
use super::vocabulary::Vocabulary;

/// Encodes text as openai-whisper does with tiktoken.
pub(super) struct Encoder(BPE);

impl Encoder {
    /// An encoder for the first `n_text` ids of the vocabulary, the text tokens.
    ///
    /// # Errors
    /// Returns an error if `tokenizers` rejects the vocabulary.
    pub(super) fn new(vocabulary: &Vocabulary, n_text: u32) -> Result<Self, TokenizerError> {
        let tokens: Vec<String> = (0..n_text)
            .map(|id| to_letters(vocabulary.token(id)))
            .collect();
        let ids: Vocab = tokens.iter().cloned().zip(0..).collect();
        let merges = tokens
            .iter()
            .flat_map(|token| merges(token, &ids))
            .collect();
        BPE::builder()
            .vocab_and_merges(ids, merges)
            // Texts are short, and its caches would outlive the model.
            .cache_capacity(0)
            .build()
            .map(Self)
            .map_err(failed)
    }

    /// The ids of `text`. What looks like a special token is text.
    ///
    /// # Errors
    /// Returns an error if the vocabulary has no tokens for a part of the text.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut pieces = PreTokenizedString::from(text);
        ByteLevel::new(false, false, true)
            .pre_tokenize(&mut pieces)
            .map_err(failed)?;
        pieces
            .tokenize(|piece| {
                let tokens = self.0.tokenize(piece.get())?;
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
