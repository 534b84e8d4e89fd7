//! Why a source of a model failed, and the comparison of checksums that most often finds it.

use crate::advice::Advice;
use crate::models::error::{Defect, ModelError};
use std::fs;
use std::path::Path;

/// Why a source failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another source may work.
    Source(String),
    /// No source will work: the model cannot be stored on this machine.
    Local(ModelError),
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::NoSpace { .. } | ModelError::Write { .. } | ModelError::Prepare { .. } => {
                Self::Local(error)
            }
            _ => Self::Source(error.explain()),
        }
    }
}

/// Compares a checksum with the published one, and removes the file if they differ.
pub(super) fn check_sha256(path: &Path, actual: &str, expected: &str) -> Result<(), Failure> {
    if actual == expected {
        return Ok(());
    }
    // A complete file with wrong contents would fail again at the next attempt.
    fs::remove_file(path).map_err(ModelError::write(path, 0))?;
    let reason =
        format!("its sha256 is {actual}, but {expected} is published; the file was removed");
    Err(Failure::Source(Defect::new(reason).to_string()))
}
