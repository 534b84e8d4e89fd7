//! Errors of writing a transcript, with their remedies.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

/// Error of writing a transcript, or a destination that cannot work.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The reader of standard output has gone, as `head` does. This is not a failure, but nothing
    /// more can be written.
    #[error("standard output was closed by its reader")]
    Closed,
    /// A file or standard output could not be written.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file, or `standard output`.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The output directory cannot be created or written.
    #[error("{}: cannot use this output directory: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Two inputs would be written to one file.
    #[error("{} and {}: both would be written to {}",
        first.display(), second.display(), target.display()
    )]
    SameTarget {
        /// The first input.
        first: PathBuf,
        /// The other input.
        second: PathBuf,
        /// The file that both would be written to.
        target: PathBuf,
    },
    /// Several formats were requested for standard output.
    #[error("--format: {count} formats cannot share standard output")]
    SeveralFormats {
        /// Number of formats.
        count: usize,
    },
    /// Several inputs were given, but documents of this format cannot follow one another.
    #[error(
        "--format {extension}: {count} transcripts cannot follow one another on standard output"
    )]
    SeveralInputs {
        /// Extension of the format.
        extension: &'static str,
        /// Number of inputs.
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

/// Returns the remedy for an error of the file system.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "choose a directory that you own with --output-dir, or change its permissions"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or write elsewhere",
        ErrorKind::ReadOnlyFilesystem => "choose an --output-dir on a writable file system",
        ErrorKind::NotFound => "choose an --output-dir that can be created",
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
