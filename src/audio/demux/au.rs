//! Sun audio (au, snd).
//!
//! In: a big-endian header of 24 bytes or more, then samples. Out: packets of samples.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S32BE,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, CODEC_ID_NULL_AUDIO};
use symphonia::core::errors::Error as MediaError;

use super::pcm::{Layout, Samples, Stated};
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};

/// Sizes from here on mean that the size is unknown.
const UNKNOWN_SIZE: u32 = 0x7fff_0000;

/// Reader of au files. All samples are read, whatever length is stated: nothing follows them.
pub struct Au;

impl Au {
    /// Reads the header.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read or the header is invalid.
    pub fn open(mut stream: ByteStream) -> Result<Samples, MediaError> {
        let header = stream.peek_exactly(24)?;
        let field = |at: usize| {
            let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let [start, size, encoding, rate, channels] = [4, 8, 12, 16, 20].map(field);
        if !(24..=1 << 20).contains(&start) || rate == 0 || !(1..=256).contains(&channels) {
            return Err(MediaError::DecodeError("au: invalid header"));
        }
        let (codec, width, name) = match encoding {
            1 => (CODEC_ID_PCM_MULAW, 1, "µ-law PCM"),
            2 => (CODEC_ID_PCM_S8, 1, "8-bit PCM"),
            3 => (CODEC_ID_PCM_S16BE, 2, "16-bit PCM"),
            4 => (CODEC_ID_PCM_S24BE, 3, "24-bit PCM"),
            5 => (CODEC_ID_PCM_S32BE, 4, "32-bit PCM"),
            6 => (CODEC_ID_PCM_F32BE, 4, "32-bit float PCM"),
            7 => (CODEC_ID_PCM_F64BE, 8, "64-bit float PCM"),
            27 => (CODEC_ID_PCM_ALAW, 1, "A-law PCM"),
            _ => (CODEC_ID_NULL_AUDIO, 1, "an encoding without a name"),
        };
        stream.skip(u64::from(start))?;
        let frame_len = width * channels as usize;
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(rate)
            .with_channels(Channels::Discrete(channels as u16));
        let mut track = Track::new(0, params, name);
        let there = stream.len().map(|len| len.saturating_sub(u64::from(start)));
        let stated = (1..UNKNOWN_SIZE).contains(&size).then_some(u64::from(size));
        track.length = stated
            .max(there)
            .and_then(|n| Length::of_frames(n / frame_len as u64, rate));
        let layout = Layout {
            rate,
            block_len: frame_len,
            block_frames: 1,
        };
        let surplus = there
            .zip(stated)
            .map_or(0, |(there, n)| there.saturating_sub(n));
        let stated = Stated {
            surplus,
            ..Stated::default()
        };
        Ok(Samples::new(stream, track, layout, stated, |_| Ok(true)))
    }
}
