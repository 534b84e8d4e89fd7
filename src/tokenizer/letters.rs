//! Bytes as letters, as byte-level tokenizers write them (`bytes_to_unicode` in GPT-2's
//! `encoder.py`): printable bytes as themselves, the others, in order, as the characters from
//! U+0100 on.

use std::collections::HashMap;
use std::sync::LazyLock;

static LETTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut unprintable = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(byte),
        // 68 bytes are not printable, so the range does not end.
        _ => unprintable.next().unwrap_or(char::REPLACEMENT_CHARACTER),
    })
});

static BYTES: LazyLock<HashMap<char, u8>> =
    LazyLock::new(|| LETTERS.iter().copied().zip(0..=u8::MAX).collect());

/// The letters of `bytes`.
pub(super) fn to_letters(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| LETTERS[usize::from(byte)])
        .collect()
}

/// The bytes that the letters of `text` stand for; `None` if a character stands for no byte.
pub(super) fn from_letters(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| BYTES.get(&c).copied()).collect()
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
}
