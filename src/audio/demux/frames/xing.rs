//! The header that counts the frames of an mp3 file: a first frame without sound, as Xing, LAME and
//! Fraunhofer (VBRI) write it.

use super::mpeg::Header;

/// Delay of any decoder of layer 3, in samples.
const DECODER_DELAY: u64 = 529;

/// Counts that the header states; any of them may be wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Xing {
    /// Number of frames that follow.
    pub frames: Option<u64>,
    /// Number of bytes, this frame included.
    pub bytes: Option<u64>,
    /// Samples to leave out at the start.
    pub delay: u64,
    /// Samples to leave out at the end.
    padding: u64,
    /// Whether all frames have the same bit rate.
    pub is_constant: bool,
}

impl Xing {
    /// Reads the header in a whole frame; `None` if it is a frame of sound.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let header = Header::parse(frame).filter(Header::is_layer_3)?;
        let number = |at: usize| {
            let bytes = frame.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u64::from(u32::from_be_bytes(*bytes)))
        };
        if frame.get(36..40) == Some(b"VBRI") {
            return Some(Self {
                bytes: number(46),
                frames: number(50),
                ..Self::default()
            });
        }
        let start = header.side_end();
        let name = frame.get(start..start + 4)?;
        if name != b"Xing" && name != b"Info" {
            return None;
        }
        let flags = number(start + 4)?;
        let mut at = start + 8;
        let mut field = |flag: u64, len: usize| {
            let here = at;
            let is_there = flags & flag != 0;
            at += if is_there { len } else { 0 };
            is_there.then_some(here)
        };
        let frames = field(1, 4).and_then(number);
        let bytes = field(2, 4).and_then(number);
        field(4, 100);
        field(8, 4);
        let encoder = frame.get(at..at + 24).unwrap_or_default();
        let (delay, padding) = match encoder {
            [b'A'..=b'z', .., a, b, c] => {
                let delay = u64::from(*a) << 4 | u64::from(b >> 4);
                let padding = u64::from(b & 15) << 8 | u64::from(*c);
                (delay, padding)
            }
            _ => (0, 0),
        };
        let has_delay = (delay, padding) != (0, 0);
        Some(Self {
            frames,
            bytes,
            delay: if has_delay { delay + DECODER_DELAY } else { 0 },
            padding: padding.saturating_sub(DECODER_DELAY),
            is_constant: name == b"Info",
        })
    }

    /// Number of samples that the frames give, at `frame` samples a frame.
    pub fn samples(&self, frame: u32) -> Option<u64> {
        let decoded = self.frames?.checked_mul(u64::from(frame))?;
        Some(decoded.saturating_sub(self.delay + self.padding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_delays_are_read() {
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        assert_eq!(Xing::parse(&frame), None);
        frame[36..52].copy_from_slice(b"Info\0\0\0\x0f\0\0\x01\0\0\x02\0\0");
        frame[156..165].copy_from_slice(b"LAME3.100");
        frame[177..180].copy_from_slice(&[0x24, 0x05, 0x00]);
        let xing = Xing::parse(&frame).expect("a header");
        assert_eq!((xing.frames, xing.bytes), (Some(256), Some(131_072)));
        assert_eq!((xing.delay, xing.padding), (576 + 529, 1280 - 529));
        assert_eq!(xing.samples(1152), Some(256 * 1152 - 576 - 1280));
        // A frame of sound may hold these letters elsewhere.
        frame[36] = 0;
        assert_eq!(Xing::parse(&frame), None);
    }
}
