//! The common form of all sources: dimensions, tensors under OpenAI's names, and the files beside
//! them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::models::Dims;
use crate::models::error::{Defect, ModelError};
use crate::models::file::layout;
use crate::models::tensors::Mapping;
use crate::models::tensors::hex;

use super::weights::Weights;

/// Contents of a source, not yet converted.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) dims: Dims,
    /// Tensors by OpenAI's names, possibly more than a model needs.
    pub(crate) tensors: HashMap<String, Weights>,
    /// Bytes of `tokenizer.json`, if the source has one.
    pub(crate) tokenizer: Option<Vec<u8>>,
    /// Cross-attention heads [layer, head] that follow the time of the audio, if the source names
    /// them.
    pub(crate) alignment_heads: Option<Vec<[usize; 2]>>,
    /// The files that hold the weights.
    pub(crate) weight_files: Vec<Arc<Mapping>>,
}

impl Checkpoint {
    /// Exactly the tensors of a Whisper model, in the order of its layout.
    ///
    /// # Errors
    /// Returns an error if the dimensions are impossible, or if a tensor is missing or has a
    /// different shape.
    pub(crate) fn into_tensors(mut self) -> Result<Vec<(String, Weights)>, Defect> {
        layout::check_dims(&self.dims)?;
        let take = |(name, shape): (String, Vec<usize>)| {
            let tensor = self.tensors.remove(&name);
            let tensor = tensor.ok_or_else(|| Defect::new(format!("tensor {name} is missing")))?;
            // In some formats, biases of convolutions and quantised kernels have one axis more or
            // less.
            let tensor = tensor
                .reshaped(&shape)
                .map_err(|e| Defect::new(format!("tensor {name}: {e}")))?;
            Ok((name, tensor))
        };
        layout::tensors(&self.dims).into_iter().map(take).collect()
    }

    /// The sha256 of the concatenated files that hold the weights.
    pub(crate) fn sha256(&self) -> String {
        let mut sum = Sha256::new();
        for file in &self.weight_files {
            sum.update(&file[..]);
        }
        hex(&sum.finalize())
    }
}

/// Contents of `path`; `None` if there is no such file.
///
/// # Errors
/// Returns an error if it cannot be read.
pub(crate) fn optional_file(path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ModelError::read(path)(e)),
    }
}

/// The `alignment_heads` of the JSON file at `path`; `None` if the file or the key is missing.
///
/// # Errors
/// Returns an error if the file cannot be read or has a different form.
pub(crate) fn alignment_heads(path: &Path) -> Result<Option<Vec<[usize; 2]>>, ModelError> {
    #[derive(Deserialize)]
    struct Config {
        alignment_heads: Option<Vec<[usize; 2]>>,
    }
    let Some(json) = optional_file(path)? else {
        return Ok(None);
    };
    let config: Config =
        serde_json::from_slice(&json).map_err(|e| Defect::new(e.to_string()).of(path))?;
    Ok(config.alignment_heads)
}
