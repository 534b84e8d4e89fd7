//! FLAC files, of which several may be joined end to end.
//!
//! A FLAC stream does not say where it ends, so the bytes are searched for the start of another one:
//! its mark and the header of its first block, 64 bits that sound gives by chance once in millennia.
//! Frames of several streams may also follow each other without the streams' headers.

mod numbers;

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use memchr::memmem::Finder;
use symphonia::core::errors::Error as MediaError;
use symphonia::core::io::ReadOnlySource;
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;

use super::probed::{Probed, probe};
use super::{Demuxer, Item};
use crate::audio::stream::ByteStream;
use crate::audio::track::Track;
use crate::sync::LockExt;
use numbers::{FrameNumbers, MAX_HEADER};

/// Start of a stream, but for one bit of its fifth byte.
const MARK: &[u8; 4] = b"fLaC";
/// Length of a start, and of a header that has only the description of the stream.
const START_LEN: usize = 8;
const HEADER_LEN: usize = START_LEN + 34;
/// Bytes seen beyond those that are read: a start or the header of a frame.
const AHEAD: usize = MAX_HEADER;

/// Reader of one FLAC stream after the other.
pub struct FlacParts {
    stream: Arc<Mutex<ByteStream>>,
    part: Probed,
    /// Header for frames that have none of their own.
    header: Vec<u8>,
    /// End of the packets so far.
    end: Timestamp,
    /// What the times of the present frames lack; `None` until the first of them is seen.
    offset: Option<i64>,
}

impl FlacParts {
    /// Reads the header of the first stream.
    ///
    /// # Errors
    /// Returns an error if the bytes cannot be read or are no FLAC stream.
    pub fn open(mut stream: ByteStream) -> Result<Self, MediaError> {
        let header = header(&mut stream)?;
        let stream = Arc::new(Mutex::new(stream));
        let part = open_part(&stream, Vec::new())?;
        Ok(Self {
            stream,
            part,
            header,
            end: Timestamp::new(0),
            offset: Some(0),
        })
    }

    /// Sets a packet's time to that of the frames before it if they count anew.
    fn place(&mut self, packet: &mut Packet) {
        let offset = self
            .offset
            .unwrap_or(self.end.get().saturating_sub(packet.pts.get()));
        self.offset = Some(offset);
        packet.pts = Timestamp::new(packet.pts.get().saturating_add(offset));
        packet.dts = packet.pts;
        self.end = packet.pts.saturating_add(packet.dur);
    }
}

impl Demuxer for FlacParts {
    fn tracks(&self) -> &[Track] {
        self.part.tracks()
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        loop {
            if let Some(mut item) = self.part.next_item()? {
                if let Item::Packet(packet) = &mut item {
                    self.place(packet);
                }
                return Ok(Some(item));
            }
            let mut stream = self.stream.lock_unpoisoned();
            let next = stream.peek(START_LEN)?;
            if is_start(next) {
                self.header = header(&mut stream)?;
                drop(stream);
                self.part = open_part(&self.stream, Vec::new())?;
                self.offset = Some(0);
                return Ok(Some(Item::NewTracks));
            }
            if next.is_empty() {
                return Ok(None);
            }
            drop(stream);
            self.part = open_part(&self.stream, self.header.clone())?
                .with_tracks(self.part.tracks().to_vec());
            self.offset = None;
        }
    }
}

/// Returns a header for frames of the stream that starts here, without a number of samples and a
/// checksum of them.
fn header(stream: &mut ByteStream) -> io::Result<Vec<u8>> {
    let mut header = stream.peek_exactly(HEADER_LEN)?.to_vec();
    // It is the last block.
    header.iter_mut().skip(4).take(1).for_each(|x| *x = 0x80);
    let counts = header.iter_mut().skip(START_LEN);
    // Smallest and largest frame; four bits and four bytes of the number of samples; MD5.
    for (i, x) in counts.enumerate() {
        match i {
            4..10 | 14.. => *x = 0,
            13 => *x &= 0xf0,
            _ => {}
        }
    }
    Ok(header)
}

fn open_part(stream: &Arc<Mutex<ByteStream>>, header: Vec<u8>) -> Result<Probed, MediaError> {
    let part = Part {
        stream: stream.clone(),
        is_at_start: true,
        has_ended: false,
        finder: Finder::new(MARK),
        numbers: FrameNumbers::default(),
    };
    let bytes = Cursor::new(header).chain(part);
    probe(Box::new(ReadOnlySource::new(bytes))).map(Probed::new)
}

/// Bytes up to the start of the next stream, or to frames that count anew.
struct Part {
    stream: Arc<Mutex<ByteStream>>,
    is_at_start: bool,
    has_ended: bool,
    finder: Finder<'static>,
    numbers: FrameNumbers,
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.has_ended {
            return Ok(0);
        }
        let mut stream = self.stream.lock_unpoisoned();
        let own_start = usize::from(std::mem::take(&mut self.is_at_start));
        let bytes = stream.peek_exactly(out.len() + AHEAD)?;
        let is_end = bytes.len() < out.len() + AHEAD;
        let most = bytes.len() - if is_end { 0 } else { AHEAD };
        let most = most.min(out.len());
        let searched = bytes.get(own_start..).unwrap_or_default();
        let starts = self.finder.find_iter(searched).map(|at| at + own_start);
        let next = starts
            .take_while(|at| *at <= most)
            .find(|at| bytes.get(*at..).is_some_and(is_start));
        let mut end = next.unwrap_or(most);
        let restart = self.numbers.restart(bytes, end);
        end = restart.unwrap_or(end);
        self.has_ended = next.is_some() || restart.is_some();
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
