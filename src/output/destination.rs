//! Destinations of transcripts: standard output, or one file per input and format in a directory.
//!
//! In: the names of the inputs and the formats, once, then each transcript as it grows. Out: text
//! on standard output as soon as it is known, or files that get their name once they are complete.

use crate::sync::LockExt;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::console::{print, visible};
use super::error::OutputError;
use super::format::{Format, FormatOptions};
use super::input::Input;
use super::transcript::{Footer, Header, Segment};
use super::writer::TranscriptWriter;

/// Mode of a finished transcript before the umask: that of any new file, not the 0600 of a
/// temporary file.
const FILE_MODE: u32 = 0o666;

/// Names of temporary files.
const PREFIX: &str = ".hearken-";
const SUFFIX: &str = ".part";
/// Time in which a new temporary file is locked.
const NEW: Duration = Duration::from_secs(10);

/// Paths of the temporary files that exist.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes the temporary files of all unfinished transcripts, before the program ends without
/// dropping them.
pub fn remove_unfinished() {
    for path in &*UNFINISHED.lock_unpoisoned() {
        // A file that has just got its name, or cannot be removed, does not matter.
        let _ = std::fs::remove_file(path);
    }
}

/// Removes the temporary files that a program that was killed left in a directory.
fn remove_leftovers(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.file_name().is_some_and(is_temporary) && is_abandoned(&path) {
            // It does no harm if it stays.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether nobody writes a temporary file.
fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= NEW));
    is_old && file.try_lock().is_ok()
}

/// Whether a file has the name of a temporary file.
fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

/// Where transcripts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To standard output.
    StandardOutput,
    /// To files in a directory.
    Directory(PathBuf),
    /// To files beside the recordings.
    Beside,
}

/// Destination of the transcripts of a run, checked before any work begins.
#[derive(Debug)]
pub struct Destination {
    formats: Vec<Format>,
    options: FormatOptions,
    place: Place,
    /// Whether texts on standard output have headings, because several follow one another.
    has_headings: bool,
    /// Whether there has been a heading.
    has_begun: AtomicBool,
}

impl Destination {
    /// Checks that every transcript has its own place, and creates the output directory if it does
    /// not exist.
    ///
    /// # Errors
    /// Returns an error if two inputs would be written to one file, if the transcripts cannot share
    /// standard output, or if the directory cannot be created or written.
    pub fn new(
        inputs: &[Input],
        formats: &[Format],
        options: FormatOptions,
        place: Place,
    ) -> Result<Self, OutputError> {
        let mut formats = formats.to_vec();
        formats.sort_unstable();
        formats.dedup();
        let is_printed = place == Place::StandardOutput;
        let destination = Self {
            has_headings: is_printed && inputs.len() > 1 && formats == [Format::Txt],
            formats,
            options,
            place,
            has_begun: AtomicBool::new(false),
        };
        match &destination.place {
            Place::StandardOutput => fits_standard_output(inputs, &destination.formats)?,
            Place::Beside => destination.check(inputs)?,
            Place::Directory(directory) => {
                destination.check(inputs)?;
                make_writable(directory)?;
            }
        }
        Ok(destination)
    }

    /// Whether all transcripts of an input exist, and none is older than `since`, if that is given.
    /// Standard output has none.
    pub fn has_all(&self, input: &Input, since: Option<SystemTime>) -> bool {
        let is_current = |target: PathBuf| {
            let written = std::fs::metadata(target).and_then(|metadata| metadata.modified());
            written.is_ok_and(|written| since.is_none_or(|since| written >= since))
        };
        self.place != Place::StandardOutput && self.targets(input).into_iter().all(is_current)
    }

    /// Removes what a program that was killed left where the transcripts of inputs go.
    pub fn clean_up(&self, inputs: &[Input]) {
        if self.place != Place::StandardOutput {
            let targets = inputs.iter().flat_map(|input| self.targets(input));
            let directories: BTreeSet<PathBuf> = targets
                .map(|target| directory_of(&target).to_owned())
                .collect();
            directories
                .iter()
                .for_each(|directory| remove_leftovers(directory));
        }
    }

    /// Returns the files of an input's transcripts, one for each format.
    fn targets(&self, input: &Input) -> Vec<PathBuf> {
        let directory = match &self.place {
            Place::Directory(directory) => Some(directory.as_path()),
            Place::Beside | Place::StandardOutput => None,
        };
        let target = |format: &Format| input.target(directory, format.extension());
        self.formats.iter().map(target).collect()
    }

    /// Checks that no two inputs would be written to one file.
    ///
    /// # Errors
    /// Returns an error for the first two that would.
    pub fn check(&self, inputs: &[Input]) -> Result<(), OutputError> {
        let mut seen: HashMap<PathBuf, &Input> = HashMap::new();
        for input in inputs {
            for target in self.targets(input) {
                if let Some(first) = seen.insert(target.clone(), input) {
                    return Err(OutputError::SameTarget {
                        first: first.path.clone(),
                        second: input.path.clone(),
                        target,
                    });
                }
            }
        }
        Ok(())
    }

    /// Begins the transcript of `input`, under a heading like that of head(1) if several texts
    /// follow one another.
    ///
    /// # Errors
    /// Returns an error if a file cannot be created, or the beginning cannot be written.
    pub fn open(&self, input: &Input, header: &Header) -> Result<Output, OutputError> {
        if self.has_headings {
            let blank = if self.has_begun.swap(true, Ordering::Relaxed) {
                "\n"
            } else {
                ""
            };
            let name = if input.path.as_os_str() == "-" {
                "standard input".into()
            } else {
                input.path.to_string_lossy()
            };
            print(&format!("{blank}==> {} <==\n", visible(&name)))?;
        }
        let mut parts = Vec::with_capacity(self.formats.len());
        for (format, target) in self.formats.iter().zip(self.targets(input)) {
            let sink = match &self.place {
                Place::StandardOutput => Sink::StandardOutput,
                Place::Directory(_) | Place::Beside => Sink::file(target)?,
            };
            let mut part = Part {
                writer: format.writer(&self.options),
                sink,
            };
            let text = part.writer.begin(header);
            part.sink.append(&text)?;
            parts.push(part);
        }
        Ok(Output { parts })
    }
}

/// Transcript of one input, in all formats. If it is dropped before [`Output::finish`], it leaves
/// no file.
pub struct Output {
    parts: Vec<Part>,
}

struct Part {
    writer: Box<dyn TranscriptWriter>,
    sink: Sink,
}

impl Output {
    /// Appends a segment. On standard output it is visible at once.
    ///
    /// # Errors
    /// Returns an error if the segment cannot be written.
    pub fn segment(&mut self, segment: &Segment) -> Result<(), OutputError> {
        for part in &mut self.parts {
            let text = part.writer.segment(segment);
            part.sink.append(&text)?;
        }
        Ok(())
    }

    /// Ends the transcript and gives the files their names. Returns the files.
    ///
    /// # Errors
    /// Returns an error if the end cannot be written, or a file cannot be renamed.
    pub fn finish(self, footer: &Footer) -> Result<Vec<PathBuf>, OutputError> {
        let mut files = Vec::new();
        for mut part in self.parts {
            let text = part.writer.finish(footer);
            part.sink.append(&text)?;
            files.extend(part.sink.close()?);
        }
        Ok(files)
    }
}

/// The directory of a file.
fn directory_of(file: &Path) -> &Path {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

enum Sink {
    StandardOutput,
    File {
        temporary: NamedTempFile,
        target: PathBuf,
        _unfinished: Unfinished,
    },
}

/// Entry of [`UNFINISHED`] for as long as it lives.
struct Unfinished(PathBuf);

impl Unfinished {
    fn new(path: &Path) -> Self {
        UNFINISHED.lock_unpoisoned().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.lock_unpoisoned().remove(&self.0);
    }
}

impl Sink {
    fn file(target: PathBuf) -> Result<Self, OutputError> {
        let directory = directory_of(&target);
        std::fs::create_dir_all(directory).map_err(|source| OutputError::Directory {
            path: directory.to_owned(),
            source,
        })?;
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .permissions(Permissions::from_mode(FILE_MODE))
            .tempfile_in(directory);
        match temporary {
            Ok(temporary) => {
                // While it is written; not every file system has locks.
                let _ = temporary.as_file().try_lock();
                let _unfinished = Unfinished::new(temporary.path());
                Ok(Self::File {
                    temporary,
                    target,
                    _unfinished,
                })
            }
            Err(source) => Err(OutputError::Directory {
                path: directory.to_owned(),
                source,
            }),
        }
    }

    fn append(&mut self, text: &str) -> Result<(), OutputError> {
        match self {
            Self::StandardOutput => print(text),
            Self::File {
                temporary, target, ..
            } => {
                let written = temporary.write_all(text.as_bytes());
                written.map_err(|source| OutputError::Write {
                    path: target.clone(),
                    source,
                })
            }
        }
    }

    fn close(self) -> Result<Option<PathBuf>, OutputError> {
        match self {
            Self::StandardOutput => Ok(None),
            Self::File {
                temporary, target, ..
            } => match temporary.persist(&target) {
                Ok(_) => Ok(Some(target)),
                Err(error) => Err(OutputError::Write {
                    path: target,
                    source: error.error,
                }),
            },
        }
    }
}

fn fits_standard_output(inputs: &[Input], formats: &[Format]) -> Result<(), OutputError> {
    match formats {
        [format] if inputs.len() > 1 && !format.can_follow_another() => {
            Err(OutputError::SeveralInputs {
                extension: format.extension(),
                count: inputs.len(),
            })
        }
        [] | [_] => Ok(()),
        _ => Err(OutputError::SeveralFormats {
            count: formats.len(),
        }),
    }
}

/// Creates the directory and checks that it is writable now, not after an hour of transcription.
fn make_writable(directory: &Path) -> Result<(), OutputError> {
    let failed = |source| OutputError::Directory {
        path: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    tempfile::tempfile_in(directory).map_err(failed)?;
    Ok(())
}
