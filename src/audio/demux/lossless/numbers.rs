//! Numbers of FLAC frames.
//!
//! Frames that programs copied end to end without the headers of their streams begin to count again,
//! which tells where one stream ends. In: bytes in order. Out: the place of the next such frame.

use memchr::memmem::Finder;

/// Longest header of a frame, in bytes.
pub const MAX_HEADER: usize = 16;

/// The numbers of the frames of one stream so far.
#[derive(Default)]
pub struct FrameNumbers {
    /// First bytes of most frames, which state the format, once a frame has been seen.
    mark: Option<[u8; 4]>,
    last: Option<u64>,
}

impl FrameNumbers {
    /// Returns the first place in `bytes` before `end` where a frame has no higher number than the
    /// one before it. Each place must be looked at once.
    pub fn restart(&mut self, bytes: &[u8], end: usize) -> Option<usize> {
        let mut from = 0;
        while from < end {
            let rest = bytes.get(from..)?;
            let at = from
                + match &self.mark {
                    Some(mark) => Finder::new(mark).find(rest)?,
                    None => rest
                        .windows(2)
                        .position(|x| matches!(x, [0xff, 0xf8 | 0xf9]))?,
                };
            if at >= end {
                return None;
            }
            if let Some(number) = bytes.get(at..).and_then(number) {
                if self.mark.is_none() {
                    self.mark = bytes.get(at..).and_then(|x| x.first_chunk()).copied();
                }
                if self.last.is_some_and(|last| number <= last) {
                    return Some(at);
                }
                self.last = Some(number);
            }
            from = at + 1;
        }
        None
    }
}

/// Number in the header of a frame (RFC 9639, section 9.1); `None` if it is none.
fn number(bytes: &[u8]) -> Option<u64> {
    let [0xff, 0xf8 | 0xf9, sizes, format] = *bytes.first_chunk()? else {
        return None;
    };
    let (block, rate) = (sizes >> 4, sizes & 15);
    let is_valid = block > 0 && rate < 15 && format >> 4 < 11 && format & 1 == 0;
    let first = *bytes.get(4)?;
    // As UTF-8, of up to seven bytes.
    let len = match first.leading_ones() {
        0 => 1,
        n @ 2..=7 => n as usize,
        _ => return None,
    };
    let mut number = u64::from(first) & (0x7f >> first.leading_ones());
    for byte in bytes.get(5..4 + len)? {
        if byte >> 6 != 2 {
            return None;
        }
        number = number << 6 | u64::from(byte & 63);
    }
    let more_block = match block {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let more_rate = match rate {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let header_len = 4 + len + more_block + more_rate;
    let (crc, header) = bytes.get(..=header_len)?.split_last()?;
    (is_valid && crc8(header) == *crc).then_some(number)
}

/// Checksum with the polynomial x⁸ + x² + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    let shifted = |crc: u8, _| {
        if crc & 0x80 == 0 {
            crc << 1
        } else {
            crc << 1 ^ 7
        }
    };
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, shifted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u8) -> Vec<u8> {
        let mut frame = vec![0xff, 0xf8, 0xc9, 0x08, number];
        frame.push(crc8(&frame));
        [frame, vec![0x55; 50]].concat()
    }

    #[test]
    fn frames_that_begin_to_count_again_are_found() {
        let frames: Vec<u8> = [0, 1, 2, 0, 1].into_iter().flat_map(frame).collect();
        let mut numbers = FrameNumbers::default();
        assert_eq!(numbers.restart(&frames, 100), None);
        assert_eq!(
            numbers.restart(&frames[100..], frames.len() - 100),
            Some(68)
        );
        let mut damaged = frames.clone();
        damaged[56 * 3 + 5] ^= 1;
        let mut numbers = FrameNumbers::default();
        assert_eq!(numbers.restart(&damaged, damaged.len()), Some(56 * 4));
        assert_eq!(FrameNumbers::default().restart(b"fLaC", 4), None);
    }
}
