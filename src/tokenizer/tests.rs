use super::*;

impl Tokenizer {
    /// A tokenizer of `text` tokens, `languages` language tokens and `timestamps` timestamp tokens.
    pub(crate) fn miniature(
        text: &[&[u8]],
        languages: u32,
        timestamps: u32,
        is_multilingual: bool,
    ) -> Self {
        let special =
            SpecialTokens::after_text(text.len() as u32, languages, timestamps, is_multilingual);
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for id in 0..special.n_vocab {
            bytes.extend_from_slice(text.get(id as usize).unwrap_or(&&b"<|special|>"[..]));
            offsets.push(bytes.len() as u32);
        }
        let vocabulary = Vocabulary::new(&bytes, &offsets).expect("offsets ascend");
        Self::assemble(special, vocabulary, &[])
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
    let tokens = [
        special.timestamp_begin,
        3,
        special.sot,
        special.eot,
        3,
        special.n_vocab,
        u32::MAX,
    ];
    assert_eq!(tokenizer.decode(&tokens), "okok");
    assert_eq!(tokenizer.blank(), Some(2));
}

#[test]
fn a_damaged_table_is_refused_by_its_first_bad_token() {
    let damaged = |bytes: &[u8], offsets: &[u32]| {
        Vocabulary::new(bytes, offsets)
            .and_then(|vocabulary| Tokenizer::new(vocabulary, &[]))
            .err()
    };
    assert_eq!(
        damaged(b"abc", &[0, 2, 1, 3]),
        Some(TokenizerError::VocabularyTable(1))
    );
    assert_eq!(
        damaged(b"abc", &[0, 2, 4]),
        Some(TokenizerError::VocabularyTable(1))
    );
    assert_eq!(
        damaged(b"abc", &[]),
        Some(TokenizerError::VocabularyTable(0))
    );
    assert_eq!(
        damaged(b"abc", &[0, 2, 3]),
        Some(TokenizerError::VocabularySize(2))
    );
}

/// All of "<|endoftext|> a1'", and joins: " a" before "ab".
fn joins() -> Tokenizer {
    let single: Vec<&[u8]> = b"<|endoftx> ab1'".chunks(1).collect();
    Tokenizer::miniature(
        &[single.as_slice(), &[b" a", b"ab", b"  "]].concat(),
        1,
        1,
        true,
    )
}

#[test]
fn text_is_cut_at_words_and_joined_by_rank() {
    let tokenizer = joins();
    let pieces = |text: &str| -> Result<Vec<String>, TokenizerError> {
        Ok(tokenizer
            .encode(text)?
            .into_iter()
            .map(|token| tokenizer.decode(&[token]))
            .collect())
    };
    assert_eq!(
        pieces("ab ab"),
        Ok(["ab", " a", "b"].map(String::from).to_vec())
    );
    assert_eq!(
        pieces("a1 1"),
        Ok(["a", "1", " ", "1"].map(String::from).to_vec())
    );
    // The last of several spaces belongs to the word.
    assert_eq!(
        pieces("a   a"),
        Ok(["a", "  ", " a"].map(String::from).to_vec())
    );
    assert_eq!(pieces(""), Ok(vec![]));
    assert!(pieces("é").is_err_and(|error| error.to_string().contains('é')));
}

#[test]
fn what_looks_like_a_special_token_is_text() -> Result<(), TokenizerError> {
    let tokenizer = joins();
    let tokens = tokenizer.encode("<|endoftext|>")?;
    assert!(tokens.len() == 13 && tokens.iter().all(|&token| token < tokenizer.special().eot));
    Ok(())
}

#[test]
fn a_prompt_begins_with_a_space_and_an_empty_one_has_no_tokens() -> Result<(), TokenizerError> {
    let tokenizer = joins();
    assert!(tokenizer.encode_prompt(" \n")?.is_empty());
    assert_eq!(tokenizer.decode(&tokenizer.encode_prompt(" ab\n")?), " ab");
    Ok(())
}

/// A text and its ids in both vocabularies.
#[derive(serde::Deserialize)]
struct Encoded {
    text: String,
    english: Vec<u32>,
    multilingual: Vec<u32>,
}

/// Ids of tiktoken, which openai-whisper uses.
#[test]
fn texts_are_encoded_as_openai_does() -> Result<(), Box<dyn std::error::Error>> {
    let cases: Vec<Encoded> = serde_json::from_str(include_str!("../../tests/data/tokens.json"))?;
    let english = Tokenizer::new(Vocabulary::published(51864)?, &[])?;
    let multilingual = Tokenizer::new(Vocabulary::published(51865)?, &[])?;
    for case in cases {
        assert_eq!(english.encode(&case.text)?, case.english, "{:?}", case.text);
        assert_eq!(english.decode(&case.english), case.text);
        assert_eq!(
            multilingual.encode(&case.text)?,
            case.multilingual,
            "{:?}",
            case.text
        );
        assert_eq!(multilingual.decode(&case.multilingual), case.text);
    }
    assert_eq!(multilingual.blank(), Some(220));
    Ok(())
}
