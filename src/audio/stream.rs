//! Reads bytes forward, with a look at those that follow.
//!
//! In: a file or a pipe. Out: bytes in order; those that are skipped cost no time if the file can
//! seek.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use symphonia::core::io::MediaSource;

/// Number of bytes read at once.
const CHUNK: usize = 64 << 10;

/// Bytes in order, from a file or a pipe.
pub struct ByteStream {
    source: Source,
    /// Bytes that have been read from the source; those before `start` have been used.
    buffer: Vec<u8>,
    start: usize,
    /// Number of bytes used so far.
    position: u64,
    /// Number of bytes in all, if known.
    len: Option<u64>,
    is_at_end: bool,
}

enum Source {
    File(FileAt),
    Other(Box<dyn Read + Send + Sync>),
}

impl ByteStream {
    /// Reads a file.
    pub fn file(file: FileAt) -> Self {
        let len = file.len;
        Self::new(Source::File(file), Some(len))
    }

    /// Reads a stream that cannot seek; `len` is its length in bytes, if known.
    pub fn other(source: Box<dyn Read + Send + Sync>, len: Option<u64>) -> Self {
        Self::new(Source::Other(source), len)
    }

    fn new(source: Source, len: Option<u64>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            position: 0,
            len,
            is_at_end: false,
        }
    }

    /// Number of bytes used so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Number of bytes in all, if known.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Returns the next bytes without using them: at least `n`, or all that are left.
    ///
    /// # Errors
    /// Returns an error if the source cannot be read.
    pub fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < n && !self.is_at_end {
            self.fill(n)?;
        }
        Ok(self.buffer.get(self.start..).unwrap_or_default())
    }

    /// Returns the next `n` bytes without using them; fewer at the end.
    ///
    /// # Errors
    /// As [`peek`](Self::peek).
    pub fn peek_exactly(&mut self, n: usize) -> io::Result<&[u8]> {
        let bytes = self.peek(n)?;
        Ok(bytes.get(..n).unwrap_or(bytes))
    }

    /// Uses `n` bytes, which may be more than are left.
    ///
    /// # Errors
    /// As [`peek`](Self::peek).
    pub fn skip(&mut self, n: u64) -> io::Result<()> {
        let buffered = (self.buffer.len() - self.start) as u64;
        let used = n.min(buffered);
        self.start += used as usize;
        self.position += used;
        let mut rest = n - used;
        if rest == 0 {
            return Ok(());
        }
        if let (Source::File(file), Some(len)) = (&mut self.source, self.len) {
            rest = rest.min(len.saturating_sub(self.position));
            self.position += rest;
            file.position = self.position;
            return Ok(());
        }
        while rest > 0 && !self.is_at_end {
            let available = self.peek(1)?.len() as u64;
            let used = rest.min(available);
            self.start += used as usize;
            self.position += used;
            rest -= used;
        }
        Ok(())
    }

    /// Uses the next `n` bytes and returns them; fewer at the end. Memory grows only with what is
    /// there.
    ///
    /// # Errors
    /// As [`peek`](Self::peek).
    pub fn read_up_to(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            let wanted = (n - bytes.len()).min(CHUNK);
            let part = self.peek_exactly(wanted)?;
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(part);
            let used = part.len();
            self.start += used;
            self.position += used as u64;
        }
        Ok(bytes)
    }

    /// Reads more bytes, for `n` to be available.
    fn fill(&mut self, n: usize) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let old = self.buffer.len();
        self.buffer
            .resize(old + n.saturating_sub(old).max(CHUNK), 0);
        let free = self.buffer.get_mut(old..).unwrap_or_default();
        let read = loop {
            let read = match &mut self.source {
                Source::File(file) => file.read(free),
                Source::Other(source) => source.read(free),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        self.is_at_end = read? == 0;
        Ok(())
    }
}

impl Read for ByteStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.peek(1)?;
        let n = bytes.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.start += n;
        self.position += n as u64;
        Ok(n)
    }
}

/// A file with a position of its own, whoever else reads it.
#[derive(Clone)]
pub struct FileAt {
    file: Arc<File>,
    /// Where its bytes begin.
    start: u64,
    /// Position after `start`.
    position: u64,
    len: u64,
    shift: Option<Shift>,
}

/// Bytes that were inserted into a file, or are missing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Their position.
    pub at: u64,
    /// Number of bytes that were inserted, which are left out; if negative, of missing ones, instead
    /// of which zeros are read.
    pub by: i64,
}

impl FileAt {
    /// Reads `file` from `start` on.
    ///
    /// # Errors
    /// Returns an error if its length cannot be told.
    pub fn new(file: Arc<File>, start: u64) -> io::Result<Self> {
        let len = file.metadata()?.len().saturating_sub(start);
        Ok(Self {
            file,
            start,
            position: 0,
            len,
            shift: None,
        })
    }

    /// Reads the file as it was before a shift.
    pub fn without(mut self, shift: Shift) -> Self {
        self.len = self.len.saturating_add_signed(shift.by.saturating_neg());
        self.shift = Some(shift);
        self
    }
}

impl Read for FileAt {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut place = self.position;
        let mut most = out.len();
        if let Some(Shift { at, by }) = self.shift {
            let missing = by.min(0).unsigned_abs();
            let room = |end: u64| usize::try_from(end - self.position).unwrap_or(usize::MAX);
            if place < at {
                most = most.min(room(at));
            } else if place < at.saturating_add(missing) {
                let n = most.min(room(at.saturating_add(missing)));
                out.iter_mut().take(n).for_each(|x| *x = 0);
                self.position += n as u64;
                return Ok(n);
            } else {
                place = place.saturating_add_signed(by);
            }
        }
        let out = out.get_mut(..most).unwrap_or_default();
        let n = self.file.read_at(out, self.start + place)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for FileAt {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.len.checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        let position = position.filter(|n| n.checked_add(self.start).is_some());
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for FileAt {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The same bytes as a file and as a pipe.
    fn streams(bytes: &[u8]) -> [ByteStream; 2] {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        let file = FileAt::new(Arc::new(file), 0).expect("a file");
        let pipe = io::Cursor::new(bytes.to_vec());
        [
            ByteStream::file(file),
            ByteStream::other(Box::new(pipe), None),
        ]
    }

    #[test]
    fn a_look_ahead_uses_nothing_and_skips_reach_their_place() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
        for mut stream in streams(&bytes) {
            assert_eq!(stream.peek_exactly(5).expect("bytes"), &bytes[..5]);
            assert_eq!(stream.read_up_to(3).expect("bytes"), &bytes[..3]);
            stream.skip(100_000).expect("skipped");
            assert_eq!(stream.position(), 100_003);
            assert_eq!(stream.peek(100_000).expect("bytes")[0], bytes[100_003]);
            let rest = stream.read_up_to(usize::MAX).expect("bytes");
            assert!(rest == bytes[100_003..]);
            stream.skip(10).expect("the end");
            assert!(stream.peek(1).expect("bytes").is_empty());
        }
    }

    #[test]
    fn bytes_that_were_inserted_are_left_out_and_missing_ones_are_zeros() {
        let of = |bytes: &[u8], at, by| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(bytes).expect("written");
            let file = FileAt::new(Arc::new(file), 0).expect("a file");
            let mut read = Vec::new();
            let mut whole = file.without(Shift { at, by });
            whole.read_to_end(&mut read).expect("bytes");
            assert_eq!(whole.byte_len(), Some(read.len() as u64));
            read
        };
        assert_eq!(of(b"sound??track", 5, 2), b"soundtrack");
        assert_eq!(of(b"soundack", 5, -2), b"sound\0\0ack");
    }

    #[test]
    fn a_skip_beyond_the_end_ends() {
        for mut stream in streams(b"RIFF") {
            stream.skip(u64::MAX / 4).expect("the end");
            assert_eq!(
                (stream.position(), stream.read_up_to(1).expect("none").len()),
                (4, 0)
            );
        }
    }
}
