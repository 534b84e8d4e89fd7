//! Tags between and around frames: ID3 and APE.

/// Returns the length in bytes of the tag that `bytes` begin with, if they do.
pub fn len(bytes: &[u8]) -> Option<u64> {
    match bytes.get(..10)? {
        [b'I', b'D', b'3', 2..=4, _, flags, size @ ..] if size.iter().all(|x| *x < 0x80) => {
            let size = size.iter().fold(0, |sum, x| sum << 7 | u64::from(*x));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            Some(10 + size + footer)
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', ..] => {
            let size = u64::from(u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?));
            Some(32 + size)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_their_lengths() {
        assert_eq!(len(b"ID3\x04\0\0\0\0\x02\x01 and its text"), Some(10 + 257));
        assert_eq!(len(b"ID3\x04\0\x10\0\0\0\x01......"), Some(21));
        assert_eq!(len(b"ID3\x04\0\0\0\0\xff\x01......"), None);
        assert_eq!(len(b"TAGA title......"), Some(128));
        assert_eq!(len(b"APETAGEX\xd0\x07\0\0\x20\0\0\0"), Some(64));
        assert_eq!(len(b"\xff\xfb\x90\x64............"), None);
    }
}
