//! Memory in large pages: what is read from end to end again and again, such as a decoder's weights
//! at each token, is read half as fast again when the processor looks up 2 MB at a time.

use bytes::Bytes;
use memmap2::MmapMut;
use std::io;
use std::ops::{Deref, DerefMut};

/// Size of a large page on x86-64 and, with pages of 4 KB, on aarch64.
const LARGE: usize = 2 << 20;

/// Bytes, zero at first, for which large pages are asked. A system that has none gives ordinary
/// ones.
#[derive(Debug)]
pub struct LargePages {
    map: MmapMut,
    start: usize,
    len: usize,
}

impl LargePages {
    /// Asks for `len` bytes.
    ///
    /// # Errors
    /// Where the system refuses them.
    pub fn new(len: usize) -> io::Result<Self> {
        let map = MmapMut::map_anon(len.next_multiple_of(LARGE) + LARGE)?;
        #[cfg(target_os = "linux")]
        // Without large pages reading is slower, and nothing else.
        let _ = map.advise(memmap2::Advice::HugePage);
        // A large page lies at a multiple of its size.
        let start = map.as_ptr().align_offset(LARGE).min(LARGE);
        Ok(Self { map, start, len })
    }
}

impl Deref for LargePages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.start..][..self.len]
    }
}

impl DerefMut for LargePages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.start..][..self.len]
    }
}

impl AsRef<[u8]> for LargePages {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Copies of `parts`, in their order, in large pages; `None` where the system refuses the memory.
pub(in crate::cpu) fn gather(parts: &[&[u8]]) -> Option<Vec<Bytes>> {
    let mut pages = LargePages::new(
        parts
            .iter()
            .map(|part| part.len().next_multiple_of(LINE))
            .sum(),
    )
    .ok()?;
    let mut places = Vec::with_capacity(parts.len());
    let mut next = 0;
    for part in parts {
        pages[next..][..part.len()].copy_from_slice(part);
        places.push(next..next + part.len());
        next += part.len().next_multiple_of(LINE);
    }
    let whole = Bytes::from_owner(pages);
    Some(places.into_iter().map(|place| whole.slice(place)).collect())
}

/// Size of a cache line: parts begin at one.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_what_was_given_and_begin_at_cache_lines() {
        let parts: Vec<Vec<u8>> = [1, 64, 0, 5000, 3 << 20]
            .iter()
            .map(|n| (0..*n).map(|i| i as u8).collect())
            .collect();
        let copies = gather(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("memory");
        assert!(copies.iter().zip(&parts).all(|(copy, part)| copy == part));
        assert!(
            copies
                .iter()
                .all(|copy| (copy.as_ptr() as usize).is_multiple_of(LINE))
        );
        assert!(gather(&[]).expect("memory").is_empty());
    }
}
