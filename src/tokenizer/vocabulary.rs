//! The vocabulary: the bytes of each token by its id.
//!
//! In: the table of a model file, a Hugging Face `tokenizer.json`, or one of OpenAI's lists. Out:
//! the bytes of a token. Ids of text tokens are their ranks in byte-pair encoding; the special
//! tokens follow in OpenAI's order.

use super::{TokenizerError, json, published};

/// Bytes of all tokens by id: text tokens as they are, special ones as their name, such as
/// `<|en|>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    /// The tokens' bytes, one after another.
    bytes: Vec<u8>,
    /// `[n_vocab + 1]`: where each token begins in `bytes`, and the end of the last one.
    offsets: Vec<u32>,
}

impl Vocabulary {
    /// The table of a model file.
    ///
    /// # Errors
    /// Returns an error if the offsets descend or exceed the bytes.
    pub(crate) fn new(bytes: &[u8], offsets: &[u32]) -> Result<Self, TokenizerError> {
        let end = offsets.last().copied().unwrap_or_default() as usize;
        if offsets.len() < 2 || end > bytes.len() {
            return Err(TokenizerError::VocabularyTable(
                offsets.len().saturating_sub(2),
            ));
        }
        if let Some(damaged) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(TokenizerError::VocabularyTable(damaged));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            offsets: offsets.to_vec(),
        })
    }

    /// The published vocabulary of models with `n_vocab` tokens.
    ///
    /// # Errors
    /// Returns an error if no Whisper model has that many.
    pub(crate) fn published(n_vocab: usize) -> Result<Self, TokenizerError> {
        Self::from_tokens(&published::tokens(n_vocab)?)
    }

    /// Reads the vocabulary of a model with `n_vocab` tokens from a Hugging Face `tokenizer.json`.
    /// Older files omit special tokens such as the timestamps; those are OpenAI's.
    ///
    /// # Errors
    /// Returns an error if it is not a byte-level BPE tokenizer, or if tokens are missing or too
    /// many.
    pub(crate) fn from_tokenizer_json(json: &[u8], n_vocab: usize) -> Result<Self, TokenizerError> {
        Self::from_tokens(&json::tokens(json, n_vocab)?)
    }

    fn from_tokens(tokens: &[Vec<u8>]) -> Result<Self, TokenizerError> {
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for (id, token) in tokens.iter().enumerate() {
            bytes.extend_from_slice(token);
            let end = u32::try_from(bytes.len());
            offsets.push(end.map_err(|_| TokenizerError::VocabularyTable(id))?);
        }
        Ok(Self { bytes, offsets })
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes of a token; empty for an id outside the vocabulary.
    pub(crate) fn token(&self, id: u32) -> &[u8] {
        match self.offsets.get(id as usize..).unwrap_or_default() {
            [begin, end, ..] => self
                .bytes
                .get(*begin as usize..*end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }

    /// The tokens' bytes, one after another.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `[n_vocab + 1]`: where each token begins in [`bytes`](Self::bytes), and the end of the last.
    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }
}
