//! Models: the weights on disk.
//!
//! In: a model's name. Out: its open file. [`Manifest`] lists the models that can be fetched,
//! [`fetch()`] downloads them, [`import()`] converts other formats into the one model file that
//! [`ModelFile`] opens, and [`Store`] is the directory that keeps them.
//!
//! ```text
//! manifest ──► fetch ──► import ──► model file ◄── store
//!                          ▲           │
//!     weights on this machine          ▼ tensors
//! ```

mod dims;
mod error;
#[cfg(feature = "fetch")]
mod fetch;
mod file;
mod import;
mod manifest;
mod store;
mod tensors;

pub use dims::{Dims, SAMPLES_PER_POSITION};
pub use error::{Defect, ModelError, PrepareError};
#[cfg(feature = "fetch")]
pub use fetch::{Fetched, fetch, is_offline};
#[cfg(test)]
pub(crate) use file::VERSION;
pub(crate) use file::write_random;
pub use file::{Int8Report, ModelFile, TensorReport, inspect};
#[cfg(test)]
pub(crate) use import::synthetic;
pub use import::{NewTensor, Origin, Prepare, import};
pub use manifest::{Manifest, Model, Source};
pub(crate) use store::npu_weights;
pub(crate) use store::part_of;
pub use store::{Lock, Store};
pub use tensors::{Dtype, Tensor, TensorFile};
pub(crate) use tensors::{Entry, write as write_tensors};

/// Progress of a long operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Done {
    /// A share, 0 to 1.
    Share(f32),
    /// Bytes, and the total number of bytes if known.
    Bytes(u64, Option<u64>),
}

/// Receives the name of the current operation and how much of it is done.
pub type Progress<'a> = dyn FnMut(&str, Done) + 'a;

/// The model that is used if none is named.
pub const DEFAULT_MODEL: &str = "base";
