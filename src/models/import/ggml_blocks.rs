//! ggml's quantised blocks of 32 values, in the layout of the ggml library's `ggml-common.h`.

use half::f16;

use crate::models::error::Defect;

/// Values in a block (`QK8_0`, `QK5_0`, `QK4_0`, … are all 32).
const BLOCK: usize = 32;

/// A quantised format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// 4 bits, scale: (q − 8)·d.
    Q4_0,
    /// 4 bits, scale and minimum: q·d + m.
    Q4_1,
    /// 5 bits, scale: (q − 16)·d.
    Q5_0,
    /// 5 bits, scale and minimum: q·d + m.
    Q5_1,
    /// 8 bits, scale: q·d.
    Q8_0,
}

impl Blocks {
    /// Bytes of a block: f16 scale, then f16 minimum and u32 of fifth bits if the format has them,
    /// then the low bits.
    fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 4 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 4 + 4 + 16,
            Self::Q8_0 => 2 + 32,
        }
    }

    /// Size in bytes of a tensor of `shape`.
    ///
    /// # Errors
    /// Returns an error if its rows do not divide into blocks.
    pub(crate) fn byte_size(self, shape: &[usize]) -> Result<usize, Defect> {
        let count = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        count
            .filter(|_| shape.last().is_some_and(|width| width % BLOCK == 0))
            .and_then(|n| (n / BLOCK).checked_mul(self.block_bytes()))
            .ok_or_else(|| {
                Defect::new(format!(
                    "shape {shape:?} is not made of {self:?} blocks of {BLOCK}"
                ))
            })
    }

    /// Decodes whole blocks.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let blocks = bytes.chunks_exact(self.block_bytes());
        let mut values = Vec::with_capacity(blocks.len() * BLOCK);
        for block in blocks {
            self.decode_block(block, &mut values);
        }
        values
    }

    fn decode_block(self, block: &[u8], values: &mut Vec<f32>) {
        let (d, rest) = half(block);
        match self {
            Self::Q8_0 => values.extend(rest.iter().map(|&q| f32::from(q.cast_signed()) * d)),
            Self::Q4_0 => values.extend(nibbles(rest, 0).map(|q| (q - 8.0) * d)),
            Self::Q4_1 => {
                let (m, rest) = half(rest);
                values.extend(nibbles(rest, 0).map(|q| q * d + m));
            }
            Self::Q5_0 => {
                let (high, rest) = fifth_bits(rest);
                values.extend(nibbles(rest, high).map(|q| (q - 16.0) * d));
            }
            Self::Q5_1 => {
                let (m, rest) = half(rest);
                let (high, rest) = fifth_bits(rest);
                values.extend(nibbles(rest, high).map(|q| q * d + m));
            }
        }
    }
}

/// Splits off the f16 at the start of `bytes`.
fn half(bytes: &[u8]) -> (f32, &[u8]) {
    bytes
        .split_first_chunk()
        .map_or((0.0, bytes), |(&h, rest)| {
            (f16::from_le_bytes(h).to_f32(), rest)
        })
}

/// Splits off the u32 of fifth bits at the start of `bytes`.
fn fifth_bits(bytes: &[u8]) -> (u32, &[u8]) {
    bytes
        .split_first_chunk()
        .map_or((0, bytes), |(&h, rest)| (u32::from_le_bytes(h), rest))
}

/// The low nibbles of all bytes, then the high ones, each with its bit of `fifth` as bit 4.
fn nibbles(bytes: &[u8], fifth: u32) -> impl Iterator<Item = f32> + '_ {
    let low = bytes.iter().map(|b| b & 0xf);
    let high = bytes.iter().map(|b| b >> 4);
    low.chain(high)
        .zip(0u32..)
        .map(move |(q, i)| f32::from(q | (((fifth >> i) & 1) as u8) << 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block whose scale is 0.5, minimum 2, fifth bits set for the odd values, and bytes 0, 1, 2,
    /// ….
    fn block(format: Blocks) -> Vec<u8> {
        let mut bytes = f16::from_f32(0.5).to_le_bytes().to_vec();
        if matches!(format, Blocks::Q4_1 | Blocks::Q5_1) {
            bytes.extend(f16::from_f32(2.0).to_le_bytes());
        }
        if matches!(format, Blocks::Q5_0 | Blocks::Q5_1) {
            bytes.extend(0xaaaa_aaaa_u32.to_le_bytes());
        }
        let rest = format.block_bytes() - bytes.len();
        bytes.extend((0..rest as u8).map(|b| b.wrapping_mul(0x31)));
        bytes
    }

    #[test]
    fn values_follow_the_formulas() {
        // Byte 1 is 0x31 and byte 15 is 0xdf: values 1, 17, 15 and 31 are 0x1, 0x3, 0xf and 0xd.
        let at = |format: Blocks| {
            let values = format.decode(&block(format));
            assert_eq!(values.len(), BLOCK);
            [values[1], values[17], values[15], values[31]]
        };
        assert_eq!(at(Blocks::Q4_0), [-3.5, -2.5, 3.5, 2.5]);
        assert_eq!(at(Blocks::Q4_1), [2.5, 3.5, 9.5, 8.5]);
        assert_eq!(at(Blocks::Q5_0), [0.5, 1.5, 7.5, 6.5]);
        assert_eq!(at(Blocks::Q5_1), [10.5, 11.5, 17.5, 16.5]);
        assert_eq!(at(Blocks::Q8_0)[..2], [24.5, 32.5]);
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(Blocks::Q8_0.byte_size(&[3, 64]), Ok(204));
        assert!(Blocks::Q8_0.byte_size(&[64, 3]).is_err());
        assert!(Blocks::Q5_1.byte_size(&[usize::MAX, 32]).is_err());
    }
}
