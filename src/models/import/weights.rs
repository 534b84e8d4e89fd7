//! Tensors of a source: ranges of its mapped files in, values out, decoded on demand.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use ndarray::{ArrayViewD, IxDyn, ShapeBuilder};
use safetensors::Dtype;

use crate::models::error::Defect;
use crate::models::tensors::Mapping;
use crate::models::tensors::{Tensor, byte_size};

use super::ggml_blocks::Blocks;

/// How a tensor's values are stored in the source.
#[derive(Debug, Clone)]
pub(crate) enum Encoding {
    /// Floating-point numbers: F16, BF16 or F32.
    Plain(Dtype),
    /// Floating-point numbers in an order other than row-major, such as those of a transposed
    /// tensor.
    Strided {
        /// Type of the numbers.
        dtype: Dtype,
        /// Dimensions, outermost first.
        shape: Vec<usize>,
        /// Distance of neighbours along each dimension, in values.
        strides: Vec<usize>,
    },
    /// ggml's blocks of 32 values.
    Blocks(Blocks),
    /// int8 with one divisor per row (CTranslate2): value = q / divisor.
    Rows(Vec<f32>),
}

/// A tensor in a source file.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    map: Arc<Mapping>,
    range: Range<usize>,
    encoding: Encoding,
    shape: Vec<usize>,
}

impl Weights {
    /// The tensor at `offset` of `map`.
    ///
    /// # Errors
    /// Returns an error if it exceeds the file.
    pub(crate) fn new(
        map: &Arc<Mapping>,
        offset: usize,
        encoding: Encoding,
        shape: Vec<usize>,
    ) -> Result<Self, Defect> {
        let size = match &encoding {
            Encoding::Plain(dtype) => byte_size(*dtype, &shape)?,
            Encoding::Strided {
                dtype,
                shape,
                strides,
            } => byte_size(*dtype, &[extent(shape, strides)?])?,
            Encoding::Blocks(blocks) => blocks.byte_size(&shape)?,
            Encoding::Rows(_) => byte_size(Dtype::I8, &shape)?,
        };
        let range = offset
            .checked_add(size)
            .filter(|&end| end <= map.len())
            .map(|end| offset..end)
            .ok_or_else(|| {
                let len = map.len();
                Defect::new(format!(
                    "{size} bytes at offset {offset} are beyond the end of the file at {len}"
                ))
            })?;
        Ok(Self {
            map: Arc::clone(map),
            range,
            encoding,
            shape,
        })
    }

    /// Dimensions, outermost first.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Size of the tensor in its file, in bytes.
    pub(crate) fn stored_size(&self) -> usize {
        self.range.len()
    }

    /// The same values in a different shape.
    ///
    /// # Errors
    /// Returns an error if the number of values differs.
    pub(crate) fn reshaped(mut self, shape: &[usize]) -> Result<Self, Defect> {
        let count = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        if count(shape) != count(&self.shape) {
            return Err(Defect::new(format!(
                "its shape is {:?}, but {shape:?} is expected",
                self.shape
            )));
        }
        self.shape = shape.to_vec();
        Ok(self)
    }

    /// Part `index` of `parts` equal parts along the first dimension.
    ///
    /// # Errors
    /// Returns an error if the first dimension does not divide into them, or if the values are not
    /// stored row by row.
    pub(crate) fn part(&self, index: usize, parts: usize) -> Result<Self, Defect> {
        let rows = self.shape.first().copied().unwrap_or(0);
        let is_strided = matches!(self.encoding, Encoding::Strided { .. });
        if rows % parts != 0 || index >= parts || is_strided {
            return Err(Defect::new(format!(
                "its shape {:?} does not divide into {parts} parts",
                self.shape
            )));
        }
        let mut part = self.clone();
        if let Some(first) = part.shape.first_mut() {
            *first = rows / parts;
        }
        let size = self.range.len() / parts;
        part.range = self.range.start + index * size..self.range.start + (index + 1) * size;
        if let Encoding::Rows(divisors) = &self.encoding {
            let n = divisors.len() / parts;
            part.encoding =
                Encoding::Rows(divisors.iter().skip(index * n).take(n).copied().collect());
        }
        Ok(part)
    }

    /// The values, row-major.
    ///
    /// # Errors
    /// Returns an error if a value is not finite: weights of Whisper are.
    pub(crate) fn f32(&self) -> Result<Vec<f32>, Defect> {
        let bytes = self.map.get(self.range.clone()).unwrap_or_default();
        let values = match &self.encoding {
            Encoding::Plain(dtype) => floats(bytes, *dtype)?,
            Encoding::Strided {
                dtype,
                shape,
                strides,
            } => {
                let values = floats(bytes, *dtype)?;
                let layout = IxDyn(shape).strides(IxDyn(strides));
                ArrayViewD::from_shape(layout, &values)
                    .map_err(|e| Defect::new(format!("strides {strides:?} of {shape:?}: {e}")))?
                    .iter()
                    .copied()
                    .collect()
            }
            Encoding::Blocks(blocks) => blocks.decode(bytes),
            Encoding::Rows(divisors) => rows(bytes, divisors),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(Defect::new(format!(
                "value {i} is {}",
                values.get(i).unwrap_or(&f32::NAN)
            ))),
            None => Ok(values),
        }
    }

    /// The type to store the values in: F16 if that is exact, else F32.
    ///
    /// # Errors
    /// Returns an error if a value is not finite.
    pub(crate) fn stored_dtype(&self) -> Result<Dtype, Defect> {
        let exact = |&v: &f32| f16::from_f32(v).to_f32() == v;
        let values = self.f32()?;
        Ok(if values.iter().all(exact) {
            Dtype::F16
        } else {
            Dtype::F32
        })
    }
}

/// Number of values from the first to the last of a strided tensor.
fn extent(shape: &[usize], strides: &[usize]) -> Result<usize, Defect> {
    let last = shape
        .iter()
        .zip(strides)
        .try_fold(0usize, |last, (n, stride)| {
            last.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
        });
    last.and_then(|last| last.checked_add(1))
        .ok_or_else(|| Defect::new(format!("strides {strides:?} of shape {shape:?} are absurd")))
}

/// Floating-point numbers in the order in which they are stored.
fn floats(bytes: &[u8], dtype: Dtype) -> Result<Vec<f32>, Defect> {
    let tensor = Tensor {
        dtype,
        shape: &[],
        bytes,
    };
    tensor
        .to_f32()
        .ok_or_else(|| Defect::new(format!("{dtype} is not a float type")))
}

/// int8 values divided by the divisor of their row.
fn rows(bytes: &[u8], divisors: &[f32]) -> Vec<f32> {
    let width = (bytes.len() / divisors.len().max(1)).max(1);
    let rows = bytes.chunks_exact(width).zip(divisors);
    rows.flat_map(|(row, divisor)| {
        row.iter()
            .map(move |&b| f32::from(b.cast_signed()) / divisor)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor of F32 values 0, 1, 2, … of the given layout.
    fn strided(n: usize, shape: &[usize], strides: &[usize]) -> Result<Vec<f32>, Defect> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let bytes: Vec<u8> = (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect();
        std::fs::write(file.path(), bytes).expect("a file");
        let map = Arc::new(Mapping::open(file.path()).expect("a file"));
        let encoding = Encoding::Strided {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        Weights::new(&map, 0, encoding, shape.to_vec())?.f32()
    }

    #[test]
    fn permuted_and_strided_tensors_are_read_in_row_major_order() {
        let transposed = strided(6, &[3, 2], &[1, 3]);
        assert_eq!(transposed, Ok(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        let every_other = strided(8, &[2, 2], &[4, 2]);
        assert_eq!(every_other, Ok(vec![0.0, 2.0, 4.0, 6.0]));
        let expanded = strided(2, &[2, 2], &[0, 1]);
        assert_eq!(expanded, Ok(vec![0.0, 1.0, 0.0, 1.0]));
    }

    #[test]
    fn strides_beyond_the_file_are_defects() {
        assert!(strided(6, &[3, 2], &[2, 3]).is_err());
        assert!(strided(6, &[3, 2], &[usize::MAX, 1]).is_err());
    }
}
