//! The configuration of AAC (`AudioSpecificConfig`, ISO/IEC 14496-3, section 1.6.2.1).
//!
//! HE-AAC is a core of ordinary AAC ("low complexity") at half the rate, with instructions that add
//! the upper half of the spectrum (SBR) and a second channel (PS). The core alone reaches 8 kHz and
//! higher at any usual rate, all that speech recognition uses, so only the core is decoded.

/// Kinds of object: low complexity, and it with SBR, and with SBR and PS.
const LOW_COMPLEXITY: u32 = 2;
const SBR: u32 = 5;
const PS: u32 = 29;
/// Index that announces a rate in full.
const RATE_IN_FULL: u32 = 15;

/// Returns the configuration of the core; `None` if the core is not of low complexity.
pub fn core_config(config: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Bits::new(config);
    let mut object = bits.take(5)?;
    let index = bits.take(4)?;
    let rate = if index == RATE_IN_FULL {
        bits.take(24)?
    } else {
        0
    };
    let channels = bits.take(4)?;
    if object == SBR || object == PS {
        if bits.take(4)? == RATE_IN_FULL {
            bits.take(24)?;
        }
        object = bits.take(5)?;
    }
    if object != LOW_COMPLEXITY {
        return None;
    }
    let has_short_frames = bits.take(1).unwrap_or(0);
    let mut core = BitWriter::default();
    core.put(LOW_COMPLEXITY, 5);
    core.put(index, 4);
    if index == RATE_IN_FULL {
        core.put(rate, 24);
    }
    core.put(channels, 4);
    core.put(has_short_frames, 1);
    // Neither a core coder before it nor extensions.
    core.put(0, 2);
    Some(core.bytes)
}

/// Reader of bits, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, n: usize) -> Option<u32> {
        (0..n).try_fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }
}

/// Writer of bits, the highest first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    n: usize,
}

impl BitWriter {
    fn put(&mut self, value: u32, n: usize) {
        for i in (0..n).rev() {
            if self.n.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> i & 1) as u8) << (7 - self.n % 8);
            }
            self.n += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_of_every_kind_is_found() {
        // Low complexity, 16 kHz, mono.
        assert_eq!(core_config(&[0x14, 0x08]), Some(vec![0x14, 0x08]));
        // SBR, core at 22.05 kHz, stereo, output at 44.1 kHz.
        assert_eq!(
            core_config(&[0x2b, 0x92, 0x08, 0x00]),
            Some(vec![0x13, 0x90])
        );
        // PS, core at 24 kHz, mono, output at 48 kHz.
        assert_eq!(
            core_config(&[0xeb, 0x09, 0x88, 0x00]),
            Some(vec![0x13, 0x08])
        );
        // Low complexity whose SBR is announced behind it.
        assert_eq!(
            core_config(&[0x13, 0x90, 0x56, 0xe5, 0xa0]),
            Some(vec![0x13, 0x90])
        );
        // Main profile; USAC; nothing.
        assert_eq!(core_config(&[0x0a, 0x10]), None);
        assert_eq!(core_config(&[0xf9, 0x46, 0x40]), None);
        assert_eq!(core_config(&[0x14]), None);
    }
}
