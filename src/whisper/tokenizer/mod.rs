//! Token ids to text and back.
//!
//! In: the vocabulary table of a model file. It costs nothing to open, and serves both ways.

mod encoder;
mod language;
mod special;
mod vocabulary;

pub use language::{Language, UnknownLanguage};
pub use special::{SpecialTokens, TIMESTAMP_SECONDS, Task};

use vocabulary::Vocabulary;

/// Why a tokenizer could not be built or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// No published Whisper model has a vocabulary of this size.
    #[error(
        "a vocabulary of {0} tokens is none of Whisper's (51864, 51865 or 51866): import an unmodified Whisper model"
    )]
    VocabularySize(usize),
    /// The table of offsets does not fit the bytes.
    #[error("the vocabulary table is damaged at token {0}: fetch or import the model again")]
    VocabularyTable(usize),
    /// The text cannot be encoded.
    #[error("the text cannot be split into tokens ({0}): shorten or change the prompt")]
    Encode(String),
}

/// The vocabulary of a model: text, ids and special tokens.
pub struct Tokenizer {
    special: SpecialTokens,
    vocabulary: Vocabulary,
    blank: Option<u32>,
    non_speech_tokens: Vec<u32>,
}

impl Tokenizer {
    /// Builds a tokenizer from what a model file holds.
    ///
    /// * `bytes` – the tokens' bytes, one after another
    /// * `offsets` – `[n_vocab + 1]`, where each token begins in `bytes`, and the end of the last
    /// * `non_speech_tokens` – what `-1` in OpenAI's `suppress_tokens` stands for
    ///
    /// # Errors
    /// When the table is damaged or is not one of Whisper's.
    pub fn new(
        bytes: &[u8],
        offsets: &[u32],
        non_speech_tokens: &[u32],
    ) -> Result<Self, TokenizerError> {
        let vocabulary = Vocabulary::new(bytes, offsets)?;
        let special = SpecialTokens::for_n_vocab(vocabulary.len())?;
        Ok(Self::assemble(special, vocabulary, non_speech_tokens))
    }

    fn assemble(special: SpecialTokens, vocabulary: Vocabulary, non_speech_tokens: &[u32]) -> Self {
        let blank = (0..special.eot).find(|&id| vocabulary.token(id) == b" ");
        Self {
            special,
            vocabulary,
            blank,
            non_speech_tokens: non_speech_tokens.to_vec(),
        }
    }

    /// The ids of the special tokens.
    pub fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// Tokens in the vocabulary, special tokens included.
    pub fn n_vocab(&self) -> usize {
        self.vocabulary.len()
    }

    /// The tokens that `-1` in OpenAI's `suppress_tokens` stands for.
    pub fn non_speech_tokens(&self) -> &[u32] {
        &self.non_speech_tokens
    }

    /// The token of a single space, which OpenAI calls blank.
    pub fn blank(&self) -> Option<u32> {
        self.blank
    }

    /// The ids of `text`. What looks like a special token, "<|endoftext|>", is encoded as text.
    ///
    /// # Errors
    /// When the vocabulary lacks bytes of it, which no published one does.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        encoder::encode(text, &self.vocabulary, self.special.eot)
    }

    /// The ids of `text` as a prompt or prefix: trimmed and after a space, as OpenAI's
    /// `DecodingTask` takes them.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        match text.trim() {
            "" => Ok(Vec::new()),
            text => self.encode(&format!(" {text}")),
        }
    }

    /// The text of `tokens`. Special tokens and timestamps are left out; bytes that are not UTF-8
    /// become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        String::from_utf8_lossy(&self.text_bytes(tokens)).into_owned()
    }

    /// As [`Tokenizer::decode`], but a character whose last bytes are still to come is left out:
    /// for text that is shown while its tokens arrive.
    pub fn decode_complete(&self, tokens: &[u32]) -> String {
        let mut bytes = self.text_bytes(tokens);
        bytes.truncate(bytes.len() - incomplete_tail(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The text of `tokens` with special tokens and timestamps as `<|en|>`, `<|1.08|>`.
    pub fn decode_with_timestamps(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|&token| self.vocabulary.token(token))
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn text_bytes(&self, tokens: &[u32]) -> Vec<u8> {
        let text = tokens.iter().filter(|&&token| token < self.special.eot);
        text.flat_map(|&token| self.vocabulary.token(token))
            .copied()
            .collect()
    }
}

/// How many bytes at the end begin a character that lacks bytes.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let Some(chunk) = bytes.utf8_chunks().last() else {
        return 0;
    };
    let invalid = chunk.invalid();
    let wants_more = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
    if wants_more { invalid.len() } else { 0 }
}

#[cfg(test)]
mod tests;
