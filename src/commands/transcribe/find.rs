//! Finds recordings: files, folders and patterns.
//!
//! In: the paths of the command line, in bytes of any encoding. Out: [`Input`]s in the order of the
//! paths; those of a folder or pattern are sorted by name.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use crate::advice::Advice;
use crate::output::{Input, eprint_line};

/// Extensions of recordings in folders.
pub const RECORDINGS: [&str; 67] = [
    "wav", "wave", "w64", "rf64", "flac", "mp3", "mp2", "mpga", "ogg", "oga", "opus", "spx", "m4a",
    "m4b", "m4r", "mp4", "m4v", "aac", "latm", "loas", "3gp", "3g2", "mov", "qt", "mka", "mkv",
    "webm", "weba", "aif", "aiff", "aifc", "au", "snd", "caf", "ac3", "eac3", "ec3", "dts", "thd",
    "mlp", "ts", "mts", "m2ts", "mpg", "mpeg", "vob", "avi", "flv", "f4v", "wma", "wmv", "asf",
    "amr", "awb", "wv", "ape", "tta", "mpc", "dsf", "dff", "ra", "rm", "voc", "sf", "sph", "nut",
    "mxf",
];

/// Paths of the command line that name no recordings.
#[derive(Debug, Error)]
pub enum FindError {
    /// A folder has none.
    #[error("{}: no recordings in this folder", .0.display())]
    Empty(PathBuf),
    /// A pattern matches none.
    #[error("{}: no file matches this pattern", .0.display())]
    NoMatch(PathBuf),
    /// A pattern is invalid.
    #[error("{}: {reason}", path.display())]
    Pattern {
        /// The pattern.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder cannot be read.
    #[error("{}: cannot read this folder: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

impl Advice for FindError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Empty(_) => {
                "add --recursive for folders in it; recordings are known by their extensions, \
                 such as wav, mp3 and mkv"
                    .into()
            }
            Self::NoMatch(_) | Self::Pattern { .. } => {
                "* and ? stand for any characters but /, ** for any folders, [a-z] for one of these"
                    .into()
            }
            Self::Read { .. } => "check its permissions".into(),
        })
    }
}

/// Returns the recordings that paths name, and why others name none. A path that is neither a folder
/// nor a pattern is taken as it is, so that opening it explains what is wrong.
///
/// # Errors
/// Returns an error if the only path names no recording.
pub fn inputs(
    paths: &[PathBuf],
    recursive: bool,
) -> Result<(Vec<Input>, Vec<FindError>), FindError> {
    let mut inputs = Vec::new();
    let mut missing = Vec::new();
    for path in paths {
        match named_by(path, recursive) {
            Ok(found) => inputs.extend(found),
            Err(error) => missing.push(error),
        }
    }
    match missing.pop() {
        Some(error) if inputs.is_empty() && missing.is_empty() => Err(error),
        last => {
            missing.extend(last);
            Ok((inputs, missing))
        }
    }
}

/// Returns the recordings that a path names, at least one.
fn named_by(path: &Path, recursive: bool) -> Result<Vec<Input>, FindError> {
    if path.is_dir() {
        let found = found_in(path, recursive)?;
        return if found.is_empty() {
            Err(FindError::Empty(path.to_owned()))
        } else {
            Ok(found)
        };
    }
    if path.exists() || !is_pattern(path) {
        return Ok(vec![Input::new(path)]);
    }
    let found = matching(path)?;
    if found.is_empty() {
        return Err(FindError::NoMatch(path.to_owned()));
    }
    Ok(found)
}

/// Returns the recordings in a folder, and with `recursive` those in folders below it. Hidden files
/// and folders are left out, and links to folders are not followed.
///
/// # Errors
/// Returns an error if the folder cannot be read. A folder below it that cannot be read is reported
/// on standard error.
pub fn found_in(directory: &Path, recursive: bool) -> Result<Vec<Input>, FindError> {
    let depth = if recursive { usize::MAX } else { 1 };
    let mut files = Vec::new();
    walk(directory, depth, &mut files).map_err(|source| FindError::Read {
        path: directory.to_owned(),
        source,
    })?;
    let recordings = files.into_iter().filter(|file| is_recording(file));
    Ok(recordings
        .map(|file| Input::found_in(directory, file))
        .collect())
}

/// Whether the name is that of a recording.
fn is_recording(path: &Path) -> bool {
    let extension = path.extension().map(|name| name.to_ascii_lowercase());
    let Some(name) = extension else {
        return false;
    };
    // Programs in TypeScript have the extension of MPEG-TS.
    RECORDINGS.iter().any(|known| name == *known) && (name != "ts" || is_mpeg_ts(path))
}

/// Whether a file begins like MPEG-TS. One that cannot be read is taken for it, which reports why.
fn is_mpeg_ts(path: &Path) -> bool {
    const SYNC: u8 = 0x47;
    let mut first = [SYNC];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_err() || first == [SYNC]
}

/// Collects the files of a folder, sorted by name, those of folders below it to a depth.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = std::fs::read_dir(directory)?;
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if is_hidden {
            continue;
        }
        if kind.is_dir() && depth > 1 {
            if let Err(error) = walk(&entry.path(), depth - 1, files) {
                let name = entry.path();
                eprint_line(&format!(
                    "hearken: {}: cannot read this folder: {error}",
                    name.display()
                ));
            }
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn is_pattern(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().any(|byte| b"*?[".contains(byte))
}

/// Returns the files that match a pattern.
fn matching(pattern: &Path) -> Result<Vec<Input>, FindError> {
    let matcher = matcher(pattern)?;
    // The part before the first sign of a pattern names a folder.
    let (mut base, mut depth) = (PathBuf::new(), 0);
    for component in pattern.components() {
        let component_path = Path::new(&component);
        if depth > 0 || is_pattern(component_path) {
            depth += 1;
        } else if component != Component::CurDir {
            base.push(component);
        }
        if component_path == Path::new("**") {
            depth = usize::MAX / 2;
        }
    }
    let directory = if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &base
    };
    let mut files = Vec::new();
    walk(directory, depth, &mut files).map_err(|source| FindError::Read {
        path: directory.to_owned(),
        source,
    })?;
    let matches = files.into_iter().filter_map(|file| {
        let file = file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
        matcher
            .is_match(&file)
            .then(|| Input::found_in(&base, file))
    });
    Ok(matches.collect())
}

fn matcher(pattern: &Path) -> Result<GlobMatcher, FindError> {
    let refused = |reason: String| FindError::Pattern {
        path: pattern.to_owned(),
        reason,
    };
    let plain = pattern.strip_prefix(".").unwrap_or(pattern);
    let text = plain
        .to_str()
        .ok_or_else(|| refused("a pattern must be UTF-8".to_owned()))?;
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    Ok(glob
        .map_err(|error| refused(error.kind().to_string()))?
        .compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// A folder with recordings, other files, hidden ones and names that are not UTF-8.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for name in [
            &b"b.wav"[..],
            b"a.MP3",
            b"notes.txt",
            b".hidden.wav",
            b"sub/c.flac",
            b"sub/deep/d.opus",
            b".cache/e.wav",
            b"sub/\xff\xfe.wav",
        ] {
            let path = dir.path().join(OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, "").expect("a file");
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/loop")).expect("a link");
        dir
    }

    fn names(dir: &Path, inputs: &[Input]) -> Vec<String> {
        let name = |input: &Input| {
            let path = input.path.strip_prefix(dir).unwrap_or(&input.path);
            path.to_string_lossy().into_owned()
        };
        inputs.iter().map(name).collect()
    }

    #[test]
    fn a_folder_stands_for_its_recordings() {
        let dir = folder();
        let found = |recursive| {
            names(
                dir.path(),
                &inputs(&[dir.path().to_owned()], recursive)
                    .expect("found")
                    .0,
            )
        };
        assert_eq!(found(false), ["a.MP3", "b.wav"]);
        assert_eq!(
            found(true),
            [
                "a.MP3",
                "b.wav",
                "sub/c.flac",
                "sub/deep/d.opus",
                "sub/\u{fffd}\u{fffd}.wav"
            ]
        );
    }

    #[test]
    fn transcripts_keep_the_folders_and_the_bytes_of_names() {
        let dir = folder();
        let found = found_in(dir.path(), true).expect("found");
        let targets: Vec<PathBuf> = found
            .iter()
            .map(|input| input.target(Some(Path::new("out")), "txt"))
            .collect();
        assert_eq!(targets[3], Path::new("out/sub/deep/d.txt"));
        assert_eq!(targets[4].as_os_str().as_bytes(), b"out/sub/\xff\xfe.txt");
        assert_eq!(found[2].target(None, "srt"), dir.path().join("sub/c.srt"));
    }

    #[test]
    fn patterns_match_in_folders() {
        let dir = folder();
        let found = |pattern: &str| {
            inputs(&[dir.path().join(pattern)], false).map(|(found, _)| names(dir.path(), &found))
        };
        assert_eq!(found("*.wav").expect("found"), ["b.wav"]);
        assert_eq!(found("*/?.flac").expect("found"), ["sub/c.flac"]);
        assert_eq!(
            found("**/*.{opus,flac}").expect("found"),
            ["sub/c.flac", "sub/deep/d.opus"]
        );
        assert_eq!(
            found("sub/*.wav").expect("found"),
            ["sub/\u{fffd}\u{fffd}.wav"]
        );
        assert!(matches!(found("*.ogg"), Err(FindError::NoMatch(_))));
        assert!(matches!(found("[.wav"), Err(FindError::Pattern { .. })));
    }

    #[test]
    fn other_paths_are_taken_as_they_are() {
        let paths = [PathBuf::from("-"), PathBuf::from("missing.wav")];
        assert_eq!(
            inputs(&paths, true).expect("two").0,
            [Input::new("-"), Input::new("missing.wav")]
        );
        let empty = tempfile::tempdir().expect("a directory");
        let error = inputs(&[empty.path().to_owned()], false).expect_err("empty");
        let paths = [empty.path().to_owned(), "a.wav".into()];
        let (found, missing) = inputs(&paths, false).expect("one");
        assert_eq!((found.len(), missing.len()), (1, 1));
        assert!(error.explain().contains("--recursive"));
    }
}
