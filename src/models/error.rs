//! Errors of models, in one line each: the thing, the reason, the remedy.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A defect inside a file, with the tensor or offset. [`ModelError`] adds the path of the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Defect(String);

impl Defect {
    /// The defect described by `what`, which names the tensor or offset.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The error of a file at `path` with this defect.
    pub fn of(self, path: &Path) -> ModelError {
        ModelError::Damaged {
            path: path.to_owned(),
            defect: self,
        }
    }
}

/// Why the tensors derived from a model's weights could not be computed.
pub type PrepareError = Box<dyn std::error::Error + Send + Sync>;

/// Any failure of the `models` module.
#[derive(Debug, Error)]
pub enum ModelError {
    /// No model of that name is known or installed.
    #[error("no model is named \"{name}\"")]
    Unknown {
        /// The requested name.
        name: String,
        /// Near names, or how to list all.
        hint: String,
    },
    /// The name is not a valid file name.
    #[error(
        "\"{name}\" is not a valid model name: use letters, digits, '.', '-' and '_', starting with a letter or digit"
    )]
    BadName {
        /// The name given.
        name: String,
    },
    /// A known model that is not installed.
    #[error("model {name} is not installed ({path} does not exist)")]
    NotInstalled {
        /// Name.
        name: String,
        /// Path it would have.
        path: PathBuf,
    },
    /// A file with unexpected contents.
    #[error("{path} is damaged or not a Whisper model: {defect}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect, with tensor or offset.
        defect: Defect,
    },
    /// A file to import that is no model.
    #[error("{path} is not a model that Hearken knows")]
    NotAModel {
        /// The file.
        path: PathBuf,
    },
    /// A model file in an old format.
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
        /// Reason given by the system.
        source: io::Error,
    },
    /// The disk is full.
    #[error("not enough space for {path}: {needed} bytes are needed")]
    NoSpace {
        /// The file being written.
        path: PathBuf,
        /// Full size in bytes.
        needed: u64,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Reason given by the system.
        source: io::Error,
    },
    /// There is no directory to store models in.
    #[error("no directory for models: neither HEARKEN_MODELS_DIR, XDG_DATA_HOME nor HOME is set")]
    NoDirectory,
    /// The engine could not derive its tensors from the weights.
    #[error("cannot prepare model {name}: {source}")]
    Prepare {
        /// The model.
        name: String,
        /// Reason given by the engine.
        source: PrepareError,
    },
    /// The user disabled the network.
    #[error("cannot fetch {name}: HEARKEN_OFFLINE=1 disables the network")]
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
        /// Each source and the reason of its failure.
        failures: Vec<String>,
    },
}

impl Advice for ModelError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Unknown { hint, .. } => hint.into(),
            Self::BadName { .. } => "`hearken models list` shows all models".into(),
            Self::NotInstalled { name, .. } => format!("run {}", fetch_command(name)).into(),
            Self::Damaged { .. } => reinstall("it", "NAME").into(),
            Self::NotAModel { .. } => "import an OpenAI checkpoint (.pt), a ggml file of whisper.cpp \
                (.bin), or a directory with model.bin (CTranslate2) or model.safetensors (Hugging Face)"
                .into(),
            Self::Outdated { name, .. } => reinstall(&format!("model {name}"), name).into(),
            Self::Read { .. } => "check the path and its permissions".into(),
            Self::NoSpace { .. } => {
                "free some space or set HEARKEN_MODELS_DIR to another disk".into()
            }
            Self::Write { .. } => {
                "check its permissions or set HEARKEN_MODELS_DIR to another directory".into()
            }
            Self::NoDirectory => "set HEARKEN_MODELS_DIR".into(),
            Self::Prepare { name, .. } => {
                format!("import it again with {}", import_command(name)).into()
            }
            Self::Offline { name, .. } => format!(
                "unset it, or copy the weights here and run {}",
                import_command(name)
            )
            .into(),
            Self::Fetch { name, .. } => format!(
                "check the network, or obtain the weights elsewhere and run {}",
                import_command(name)
            )
            .into(),
        })
    }
}

fn reinstall(what: &str, name: &str) -> String {
    let fetch = fetch_command(name);
    let import = import_command(name);
    format!("reinstall {what} with {fetch} or {import}")
}

fn fetch_command(name: &str) -> String {
    format!("`hearken models fetch {name}`")
}

fn import_command(name: &str) -> String {
    format!("`hearken models import PATH --name {name}`")
}

impl ModelError {
    /// The error of reading `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// The error of writing `path`, whose full size is `needed` bytes.
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
