//! Wav and what descends from it: RIFF, RIFX (big-endian), RF64 and BW64 (beyond 4 GiB), W64.
//!
//! Sizes in such files are often wrong, since programs that write to a pipe do not know them. Only
//! the format and the audio itself matter: a size of 0, or beyond the end of the file, means "to the
//! end"; after a size that is too small, audio continues until something that looks like a chunk.

use std::io;

use symphonia::core::errors::Error as MediaError;

use super::Demuxer;
use super::frames::{FrameReader, MpegAudio};
use super::pcm::{Samples, Stated};
use super::wave_format::WaveFormat;
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};

/// Sizes from here on are written by programs that do not know them: 2 GiB less 64 KiB, 4 GiB.
const UNKNOWN_SIZE: u64 = 0x7fff_0000;
/// Number of bytes searched for the audio if a chunk before it has a wrong size.
const SEARCHED: usize = 1 << 20;
/// Largest chunk before the audio that is believed if the length of the file is not known.
const MAX_SKIPPED: u64 = 256 << 20;
/// Largest format description.
const MAX_FORMAT: u64 = 64 << 10;
/// Bytes by which it is decided where in 32 bits a shorter sample stands.
const PADDING_CHECKED: usize = 1 << 20;
/// Last 12 bytes of the names of chunks in W64; the first four are those of RIFF.
const W64_GUID: [u8; 12] = *b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
/// Names of chunks that are known.
const KNOWN_CHUNKS: [&[u8; 4]; 25] = [
    b"fmt ", b"data", b"LIST", b"list", b"fact", b"bext", b"JUNK", b"junk", b"PAD ", b"FLLR",
    b"cue ", b"smpl", b"inst", b"id3 ", b"ID3 ", b"iXML", b"PEAK", b"ds64", b"acid", b"cart",
    b"axml", b"chna", b"DISP", b"_PMX", b"plst",
];

/// Reader of wav files.
pub struct Wave;

/// Variants of the container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Riff,
    BigEndian,
    W64,
}

/// A chunk's header.
struct Chunk {
    name: [u8; 4],
    size: u64,
}

impl Wave {
    /// Reads up to the audio.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read, or has no format or no audio.
    pub fn open(mut stream: ByteStream) -> Result<Box<dyn Demuxer>, MediaError> {
        let variant = match stream.peek(4)?.first_chunk() {
            Some(b"RIFX") => Variant::BigEndian,
            Some(b"riff") => Variant::W64,
            _ => Variant::Riff,
        };
        let riff = variant.header(&mut stream)?.size;
        stream.skip(if variant == Variant::W64 { 40 } else { 12 })?;
        let mut sizes = Sizes {
            riff,
            data: None,
            header_len: variant.header_len(),
        };
        let mut format = None;
        loop {
            let Chunk { name, size } = variant.header(&mut stream)?;
            match &name {
                b"fmt " => {
                    let body = variant.body(&mut stream, size.min(MAX_FORMAT))?;
                    let parsed = WaveFormat::parse(&body, variant == Variant::BigEndian);
                    format = Some(parsed.ok_or(MediaError::DecodeError("wav: invalid format"))?);
                    variant.pad(&mut stream, size)?;
                }
                b"ds64" => {
                    let body = variant.body(&mut stream, size.min(MAX_FORMAT))?;
                    let field = |at: usize| {
                        let bytes = body.get(at..).and_then(|rest| rest.first_chunk());
                        bytes.map(|bytes| u64::from_le_bytes(*bytes))
                    };
                    sizes.riff = field(0).unwrap_or(sizes.riff);
                    sizes.data = field(8);
                    variant.pad(&mut stream, size)?;
                }
                b"data" => {
                    let format = format.ok_or(MediaError::DecodeError("wav: no format"))?;
                    stream.skip(variant.header_len())?;
                    sizes.data = sizes.data.or(Some(size));
                    return Self::of(stream, format, sizes);
                }
                _ => variant.skip(&mut stream, size)?,
            }
        }
    }

    fn of(
        mut stream: ByteStream,
        format: WaveFormat,
        sizes: Sizes,
    ) -> Result<Box<dyn Demuxer>, MediaError> {
        if format.is_mpeg_audio {
            return Ok(Box::new(FrameReader::<MpegAudio>::open(stream)?));
        }
        let stated = sizes.data.filter(|size| *size > 0);
        let available = stream
            .len()
            .map(|len| len.saturating_sub(stream.position()));
        let agreed = stated.filter(|n| *n < UNKNOWN_SIZE && sizes.agree(stream.position()));
        let left = match available {
            Some(available) => stated.filter(|size| *size <= available),
            None => stated.filter(|size| *size < UNKNOWN_SIZE),
        };
        let layout = format.layout;
        let bytes = agreed.or(left).or(available);
        let frames = |bytes: u64| bytes / layout.block_len as u64 * layout.block_frames;
        let mut track = Track::new(0, format.params, format.codec);
        let seconds = bytes.map(|bytes| frames(bytes) as f64 / f64::from(layout.rate));
        track.length = seconds.map(Length::estimated);
        if format.is_padded && is_right_justified(stream.peek_exactly(PADDING_CHECKED)?) {
            track.gain = 256.0;
        }
        let end = sizes.riff.saturating_add(sizes.header_len);
        let beyond = stream.len().map_or(0, |len| len.saturating_sub(end));
        let stated = Stated {
            left,
            agreed,
            surplus: if agreed.is_some() { beyond } else { 0 },
        };
        let samples = Samples::new(stream, track, layout, stated, ends_here);
        Ok(Box::new(samples))
    }
}

/// Sizes that the file states.
struct Sizes {
    riff: u64,
    data: Option<u64>,
    /// Length of the header that comes before what `riff` counts.
    header_len: u64,
}

impl Sizes {
    /// Whether both sizes tell of the same file, if the audio begins at `position`.
    fn agree(&self, position: u64) -> bool {
        let end = position.saturating_add(self.data.unwrap_or(0));
        let riff_end = self.riff.saturating_add(self.header_len);
        riff_end + 1 >= end && riff_end - end.min(riff_end) < SEARCHED as u64
    }
}

impl Variant {
    fn header_len(self) -> u64 {
        if self == Self::W64 { 24 } else { 8 }
    }

    /// Returns the header of the chunk that comes next.
    fn header(self, stream: &mut ByteStream) -> Result<Chunk, MediaError> {
        let bytes = stream.peek_exactly(self.header_len() as usize)?;
        self.parse(bytes)
            .ok_or(MediaError::DecodeError("wav: no audio in it"))
    }

    fn parse(self, bytes: &[u8]) -> Option<Chunk> {
        let name = *bytes.first_chunk()?;
        let size = match self {
            Self::Riff => u64::from(u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?)),
            Self::BigEndian => u64::from(u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?)),
            Self::W64 => u64::from_le_bytes(*bytes.get(16..)?.first_chunk()?).saturating_sub(24),
        };
        Some(Chunk { name, size })
    }

    /// Whether a chunk may begin with these bytes.
    fn is_chunk(self, bytes: &[u8]) -> bool {
        match self {
            Self::W64 => bytes.get(4..16) == Some(&W64_GUID),
            _ => bytes.first_chunk::<4>().is_some_and(is_name),
        }
    }

    /// Takes a chunk's body after its header, without the padding.
    fn body(self, stream: &mut ByteStream, size: u64) -> io::Result<Vec<u8>> {
        stream.skip(self.header_len())?;
        stream.read_up_to(size as usize)
    }

    /// Skips the padding after a body of `size` bytes.
    fn pad(self, stream: &mut ByteStream, size: u64) -> io::Result<()> {
        let rest = stream.peek_exactly(self.header_len() as usize + 8)?;
        let padding = self.padding(rest, size).unwrap_or(0);
        stream.skip(padding)
    }

    /// Returns the number of bytes between a body of `size` bytes and the next chunk, given the
    /// bytes after the body; `None` if no chunk follows.
    fn padding(self, rest: &[u8], size: u64) -> Option<u64> {
        let padded = match self {
            Self::W64 => (8 - size % 8) % 8,
            _ => size % 2,
        };
        let at = |n: u64| rest.get(n as usize..).unwrap_or_default();
        let is_known = |n: u64| {
            let name = at(n).first_chunk::<4>();
            name.is_some_and(|name| KNOWN_CHUNKS.contains(&name))
        };
        let candidates = [padded, 0];
        let known = candidates.iter().find(|n| is_known(**n));
        known
            .or(candidates.iter().find(|n| self.is_chunk(at(**n))))
            .copied()
    }

    /// Skips a chunk that does not matter, which may state a wrong size.
    fn skip(self, stream: &mut ByteStream, size: u64) -> Result<(), MediaError> {
        let header = self.header_len();
        let end = stream.position().saturating_add(header + size);
        let is_within = match stream.len() {
            Some(len) => end < len,
            // Of a pipe it is only known whether it ends soon.
            None if size < SEARCHED as u64 => true,
            None => size < MAX_SKIPPED && stream.peek(SEARCHED)?.len() >= SEARCHED,
        };
        if is_within {
            if size >= SEARCHED as u64 {
                stream.skip(header + size)?;
                return Ok(self.pad(stream, size)?);
            }
            let after = (header + size) as usize;
            let rest = stream.peek_exactly(after + 40)?.get(after..);
            if let Some(padding) = self.padding(rest.unwrap_or_default(), size) {
                return Ok(stream.skip(header + size + padding)?);
            }
        }
        let len = stream.len();
        let position = stream.position();
        let bytes = stream.peek_exactly(SEARCHED)?;
        let at = self
            .search(bytes, len.map(|len| len - position))
            .ok_or(MediaError::DecodeError("wav: no audio in it"))?;
        Ok(stream.skip(at as u64)?)
    }

    /// Returns where, after the name of a chunk, the format or the audio begins.
    fn search(self, bytes: &[u8], available: Option<u64>) -> Option<usize> {
        let is_credible = |at: &usize| {
            let rest = bytes.get(*at..).unwrap_or_default();
            let Some(Chunk { name, size }) = self.parse(rest) else {
                return false;
            };
            let end = *at as u64 + self.header_len() + size;
            match &name {
                b"fmt " => (14..=MAX_FORMAT).contains(&size),
                // The word also occurs in texts, but hardly with such bytes after it.
                b"data" => {
                    let is_short = available.is_none_or(|available| end <= available);
                    size == 0 || size >= UNKNOWN_SIZE || is_short
                }
                _ => false,
            }
        };
        (4..bytes.len()).find(is_credible)
    }
}

/// Whether the audio may end before the next bytes: none are left, or they look like a chunk.
pub(super) fn ends_here(stream: &mut ByteStream) -> io::Result<bool> {
    let left = stream
        .len()
        .map(|len| len.saturating_sub(stream.position()));
    let bytes = stream.peek_exactly(40)?;
    if bytes.len() < 10 || bytes.iter().all(|x| *x == 0) {
        return Ok(true);
    }
    let is_chunk = |at: usize, variant: Variant| {
        let rest = bytes.get(at..).unwrap_or_default();
        let size = variant.parse(rest).map_or(0, |chunk| chunk.size);
        let fits = left.is_none_or(|left| size <= left);
        let is_known = rest
            .first_chunk()
            .is_some_and(|name| KNOWN_CHUNKS.contains(&name));
        is_known || fits && variant.is_chunk(rest)
    };
    let variants = [Variant::Riff, Variant::BigEndian, Variant::W64];
    Ok((0..8).any(|at| is_chunk(at, Variant::W64))
        || (0..2).any(|at| variants.iter().any(|variant| is_chunk(at, *variant))))
}

/// Whether these may be the name of a chunk.
fn is_name(name: &[u8; 4]) -> bool {
    let is_printable = |x: &u8| matches!(x, b' '..=b'~');
    name.iter().all(is_printable) && name.iter().any(u8::is_ascii_alphabetic)
}

/// Whether samples of up to 24 bits stand in the lower bytes of 32 bits (little-endian).
fn is_right_justified(bytes: &[u8]) -> bool {
    let samples = bytes.as_chunks::<4>().0;
    let is_extended = |x: &[u8; 4]| x[3] == if x[2] & 0x80 == 0 { 0 } else { 0xff };
    samples.iter().any(|x| x[0] != 0) && samples.iter().all(is_extended)
}
