//! Why a transcript could not be written, and what to do about it.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

/// Failure to write a transcript, or a destination that cannot work.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The reader of standard output has gone, as `head` does: no failure, but nothing more can be
    /// said.
    #[error("standard output was closed by its reader")]
    Closed,
    /// A file or standard output refused what was to be written.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file, or `standard output`.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The output directory cannot be made or written to.
    #[error("{}: cannot use this output directory: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two inputs would be written to one file.
    #[error("{} and {}: both would be written to {}",
        first.display(), second.display(), target.display()
    )]
    SameTarget {
        /// The input that comes first.
        first: PathBuf,
        /// The other input.
        second: PathBuf,
        /// The file that both would be written to.
        target: PathBuf,
    },
    /// Several formats, but only one standard output.
    #[error("--format: {count} formats cannot share standard output")]
    SeveralFormats {
        /// How many formats were asked for.
        count: usize,
    },
    /// Several inputs in a format whose documents cannot follow one another.
    #[error(
        "--format {extension}: {count} transcripts cannot follow one another on standard output"
    )]
    SeveralInputs {
        /// The format, by its extension.
        extension: &'static str,
        /// How many inputs there are.
        count: usize,
    },
}

impl Advice for OutputError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Write { source, .. } | Self::Directory { source, .. } => remedy(source).into(),
            Self::SameTarget { .. } => {
                "transcribe them in two calls with different --output-dir".into()
            }
            Self::SeveralFormats { .. } => "name one, or add --output-dir DIR".into(),
            Self::SeveralInputs { .. } => "add --output-dir DIR".into(),
            _ => return None,
        })
    }
}

/// What to do about a refusal of the file system.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "choose a directory of yours with --output-dir, or change its permissions"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or write elsewhere",
        ErrorKind::ReadOnlyFilesystem => {
            "choose an --output-dir on a file system that can be written"
        }
        ErrorKind::NotFound => "choose an --output-dir that can be made",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is in the way: choose another --output-dir"
        }
        ErrorKind::IsADirectory => {
            "a directory is in the way: remove it or choose another --output-dir"
        }
        ErrorKind::InvalidFilename => "the name is too long or not allowed there: rename the input",
        _ => "check the file system, or write elsewhere",
    }
}
