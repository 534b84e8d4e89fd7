//! The vocabulary: each token's bytes by id, read from a `tokenizer.json` or from OpenAI's own
//! lists.
//!
//! Ids of text tokens are their ranks in byte-pair encoding; the special tokens follow in OpenAI's
//! order.

pub(crate) mod bpe;
mod openai;
mod suppress;
mod tokenizer_json;

use std::collections::HashMap;

use super::error::Defect;

/// Every token of a model, special ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    /// Bytes by id; special tokens as their text, such as `<|en|>`.
    tokens: Vec<Vec<u8>>,
}

impl Vocabulary {
    /// The published vocabulary of models with `n_vocab` tokens.
    ///
    /// # Errors
    /// When no Whisper model has that many.
    pub(crate) fn openai(n_vocab: usize) -> Result<Self, Defect> {
        openai::tokens(n_vocab).map(|tokens| Self { tokens })
    }

    /// Reads the vocabulary of a model with `n_vocab` tokens from a Hugging Face `tokenizer.json`.
    /// Special tokens that it leaves out, as older files do with the timestamps, are OpenAI's.
    ///
    /// # Errors
    /// When it is no byte-level BPE tokenizer, or lacks tokens or has too many.
    pub(crate) fn from_tokenizer_json(json: &[u8], n_vocab: usize) -> Result<Self, Defect> {
        tokenizer_json::tokens(json, n_vocab).map(|tokens| Self { tokens })
    }

    /// A Hugging Face `tokenizer.json` with this vocabulary.
    ///
    /// # Errors
    /// When the text tokens are no byte-pair encoding.
    pub(crate) fn to_tokenizer_json(&self) -> Result<Vec<u8>, Defect> {
        tokenizer_json::write(self)
    }

    /// All tokens' bytes, concatenated, and the offset at which each begins, with the end of the
    /// last.
    ///
    /// # Errors
    /// When the bytes are too many for u32 offsets.
    pub(crate) fn concatenated(&self) -> Result<(Vec<u8>, Vec<u32>), Defect> {
        let bytes = self.tokens.concat();
        u32::try_from(bytes.len()).map_err(|_| Defect::new("the vocabulary exceeds 4 GiB"))?;
        let mut offsets = vec![0];
        let mut end = 0;
        for token in &self.tokens {
            // The sum fits: it is at most `bytes.len()`.
            end += token.len() as u32;
            offsets.push(end);
        }
        Ok((bytes, offsets))
    }

    /// The tokens that OpenAI's decoding suppresses by default, ascending.
    pub(crate) fn suppress_tokens(&self) -> Vec<u32> {
        suppress::tokens(self)
    }

    /// Ids of the text tokens by their bytes.
    fn ranks(&self) -> HashMap<&[u8], u32> {
        self.tokens
            .iter()
            .take(self.n_text())
            .map(Vec::as_slice)
            .zip(0..)
            .collect()
    }

    /// How many text tokens there are: the id of `<|endoftext|>`.
    fn n_text(&self) -> usize {
        openai::end_of_text(self.tokens.len())
    }
}
