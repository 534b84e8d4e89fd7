//! Tensors of an open model file in the forms that the engine keeps.

use super::error::Defect;
use super::tensor::{Dtype, Tensor};
use super::{ModelError, ModelFile};

impl ModelFile {
    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensor(name).is_ok()
    }

    /// The values of an I32 tensor.
    ///
    /// # Errors
    /// When there is no such tensor or it holds something else.
    pub fn i32(&self, name: &str) -> Result<Vec<i32>, ModelError> {
        Ok(super::tensor::words(self.of_type(name, Dtype::I32)?)
            .map(i32::from_le_bytes)
            .collect())
    }

    /// The values of a U32 tensor.
    ///
    /// # Errors
    /// When there is no such tensor or it holds something else.
    pub fn u32(&self, name: &str) -> Result<Vec<u32>, ModelError> {
        Ok(super::tensor::words(self.of_type(name, Dtype::U32)?)
            .map(u32::from_le_bytes)
            .collect())
    }

    fn of_type(&self, name: &str, dtype: Dtype) -> Result<&[u8], ModelError> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != dtype {
            return Err(
                Defect::new(format!("tensor {name} is {}, not {dtype}", tensor.dtype()))
                    .of(self.path()),
            );
        }
        Ok(tensor.bytes)
    }

    /// Checks that a tensor has this shape.
    ///
    /// # Errors
    /// When there is no such tensor or it has another shape.
    pub fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<(), ModelError> {
        let given = self.tensor(name)?.shape();
        if given == shape {
            return Ok(());
        }
        Err(Defect::new(format!(
            "tensor {name} has shape {given:?} instead of {shape:?}"
        ))
        .of(self.path()))
    }

    /// Row `row` of a matrix of floating-point numbers; `None` where there is none.
    pub fn f32_row(&self, name: &str, row: usize) -> Option<Vec<f32>> {
        let tensor = self.tensor(name).ok()?;
        let &[rows, cols] = tensor.shape() else {
            return None;
        };
        let len = tensor.bytes.len() / rows.max(1);
        let bytes = tensor.bytes.get(row.checked_mul(len)?..)?.get(..len)?;
        Tensor {
            dtype: tensor.dtype(),
            shape: &[cols],
            bytes,
        }
        .to_f32()
    }
}
