//! Samples that stand one after the other: the audio of wav, aiff, au and caf files.
//!
//! In: bytes at the first sample, and how many of them the file states. Out: packets of samples, and
//! where bytes are missing, were inserted or overwritten, so that all other samples are read.

mod grid;

use std::io;

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
};
use symphonia::core::errors::Error as MediaError;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::{Demuxer, EarlyEnd, Item};
use crate::audio::stream::ByteStream;
use crate::audio::track::Track;
use grid::Grid;

/// Frames of a packet, unless a block has more.
pub const PACKET_FRAMES: u64 = 4096;
/// Bytes searched at once for samples after damage.
const SEARCHED: usize = 1 << 20;

/// How samples are stored.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Sample rate in Hz.
    pub rate: u32,
    /// Bytes of a block: of one frame for PCM, of the smallest decodable piece otherwise.
    pub block_len: usize,
    /// Frames in a block.
    pub block_frames: u64,
}

/// Number of bytes that a file states.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stated {
    /// Bytes of audio; `None` if it lasts to the end.
    pub left: Option<u64>,
    /// The same, if all of the file agrees with it: the file was cut if there are fewer.
    pub agreed: Option<u64>,
    /// Bytes of the file beyond its stated end, which may have been inserted.
    pub surplus: u64,
}

/// Reader of samples.
pub struct Samples {
    stream: ByteStream,
    track: [Track; 1],
    layout: Layout,
    stated: Stated,
    /// Whether the audio may end before the bytes that come next, where the stated number of bytes
    /// has been read.
    ends_here: fn(&mut ByteStream) -> io::Result<bool>,
    grid: Option<Grid>,
    /// Frames so far, with those that were damaged.
    frames: u64,
    /// Whether some samples fitted so far: otherwise the format may be another one than stated.
    had_sound: bool,
}

impl Samples {
    /// Reads the samples that come next in `stream`.
    pub fn new(
        stream: ByteStream,
        track: Track,
        layout: Layout,
        stated: Stated,
        ends_here: fn(&mut ByteStream) -> io::Result<bool>,
    ) -> Self {
        Self {
            grid: Grid::new(&track.params, layout.block_len),
            stream,
            track: [track],
            layout,
            stated,
            ends_here,
            frames: 0,
            had_sound: false,
        }
    }

    /// Number of bytes of the next packet.
    fn wanted(&mut self) -> io::Result<usize> {
        let blocks = PACKET_FRAMES.div_ceil(self.layout.block_frames) as usize;
        let wanted = blocks * self.layout.block_len;
        if self.stated.left == Some(0) && !(self.ends_here)(&mut self.stream)? {
            self.stated.left = None;
        }
        let left = self.stated.left.map(usize::try_from);
        Ok(left.map_or(wanted, |left| wanted.min(left.unwrap_or(usize::MAX))))
    }

    fn count(&mut self, n: usize) {
        if let Some(left) = &mut self.stated.left {
            *left = left.saturating_sub(n as u64);
        }
    }

    /// Skips bytes that are no samples where samples should be. Returns the sound lost, in seconds;
    /// `None` if nothing better follows.
    fn skip_damage(&mut self) -> io::Result<Option<f64>> {
        let Some(grid) = self.grid.as_ref().filter(|_| self.had_sound) else {
            return Ok(None);
        };
        let Some(n) = grid.search(self.stream.peek_exactly(SEARCHED)?) else {
            return Ok(None);
        };
        self.stream.skip(n as u64)?;
        self.count(n);
        let is_inserted =
            n as u64 <= self.stated.surplus || !n.is_multiple_of(self.layout.block_len);
        if is_inserted {
            self.stated.surplus = self.stated.surplus.saturating_sub(n as u64);
            self.stated.left = self.stated.left.map(|left| left + n as u64);
            return Ok(Some(0.0));
        }
        let frames = (n / self.layout.block_len) as u64 * self.layout.block_frames;
        self.frames += frames;
        Ok(Some(frames as f64 / f64::from(self.layout.rate)))
    }
}

impl Demuxer for Samples {
    fn tracks(&self) -> &[Track] {
        &self.track
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        let mut wanted = self.wanted()?;
        let mut fits = wanted;
        if let Some(grid) = &self.grid {
            fits = grid.fitting(self.stream.peek_exactly(wanted)?);
            if fits == 0 && wanted > 0 {
                if let Some(seconds) = self.skip_damage()? {
                    return Ok(Some(Item::Damage(seconds)));
                }
                fits = wanted;
            }
            self.had_sound = true;
        }
        wanted = wanted.min(fits);
        let mut bytes = self.stream.read_up_to(wanted)?;
        self.count(bytes.len());
        let blocks = bytes.len() / self.layout.block_len;
        if blocks == 0 {
            return Ok(None);
        }
        bytes.truncate(blocks * self.layout.block_len);
        let frames = blocks as u64 * self.layout.block_frames;
        let time = Timestamp::new(i64::try_from(self.frames).unwrap_or(i64::MAX));
        self.frames += frames;
        let packet = Packet::new(0, time, Duration::new(frames), bytes);
        Ok(Some(Item::Packet(packet)))
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        let Layout {
            block_len,
            block_frames,
            ..
        } = self.layout;
        let read = self.frames / block_frames * block_len as u64;
        let is_short = self
            .stated
            .agreed
            .is_some_and(|n| read + block_len as u64 <= n);
        is_short.then_some(EarlyEnd::Cut)
    }
}

/// Codec of signed or floating-point PCM of a width in bytes; `None` if there is none.
pub fn codec(is_float: bool, width: usize, is_big_endian: bool) -> Option<AudioCodecId> {
    let [little, big] = match (is_float, width) {
        (true, 4) => [CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F32BE],
        (true, 8) => [CODEC_ID_PCM_F64LE, CODEC_ID_PCM_F64BE],
        (false, 1) => [CODEC_ID_PCM_S8; 2],
        (false, 2) => [CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S16BE],
        (false, 3) => [CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S24BE],
        (false, 4) => [CODEC_ID_PCM_S32LE, CODEC_ID_PCM_S32BE],
        _ => return None,
    };
    Some(if is_big_endian { big } else { little })
}
