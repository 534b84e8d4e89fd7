//! Recordings to transcribe, and the names of their transcripts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Recording, and where its transcripts go below the output directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path of the recording; `-` is standard input.
    pub path: PathBuf,
    /// Folder of its transcripts, relative to the output directory.
    folder: PathBuf,
}

impl Input {
    /// Creates an input whose transcripts go directly into the output directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            folder: PathBuf::new(),
        }
    }

    /// Creates an input that was found in `directory`. Its transcripts go into the same folders below
    /// the output directory.
    pub fn found_in(directory: &Path, path: PathBuf) -> Self {
        let folder = path
            .parent()
            .and_then(|parent| parent.strip_prefix(directory).ok())
            .map(Path::to_owned);
        Self {
            folder: folder.unwrap_or_default(),
            path,
        }
    }

    /// Returns the path of a transcript below an output directory, or beside the recording.
    pub fn target(&self, directory: Option<&Path>, extension: &str) -> PathBuf {
        let folder = match directory {
            Some(directory) => directory.join(&self.folder),
            None => self.path.parent().map(Path::to_owned).unwrap_or_default(),
        };
        // The stem of standard input is `stdin`.
        let stem = match self.path.to_str() {
            Some("-") => "stdin".as_ref(),
            _ => self.path.file_stem().unwrap_or(self.path.as_os_str()),
        };
        let mut name = OsString::from(stem);
        name.push(".");
        name.push(extension);
        folder.join(name)
    }
}
