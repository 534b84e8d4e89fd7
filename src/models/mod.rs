//! The weights: which models there are, how they are fetched, converted, checked and opened.

mod access;
mod error;
mod file;
mod header;
mod import;
mod layout;
mod mmap;
pub mod quantize;
mod tensor;
mod vocabulary;
mod write;

pub use error::{Defect, ModelError, PrepareError};
pub use file::ModelFile;
pub use import::{NewTensor, Origin, Prepare, Progress, import};
pub use tensor::{Dtype, Tensor};
