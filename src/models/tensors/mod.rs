//! Safetensors files: a path in, checked tensors borrowed from the mapped file out; and tensors in,
//! an aligned file out ([`write()`]).

mod header;
mod mmap;
mod write;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use half::{bf16, f16};
pub use safetensors::Dtype;
use sha2::{Digest, Sha256};

use super::error::{Defect, ModelError};
pub(crate) use header::Header;
pub(crate) use mmap::Mapping;
pub(crate) use write::{Entry, write};

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
    /// Returns an error if the file cannot be read or is not a valid safetensors file; it names the
    /// tensor or offset.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let map = Mapping::open(path)?;
        let header = Header::parse(&map).map_err(|d| d.of(path))?;
        Ok(Self { map, header })
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// Size of the file in bytes.
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
    /// Returns an error if the file has no tensor of that name.
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
    /// Returns an error if there is no such tensor or it does not hold floating-point numbers.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let tensor = self.tensor(name)?;
        tensor.to_f32().ok_or_else(|| {
            let dtype = tensor.dtype;
            Defect::new(format!("tensor {name} is {dtype}, not a float type")).of(self.path())
        })
    }

    /// The bytes of a tensor, which keep the file mapped. They are read from disk as they are
    /// touched.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor.
    pub fn shared(self: &Arc<Self>, name: &str) -> Result<Bytes, ModelError> {
        self.tensor(name)?;
        Ok(Bytes::from_owner(Mapped {
            file: self.clone(),
            name: name.to_owned(),
        }))
    }

    /// Releases the memory of a tensor; its bytes are read from disk again when touched.
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
    /// Returns an error if the data has changed since it was written, or there is no checksum.
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
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    fn data(&self) -> &[u8] {
        self.map.get(self.header.data_start..).unwrap_or_default()
    }
}

/// A tensor's bytes and the file that holds them.
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

/// A tensor borrowed from a file: row-major, little-endian.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    /// Row-major, little-endian. In a model file they begin at a multiple of 64 bytes if the size of
    /// the tensor is one.
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

    /// The values as f32, in the order of the file; `None` unless they are F32, F16 or BF16.
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

/// Splits `bytes` into words of `N` bytes; an incomplete last word is dropped.
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Size in bytes of a tensor of this type and shape.
///
/// # Errors
/// Returns an error if the size overflows or is not an integer.
pub(crate) fn byte_size(dtype: Dtype, shape: &[usize]) -> Result<usize, Defect> {
    shape
        .iter()
        .try_fold(dtype.bitsize(), |bits, &n| bits.checked_mul(n))
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8)
        .ok_or_else(|| Defect::new(format!("shape {shape:?} of {dtype} is impossible")))
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
