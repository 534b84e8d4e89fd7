//! Text to ids, by the `tokenizers` crate over the model's `tokenizer.json`.
//!
//! Parsing that file takes about a tenth of a second, and transcribing without a prompt needs no encoder; so it is
//! parsed at the first use.

use std::sync::OnceLock;

use tokenizers::Tokenizer as HfTokenizer;

use super::TokenizerError;

/// Byte-pair encoder of a vocabulary.
pub struct TextEncoder(HfTokenizer);

impl TextEncoder {
    /// Parses the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// When they are not a tokenizer.
    pub fn parse(tokenizer_json: &[u8]) -> Result<Self, TokenizerError> {
        let mut tokenizer = HfTokenizer::from_bytes(tokenizer_json).map_err(|e| TokenizerError::Json(e.to_string()))?;
        // The user's text must not smuggle in special tokens: "<|endoftext|>" in a prompt is fourteen characters.
        tokenizer.set_encode_special_tokens(true);
        Ok(Self(tokenizer))
    }

    /// The ids of `text`, without special tokens.
    ///
    /// # Errors
    /// When the tokenizer cannot encode it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.0.encode_fast(text, false).map_err(|e| TokenizerError::Encode(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// The encoder of a model, parsed when first asked for.
pub(super) struct LazyEncoder {
    json: Box<dyn AsRef<[u8]> + Send + Sync>,
    parsed: OnceLock<Result<TextEncoder, TokenizerError>>,
}

impl LazyEncoder {
    pub(super) fn new(json: Box<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        Self { json, parsed: OnceLock::new() }
    }

    pub(super) fn get(&self) -> Result<&TextEncoder, TokenizerError> {
        self.parsed.get_or_init(|| TextEncoder::parse((*self.json).as_ref())).as_ref().map_err(Clone::clone)
    }
}

/// The tokens of brackets, notes and other marks that transcribers write for what is not speech, in ascending order
/// (`non_speech_tokens` in openai-whisper's `tokenizer.py`). `encode` is the vocabulary's encoder.
///
/// # Errors
/// The first error of `encode`.
pub fn non_speech_tokens<E>(mut encode: impl FnMut(&str) -> Result<Vec<u32>, E>) -> Result<Vec<u32>, E> {
    // A hyphen or an apostrophe may join words but not begin one.
    let mut tokens = vec![];
    for lead in [" -", " '"] {
        tokens.extend(encode(lead)?.first());
    }
    let marks = MARKS.chars().map(String::from).chain(MARK_RUNS.split(' ').map(String::from));
    for mark in marks {
        for text in [format!(" {mark}"), mark] {
            if let [token] = encode(&text)?[..] {
                tokens.push(token);
            }
        }
    }
    for note in NOTES.chars().map(String::from) {
        for text in [format!(" {note}"), note] {
            // A note of several tokens begins with one that it shares with other symbols of U+2640–U+267F only.
            tokens.extend(encode(&text)?.first());
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

/// Single marks to suppress when they are one token.
const MARKS: &str = "\"#()*+/:;<=>@[\\]^_`{|}~「」『』";

/// Runs of marks to suppress when they are one token.
const MARK_RUNS: &str = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";

/// Musical symbols, suppressed by their first token.
const NOTES: &str = "♩♪♫♬♭♮♯";
