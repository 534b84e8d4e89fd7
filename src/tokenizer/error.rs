//! Why a vocabulary cannot be used.

/// Any failure of the `tokenizer` module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// No published Whisper model has a vocabulary of this size.
    #[error(
        "a vocabulary of {0} tokens is not one of Whisper's (51864, 51865 or 51866): import an unmodified Whisper model"
    )]
    VocabularySize(usize),
    /// The table of offsets does not fit the bytes.
    #[error("the vocabulary table is damaged at token {0}: fetch or import the model again")]
    VocabularyTable(usize),
    /// A `tokenizer.json` that does not describe the model's vocabulary.
    #[error("tokenizer.json: {0}")]
    Json(String),
    /// A vocabulary built into the program cannot be unpacked.
    #[error("the vocabulary built into the program is damaged: {0}")]
    BuiltIn(String),
    /// The text cannot be encoded.
    #[error("the text cannot be split into tokens ({0}): shorten or change the prompt")]
    Encode(String),
}
