//! A safetensors file, opened: a path in, checked tensors borrowed from the mapped file out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::{Defect, ModelError};
use super::header::Header;
use super::mmap::Mapping;
use super::tensor::Tensor;

/// An open safetensors file. Tensors are read from disk as they are touched.
#[derive(Debug)]
pub struct TensorFile {
    map: Mapping,
    header: Header,
}

impl TensorFile {
    /// Opens the file at `path` and checks its header and ranges. The values are not read.
    ///
    /// # Errors
    /// When the file cannot be read or is no sound safetensors file; the error names the tensor or
    /// offset.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let map = Mapping::open(path)?;
        let header = Header::parse(&map).map_err(|d| d.of(path))?;
        Ok(Self { map, header })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// The metadata entry `key`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// When the file has none of that name.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, ModelError> {
        let missing = || Defect::new(format!("tensor {name} is missing")).of(self.path());
        let info = self.header.tensors.get(name).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let bytes = self.data().get(start..end).ok_or_else(missing)?;
        Ok(Tensor {
            dtype: info.dtype,
            shape: &info.shape,
            bytes,
        })
    }

    /// The values of tensor `name`, converted from F16, BF16 or F32; row-major.
    ///
    /// # Errors
    /// When there is no such tensor or it does not hold floating-point numbers.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let tensor = self.tensor(name)?;
        tensor.to_f32().ok_or_else(|| {
            let dtype = tensor.dtype;
            Defect::new(format!("tensor {name} is {dtype}, not a float type")).of(self.path())
        })
    }

    /// The bytes of a tensor, to be kept: they stay in the map of the file and are read from disk
    /// when touched.
    ///
    /// # Errors
    /// When there is no such tensor.
    pub fn shared(self: &Arc<Self>, name: &str) -> Result<Bytes, ModelError> {
        self.tensor(name)?;
        Ok(Bytes::from_owner(Mapped {
            file: self.clone(),
            name: name.to_owned(),
        }))
    }

    /// Lets go of the memory that a tensor takes; it is read from disk again when touched.
    pub fn release(&self, name: &str) {
        if let Some(tensor) = self.header.tensors.get(name) {
            let (start, end) = tensor.data_offsets;
            self.map
                .release(self.header.data_start + start..self.header.data_start + end);
        }
    }

    /// Reads the whole file and compares it with the checksum in its metadata.
    ///
    /// # Errors
    /// When the data has changed since it was written, or there is no checksum.
    pub fn verify(&self) -> Result<(), ModelError> {
        let actual = hex(&Sha256::digest(self.data()));
        match self.metadata("data_sha256") {
            Some(expected) if expected == actual => Ok(()),
            expected => Err(Defect::new(format!(
                "the data from offset {} on has sha256 {actual}, but the header says {}",
                self.header.data_start,
                expected.unwrap_or("nothing")
            ))
            .of(self.path())),
        }
    }

    /// The parsed header.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    fn data(&self) -> &[u8] {
        self.map.get(self.header.data_start..).unwrap_or_default()
    }
}

/// A tensor's bytes together with the file that holds them.
struct Mapped {
    file: Arc<TensorFile>,
    name: String,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.file
            .tensor(&self.name)
            .map_or(&[], |tensor| tensor.bytes)
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
