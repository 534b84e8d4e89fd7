//! Hearken's model file, opened: a path in, checked tensors borrowed from the mapped file out.
//!
//! The file is a safetensors file; `models/MODEL.md` lists its metadata and tensors.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::Dims;
use super::error::{Defect, ModelError};
use super::header::Header;
use super::layout;
use super::tensor::{Dtype, Tensor};
use super::tensor_file::TensorFile;

/// `format` in the metadata of every model file.
pub(crate) const FORMAT: &str = "hearken-model";
/// `version` in the metadata: raised when an older file no longer serves.
pub(crate) const VERSION: u32 = 2;

/// An open model file. Cheap to share by `Arc`; tensors are read from disk as they are touched.
#[derive(Debug)]
pub struct ModelFile {
    file: Arc<TensorFile>,
    dims: Dims,
}

impl ModelFile {
    /// Opens the model file at `path` and checks its structure: header, ranges, dimensions, and
    /// that every tensor of the model is there in its shape. The values are not read.
    ///
    /// # Errors
    /// When the file cannot be read, was made by an earlier version or is no sound model file; the
    /// error names the tensor or offset.
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

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file's size in bytes.
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
    /// When the metadata lacks them.
    pub fn suppress_tokens(&self) -> Result<Vec<u32>, ModelError> {
        json_metadata(self.header(), "suppress_tokens").map_err(|d| d.of(self.path()))
    }

    /// The cross-attention heads, as [layer, head], that follow the audio's time; empty when they
    /// are not known.
    pub fn alignment_heads(&self) -> Vec<[usize; 2]> {
        json_metadata(self.header(), "alignment_heads").unwrap_or_default()
    }

    /// The tensors' names, sorted; derived ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header().tensors.keys().map(String::as_str)
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// When the file has none of that name.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ModelError> {
        self.file.tensor(name)
    }

    /// The values of tensor `name`, converted from F16, BF16 or F32; row-major.
    ///
    /// # Errors
    /// When there is no such tensor or it does not hold floating-point numbers.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.file.f32(name)
    }

    /// The bytes of a tensor, to be kept: they stay in the map of the file and are read from disk
    /// when touched.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn shared(&self, name: &str) -> Result<Bytes, ModelError> {
        self.file.shared(name)
    }

    /// Lets go of the memory that a tensor takes; it is read from disk again when touched.
    pub fn release(&self, name: &str) {
        self.file.release(name);
    }

    /// Reads the whole file and compares it with the checksum in its metadata.
    ///
    /// # Errors
    /// When the data has changed since it was written, or there is no checksum.
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
                "tensor {name} has shape {:?}, but the dimensions demand {shape:?}",
                info.shape
            )));
        }
        Ok(())
    }
}

/// Whether this is a model file as an earlier version made it.
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
    let text = text.ok_or_else(|| Defect::new(format!("the metadata lacks {key}")))?;
    serde_json::from_str(text).map_err(|e| Defect::new(format!("{key} in the metadata: {e}")))
}
