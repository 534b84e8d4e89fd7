//! What can go wrong with a model, in one line each: the thing, the reason, the remedy.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What is wrong inside a file: names the tensor or the offset. The file's path is added by
/// [`ModelError`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Defect(String);

impl Defect {
    /// A defect described by `what`, which names the tensor or offset.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The error of the file at `path` that has this defect.
    pub fn of(self, path: &Path) -> ModelError {
        ModelError::Damaged {
            path: path.to_owned(),
            defect: self,
        }
    }
}

/// Why the tensors that are derived from a model's weights could not be computed.
pub type PrepareError = Box<dyn std::error::Error + Send + Sync>;

/// Any failure of the `models` module.
#[derive(Debug, Error)]
pub enum ModelError {
    /// No model of that name is in the manifest or installed.
    #[error("no model is named \"{name}\"")]
    Unknown {
        /// The name asked for.
        name: String,
        /// Near names, or where to find the list.
        hint: String,
    },
    /// The name cannot be a file name.
    #[error(
        "\"{name}\" cannot name a model: only letters, digits, '.', '-' and '_' may be in it, and a letter or digit begins it"
    )]
    BadName {
        /// The name given.
        name: String,
    },
    /// A known model that is not on this machine.
    #[error("model {name} is not installed ({path} does not exist)")]
    NotInstalled {
        /// Its name.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// A file that is not what it should be.
    #[error("{path} is damaged or not a Whisper model: {defect}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with tensor or offset.
        defect: Defect,
    },
    /// A model file of a format that no longer serves.
    #[error("{path} was made by an earlier version of Hearken")]
    Outdated {
        /// The file.
        path: PathBuf,
        /// The model.
        name: String,
    },
    /// A file or directory that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for {path}: {needed} bytes are needed")]
    NoSpace {
        /// The file being written.
        path: PathBuf,
        /// Its full size, in bytes.
        needed: u64,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no home directory to keep models in.
    #[error("no directory for models: neither HEARKEN_MODELS_DIR, XDG_DATA_HOME nor HOME is set")]
    NoDirectory,
    /// The engine could not compute its own form of the weights.
    #[error("cannot prepare model {name}: {source}")]
    Prepare {
        /// The model.
        name: String,
        /// The engine's reason.
        source: PrepareError,
    },
    /// The user forbade the network.
    #[error("cannot fetch {name}: HEARKEN_OFFLINE=1 forbids the network")]
    Offline {
        /// The model.
        name: String,
    },
    /// Every source of a model failed.
    #[error("cannot fetch {name}: no source works ({})",
        .failures.join("; ")
    )]
    Fetch {
        /// The model.
        name: String,
        /// Each source and why it failed.
        failures: Vec<String>,
    },
}

impl Advice for ModelError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Unknown { hint, .. } => hint.into(),
Self::BadName { .. } => "give such a name (`hearken models list` shows those that there are)".into(),
Self::NotInstalled { name, .. } => format!("run `hearken models fetch {name}`").into(),
Self::Damaged { .. } => "get it again with `hearken models fetch NAME` or `hearken models import PATH --name NAME`".into(),
Self::Outdated { name, .. } => format!("get model {name} again with `hearken models fetch {name}` or `hearken models import PATH --name {name}`").into(),
Self::Read { .. } => "check the path and its permissions".into(),
Self::NoSpace { .. } => "free some or set HEARKEN_MODELS_DIR to another disk".into(),
Self::Write { .. } => "check its permissions or set HEARKEN_MODELS_DIR to another directory".into(),
Self::NoDirectory => "set HEARKEN_MODELS_DIR".into(),
Self::Prepare { name, .. } => format!("import it again with `hearken models import PATH --name {name}`").into(),
Self::Offline { name, .. } => format!("unset it, or copy the weights here and run `hearken models import PATH --name {name}`").into(),
Self::Fetch { name, .. } => format!("check the network, or get the weights elsewhere and run `hearken models import PATH --name {name}`").into(),
        })
    }
}

impl ModelError {
    /// The error of reading `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// The error of writing `path`, which needs `needed` bytes in all.
    pub(crate) fn write(path: &Path, needed: u64) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, needed }
            }
            _ => Self::Write { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_how_much_is_needed() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = ModelError::write(Path::new("base.safetensors"), 145)(full);
        assert!(matches!(error, ModelError::NoSpace { .. }));
        assert!(
            error.to_string().contains("145 bytes are needed"),
            "{error}"
        );
    }
}
