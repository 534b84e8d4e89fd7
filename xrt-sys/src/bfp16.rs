//! bfp16ebs8, the number format that an XDNA2 tile multiplies: 8 values of 8 bits that share an
//! exponent.
//!
//! `kernels/MANIFEST.md` defines it. A value is mantissa × 2^(exponent − 133). The exponent is the
//! largest biased `f32` exponent of the 8 values; the mantissa of that value has its leading bit at
//! 2⁶.

/// Number of values in a block.
pub const BLOCK: usize = 8;

/// Size of a block in memory, in bytes: the exponent, then the mantissas.
pub const BLOCK_BYTES: usize = 9;

/// Block of 8 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Largest biased exponent of the values.
    pub exponent: u8,
    /// The values in units of 2^(exponent − 133).
    pub mantissas: [i8; BLOCK],
}

impl Block {
    /// Rounds 8 values to nearest, ties to even, clamped to −128 … 127. An infinite value or NaN
    /// makes its whole block unusable, as on the device.
    pub fn round(values: [f32; BLOCK]) -> Self {
        let biased = |x: f32| (x.to_bits() >> 23 & 0xff) as u8;
        let mut exponent = 0;
        for x in values {
            exponent = exponent.max(biased(x));
        }
        // The quotient by a power of two is exact in f64, so rounding happens only once.
        let per_unit = (133.0 - f64::from(exponent)).exp2();
        let mantissa = |x: f32| {
            (f64::from(x) * per_unit)
                .round_ties_even()
                .clamp(-128.0, 127.0) as i8
        };
        Self {
            exponent,
            mantissas: values.map(mantissa),
        }
    }

    /// Returns the values of the block.
    pub fn values(self) -> [f32; BLOCK] {
        let unit = (f64::from(self.exponent) - 133.0).exp2() as f32;
        self.mantissas.map(|m| f32::from(m) * unit)
    }

    /// Returns the bytes of the block.
    pub fn to_bytes(self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [self.exponent; BLOCK_BYTES];
        for (to, m) in bytes[1..].iter_mut().zip(self.mantissas) {
            *to = m as u8;
        }
        bytes
    }

    /// Reads a block from its bytes.
    pub fn from_bytes([exponent, mantissas @ ..]: [u8; BLOCK_BYTES]) -> Self {
        Self {
            exponent,
            mantissas: mantissas.map(|m| m as i8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mantissas(values: [f32; 8]) -> [i8; 8] {
        Block::round(values).mantissas
    }

    /// If the largest value is 64 … 127, a unit is 1. The first three values are what amd/IRON's
    /// authors measured on hardware (`iron/operators/flm/packing.py`).
    #[test]
    fn values_round_as_measured_on_hardware() {
        let block = Block::round([14.9375, 106.5, 94.5, -106.5, 0.5, 1.5, -0.5, 0.75]);
        assert_eq!(block.exponent, 133);
        assert_eq!(block.mantissas, [15, 106, 94, -106, 0, 2, 0, 1]);
        assert_eq!(
            block.values(),
            [15.0, 106.0, 94.0, -106.0, 0.0, 2.0, 0.0, 1.0]
        );
    }

    #[test]
    fn the_bytes_are_the_exponent_and_then_the_mantissas() {
        let block = Block::round([1.0, -1.0, 0.5, 0.25, 0.0, 1.984_375, -0.015_625, 0.007]);
        let bytes = [127, 64, 192, 32, 16, 0, 127, 255, 0];
        assert_eq!(block.to_bytes(), bytes);
        assert_eq!(Block::from_bytes(bytes), block);
    }

    #[test]
    fn a_carry_is_held_and_small_values_beside_a_large_one_vanish() {
        assert_eq!(
            mantissas([1.999, -1.999, 1e-4, 0.0, 0.0, 0.0, 0.0, 0.0]),
            [127, -128, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            Block::round([0.0; 8]),
            Block {
                exponent: 0,
                mantissas: [0; 8]
            }
        );
    }

    #[test]
    fn the_exponent_is_that_of_the_largest_wherever_it_stands() {
        for place in 0..8 {
            let mut values = [1.0; 8];
            values[place] = -100.0;
            let block = Block::round(values);
            assert_eq!((block.exponent, block.mantissas[place]), (133, -100));
            let ones = block.mantissas.iter().filter(|m| **m == 1).count();
            assert_eq!(ones, 7);
        }
    }
}
