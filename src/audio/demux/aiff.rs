//! Aiff and aifc files with PCM.
//!
//! In: big-endian chunks: the format (`COMM`), then the samples (`SSND`). Out: packets of samples.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::errors::Error as MediaError;

use super::pcm::{self, Layout, Samples, Stated};
use super::wave::ends_here;
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};

/// Largest chunk before the samples that is believed.
const MAX_CHUNK: u64 = 256 << 20;
/// Largest format description.
const MAX_FORMAT: u64 = 4096;
/// Channels that a recording may have.
const MAX_CHANNELS: u16 = 256;

/// Reader of aiff files.
pub struct Aiff;

/// The format that `COMM` describes.
struct Common {
    channels: u16,
    frames: u32,
    rate: u32,
    width: usize,
    codec: AudioCodecId,
}

impl Aiff {
    /// Reads up to the samples; `None` if they are not PCM, or the file is not in the usual order.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read.
    pub fn open(mut stream: ByteStream) -> Result<Option<Samples>, MediaError> {
        stream.skip(12)?;
        let mut common = None;
        loop {
            let header = stream.peek_exactly(8)?;
            let (Some(name), Some(size)) = (
                header.first_chunk::<4>().copied(),
                header.get(4..).and_then(|size| size.first_chunk()),
            ) else {
                return Ok(None);
            };
            let size = u64::from(u32::from_be_bytes(*size));
            match &name {
                b"COMM" if size <= MAX_FORMAT => {
                    stream.skip(8)?;
                    common = Common::parse(&stream.read_up_to(size as usize)?);
                    stream.skip(size % 2)?;
                }
                b"SSND" => {
                    return match common {
                        Some(common) => common.samples(stream, size).map(Some),
                        None => Ok(None),
                    };
                }
                _ if size <= MAX_CHUNK => stream.skip(8 + size + size % 2)?,
                _ => return Ok(None),
            }
        }
    }
}

impl Common {
    /// Reads the description; `None` if it is not one of PCM.
    fn parse(body: &[u8]) -> Option<Self> {
        let channels = u16::from_be_bytes(*body.first_chunk()?);
        let frames = u32::from_be_bytes(*body.get(2..)?.first_chunk()?);
        let bits = u16::from_be_bytes(*body.get(6..)?.first_chunk()?);
        let rate = extended(body.get(8..)?.first_chunk()?);
        let width = usize::from(bits).div_ceil(8);
        let signed = |is_big_endian| Some((width, pcm::codec(false, width, is_big_endian)?));
        let float = |width| Some((width, pcm::codec(true, width, true)?));
        let (width, codec) = match body.get(18..22) {
            None | Some(b"NONE" | b"twos" | b"in24" | b"in32") => signed(true)?,
            Some(b"sowt") => signed(false)?,
            Some(b"raw ") if width == 1 => (1, CODEC_ID_PCM_U8),
            Some(b"fl32" | b"FL32") => float(4)?,
            Some(b"fl64" | b"FL64") => float(8)?,
            Some(b"alaw" | b"ALAW") => (1, CODEC_ID_PCM_ALAW),
            Some(b"ulaw" | b"ULAW") => (1, CODEC_ID_PCM_MULAW),
            Some(_) => return None,
        };
        let is_valid = (1..=MAX_CHANNELS).contains(&channels) && rate > 0;
        is_valid.then_some(Self {
            channels,
            frames,
            rate,
            width,
            codec,
        })
    }

    /// Reads the samples, of a chunk of `size` bytes.
    fn samples(self, mut stream: ByteStream, size: u64) -> Result<Samples, MediaError> {
        let header = stream.peek_exactly(16)?;
        let offset = header.get(8..12).and_then(|x| x.first_chunk());
        let offset = offset.map_or(0, |x| u64::from(u32::from_be_bytes(*x)));
        stream.skip(16 + offset)?;
        let frame_len = self.width * usize::from(self.channels);
        let by_frames = u64::from(self.frames) * frame_len as u64;
        let by_size = size.saturating_sub(8 + offset);
        let there = stream
            .len()
            .map(|len| len.saturating_sub(stream.position()));
        // Programs that write to a pipe know neither.
        let agreed = (by_size == by_frames && by_size > 0).then_some(by_size);
        let left = agreed.filter(|n| there.is_none_or(|there| *n <= there));
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(self.codec)
            .with_sample_rate(self.rate)
            .with_channels(Channels::Discrete(self.channels));
        let mut track = Track::new(0, params, format!("{}-bit PCM", 8 * self.width));
        let bytes = agreed.or(there);
        track.length = bytes
            .and_then(|n| Length::of_frames(n / frame_len as u64, self.rate))
            .map(|length| Length::estimated(length.seconds));
        let layout = Layout {
            rate: self.rate,
            block_len: frame_len,
            block_frames: 1,
        };
        let stated = Stated {
            left,
            agreed,
            surplus: 0,
        };
        Ok(Samples::new(stream, track, layout, stated, ends_here))
    }
}

/// Value of a floating-point number of 80 bits that is a rate; 0 if it is none.
fn extended(bytes: &[u8; 10]) -> u32 {
    let [e0, e1, mantissa @ ..] = *bytes;
    let exponent = i32::from(u16::from_be_bytes([e0, e1])) - 16_383 - 63;
    let value = u64::from_be_bytes(mantissa) as f64 * f64::from(exponent).exp2();
    // Too large ones become the largest.
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let hz = |exponent: u16, mantissa: u16| {
            let mut bytes = [0; 10];
            bytes[..2].copy_from_slice(&exponent.to_be_bytes());
            bytes[2..4].copy_from_slice(&mantissa.to_be_bytes());
            extended(&bytes)
        };
        assert_eq!(hz(0x400e, 0xac44), 44_100);
        assert_eq!(hz(0x400b, 0xfa00), 8_000);
        assert_eq!(hz(0, 0), 0);
    }

    #[test]
    fn what_is_no_pcm_is_left_to_others() {
        let common = |kind: &[u8]| {
            let rate = [0x40, 0x0e, 0xac, 0x44, 0, 0, 0, 0, 0, 0];
            Common::parse(&[&[0, 2, 0, 0, 0, 9, 0, 24], &rate[..], kind].concat())
        };
        assert_eq!(common(b"").expect("PCM").width, 3);
        assert_eq!(common(b"fl32").expect("PCM").width, 4);
        assert!(common(b"ima4").is_none());
        assert!(Common::parse(&[0; 5]).is_none());
    }
}
