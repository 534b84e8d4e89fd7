//! Tensors of an open model file in the forms that the engine keeps.

use super::error::Defect;
use super::tensor::{Dtype, Tensor};
use super::{ModelError, ModelFile};
use bytes::Bytes;
use std::sync::Arc;

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
        Ok(super::tensor::words(self.of_type(name, Dtype::I32)?).map(i32::from_le_bytes).collect())
    }

    /// The values of a U32 tensor.
    ///
    /// # Errors
    /// When there is no such tensor or it holds something else.
    pub fn u32(&self, name: &str) -> Result<Vec<u32>, ModelError> {
        Ok(super::tensor::words(self.of_type(name, Dtype::U32)?).map(u32::from_le_bytes).collect())
    }

    fn of_type(&self, name: &str, dtype: Dtype) -> Result<&[u8], ModelError> {
        let tensor = self.tensor(name)?;
        if tensor.dtype() != dtype {
            return Err(Defect::new(format!("tensor {name} is {}, not {dtype}", tensor.dtype())).of(self.path()));
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
        Err(Defect::new(format!("tensor {name} has shape {given:?} instead of {shape:?}")).of(self.path()))
    }

    /// Row `row` of a matrix of floating-point numbers; `None` where there is none.
    pub fn f32_row(&self, name: &str, row: usize) -> Option<Vec<f32>> {
        let tensor = self.tensor(name).ok()?;
        let &[rows, cols] = tensor.shape() else { return None };
        let len = tensor.bytes.len() / rows.max(1);
        let bytes = tensor.bytes.get(row.checked_mul(len)?..)?.get(..len)?;
        Tensor { dtype: tensor.dtype(), shape: &[cols], bytes }.to_f32()
    }

    /// Lets go of the memory that a tensor takes; it is read from disk again when touched.
    pub fn release(&self, name: &str) {
        if let Some(tensor) = self.header().tensors.get(name) {
            let (start, end) = tensor.data_offsets;
            self.map().release(self.header().data_start + start..self.header().data_start + end);
        }
    }

    /// The bytes of a tensor, to be kept: they stay in the map of the file and are read from disk when touched.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn shared(self: &Arc<Self>, name: &str) -> Result<Bytes, ModelError> {
        self.tensor(name)?;
        Ok(Bytes::from_owner(Mapped { file: self.clone(), name: name.to_owned() }))
    }
}

/// A tensor's bytes together with the file that holds them.
struct Mapped {
    file: Arc<ModelFile>,
    name: String,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.file.tensor(&self.name).map_or(&[], |tensor| tensor.bytes)
    }
}
