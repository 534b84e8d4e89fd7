//! Matroska and WebM (RFC 9559).
//!
//! In: bytes, read forward once; video is skipped. Out: the tracks with sound, uncompressed packets
//! with their times, and whether the file is shorter than it states.

mod block;
mod compression;
mod tracks;

use std::collections::VecDeque;
use std::io;

use symphonia::core::errors::Error as MediaError;
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::ebml::{self, Element, MAX_HEADER};
use super::{Demuxer, EarlyEnd, Item};
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};
use tracks::SoundTrack;

const EBML: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_a966;
const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_ae6b;
const CLUSTER: u32 = 0x1f43_b675;
const TIMESTAMP: u32 = 0xe7;
const SIMPLE_BLOCK: u32 = 0xa3;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const BLOCK_DURATION: u32 = 0x9b;
/// Elements that stand beside clusters.
const LEVEL_1: [u32; 8] = [
    INFO,
    TRACKS,
    CLUSTER,
    0x114d_9b74,
    0x1c53_bb6b,
    0x1254_c367,
    0x1043_a770,
    0x1941_a469,
];

/// Largest description of tracks, in bytes.
const MAX_TRACKS: u64 = 64 << 20;
/// Largest block of sound, in bytes.
const MAX_BLOCK: u64 = 64 << 20;
/// Unit of timestamps if none is stated, in nanoseconds.
const DEFAULT_SCALE: u64 = 1_000_000;
/// Bytes searched at once for the next cluster after damage.
const SEARCHED: usize = 64 << 10;

/// Reader of Matroska files.
pub struct Mkv {
    stream: ByteStream,
    sound: Vec<SoundTrack>,
    tracks: Vec<Track>,
    /// Where the segment ends, if it states that.
    end: Option<u64>,
    /// Nanoseconds of a unit of timestamps.
    scale: u64,
    cluster_time: i64,
    packets: VecDeque<Packet>,
    was_damaged: bool,
}

impl Mkv {
    /// Reads up to the first cluster.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read or has no tracks.
    pub fn open(mut stream: ByteStream) -> Result<Self, MediaError> {
        let header = Element::next(&mut stream)?.filter(|element| element.id == EBML);
        let header = header.ok_or(MediaError::DecodeError("mkv: no header"))?;
        stream.skip(header.header_len as u64 + header.size.unwrap_or(0))?;
        let mut mkv = Self {
            stream,
            sound: Vec::new(),
            tracks: Vec::new(),
            end: None,
            scale: DEFAULT_SCALE,
            cluster_time: 0,
            packets: VecDeque::new(),
            was_damaged: false,
        };
        mkv.read_head()?;
        Ok(mkv)
    }

    /// Reads what stands before the first cluster.
    fn read_head(&mut self) -> Result<(), MediaError> {
        let mut seconds = None;
        while let Some(element) = Element::next(&mut self.stream)? {
            match element.id {
                SEGMENT => {
                    self.stream.skip(element.header_len as u64)?;
                    self.end = element.size.map(|size| self.stream.position() + size);
                }
                INFO => {
                    let body = self.body(element, MAX_TRACKS)?;
                    let scale = ebml::child(&body, TIMESTAMP_SCALE).map(ebml::uint);
                    let scale = scale.filter(|scale| (1..=u64::from(u32::MAX)).contains(scale));
                    self.scale = scale.unwrap_or(DEFAULT_SCALE);
                    seconds = ebml::child(&body, DURATION)
                        .and_then(ebml::float)
                        .map(|ticks| ticks * self.scale as f64 * 1e-9)
                        .filter(|seconds| *seconds > 0.0 && seconds.is_finite());
                }
                TRACKS => {
                    let body = self.body(element, MAX_TRACKS)?;
                    self.sound = tracks::sound(&body);
                }
                CLUSTER => break,
                _ => self.skip(element)?,
            }
        }
        let numerator = u32::try_from(self.scale).unwrap_or(1_000_000);
        let time_base = TimeBase::try_new(numerator, 1_000_000_000);
        for sound in &mut self.sound {
            sound.track.time_base = time_base;
            sound.track.length = seconds.map(Length::estimated);
        }
        self.tracks = self.sound.iter().map(|sound| sound.track.clone()).collect();
        Ok(())
    }

    /// Takes an element's body of at most `max` bytes.
    fn body(&mut self, element: Element, max: u64) -> Result<Vec<u8>, MediaError> {
        let size = element.size.filter(|size| *size <= max);
        let size = size.ok_or(MediaError::DecodeError("mkv: an element is too large"))?;
        self.stream.skip(element.header_len as u64)?;
        Ok(self.stream.read_up_to(size as usize)?)
    }

    fn skip(&mut self, element: Element) -> io::Result<()> {
        self.stream
            .skip(element.header_len as u64 + element.size.unwrap_or(0))
    }

    /// Reads the next element of a cluster, or begins another one. Returns false at the end.
    fn read_element(&mut self) -> Result<bool, MediaError> {
        let bytes = self.stream.peek(MAX_HEADER)?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let Some(element) = Element::parse(bytes).filter(is_credible) else {
            return Ok(self.resync()?);
        };
        match element.id {
            EBML | SEGMENT | CLUSTER => self.stream.skip(element.header_len as u64)?,
            TIMESTAMP => {
                let body = self.body(element, 8)?;
                self.cluster_time = i64::try_from(ebml::uint(&body)).unwrap_or(0);
            }
            SIMPLE_BLOCK if self.is_sound(element, 0)? => {
                let body = self.body(element, MAX_BLOCK)?;
                self.take_block(&body, None);
            }
            BLOCK_GROUP if self.is_sound(element, MAX_HEADER)? => {
                let body = self.body(element, MAX_BLOCK)?;
                let duration = ebml::child(&body, BLOCK_DURATION).map(ebml::uint);
                if let Some(block) = ebml::child(&body, BLOCK) {
                    self.take_block(block, duration);
                }
            }
            _ => self.skip(element)?,
        }
        Ok(true)
    }

    /// Whether a block may belong to a track with sound, so that others need not be read. The
    /// block stands at most `offset` bytes into the body; if its place is not sure, so is not the
    /// answer.
    fn is_sound(&mut self, element: Element, offset: usize) -> io::Result<bool> {
        let start = element.header_len;
        let bytes = self.stream.peek(start + offset + 8)?;
        let mut body = bytes.get(start..).unwrap_or_default();
        if offset > 0 {
            match Element::parse(body) {
                Some(Element {
                    id: BLOCK,
                    header_len,
                    ..
                }) => {
                    body = body.get(header_len..).unwrap_or_default();
                }
                _ => return Ok(true),
            }
        }
        let number = ebml::vint(body).and_then(|(_, number)| number);
        Ok(self.sound.iter().any(|sound| Some(sound.number) == number))
    }

    fn take_block(&mut self, block: &[u8], duration: Option<u64>) {
        let number = ebml::vint(block).and_then(|(_, number)| number);
        let Some(sound) = self.sound.iter().find(|sound| Some(sound.number) == number) else {
            return;
        };
        let packets = block::packets(block, sound, self.cluster_time, duration, self.scale);
        match packets {
            Some(packets) => self.packets.extend(packets),
            None => self.was_damaged = true,
        }
    }

    /// Searches for the next cluster or block of sound after damage. Returns false if there is none.
    fn resync(&mut self) -> io::Result<bool> {
        self.was_damaged = true;
        self.stream.skip(1)?;
        let numbers: Vec<u64> = self.sound.iter().map(|sound| sound.number).collect();
        loop {
            let bytes = self.stream.peek(SEARCHED)?;
            let is_end = bytes.len() < SEARCHED;
            // Of a block, its followers must be seen, too.
            let searched = if is_end { bytes.len() } else { SEARCHED / 2 };
            let goes_on = |at: &usize| goes_on(bytes.get(*at..).unwrap_or_default(), &numbers);
            if let Some(at) = (0..searched).find(goes_on) {
                self.stream.skip(at as u64)?;
                return Ok(true);
            }
            self.stream.skip(searched as u64)?;
            if is_end {
                return Ok(false);
            }
        }
    }
}

/// Whether a cluster begins here, or a block of one of these tracks with elements after it.
fn goes_on(bytes: &[u8], numbers: &[u64]) -> bool {
    /// Elements that must follow a block, as far as can be seen.
    const FOLLOWERS: usize = 3;
    if bytes.starts_with(&CLUSTER.to_be_bytes()) {
        return true;
    }
    let Some((element, body)) = split(bytes) else {
        return false;
    };
    let block = match element.id {
        SIMPLE_BLOCK => body,
        BLOCK_GROUP => match split(body) {
            Some((Element { id: BLOCK, .. }, block)) => block,
            _ => return false,
        },
        _ => return false,
    };
    let Some((number_len, Some(number))) = ebml::vint(block) else {
        return false;
    };
    // Four bits of the flags are not in use.
    let has_flags = block.get(number_len + 2).is_some_and(|x| x & 0x70 == 0);
    let mut rest = after(bytes, &element);
    has_flags
        && numbers.contains(&number)
        && (0..FOLLOWERS).all(|_| match rest {
            None | Some([]) => true,
            Some(next) => Element::parse(next)
                .filter(is_credible)
                .is_some_and(|element| {
                    rest = after(next, &element);
                    true
                }),
        })
}

/// Returns the element that begins here and what there is of its body.
fn split(bytes: &[u8]) -> Option<(Element, &[u8])> {
    let element = Element::parse(bytes)?;
    Some((element, bytes.get(element.header_len..)?))
}

/// Returns what follows an element; `None` if it is out of sight.
fn after<'a>(bytes: &'a [u8], element: &Element) -> Option<&'a [u8]> {
    let len = usize::try_from(element.size?).ok()?;
    bytes.get(element.header_len.checked_add(len)?..)
}

/// Whether an element may stand where blocks stand.
fn is_credible(element: &Element) -> bool {
    match element.id {
        EBML | SEGMENT | CLUSTER => true,
        id if id > 0xff_ffff => LEVEL_1.contains(&id) && element.size.is_some(),
        SIMPLE_BLOCK | BLOCK_GROUP => element.size.is_some_and(|size| size <= MAX_BLOCK),
        // Small elements of a cluster; 0xec and 0xbf are void and checksums.
        TIMESTAMP | 0xa7 | 0xab | 0x5854 | 0xec | 0xbf | 0xaf => element.size.is_some(),
        _ => false,
    }
}

impl Demuxer for Mkv {
    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return Ok(Some(Item::Packet(packet)));
            }
            if std::mem::take(&mut self.was_damaged) {
                return Ok(Some(Item::Damage(0.0)));
            }
            if !self.read_element()? {
                return Ok(None);
            }
        }
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        let is_short = self.end.is_some_and(|end| self.stream.position() < end);
        is_short.then_some(EarlyEnd::Cut)
    }
}
