//! The weights: which models there are, how they are fetched, converted, checked and opened.
//!
//! `manifest` knows the sources, [`fetch`] downloads from them, [`import`] converts their formats
//! into the one model file that [`ModelFile`] opens, [`Store`] is the directory that keeps them.

mod access;
mod dims;
mod error;
mod fetch;
mod file;
mod header;
mod import;
mod inspect;
mod layout;
mod manifest;
mod mmap;
mod progress;
mod random;
mod store;
mod tensor;
mod tensor_file;
mod write;

pub use dims::{Dims, SAMPLES_PER_POSITION};
pub use error::{Defect, ModelError, PrepareError};
pub use fetch::{Fetched, fetch, is_offline};
pub use file::ModelFile;
#[cfg(test)]
pub(crate) use file::VERSION;
#[cfg(test)]
pub(crate) use import::synthetic;
pub use import::{NewTensor, Origin, Prepare, import};
pub use inspect::{Int8Report, TensorReport, inspect};
pub use manifest::{Manifest, Model, Source};
pub use progress::{Done, Progress};
pub use random::write_random;
pub(crate) use store::part_of;
pub use store::{Lock, Store, npu_weights};
pub use tensor::{Dtype, Tensor};
pub use tensor_file::TensorFile;
pub(crate) use write::{Entry, write as write_tensors};
