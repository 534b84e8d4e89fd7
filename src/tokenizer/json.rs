//! Hugging Face's `tokenizer.json`: JSON in, the bytes of each token out. Its merges are not used.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::letters::from_letters;
use super::{SpecialTokens, TokenizerError};

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
pub(super) fn tokens(json: &[u8], n_vocab: usize) -> Result<Vec<Vec<u8>>, TokenizerError> {
    let special = SpecialTokens::for_n_vocab(n_vocab)?;
    let file: File = serde_json::from_slice(json).map_err(|e| failed(e.to_string()))?;
    let mut tokens = vec![None; n_vocab];
    for (text, id) in file.model.vocab {
        let bytes = if text.starts_with("<|") && text.ends_with("|>") {
            Some(text.clone().into_bytes())
        } else {
            from_letters(&text)
        };
        let bytes =
            bytes.ok_or_else(|| failed(format!("token {id}, {text:?}, is not byte-level")))?;
        put(&mut tokens, id, bytes)?;
    }
    for Added { id, content } in file.added_tokens {
        put(&mut tokens, id, content.into_bytes())?;
    }
    for (token, name) in tokens
        .iter_mut()
        .skip(special.eot as usize)
        .zip(special.names())
    {
        token.get_or_insert_with(|| name.into_bytes());
    }
    tokens
        .into_iter()
        .enumerate()
        .map(|(id, token)| {
            token.ok_or_else(|| failed(format!("token {id} of {n_vocab} is missing")))
        })
        .collect()
}

fn put(tokens: &mut [Option<Vec<u8>>], id: usize, bytes: Vec<u8>) -> Result<(), TokenizerError> {
    let n_vocab = tokens.len();
    let token = tokens.get_mut(id).ok_or_else(|| {
        failed(format!(
            "it has token {id}, but the model has {n_vocab} tokens"
        ))
    })?;
    *token = Some(bytes);
    Ok(())
}

fn failed(reason: String) -> TokenizerError {
    TokenizerError::Json(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{letters::to_letters, published};
    use super::*;

    /// A file without timestamps, as older ones are, has the published vocabulary.
    #[test]
    fn a_published_vocabulary_is_read() {
        for n_vocab in [51864, 51865, 51866] {
            let special = SpecialTokens::for_n_vocab(n_vocab).unwrap();
            let published = published::tokens(n_vocab).unwrap();
            let (text, names) = published.split_at(special.eot as usize);
            let vocab: BTreeMap<String, usize> = text
                .iter()
                .map(|token| to_letters(token))
                .zip(0..)
                .collect();
            let added: Vec<_> = names
                .iter()
                .take((special.timestamp_begin - special.eot) as usize)
                .map(|name| String::from_utf8_lossy(name))
                .zip(text.len()..)
                .map(|(content, id)| json!({"id": id, "content": content}))
                .collect();
            let json = json!({"added_tokens": added, "model": {"vocab": vocab, "merges": []}});
            assert_eq!(
                tokens(json.to_string().as_bytes(), n_vocab).unwrap(),
                published
            );
        }
    }

    #[test]
    fn foreign_tokenizers_are_refused() {
        let json = |vocab: &str| format!(r#"{{"added_tokens":[],"model":{{"vocab":{vocab}}}}}"#);
        for (vocab, expected) in [
            (r#"{"a":60000}"#, "has token 60000"),
            (r#"{"日":0}"#, "token 0, \"日\", is not byte-level"),
            (r#"{"a":0}"#, "token 1 of 51865 is missing"),
            ("[]", "tokenizer.json: "),
        ] {
            let defect = tokens(json(vocab).as_bytes(), 51865)
                .unwrap_err()
                .to_string();
            assert!(defect.contains(expected), "{defect}");
        }
    }
}
