//! Decodes Opus packets, for the containers whose demuxers deliver Opus (ogg, mkv/webm, mp4, caf).
//!
//! The identification header (RFC 7845, section 5.1; in mp4 its big-endian twin, the `dOps` box)
//! states the number of leading samples that are encoder delay, the gain, and the mapping of
//! channels to streams.

use opus_pure::{ChannelLayout, OpusMSDecoder};
use symphonia::core::codecs::audio::AudioCodecParameters;

/// Rate at which Opus is decoded, in Hz: that of its clock, regardless of the recording.
pub const OPUS_RATE: u32 = 48_000;
/// Longest packet in frames at 48 kHz: 120 ms (RFC 6716, section 2.1.4).
const MAX_FRAMES: usize = 5760;

/// Decoder for one Opus track.
pub struct OpusTrack {
    decoder: OpusMSDecoder,
    header: Header,
    /// Frames of encoder delay still to be dropped.
    to_skip: usize,
    samples: Vec<f32>,
}

impl OpusTrack {
    /// Creates a decoder for a track with these parameters; `None` if its header is invalid.
    pub fn new(params: &AudioCodecParameters) -> Option<Self> {
        let header = match &params.extra_data {
            Some(data) => Header::parse(data)?,
            None => Header::plain(params.channels.as_ref()?.count()),
        };
        let decoder = OpusMSDecoder::new(OPUS_RATE as i32, header.channels, header.family).ok()?;
        if !header.fits(decoder.layout()) {
            return None;
        }
        let samples = vec![0.0; MAX_FRAMES * header.channels];
        Some(Self {
            decoder,
            to_skip: header.pre_skip,
            header,
            samples,
        })
    }

    /// Number of channels of the decoded samples.
    pub fn channels(&self) -> usize {
        self.header.channels
    }

    /// Decodes a packet to interleaved samples. An empty packet counts as lost and is concealed.
    /// Frames after the first `valid` ones are padding. `None` if the packet is damaged.
    pub fn decode(&mut self, packet: &[u8], valid: Option<usize>) -> Option<&[f32]> {
        let frames = self
            .decoder
            .decode(packet, MAX_FRAMES, &mut self.samples)
            .ok()?;
        let skipped = self.to_skip.min(frames);
        self.to_skip -= skipped;
        let end = valid.unwrap_or(frames).clamp(skipped, frames);
        let kept = self
            .samples
            .get_mut(skipped * self.header.channels..end * self.header.channels)?;
        if self.header.gain != 1.0 {
            kept.iter_mut().for_each(|x| *x *= self.header.gain);
        }
        Some(kept)
    }
}

/// Identification header.
#[derive(Debug, PartialEq)]
struct Header {
    channels: usize,
    /// Frames at 48 kHz to drop at the start.
    pre_skip: usize,
    /// Factor to apply to the decoded samples.
    gain: f32,
    /// Standard order of the channels: 0 is mono and stereo, 1 is Vorbis surround.
    family: u8,
    /// Number of streams, number of those with two channels, and the stream of each channel; empty if
    /// not stated.
    mapping: Vec<u8>,
}

impl Header {
    fn parse(data: &[u8]) -> Option<Self> {
        let fields = data.strip_prefix(b"OpusHead")?;
        let &[version, channels, s0, s1, _, _, _, _, g0, g1, family] = fields.first_chunk()?;
        // In mp4 the version is 0 and numbers are big-endian; elsewhere it is 1 and they are
        // little-endian.
        let (pre_skip, gain) = if version == 0 {
            (u16::from_be_bytes([s0, s1]), i16::from_be_bytes([g0, g1]))
        } else {
            (u16::from_le_bytes([s0, s1]), i16::from_le_bytes([g0, g1]))
        };
        // The gain is in decibels, Q7.8.
        let gain = 10f32.powf(f32::from(gain) / (20.0 * 256.0));
        Some(Self {
            channels: usize::from(channels),
            pre_skip: usize::from(pre_skip),
            gain,
            family,
            mapping: fields.get(11..).unwrap_or_default().to_vec(),
        })
    }

    /// Whether the channels are in the streams of the standard layout: encoders put seven channels into
    /// four or five.
    fn fits(&self, layout: &ChannelLayout) -> bool {
        let counts = [layout.nb_streams, layout.nb_coupled_streams];
        let stated = self.mapping.split_first_chunk();
        self.family == 0
            || stated.is_none_or(|(stated, mapping)| {
                stated.map(usize::from) == counts && mapping.starts_with(&layout.mapping)
            })
    }

    /// Defaults for a container without the header: mono or stereo, no delay, no gain.
    fn plain(channels: usize) -> Self {
        Self {
            channels,
            pre_skip: 0,
            gain: 1.0,
            family: 0,
            mapping: Vec::new(),
        }
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
        // 0x0600 in Q7.8 is 6 dB.
        let gain = 10f32.powf(6.0 / 20.0);
        assert_eq!(
            header,
            Some(Header {
                channels: 2,
                pre_skip: 312,
                gain,
                family: 0,
                mapping: Vec::new(),
            })
        );
    }

    #[test]
    fn a_short_or_foreign_header_is_refused() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x06\x00";
        for len in 0..head.len() {
            assert_eq!(Header::parse(&head[..len]), None);
        }
        assert_eq!(
            Header::parse(b"OpusTags\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x06\x00"),
            None
        );
    }

    #[test]
    fn surround_is_taken_and_what_no_layout_fits_is_not() {
        for (channels, family, taken) in [
            (6, 1, true),
            (8, 1, true),
            (0, 0, false),
            (3, 0, false),
            (9, 1, false),
        ] {
            let mut params = AudioCodecParameters::new();
            let head = [
                b"OpusHead\x01".as_slice(),
                &[channels, 0, 0, 0, 0, 0, 0, 0, 0, family],
            ]
            .concat();
            params.with_extra_data(head.into_boxed_slice());
            assert_eq!(
                OpusTrack::new(&params).is_some(),
                taken,
                "{channels} channels"
            );
        }
    }

    #[test]
    fn streams_that_are_not_those_of_the_standard_layout_are_refused() {
        let taken = |streams: &[u8]| {
            let head = [b"OpusHead\x01\x07\0\0\0\0\0\0\0\0\x01", streams].concat();
            let mut params = AudioCodecParameters::new();
            params.with_extra_data(head.into_boxed_slice());
            OpusTrack::new(&params).is_some()
        };
        assert!(taken(&[]));
        assert!(taken(&[4, 3, 0, 4, 1, 2, 3, 5, 6]));
        assert!(!taken(&[5, 2, 0, 4, 1, 2, 3, 5, 6]));
        assert!(!taken(&[4, 3, 0, 1, 2, 3, 4, 5, 6]));
    }
}
