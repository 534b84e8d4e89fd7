use std::collections::HashMap;
use std::convert::Infallible;

use super::*;

impl Tokenizer {
    /// A tokenizer of `text` tokens, `languages` language tokens and `timestamps` timestamp tokens, which cannot encode.
    pub(crate) fn miniature(text: &[&[u8]], languages: u32, timestamps: u32, is_multilingual: bool) -> Self {
        let special = SpecialTokens::after_text(text.len() as u32, languages, timestamps, is_multilingual);
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for id in 0..special.n_vocab {
            bytes.extend_from_slice(text.get(id as usize).unwrap_or(&&b"<|special|>"[..]));
            offsets.push(bytes.len() as u32);
        }
        let vocabulary = Vocabulary::new(&bytes, &offsets).expect("offsets ascend");
        Self::assemble(special, vocabulary, Vec::new(), LazyEncoder::new(Box::new(Vec::new())))
    }
}

/// Two text tokens that hold the halves of "é", a space, "ok" and a byte that is never UTF-8.
fn halves() -> Tokenizer {
    Tokenizer::miniature(&[b"\xc3", b"\xa9", b" ", b"ok", b"\xff"], 2, 4, true)
}

#[test]
fn a_character_split_over_tokens_is_whole_only_when_both_are_there() {
    let tokenizer = halves();
    assert_eq!(tokenizer.decode(&[3, 0, 1]), "oké");
    assert_eq!(tokenizer.decode(&[3, 0]), "ok\u{fffd}");
    assert_eq!(tokenizer.decode_complete(&[3, 0]), "ok");
    assert_eq!(tokenizer.decode_complete(&[3, 0, 1]), "oké");
    assert_eq!(tokenizer.decode_complete(&[]), "");
}

#[test]
fn bytes_that_can_never_become_text_are_shown_as_replaced() {
    let tokenizer = halves();
    assert_eq!(tokenizer.decode_complete(&[3, 4]), "ok\u{fffd}");
    assert_eq!(tokenizer.decode_complete(&[0, 3]), "\u{fffd}ok");
}

#[test]
fn special_tokens_and_unknown_ids_are_no_text() {
    let tokenizer = halves();
    let special = tokenizer.special();
    let tokens = [special.timestamp_begin, 3, special.sot, special.eot, 3, special.n_vocab, u32::MAX];
    assert_eq!(tokenizer.decode(&tokens), "okok");
    assert_eq!(tokenizer.decode_with_timestamps(&tokens[..2]), "<|special|>ok");
    assert_eq!(tokenizer.blank(), Some(2));
}

#[test]
fn a_damaged_table_is_refused_by_its_first_bad_token() {
    let damaged = |bytes: &[u8], offsets: &[u32]| Tokenizer::new(bytes, offsets, Vec::new(), &[]).err();
    assert_eq!(damaged(b"abc", &[0, 2, 1, 3]), Some(TokenizerError::VocabularyTable(1)));
    assert_eq!(damaged(b"abc", &[0, 2, 4]), Some(TokenizerError::VocabularyTable(1)));
    assert_eq!(damaged(b"abc", &[]), Some(TokenizerError::VocabularyTable(0)));
    assert_eq!(damaged(b"abc", &[0, 2, 3]), Some(TokenizerError::VocabularySize(2)));
}

/// A byte-level `tokenizer.json` of single letters, the space (which that format writes `Ġ`) and one merge.
const JSON: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
    "added_tokens": [{"id": 5, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
              "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ġa": 3, "<": 4}, "merges": ["Ġ a"]}}"#;

#[test]
fn text_is_encoded_by_merges_and_never_as_special_tokens() -> Result<(), TokenizerError> {
    let encoder = TextEncoder::parse(JSON.as_bytes())?;
    assert_eq!(encoder.encode("ab a")?, [0, 1, 3]);
    assert!(!encoder.encode("a<|endoftext|>")?.contains(&5));
    Ok(())
}

#[test]
fn a_prompt_begins_with_a_space_and_an_empty_one_has_no_tokens() -> Result<(), TokenizerError> {
    let mut tokenizer = halves();
    assert!(matches!(tokenizer.encode("a"), Err(TokenizerError::Json(_))));
    assert_eq!(tokenizer.encode_prompt(" \n"), Ok(Vec::new()));
    tokenizer.encoder = LazyEncoder::new(Box::new(JSON));
    assert_eq!(tokenizer.encode_prompt(" ab ")?, [3, 1]);
    Ok(())
}

#[test]
fn marks_are_suppressed_as_single_tokens_and_notes_by_their_first() {
    // Every text is one token, but for " ((", two tokens, and the notes, which share a first token.
    let mut ids = HashMap::new();
    let mut encode = |text: &str| -> Result<Vec<u32>, Infallible> {
        Ok(match text {
            " ((" => vec![9000, 9001],
            "♩" | "♪" | "♫" | "♬" | "♭" | "♮" | "♯" => vec![9002, 9003],
            text => {
                let next = ids.len() as u32;
                vec![*ids.entry(text.to_owned()).or_insert(next)]
            }
        })
    };
    let Ok(tokens) = non_speech_tokens(&mut encode);
    assert!(!tokens.contains(&9000) && !tokens.contains(&9001) && !tokens.contains(&9003));
    assert!(tokens.contains(&9002));
    assert!(tokens.is_sorted_by(|a, b| a < b));
    for wanted in [" -", " '", "[", " [", "((", "♪♪♪", " 』", " ♯"] {
        assert!(ids.get(wanted).is_some_and(|id| tokens.contains(id)), "{wanted}");
    }
    // A word may hold a hyphen, so the bare one stays allowed.
    assert!(!ids.contains_key("-") && !ids.contains_key("'"));
}
