//! A tensor as it lies in a file, and its values as f32.

use half::{bf16, f16};
pub use safetensors::Dtype;

use super::error::Defect;

/// A tensor borrowed from a file: row-major, little-endian.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    /// The values' bytes: row-major, little-endian. In a model file they begin at a multiple of 64
    /// bytes if the tensor's size is one.
    pub bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The values as f32, in the order of the file; `None` when they are not F32, F16 or BF16.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self.dtype {
            Dtype::F32 => Some(words(self.bytes).map(f32::from_le_bytes).collect()),
            Dtype::F16 => Some(
                words(self.bytes)
                    .map(|b| f16::from_le_bytes(b).to_f32())
                    .collect(),
            ),
            Dtype::BF16 => Some(
                words(self.bytes)
                    .map(|b| bf16::from_le_bytes(b).to_f32())
                    .collect(),
            ),
            _ => None,
        }
    }
}

/// `bytes` in words of `N`; a shorter rest is left out.
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The bytes that a tensor of this type and shape takes.
///
/// # Errors
/// When the size overflows or is no whole number of bytes.
pub(crate) fn byte_size(dtype: Dtype, shape: &[usize]) -> Result<usize, Defect> {
    shape
        .iter()
        .try_fold(dtype.bitsize(), |bits, &n| bits.checked_mul(n))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8)
        .ok_or_else(|| Defect::new(format!("shape {shape:?} of {dtype} is impossible")))
}
