//! Headers of AAC frames in ADTS (ISO/IEC 13818-7, section 6.2).

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;

use super::format::{Frame, FrameFormat, Spec};
use crate::audio::track::Track;

/// Sample rates in Hz by their index.
pub const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// AAC in ADTS.
pub struct Adts;

impl FrameFormat for Adts {
    fn parse(bytes: &[u8]) -> Option<Frame> {
        let &[sync, flags, a, b, c, d, e] = bytes.first_chunk()?;
        if sync != 0xff || flags & 0xf6 != 0xf0 {
            return None;
        }
        let rate = *RATES.get(usize::from(a >> 2 & 15))?;
        let config = (a & 1) << 2 | b >> 6;
        let len = usize::from(b & 3) << 11 | usize::from(c) << 3 | usize::from(d >> 5);
        let header_len = if flags & 1 == 1 { 7 } else { 9 };
        let blocks = u32::from(e & 3) + 1;
        (len > header_len).then_some(Frame {
            len,
            header_len,
            samples: 1024 * blocks,
            spec: Spec {
                kind: (a >> 6) + 1,
                rate,
                channels: if config == 7 { 8 } else { u16::from(config) },
            },
        })
    }

    fn track(spec: Spec) -> Track {
        let mut params = AudioCodecParameters::new();
        params.with_sample_rate(spec.rate);
        if spec.channels > 0 {
            params.with_channels(Channels::Discrete(spec.channels));
        }
        // Other object types than "low complexity" have no decoder.
        if spec.kind == 2 {
            params.for_codec(CODEC_ID_AAC);
        }
        Track::new(0, params, "AAC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_length_rate_and_channels() {
        let frame = Adts::parse(&[0xff, 0xf1, 0x60, 0x40, 0x2e, 0x1f, 0xfc]).expect("a header");
        assert_eq!(
            (frame.len, frame.header_len, frame.samples),
            (0x170, 7, 1024)
        );
        let spec = Spec {
            kind: 2,
            rate: 16_000,
            channels: 1,
        };
        assert_eq!(frame.spec, spec);
        // MPEG audio differs in the layer only.
        assert_eq!(
            Adts::parse(&[0xff, 0xfb, 0x60, 0x40, 0x2e, 0x1f, 0xfc]),
            None
        );
    }
}
