//! OpenAI's published vocabularies, shipped with the program (`models/LICENSE-vocabulary`).

use std::io::Read;

use flate2::read::GzDecoder;

use crate::models::error::Defect;

/// Text tokens of the multilingual models, one a line: Base64 of the bytes, a space, the rank.
const MULTILINGUAL: &[u8] = include_bytes!("../../../models/multilingual.tiktoken.gz");
/// Text tokens of the English models: GPT-2's.
const GPT2: &[u8] = include_bytes!("../../../models/gpt2.tiktoken.gz");

/// Tokens in an English vocabulary.
const ENGLISH_VOCAB: usize = 51864;
/// Tokens in the multilingual vocabulary of large-v3 and later, which add Cantonese.
const LARGE_V3_VOCAB: usize = 51866;
/// Timestamps: 0.00 s to 30.00 s in steps of 0.02 s.
const TIMESTAMPS: usize = 1501;

/// Language codes in the order of their tokens (`LANGUAGES` in openai-whisper's `tokenizer.py`).
const LANGUAGES: [&str; 100] = [
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it",
    "id", "hi", "fi", "vi", "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur",
    "hr", "bg", "lt", "la", "mi", "ml", "cy", "sk", "te", "fa", "lv", "bn", "sr", "az", "sl", "kn",
    "et", "mk", "br", "eu", "is", "hy", "ne", "mn", "bs", "kk", "sq", "sw", "gl", "mr", "pa", "si",
    "km", "sn", "yo", "so", "af", "oc", "ka", "be", "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo",
    "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl", "mg", "as", "tt", "haw", "ln",
    "ha", "ba", "jw", "su", "yue",
];

/// Special tokens behind the languages, but for the timestamps.
const TASKS: [&str; 6] = [
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
];

/// Special tokens that OpenAI's decoding never samples: from `<|translate|>` to `<|nospeech|>`, as
/// ids.
pub(super) fn never_sampled(n_vocab: usize) -> Vec<u32> {
    let sot = end_of_text(n_vocab) + 1;
    let tasks = sot + 1 + languages(n_vocab);
    std::iter::once(sot)
        .chain(tasks..tasks + TASKS.len() - 1)
        .map(|id| id as u32)
        .collect()
}

/// The id of `<|endoftext|>`, which is the number of text tokens.
pub(super) fn end_of_text(n_vocab: usize) -> usize {
    n_vocab.saturating_sub(specials(n_vocab).len())
}

/// The special tokens in the order of their ids (openai-whisper's `get_encoding`).
pub(super) fn specials(n_vocab: usize) -> Vec<String> {
    let mut specials = vec![
        "<|endoftext|>".to_owned(),
        "<|startoftranscript|>".to_owned(),
    ];
    specials.extend(
        LANGUAGES
            .iter()
            .take(languages(n_vocab))
            .map(|code| format!("<|{code}|>")),
    );
    specials.extend(TASKS.iter().map(|&task| task.to_owned()));
    specials.extend((0..TIMESTAMPS).map(|i| format!("<|{}.{:02}|>", i / 50, i % 50 * 2)));
    specials
}

/// All tokens of the vocabulary with `n_vocab`.
pub(super) fn tokens(n_vocab: usize) -> Result<Vec<Vec<u8>>, Defect> {
    let list = if n_vocab == ENGLISH_VOCAB {
        GPT2
    } else {
        MULTILINGUAL
    };
    let mut text = String::new();
    GzDecoder::new(list)
        .read_to_string(&mut text)
        .map_err(|e| Defect::new(format!("the vocabulary inside the program: {e}")))?;
    let mut tokens = Vec::with_capacity(n_vocab);
    for line in text.lines() {
        let token = line.split_once(' ').and_then(|(token, _)| base64(token));
        tokens.push(token.ok_or_else(|| {
            Defect::new(format!("the vocabulary inside the program: line {line:?}"))
        })?);
    }
    tokens.extend(specials(n_vocab).into_iter().map(String::into_bytes));
    if tokens.len() != n_vocab {
        return Err(Defect::new(format!(
            "no published vocabulary has {n_vocab} tokens"
        )));
    }
    Ok(tokens)
}

fn languages(n_vocab: usize) -> usize {
    LANGUAGES.len() - usize::from(n_vocab < LARGE_V3_VOCAB)
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
            assert_eq!(
                tokens(n_vocab).unwrap()[id],
                token.as_bytes(),
                "{n_vocab} {id}"
            );
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
