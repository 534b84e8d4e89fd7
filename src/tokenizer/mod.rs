//! Token ids to text and back.
//!
//! In: the vocabulary of a model. Out: text for ids, from a table, also if its UTF-8 is still
//! incomplete; ids for text, from a BPE model.

mod encoder;
mod error;
mod json;
mod language;
mod letters;
mod published;
mod special;
mod suppress;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use error::TokenizerError;
pub use language::{Language, UnknownLanguage};
pub use special::{SpecialTokens, TIMESTAMP_SECONDS, Task};

pub(crate) use vocabulary::Vocabulary;

/// The vocabulary of a model: text, ids and special tokens.
pub struct Tokenizer {
    special: SpecialTokens,
    vocabulary: Vocabulary,
    blank: Option<u32>,
    non_speech_tokens: Vec<u32>,
}

impl Tokenizer {
    /// Builds a tokenizer from a vocabulary and the tokens that `-1` in OpenAI's `suppress_tokens`
    /// stands for.
    ///
    /// # Errors
    /// Returns an error if the vocabulary is not one of Whisper's.
    pub(crate) fn new(
        vocabulary: Vocabulary,
        non_speech_tokens: &[u32],
    ) -> Result<Self, TokenizerError> {
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

    /// The tokens that `-1` in OpenAI's `suppress_tokens` stands for, as the model file lists them.
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
    /// Returns an error if the vocabulary has no tokens for a part of the text; published ones
    /// encode any.
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

    /// The text of `tokens`, without special tokens and timestamps. Bytes that are not UTF-8 become
    /// U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        String::from_utf8_lossy(&self.text_bytes(tokens)).into_owned()
    }

    /// As [`Tokenizer::decode`], but without a last character whose bytes are incomplete: for text
    /// that is shown while its tokens arrive.
    pub fn decode_complete(&self, tokens: &[u32]) -> String {
        let mut bytes = self.text_bytes(tokens);
        bytes.truncate(bytes.len() - incomplete_tail(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn text_bytes(&self, tokens: &[u32]) -> Vec<u8> {
        let text = tokens.iter().filter(|&&token| token < self.special.eot);
        text.flat_map(|&token| self.vocabulary.token(token))
            .copied()
            .collect()
    }
}

/// Number of bytes at the end that begin an incomplete character.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let Some(chunk) = bytes.utf8_chunks().last() else {
        return 0;
    };
    let invalid = chunk.invalid();
    let wants_more = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
    if wants_more { invalid.len() } else { 0 }
}
