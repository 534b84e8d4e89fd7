//! OpenAI's published vocabularies, which are built into the program (`models/LICENSE-vocabulary`).

use std::io::Read;

use flate2::read::GzDecoder;

use super::{SpecialTokens, TokenizerError};

/// Text tokens of the multilingual models, one per line: the bytes in Base64, a space, the rank.
const MULTILINGUAL: &[u8] = include_bytes!("../../models/multilingual.tiktoken.gz");
/// Text tokens of the English models: GPT-2's.
const GPT2: &[u8] = include_bytes!("../../models/gpt2.tiktoken.gz");

/// All tokens of the vocabulary with `n_vocab`, special tokens included.
///
/// # Errors
/// Returns an error if no Whisper model has that many.
pub(super) fn tokens(n_vocab: usize) -> Result<Vec<Vec<u8>>, TokenizerError> {
    let special = SpecialTokens::for_n_vocab(n_vocab)?;
    let list = if special.is_multilingual {
        MULTILINGUAL
    } else {
        GPT2
    };
    let mut text = String::new();
    GzDecoder::new(list)
        .read_to_string(&mut text)
        .map_err(|e| TokenizerError::BuiltIn(e.to_string()))?;
    let mut tokens = Vec::with_capacity(n_vocab);
    for line in text.lines() {
        let token = line.split_once(' ').and_then(|(token, _)| base64(token));
        tokens.push(token.ok_or_else(|| TokenizerError::BuiltIn(format!("line {line:?}")))?);
    }
    tokens.extend(special.names().into_iter().map(String::into_bytes));
    Ok(tokens)
}

/// Decodes Base64 (RFC 4648) with or without padding; `None` for any other character.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut n_bits) = (0u32, 0);
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_openai() {
        for (n_vocab, token, id) in [
            (51864, "<|endoftext|>", 50256),
            (51864, "<|notimestamps|>", 50362),
            (51864, "<|30.00|>", 51863),
            (51865, " And", 400),
            (51865, "<|en|>", 50259),
            (51865, "<|su|>", 50357),
            (51865, "<|transcribe|>", 50359),
            (51865, "<|0.00|>", 50364),
            (51866, "<|yue|>", 50358),
            (51866, "<|0.02|>", 50366),
        ] {
            let tokens = tokens(n_vocab).unwrap();
            assert_eq!(tokens.len(), n_vocab);
            assert_eq!(tokens[id], token.as_bytes(), "{n_vocab} {id}");
        }
        assert!(tokens(50000).is_err());
    }

    #[test]
    fn base64_decodes() {
        assert_eq!(base64("IEFuZA==").unwrap(), b" And");
        assert_eq!(base64("/+8=").unwrap(), [0xff, 0xef]);
        assert_eq!(base64("="), Some(vec![]));
        assert_eq!(base64("a b"), None);
    }
}
