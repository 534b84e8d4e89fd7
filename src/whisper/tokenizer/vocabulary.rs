//! The bytes of each token, as a table.

use super::TokenizerError;

/// Bytes of all tokens by id.
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl Vocabulary {
    /// Checks once that the offsets ascend and stay within the bytes.
    pub(super) fn new(bytes: &[u8], offsets: &[u32]) -> Result<Self, TokenizerError> {
        let end = offsets.last().copied().unwrap_or_default() as usize;
        if offsets.len() < 2 || end > bytes.len() {
            return Err(TokenizerError::VocabularyTable(
                offsets.len().saturating_sub(2),
            ));
        }
        if let Some(damaged) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(TokenizerError::VocabularyTable(damaged));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            offsets: offsets.to_vec(),
        })
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes of a token; none for an id outside the vocabulary.
    pub(super) fn token(&self, id: u32) -> &[u8] {
        match self.offsets.get(id as usize..).unwrap_or_default() {
            [begin, end, ..] => self
                .bytes
                .get(*begin as usize..*end as usize)
                .unwrap_or_default(),
            _ => &[],
        }
    }
}
