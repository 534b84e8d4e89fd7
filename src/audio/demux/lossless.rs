//! FLAC files, of which several may be joined end to end.
//!
//! A FLAC stream does not say where it ends, so the bytes are searched for the start of another one:
//! its mark and the header of its first block, 64 bits that sound gives by chance once in millennia.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use memchr::memmem::Finder;
use symphonia::core::errors::Error as MediaError;
use symphonia::core::io::ReadOnlySource;

use super::probed::{Probed, probe};
use super::{Demuxer, Item};
use crate::audio::stream::ByteStream;
use crate::audio::track::Track;
use crate::sync::LockExt;

/// Start of a stream, but for one bit of its fifth byte.
const MARK: &[u8; 4] = b"fLaC";
/// Length of a start.
const START_LEN: usize = 8;

/// Reader of one FLAC stream after the other.
pub struct FlacParts {
    stream: Arc<Mutex<ByteStream>>,
    part: Probed,
}

impl FlacParts {
    /// Reads the header of the first stream.
    ///
    /// # Errors
    /// Returns an error if the bytes cannot be read or are no FLAC stream.
    pub fn open(stream: ByteStream) -> Result<Self, MediaError> {
        let stream = Arc::new(Mutex::new(stream));
        let part = open_part(&stream)?;
        Ok(Self { stream, part })
    }
}

impl Demuxer for FlacParts {
    fn tracks(&self) -> &[Track] {
        self.part.tracks()
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        if let Some(item) = self.part.next_item()? {
            return Ok(Some(item));
        }
        if !is_start(self.stream.lock_unpoisoned().peek(START_LEN)?) {
            return Ok(None);
        }
        self.part = open_part(&self.stream)?;
        Ok(Some(Item::NewTracks))
    }
}

fn open_part(stream: &Arc<Mutex<ByteStream>>) -> Result<Probed, MediaError> {
    let part = Part {
        stream: stream.clone(),
        is_at_start: true,
        finder: Finder::new(MARK),
    };
    probe(Box::new(ReadOnlySource::new(part))).map(Probed::new)
}

/// Bytes up to the start of the next stream.
struct Part {
    stream: Arc<Mutex<ByteStream>>,
    is_at_start: bool,
    finder: Finder<'static>,
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.stream.lock_unpoisoned();
        let own_start = usize::from(std::mem::take(&mut self.is_at_start));
        let bytes = stream.peek_exactly(out.len() + START_LEN)?;
        let is_end = bytes.len() < out.len() + START_LEN;
        let mut end = bytes.len() - if is_end { 0 } else { START_LEN };
        let searched = bytes.get(own_start..).unwrap_or_default();
        let starts = self.finder.find_iter(searched).map(|at| at + own_start);
        let next = starts
            .take_while(|at| *at <= end)
            .find(|at| bytes.get(*at..).is_some_and(is_start));
        end = next.unwrap_or(end).min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..end), bytes.get(..end)) {
            to.copy_from_slice(from);
        }
        stream.skip(end as u64)?;
        Ok(end)
    }
}

/// Whether a stream starts here: the first block describes it and is 34 bytes long.
fn is_start(bytes: &[u8]) -> bool {
    matches!(
        bytes.first_chunk(),
        Some([b'f', b'L', b'a', b'C', 0 | 0x80, 0, 0, 34])
    )
}
