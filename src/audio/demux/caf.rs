//! Core Audio files (caf) with PCM.
//!
//! In: chunks: the format (`desc`), then the samples (`data`). Out: packets of samples.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::errors::Error as MediaError;

use super::pcm::{self, Layout, Samples, Stated};
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};

/// Length of the header of a chunk.
const CHUNK_HEADER: u64 = 12;
/// Largest chunk before the samples that is believed.
const MAX_CHUNK: i64 = 256 << 20;

/// Reader of caf files.
pub struct Caf;

/// The format that `desc` describes.
struct Description {
    channels: u16,
    rate: u32,
    width: usize,
    codec: AudioCodecId,
}

impl Caf {
    /// Reads up to the samples; `None` if they are not PCM.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub fn open(mut stream: ByteStream) -> Result<Option<Samples>, MediaError> {
        stream.skip(8)?;
        let mut description = None;
        loop {
            let header = stream.peek_exactly(CHUNK_HEADER as usize)?;
            let (Some(name), Some(size)) = (
                header.first_chunk::<4>().copied(),
                header.get(4..).and_then(|size| size.first_chunk()),
            ) else {
                return Ok(None);
            };
            let size = i64::from_be_bytes(*size);
            match (&name, description) {
                (b"desc", None) => {
                    let body = stream.peek_exactly(CHUNK_HEADER as usize + 32)?;
                    let body = body.get(CHUNK_HEADER as usize..).unwrap_or_default();
                    match Description::parse(body) {
                        Some(found) => description = Some(found),
                        None => return Ok(None),
                    }
                }
                (b"data", Some(found)) => return Ok(Some(found.samples(stream, size)?)),
                (_, found) => description = found,
            }
            if !(0..=MAX_CHUNK).contains(&size) {
                return Ok(None);
            }
            stream.skip(CHUNK_HEADER + size.unsigned_abs())?;
        }
    }
}

impl Description {
    /// Reads the description; `None` if it is not one of PCM.
    fn parse(body: &[u8]) -> Option<Self> {
        const FLOAT: u32 = 1;
        const LITTLE_ENDIAN: u32 = 2;
        let rate = f64::from_be_bytes(*body.first_chunk()?) as u32;
        let field = |at: usize| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let [flags, packet_len, packet_frames, channels, bits] =
            [field(12)?, field(16)?, field(20)?, field(24)?, field(28)?];
        let width = usize::try_from(bits.div_ceil(8)).ok()?;
        let codec = match body.get(8..12)? {
            b"lpcm" => pcm::codec(flags & FLOAT != 0, width, flags & LITTLE_ENDIAN == 0)?,
            b"alaw" => CODEC_ID_PCM_ALAW,
            b"ulaw" => CODEC_ID_PCM_MULAW,
            _ => return None,
        };
        let channels = u16::try_from(channels)
            .ok()
            .filter(|n| (1..=256).contains(n))?;
        let is_plain =
            packet_frames == 1 && u64::from(packet_len) == width as u64 * u64::from(channels);
        (is_plain && rate > 0).then_some(Self {
            channels,
            rate,
            width,
            codec,
        })
    }

    /// Reads the samples, of a chunk of `size` bytes; a negative one means that it lasts to the end.
    fn samples(self, mut stream: ByteStream, size: i64) -> Result<Samples, MediaError> {
        // A count of edits precedes them.
        stream.skip(CHUNK_HEADER + 4)?;
        let there = stream
            .len()
            .map(|len| len.saturating_sub(stream.position()));
        let agreed = u64::try_from(size).ok().and_then(|n| n.checked_sub(4));
        let agreed = agreed.filter(|n| *n > 0);
        let frame_len = self.width * usize::from(self.channels);
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(self.codec)
            .with_sample_rate(self.rate)
            .with_channels(Channels::Discrete(self.channels));
        let mut track = Track::new(0, params, format!("{}-bit PCM", 8 * self.width));
        track.length = agreed
            .or(there)
            .and_then(|n| Length::of_frames(n / frame_len as u64, self.rate))
            .map(|length| Length::estimated(length.seconds));
        let layout = Layout {
            rate: self.rate,
            block_len: frame_len,
            block_frames: 1,
        };
        let stated = Stated {
            left: agreed.filter(|n| there.is_none_or(|there| *n <= there)),
            agreed,
            surplus: 0,
        };
        Ok(Samples::new(stream, track, layout, stated, ends_here))
    }
}

/// Whether the samples may end before the next bytes: none are left, or they look like a chunk.
fn ends_here(stream: &mut ByteStream) -> std::io::Result<bool> {
    let left = stream
        .len()
        .map(|len| len.saturating_sub(stream.position()));
    let bytes = stream.peek_exactly(CHUNK_HEADER as usize)?;
    let size = bytes.get(4..).and_then(|size| size.first_chunk());
    let size = size.map(|size| u64::from_be_bytes(*size));
    let is_name = bytes.iter().take(4).all(|x| matches!(x, b' '..=b'~'));
    Ok(size.is_none_or(|size| is_name && left.is_none_or(|left| size <= left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(kind: &[u8; 4], flags: u32, packet: u32, bits: u32) -> Option<Description> {
        let fields = [flags, packet, 1, 2, bits].map(u32::to_be_bytes).concat();
        Description::parse(&[&48_000_f64.to_be_bytes(), &kind[..], &fields].concat())
    }

    #[test]
    fn only_plain_pcm_is_read() {
        assert_eq!(description(b"lpcm", 2, 6, 24).expect("PCM").width, 3);
        assert_eq!(description(b"ulaw", 0, 2, 8).expect("PCM").rate, 48_000);
        assert!(description(b"alac", 0, 0, 0).is_none());
        // 24 bits in 4 bytes.
        assert!(description(b"lpcm", 2, 8, 24).is_none());
    }
}
