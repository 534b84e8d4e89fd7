//! Opus packets to samples, for the containers whose demuxers deliver Opus (ogg, mkv/webm, mp4, caf).
//!
//! The identification header (RFC 7845, section 5.1; for mp4 its big-endian twin, the `dOps` box) says how many
//! leading samples are encoder delay, which gain applies and how channels map to streams.

use opus_decoder::OpusMultistreamDecoder;
use symphonia::core::codecs::audio::AudioCodecParameters;

/// Rate at which Opus is decoded, in Hz: the rate of its clock, whatever was recorded.
pub const OPUS_RATE: u32 = 48_000;
/// Longest packet in frames at 48 kHz: 120 ms (RFC 6716, section 2.1.4).
const MAX_FRAMES: usize = 5760;

/// A decoder for one Opus track.
pub struct OpusTrack {
    decoder: OpusMultistreamDecoder,
    header: Header,
    /// Frames of encoder delay still to be dropped.
    to_skip: usize,
    samples: Vec<f32>,
}

impl OpusTrack {
    /// A decoder for a track with these parameters, or `None` where its header makes no sense.
    pub fn new(params: &AudioCodecParameters) -> Option<Self> {
        let header = match &params.extra_data {
            Some(data) => Header::parse(data)?,
            None => Header::plain(params.channels.as_ref()?.count())?,
        };
        let decoder =
            OpusMultistreamDecoder::new(OPUS_RATE, header.channels, header.streams, header.coupled, &header.mapping)
                .ok()?;
        let samples = vec![0.0; MAX_FRAMES * header.channels];
        Some(Self { decoder, to_skip: header.pre_skip, header, samples })
    }

    /// Channels of the decoded samples.
    pub fn channels(&self) -> usize {
        self.header.channels
    }

    /// Decodes a packet to interleaved samples. An empty packet is a lost one and is concealed. Frames
    /// beyond the first `valid` ones are padding. `None` where the packet is damaged.
    pub fn decode(&mut self, packet: &[u8], valid: Option<usize>) -> Option<&[f32]> {
        let frames = self.decoder.decode_float(packet, &mut self.samples, false).ok()?;
        let skipped = self.to_skip.min(frames);
        self.to_skip -= skipped;
        let end = valid.unwrap_or(frames).clamp(skipped, frames);
        let kept = self.samples.get_mut(skipped * self.header.channels..end * self.header.channels)?;
        if self.header.gain != 1.0 {
            kept.iter_mut().for_each(|x| *x *= self.header.gain);
        }
        Some(kept)
    }
}

/// The identification header.
#[derive(Debug, PartialEq)]
struct Header {
    channels: usize,
    /// Frames at 48 kHz to drop at the start.
    pre_skip: usize,
    /// Factor to apply to the decoded samples.
    gain: f32,
    streams: usize,
    /// Streams that carry two channels.
    coupled: usize,
    /// Decoded channel for each output channel.
    mapping: Vec<u8>,
}

impl Header {
    fn parse(data: &[u8]) -> Option<Self> {
        let fields = data.strip_prefix(b"OpusHead")?;
        let &[version, channels, s0, s1, _, _, _, _, g0, g1, family] = fields.first_chunk()?;
        let header = if family == 0 {
            Self::plain(usize::from(channels))?
        } else {
            let (&[streams, coupled], mapping) = fields.get(11..)?.split_first_chunk()?;
            Self {
                channels: usize::from(channels),
                streams: usize::from(streams),
                coupled: usize::from(coupled),
                mapping: mapping.get(..usize::from(channels))?.to_vec(),
                ..Self::plain(1)?
            }
        };
        // In mp4 the version is 0 and numbers are big-endian; elsewhere it is 1 and they are little-endian.
        let (pre_skip, gain) = if version == 0 {
            (u16::from_be_bytes([s0, s1]), i16::from_be_bytes([g0, g1]))
        } else {
            (u16::from_le_bytes([s0, s1]), i16::from_le_bytes([g0, g1]))
        };
        // The gain is in decibels, Q7.8.
        let gain = 10f32.powf(f32::from(gain) / (20.0 * 256.0));
        Some(Self { pre_skip: usize::from(pre_skip), gain, ..header })
    }

    /// One stream of one or two channels, no delay, no gain.
    fn plain(channels: usize) -> Option<Self> {
        let mapping = match channels {
            1 => vec![0],
            2 => vec![0, 1],
            _ => return None,
        };
        Some(Self { channels, pre_skip: 0, gain: 1.0, streams: 1, coupled: channels - 1, mapping })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_byte_orders_are_read() {
        let ogg = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x06\x00";
        let mp4 = b"OpusHead\x00\x02\x01\x38\x00\x00\xbb\x80\x06\x00\x00";
        let header = Header::parse(ogg);
        assert_eq!(header, Header::parse(mp4));
        let header = header.map(|h| (h.channels, h.pre_skip, h.coupled, h.mapping, h.gain));
        // 0x0600 in Q7.8 is 6 dB.
        assert_eq!(header, Some((2, 312, 1, vec![0, 1], 10f32.powf(6.0 / 20.0))));
    }

    #[test]
    fn surround_mapping_is_read_and_a_short_header_refused() {
        let quad = b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\x01\x02\x02\0\x01\x02\x03";
        let header = Header::parse(quad).map(|h| (h.streams, h.coupled, h.mapping));
        assert_eq!(header, Some((2, 2, vec![0, 1, 2, 3])));
        for len in 0..quad.len() {
            assert_eq!(Header::parse(&quad[..len]), None);
        }
    }
}
