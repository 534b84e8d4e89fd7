//! Hugging Face's `tokenizer.json`: read into token bytes, and written from OpenAI's lists.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::models::error::Defect;

use super::{Vocabulary, bpe, openai};

/// The parts of the file that are read.
#[derive(Deserialize)]
struct File {
    added_tokens: Vec<Added>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: usize,
    content: String,
}

#[derive(Deserialize)]
struct Model {
    vocab: BTreeMap<String, usize>,
}

/// The bytes of tokens 0 to `n_vocab` − 1.
pub(super) fn tokens(json: &[u8], n_vocab: usize) -> Result<Vec<Vec<u8>>, Defect> {
    let file: File =
        serde_json::from_slice(json).map_err(|e| Defect::new(format!("tokenizer.json: {e}")))?;
    let mut tokens: Vec<Option<Vec<u8>>> = vec![None; n_vocab];
    let mut put = |id: usize, bytes: Vec<u8>| match tokens.get_mut(id) {
        Some(slot) => {
            *slot = Some(bytes);
            Ok(())
        }
        None => Err(Defect::new(format!(
            "tokenizer.json has token {id}, but the model has {n_vocab} tokens"
        ))),
    };
    let special = |text: &str| text.starts_with("<|") && text.ends_with("|>");
    for (text, id) in &file.model.vocab {
        let bytes = if special(text) {
            Some(text.clone().into_bytes())
        } else {
            from_letters(text)
        };
        let bytes = bytes.ok_or_else(|| {
            Defect::new(format!(
                "tokenizer.json: token {id}, {text:?}, is not byte-level"
            ))
        })?;
        put(*id, bytes)?;
    }
    for Added { id, content } in file.added_tokens {
        put(id, content.into_bytes())?;
    }
    let first_special = openai::end_of_text(n_vocab);
    for (id, text) in (first_special..).zip(openai::specials(n_vocab)) {
        if let Some(slot @ None) = tokens.get_mut(id) {
            *slot = Some(text.into_bytes());
        }
    }
    let missing = |id: usize| Defect::new(format!("tokenizer.json lacks token {id} of {n_vocab}"));
    tokens
        .into_iter()
        .enumerate()
        .map(|(id, token)| token.ok_or_else(|| missing(id)))
        .collect()
}

/// Writes a tokenizer that encodes and decodes as the published ones do.
pub(super) fn write(vocabulary: &Vocabulary) -> Result<Vec<u8>, Defect> {
    let (text, specials) = vocabulary
        .tokens
        .split_at(vocabulary.n_text().min(vocabulary.tokens.len()));
    let vocab: BTreeMap<String, usize> = text
        .iter()
        .enumerate()
        .map(|(id, token)| (to_letters(token), id))
        .collect();
    let added: Vec<_> = (text.len()..)
        .zip(specials)
        .map(|(id, token)| {
            let content = String::from_utf8_lossy(token);
            // As in the published tokenizers, timestamps (the only ones with a dot) are not left
            // out in decoding.
            let special = !content.contains('.');
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "vocab": vocab,
            "merges": merges(vocabulary)?,
        },
    });
    Ok(file.to_string().into_bytes())
}

/// The two tokens that each longer one is joined from, in the order of the ranks.
fn merges(vocabulary: &Vocabulary) -> Result<Vec<String>, Defect> {
    let ranks = vocabulary.ranks();
    let text = vocabulary
        .tokens
        .iter()
        .zip(0u32..)
        .take(vocabulary.n_text());
    text.filter(|(token, _)| token.len() > 1)
        .map(
            |(token, rank)| match bpe::split(token, &ranks, rank).as_slice() {
                [left, right] => Ok(format!("{} {}", to_letters(left), to_letters(right))),
                parts => Err(Defect::new(format!(
                    "token {rank} consists of {} parts instead of 2",
                    parts.len()
                ))),
            },
        )
        .collect()
}

/// The character that stands for a byte in byte-level tokenizers (`bytes_to_unicode` of GPT-2's
/// `encoder.py`): printable ones for themselves, the others, in order, for those from U+0100 on.
fn letter(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let nth = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(0x100 + nth).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn to_letters(token: &[u8]) -> String {
    token.iter().map(|&b| letter(b)).collect()
}

/// The bytes that the characters stand for; `None` when one stands for none.
fn from_letters(text: &str) -> Option<Vec<u8>> {
    thread_local! {
        static BYTES: BTreeMap<char, u8> = (0..=u8::MAX).map(|b| (letter(b), b)).collect();
    }
    BYTES.with(|bytes| text.chars().map(|c| bytes.get(&c).copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_letter() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(from_letters(&to_letters(&all)), Some(all));
        assert_eq!(to_letters(b" And\n"), "\u{120}And\u{10a}");
        assert_eq!(from_letters("日"), None);
    }

    #[test]
    fn what_is_written_reads_back() {
        for n_vocab in [51864, 51865, 51866] {
            let vocabulary = Vocabulary::openai(n_vocab).unwrap();
            let json = vocabulary.to_tokenizer_json().unwrap();
            assert_eq!(
                Vocabulary::from_tokenizer_json(&json, n_vocab).unwrap(),
                vocabulary
            );
        }
    }

    /// The ids are those of the published tokenizers of base and tiny.en.
    #[test]
    fn text_is_encoded_as_published() {
        let mixed = "Grüße aus Köln, it's 3.14 $5";
        let american = " And so my fellow Americans";
        for (n_vocab, text, expected) in [
            (51865, american, [400, 370, 452, 7177, 6280].as_slice()),
            (
                51865,
                mixed,
                &[
                    20038, 774, 11451, 3437, 591, 13072, 77, 11, 309, 311, 805, 13, 7271, 1848, 20,
                ],
            ),
            (
                51865,
                "日本語 한국어 👩‍👧",
                &[27311, 31348, 21045, 3103, 36276, 102, 913, 235, 31017, 100],
            ),
            (51864, american, &[843, 523, 616, 5891, 3399]),
            (
                51864,
                mixed,
                &[
                    8642, 9116, 39683, 68, 257, 385, 509, 9101, 18755, 11, 340, 338, 513, 13, 1415,
                    720, 20,
                ],
            ),
            (51864, "<|startoftranscript|> hi", &[50257, 23105]),
        ] {
            let json = Vocabulary::openai(n_vocab)
                .unwrap()
                .to_tokenizer_json()
                .unwrap();
            let tokenizer: tokenizers::Tokenizer =
                std::str::from_utf8(&json).unwrap().parse().unwrap();
            let encoding = tokenizer.encode(text, false).unwrap();
            assert_eq!(encoding.get_ids(), expected, "{n_vocab} {text}");
            assert_eq!(tokenizer.decode(expected, false).unwrap(), text);
        }
    }

    #[test]
    fn foreign_tokenizers_are_refused() {
        let json = |vocab: &str| format!(r#"{{"added_tokens":[],"model":{{"vocab":{vocab}}}}}"#);
        for (vocab, expected) in [
            (r#"{"a":60000}"#, "has token 60000"),
            (r#"{"日":0}"#, "token 0, \"日\", is not byte-level"),
            (r#"{"a":0}"#, "lacks token 1 of 51865"),
            ("[]", "tokenizer.json: "),
        ] {
            let defect = tokens(json(vocab).as_bytes(), 51865)
                .unwrap_err()
                .to_string();
            assert!(defect.contains(expected), "{defect}");
        }
    }
}
