//! Byte-pair encoding by rank, as the tiktoken library does it.

use std::collections::HashMap;

/// Splits `text` into the tokens of `ranks` by joining, again and again, the neighbours whose union
/// ranks lowest, as long as that rank is below `limit`. Returns the pieces.
pub(crate) fn split<'t>(text: &'t [u8], ranks: &HashMap<&[u8], u32>, limit: u32) -> Vec<&'t [u8]> {
    // Boundaries of the pieces: piece i is text[ends[i]..ends[i + 1]].
    let mut ends: Vec<usize> = (0..=text.len()).collect();
    let rank_at = |ends: &[usize], i: usize| -> Option<u32> {
        let union = text.get(*ends.get(i)?..*ends.get(i + 2)?)?;
        ranks.get(union).copied().filter(|&rank| rank < limit)
    };
    while let Some((_, lowest)) = (0..ends.len())
        .filter_map(|i| rank_at(&ends, i).map(|rank| (rank, i)))
        .min()
    {
        ends.remove(lowest + 1);
    }
    ends.windows(2)
        .filter_map(|w| text.get(*w.first()?..*w.last()?))
        .collect()
}

/// The token ids of `text`; `None` when a byte of it is no token.
pub(crate) fn encode(text: &[u8], ranks: &HashMap<&[u8], u32>) -> Option<Vec<u32>> {
    split(text, ranks, u32::MAX)
        .into_iter()
        .map(|piece| ranks.get(piece).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_rank_is_joined_first() {
        let tokens: [&[u8]; 6] = [b"a", b"b", b"c", b"bc", b"ab", b"abc"];
        let ranks: HashMap<&[u8], u32> = tokens.into_iter().zip(0..).collect();
        assert_eq!(encode(b"abc", &ranks), Some(vec![5]));
        assert_eq!(encode(b"aabcab", &ranks), Some(vec![0, 5, 4]));
        assert_eq!(split(b"abc", &ranks, 5), [b"a".as_slice(), b"bc"]);
        assert_eq!(encode(b"x", &ranks), None);
        assert_eq!(encode(b"", &ranks), Some(vec![]));
    }
}
