//! Words from tokens, formed as in openai-whisper: `split_to_word_tokens` in its `tokenizer.py`,
//! `merge_punctuations` in its `timing.py`.

use crate::tokenizer::{Language, Tokenizer};

/// Python's `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Punctuation that belongs to the word after it: OpenAI's `prepend_punctuations`.
const PREPENDED: &str = "\"'“¿([{-";

/// Punctuation that belongs to the word before it: OpenAI's `append_punctuations`.
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";

/// Text of consecutive tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Text, including its leading space.
    pub text: String,
    /// Number of tokens.
    pub tokens: usize,
}

/// Splits text tokens into words, with punctuation separate.
pub(super) fn split(tokenizer: &Tokenizer, tokens: &[u32], language: Language) -> Vec<Piece> {
    let characters = split_on_characters(tokenizer, tokens);
    if language.is_written_without_spaces() {
        return characters;
    }
    let mut words: Vec<Piece> = Vec::new();
    for piece in characters {
        // As in Python, where `in` finds the empty string everywhere.
        let apart = piece.text.starts_with(' ') || PUNCTUATION.contains(piece.text.trim());
        match words.last_mut() {
            Some(word) if !apart => {
                word.text += &piece.text;
                word.tokens += piece.tokens;
            }
            _ => words.push(piece),
        }
    }
    words
}

/// Splits tokens wherever a character ends.
fn split_on_characters(tokenizer: &Tokenizer, tokens: &[u32]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for end in 1..=tokens.len() {
        let piece = tokens.get(begin..end).unwrap_or_default();
        let text = tokenizer.decode(piece);
        if end == tokens.len() || text == tokenizer.decode_complete(piece) {
            pieces.push(Piece {
                text,
                tokens: piece.len(),
            });
            begin = end;
        }
    }
    pieces
}

/// Returns for each word the index of the word that it becomes part of, its own if it remains a
/// word. Punctuation belongs to the adjacent word.
pub(super) fn merge_punctuation(words: &[Piece]) -> Vec<usize> {
    let mut texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let mut owners: Vec<usize> = (0..words.len()).collect();
    let mut following = words.len().saturating_sub(1);
    for previous in (0..following).rev() {
        let text = texts[previous].clone();
        if text.starts_with(' ') && PREPENDED.contains(text.trim()) {
            owners[previous] = following;
            texts[following].insert_str(0, &text);
            texts[previous].clear();
        } else {
            following = previous;
        }
    }
    let mut previous = 0;
    for following in 1..words.len() {
        let text = texts[following].clone();
        if !texts[previous].ends_with(' ') && APPENDED.contains(&text) {
            // A mark that already belongs to the word after it has no text.
            if owners[following] == following {
                owners[following] = previous;
            }
            texts[previous] += &text;
        } else {
            previous = following;
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: &[Piece]) -> Vec<&str> {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    fn tokenizer() -> Tokenizer {
        Tokenizer::miniature(
            &[
                b" don",
                b"'t",
                b" ",
                b"!",
                b" \xc2",
                b"\xbf",
                b"ok",
                b"\xe4\xbd",
                b"\xa0",
            ],
            1,
            1,
            true,
        )
    }

    #[test]
    fn words_begin_with_a_space_and_punctuation_is_separate() {
        let words = split(&tokenizer(), &[0, 1, 3, 6, 2, 6], Language::ENGLISH);
        assert_eq!(texts(&words), [" don't", "!ok", " ok"]);
        assert_eq!(
            words.iter().map(|word| word.tokens).collect::<Vec<_>>(),
            [2, 2, 2]
        );
    }

    #[test]
    fn a_character_is_never_cut() -> Result<(), Box<dyn std::error::Error>> {
        let words = split(&tokenizer(), &[4, 5, 6, 7, 8], Language::ENGLISH);
        assert_eq!(texts(&words), [" ¿ok你"]);
        let words = split(&tokenizer(), &[7, 8, 7, 8, 7], "zh".parse()?);
        assert_eq!(texts(&words), ["你", "你", "\u{fffd}"]);
        Ok(())
    }

    fn merged(words: &[&str]) -> Vec<String> {
        let pieces: Vec<_> = words
            .iter()
            .map(|text| Piece {
                text: (*text).to_owned(),
                tokens: 1,
            })
            .collect();
        let owners = merge_punctuation(&pieces);
        let text_of = |owner: usize| {
            let own = pieces.iter().zip(&owners).filter(|(_, o)| **o == owner);
            own.map(|(piece, _)| piece.text.as_str())
                .collect::<String>()
        };
        (0..words.len())
            .map(text_of)
            .filter(|text| !text.is_empty())
            .collect()
    }

    #[test]
    fn punctuation_belongs_to_the_adjacent_word() {
        assert_eq!(
            merged(&[" Well", ",", " (", "so", ")", ".", " \"", "Yes", "!", "\""]),
            [" Well,", " (so).", " \"Yes!\""]
        );
        assert_eq!(merged(&[" a", " -", " b"]), [" a", " - b"]);
        assert_eq!(merged(&["."]), ["."]);
        assert_eq!(merged(&[]), [""; 0]);
    }
}
