//! Headers of MPEG audio frames, layers 1 to 3 (ISO/IEC 11172-3, section 2.4.1.3; 13818-3).

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};

use super::format::{Frame, FrameFormat, Spec};
use crate::audio::track::Track;

/// Bit rates in kbit/s by index, of MPEG 1: layers 1, 2, 3; of MPEG 2: layer 1, layers 2 and 3.
const BIT_RATES: [[u16; 15]; 5] = [
    [
        0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ],
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [
        0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Sample rates of MPEG 1 in Hz; those of MPEG 2 are half of them, of MPEG 2.5 a quarter.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// MPEG audio.
pub struct MpegAudio;

impl FrameFormat for MpegAudio {
    fn parse(bytes: &[u8]) -> Option<Frame> {
        let header = Header::parse(bytes)?;
        let Header { layer, rate, .. } = header;
        let kilobits = u32::from(header.kilobits()?);
        let slots = |samples: u32| samples * 125 * kilobits / rate + header.padding;
        let samples = header.samples();
        let len = if layer == 1 {
            slots(samples / 4) * 4
        } else {
            slots(samples)
        };
        Some(Frame {
            len: len as usize,
            header_len: 0,
            samples,
            spec: Spec {
                kind: layer,
                rate,
                channels: header.channels,
            },
        })
        .filter(|frame| frame.len > 8)
    }

    fn track(spec: Spec) -> Track {
        let (codec, name) = match spec.kind {
            1 => (CODEC_ID_MP1, "mp1"),
            2 => (CODEC_ID_MP2, "mp2"),
            _ => (CODEC_ID_MP3, "mp3"),
        };
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(spec.rate)
            .with_channels(Channels::Discrete(spec.channels));
        Track::new(0, params, name)
    }
}

/// Fields of a header.
pub struct Header {
    /// 0 for MPEG 1, 1 for MPEG 2, 2 for MPEG 2.5.
    version: u32,
    layer: u8,
    bit_rate: u8,
    rate: u32,
    padding: u32,
    channels: u16,
}

impl Header {
    /// Reads a header; `None` if there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[sync, a, b, c] = bytes.first_chunk()?;
        let version = [2, 3, 1, 0].into_iter().nth(usize::from(a >> 3 & 3))?;
        let layer = 4 - (a >> 1 & 3);
        let is_header = sync == 0xff && a & 0xe0 == 0xe0 && version < 3 && layer < 4;
        let rate = RATES.get(usize::from(b >> 2 & 3))?;
        (is_header && b >> 4 < 15 && c & 3 != 2).then_some(Self {
            version,
            layer,
            bit_rate: b >> 4,
            rate: rate >> version,
            padding: u32::from(b >> 1 & 1),
            channels: if c >> 6 == 3 { 1 } else { 2 },
        })
    }

    /// Bit rate in kbit/s; `None` if the header leaves it free.
    fn kilobits(&self) -> Option<u16> {
        let row = match (self.version, self.layer) {
            (0, layer) => layer - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let row = BIT_RATES.get(usize::from(row))?;
        row.get(usize::from(self.bit_rate))
            .copied()
            .filter(|n| *n > 0)
    }

    /// Samples of each channel in a frame.
    fn samples(&self) -> u32 {
        match (self.layer, self.version) {
            (1, _) => 384,
            (3, 1..) => 576,
            _ => 1152,
        }
    }

    /// Bytes of header and side information in layer 3.
    pub fn side_end(&self) -> usize {
        4 + match (self.version, self.channels) {
            (0, 1) => 17,
            (0, _) => 32,
            (_, 1) => 9,
            _ => 17,
        }
    }

    /// Whether it is of layer 3.
    pub fn is_layer_3(&self) -> bool {
        self.layer == 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_standard() {
        let of = |bytes: [u8; 4]| MpegAudio::parse(&bytes).map(|f| (f.len, f.samples, f.spec.rate));
        // 128 kbit/s at 44.1 kHz, without and with padding.
        assert_eq!(of([0xff, 0xfb, 0x90, 0x64]), Some((417, 1152, 44_100)));
        assert_eq!(of([0xff, 0xfb, 0x92, 0x64]), Some((418, 1152, 44_100)));
        // MPEG 2 layer 3: 32 kbit/s at 16 kHz.
        assert_eq!(of([0xff, 0xf3, 0x48, 0xc4]), Some((144, 576, 16_000)));
        // MPEG 2.5 at 8 kHz.
        assert_eq!(of([0xff, 0xe3, 0x18, 0xc4]), Some((72, 576, 8_000)));
        // Layers 2 and 1 at 48 kHz.
        assert_eq!(of([0xff, 0xfd, 0x84, 0x00]), Some((384, 1152, 48_000)));
        assert_eq!(of([0xff, 0xff, 0x84, 0x00]), Some((256, 384, 48_000)));
        // Free, forbidden and reserved values.
        assert_eq!(of([0xff, 0xfb, 0x00, 0x64]), None);
        assert_eq!(of([0xff, 0xfb, 0xf0, 0x64]), None);
        assert_eq!(of([0xff, 0xeb, 0x90, 0x64]), None);
        assert_eq!(of([0xff, 0xf9, 0x90, 0x64]), None);
    }
}
