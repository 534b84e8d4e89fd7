//! Text to ids, by the vocabulary table alone.
//!
//! A text token's id is its rank in byte-pair encoding, so the table says all that is to know about
//! the merges. The `tokenizer.json` beside the weights is not used: that of base in CTranslate2
//! layout lacks the first merge, space and "t", so that it makes two tokens of " the", which the
//! model was not trained on.

use std::collections::HashMap;

use fancy_regex::Regex;

use super::TokenizerError;
use super::vocabulary::Vocabulary;
use crate::models::bpe;

/// How text is cut before byte-pair encoding: contractions, words, numbers and the rest, each with
/// the space before it (`pat_str` in openai-whisper's `tokenizer.py`, which is GPT-2's).
const PIECES: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The ids of `text` among the first `text_tokens` ids of the vocabulary: what looks like a special
/// token is text.
///
/// The map of ranks is built anew each time, which takes a few milliseconds: prompts are rare.
pub(super) fn encode(
    text: &str,
    vocabulary: &Vocabulary,
    text_tokens: u32,
) -> Result<Vec<u32>, TokenizerError> {
    let ranks: HashMap<&[u8], u32> = (0..text_tokens)
        .map(|id| (vocabulary.token(id), id))
        .collect();
    let pieces = Regex::new(PIECES).map_err(|e| TokenizerError::Encode(e.to_string()))?;
    let mut tokens = Vec::new();
    for piece in pieces.find_iter(text) {
        let piece = piece
            .map_err(|e| TokenizerError::Encode(e.to_string()))?
            .as_str();
        let ids = bpe::encode(piece.as_bytes(), &ranks);
        tokens.extend(ids.ok_or_else(|| {
            TokenizerError::Encode(format!("the vocabulary lacks bytes of {piece:?}"))
        })?);
    }
    Ok(tokens)
}
