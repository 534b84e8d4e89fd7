//! Hearken's model file, opened: a path in, checked tensors borrowed from the mapped file out.
//!
//! The file is a safetensors file; `models/MODEL.md` lists its metadata and tensors.

mod inspect;
pub(crate) mod layout;
mod random;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::{Array, ArrayD, Dimension};
use serde::de::DeserializeOwned;

use super::Dims;
use super::error::{Defect, ModelError};
use super::tensors::{Dtype, Header, Tensor, TensorFile, words};

pub use inspect::{Int8Report, TensorReport, inspect};
pub use random::write_random;

/// `format` in the metadata of every model file.
pub(crate) const FORMAT: &str = "hearken-model";
/// `version` in the metadata: raised when older files can no longer be used.
pub(crate) const VERSION: u32 = 2;

/// An open model file. Tensors are read from disk as they are touched.
#[derive(Debug)]
pub struct ModelFile {
    file: Arc<TensorFile>,
    dims: Dims,
}

impl ModelFile {
    /// Opens the model file at `path` and checks its structure: header, ranges, dimensions, and
    /// that every tensor of the model is present in its shape. The values are not read; tensors
    /// that the model does not need are ignored.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, was made by an earlier version or is not a valid
    /// model file; it names the tensor or offset.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = Arc::new(TensorFile::open(path)?);
        if is_outdated(file.header()) {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            return Err(ModelError::Outdated {
                path: path.to_owned(),
                name,
            });
        }
        let dims = checked_dims(file.header()).map_err(|d| d.of(path))?;
        let file = Self { file, dims };
        file.check_tensors().map_err(|d| d.of(path))?;
        Ok(file)
    }

    /// The model's dimensions.
    pub fn dims(&self) -> &Dims {
        &self.dims
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// The metadata entry `key`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.file.metadata(key)
    }

    /// The token ids that OpenAI's decoding suppresses by default (`suppress_tokens="-1"`),
    /// ascending.
    ///
    /// # Errors
    /// Returns an error if they are missing from the metadata.
    pub fn suppress_tokens(&self) -> Result<Vec<u32>, ModelError> {
        json_metadata(self.header(), "suppress_tokens").map_err(|d| d.of(self.path()))
    }

    /// The cross-attention heads, as [layer, head], that follow the time of the audio; empty if they
    /// are unknown.
    pub fn alignment_heads(&self) -> Vec<[usize; 2]> {
        json_metadata(self.header(), "alignment_heads").unwrap_or_default()
    }

    /// Names of all tensors, including derived ones, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header().tensors.keys().map(String::as_str)
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// Returns an error if the file has no tensor of that name.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ModelError> {
        self.file.tensor(name)
    }

    /// The values of tensor `name`, converted from F16, BF16 or F32; row-major.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor or it does not hold floating-point numbers.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.file.f32(name)
    }

    /// The bytes of a tensor, which keep the file mapped. They are read from disk as they are
    /// touched.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor.
    pub fn shared(&self, name: &str) -> Result<Bytes, ModelError> {
        self.file.shared(name)
    }

    /// Releases the memory of a tensor; its bytes are read from disk again when touched.
    pub fn release(&self, name: &str) {
        self.file.release(name);
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensor(name).is_ok()
    }

    /// The values of an I32 tensor.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor or it has a different type.
    pub fn i32(&self, name: &str) -> Result<Vec<i32>, ModelError> {
        Ok(words(self.of_type(name, Dtype::I32)?)
            .map(i32::from_le_bytes)
            .collect())
    }

    /// The values of a U32 tensor.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor or it has a different type.
    pub fn u32(&self, name: &str) -> Result<Vec<u32>, ModelError> {
        Ok(words(self.of_type(name, Dtype::U32)?)
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
    /// Returns an error if there is no such tensor or it has a different shape.
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

    /// The values of tensor `name`, converted from F16, BF16 or F32, in the tensor's shape.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor, it does not hold floating-point numbers, or it
    /// has a different number of axes.
    pub fn array<D: Dimension>(&self, name: &str) -> Result<Array<f32, D>, ModelError> {
        let shape = self.tensor(name)?.shape();
        ArrayD::from_shape_vec(shape, self.f32(name)?)
            .and_then(ArrayD::into_dimensionality)
            .map_err(|e| {
                Defect::new(format!("tensor {name} of shape {shape:?}: {e}")).of(self.path())
            })
    }

    /// Row `row` of a matrix of floating-point numbers; `None` if there is no such row.
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

    /// Reads the whole file and compares it with the checksum in its metadata.
    ///
    /// # Errors
    /// Returns an error if the data has changed since it was written, or there is no checksum.
    pub fn verify(&self) -> Result<(), ModelError> {
        self.file.verify()
    }

    /// The parsed header.
    pub(crate) fn header(&self) -> &Header {
        self.file.header()
    }

    fn check_tensors(&self) -> Result<(), Defect> {
        for (name, shape) in layout::tensors(&self.dims) {
            self.check_tensor(&name, &[Dtype::F16, Dtype::BF16, Dtype::F32], Some(&shape))?;
        }
        self.check_tensor("vocab.bytes", &[Dtype::U8], None)?;
        self.check_tensor(
            "vocab.offsets",
            &[Dtype::U32],
            Some(&[self.dims.n_vocab + 1]),
        )
    }

    fn check_tensor(
        &self,
        name: &str,
        dtypes: &[Dtype],
        shape: Option<&[usize]>,
    ) -> Result<(), Defect> {
        let info = self.header().tensors.get(name);
        let info = info.ok_or_else(|| Defect::new(format!("tensor {name} is missing")))?;
        if !dtypes.contains(&info.dtype) {
            let dtype = info.dtype;
            return Err(Defect::new(format!(
                "tensor {name} is {dtype}, but {dtypes:?} is expected"
            )));
        }
        if let Some(shape) = shape.filter(|&shape| shape != info.shape) {
            return Err(Defect::new(format!(
                "tensor {name} has shape {:?}, but the dimensions require {shape:?}",
                info.shape
            )));
        }
        Ok(())
    }
}

/// Whether an earlier version made this model file.
fn is_outdated(header: &Header) -> bool {
    let is = |key: &str, test: &dyn Fn(&str) -> bool| {
        header.metadata.get(key).is_some_and(|value| test(value))
    };
    let earlier = |version: &str| version.parse().is_ok_and(|number: u32| number < VERSION);
    is("format", &|format| format == FORMAT) && is("version", &earlier)
}

/// The dimensions in the metadata, after checking that this is a model file at all.
fn checked_dims(header: &Header) -> Result<Dims, Defect> {
    for (key, expected) in [("format", FORMAT), ("version", &VERSION.to_string())] {
        let actual = header.metadata.get(key).map_or("nothing", String::as_str);
        if actual != expected {
            return Err(Defect::new(format!(
                "the metadata's {key} is {actual}, but {expected} is expected (other weights: `hearken models import`)"
            )));
        }
    }
    let dims = json_metadata(header, "dims")?;
    layout::check_dims(&dims)?;
    Ok(dims)
}

fn json_metadata<T: DeserializeOwned>(header: &Header, key: &str) -> Result<T, Defect> {
    let text = header.metadata.get(key);
    let text = text.ok_or_else(|| Defect::new(format!("{key} is missing from the metadata")))?;
    serde_json::from_str(text).map_err(|e| Defect::new(format!("{key} in the metadata: {e}")))
}
