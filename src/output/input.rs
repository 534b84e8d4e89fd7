//! Recordings to transcribe, and the names of their transcripts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Recording, and where its transcripts go below the output directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path of the recording; `-` is standard input.
    pub path: PathBuf,
    /// Folder of its transcripts, relative to the output directory.
    folder: PathBuf,
    /// Whether transcripts are named after the whole name, `talk.wav.txt`, since another recording
    /// differs only in its extension.
    keeps_extension: bool,
}

impl Input {
    /// Creates an input whose transcripts go directly into the output directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            folder: PathBuf::new(),
            keeps_extension: false,
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
            keeps_extension: false,
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
            _ if self.keeps_extension => self.path.file_name().unwrap_or(self.path.as_os_str()),
            _ => self.path.file_stem().unwrap_or(self.path.as_os_str()),
        };
        let mut name = OsString::from(stem);
        name.push(".");
        name.push(extension);
        folder.join(name)
    }
}

/// Gives recordings whose names differ only in the extension transcripts with names of their own. The
/// transcripts go below `directory`, or beside the recordings.
pub fn tell_apart(inputs: &mut [Input], directory: Option<&Path>) {
    let mut counts: HashMap<PathBuf, usize> = HashMap::new();
    for input in inputs.iter() {
        *counts.entry(input.target(directory, "")).or_default() += 1;
    }
    for input in inputs {
        let count = counts.get(&input.target(directory, ""));
        input.keeps_extension = count.is_some_and(|count| *count > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recordings_that_share_a_stem_keep_their_extension() {
        let mut inputs = ["a.wav", "a.mp3", "b.wav", "sub/a.ogg"]
            .map(|name| Input::found_in("in".as_ref(), Path::new("in").join(name)));
        tell_apart(&mut inputs, Some("out".as_ref()));
        let targets = inputs.map(|input| input.target(Some("out".as_ref()), "txt"));
        let expected = ["a.wav.txt", "a.mp3.txt", "b.txt", "sub/a.txt"];
        assert_eq!(targets, expected.map(|name| Path::new("out").join(name)));
    }
}
