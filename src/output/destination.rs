//! Destinations of transcripts: standard output, or one file per input and format in a directory.
//!
//! In: the names of the inputs and the formats, once, then each transcript as it grows. Out: text
//! on standard output as soon as it is known, or files that get their name once they are complete.

use crate::sync::LockExt;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;

use super::console::print;
use super::error::OutputError;
use super::format::Format;
use super::transcript::{Footer, Header, Segment};
use super::writer::TranscriptWriter;

/// Mode of a finished transcript before the umask: that of any new file, not the 0600 of a
/// temporary file.
const FILE_MODE: u32 = 0o666;

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

/// Destination of the transcripts of a run, checked before any work begins.
#[derive(Debug)]
pub struct Destination {
    formats: Vec<Format>,
    directory: Option<PathBuf>,
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
        inputs: &[PathBuf],
        formats: &[Format],
        directory: Option<&Path>,
    ) -> Result<Self, OutputError> {
        let mut formats = formats.to_vec();
        formats.sort_unstable();
        formats.dedup();
        match directory {
            Some(directory) => {
                each_has_its_own_file(inputs, &formats, directory)?;
                make_writable(directory)?;
            }
            None => fits_standard_output(inputs, &formats)?,
        }
        let has_headings = directory.is_none() && inputs.len() > 1 && formats == [Format::Txt];
        Ok(Self {
            formats,
            directory: directory.map(Path::to_owned),
            has_headings,
            has_begun: AtomicBool::new(false),
        })
    }

    /// Begins the transcript of `input`, under a heading like that of head(1) if several texts
    /// follow one another.
    ///
    /// # Errors
    /// Returns an error if a file cannot be created, or the beginning cannot be written.
    pub fn open(&self, input: &Path, header: &Header) -> Result<Output, OutputError> {
        if self.has_headings {
            let blank = if self.has_begun.swap(true, Ordering::Relaxed) {
                "\n"
            } else {
                ""
            };
            let name = if input.as_os_str() == "-" {
                "standard input".into()
            } else {
                input.to_string_lossy()
            };
            print(&format!("{blank}==> {name} <==\n"))?;
        }
        let mut parts = Vec::with_capacity(self.formats.len());
        for &format in &self.formats {
            let sink = match &self.directory {
                Some(directory) => Sink::file(directory, target(directory, input, format))?,
                None => Sink::StandardOutput,
            };
            let mut part = Part {
                writer: format.writer(),
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
    fn file(directory: &Path, target: PathBuf) -> Result<Self, OutputError> {
        let temporary = tempfile::Builder::new()
            .prefix(".hearken-")
            .suffix(".part")
            .permissions(Permissions::from_mode(FILE_MODE))
            .tempfile_in(directory);
        match temporary {
            Ok(temporary) => {
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

fn fits_standard_output(inputs: &[PathBuf], formats: &[Format]) -> Result<(), OutputError> {
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

fn each_has_its_own_file(
    inputs: &[PathBuf],
    formats: &[Format],
    directory: &Path,
) -> Result<(), OutputError> {
    let mut seen: HashMap<PathBuf, &PathBuf> = HashMap::new();
    for input in inputs {
        for &format in formats {
            let target = target(directory, input, format);
            if let Some(first) = seen.insert(target.clone(), input) {
                return Err(OutputError::SameTarget {
                    first: first.clone(),
                    second: input.clone(),
                    target,
                });
            }
        }
    }
    Ok(())
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

/// Returns the path `<stem>.<extension>` in the directory. The stem of standard input is `stdin`.
fn target(directory: &Path, input: &Path, format: Format) -> PathBuf {
    let stem = match input.to_str() {
        Some("-") => "stdin".as_ref(),
        _ => input.file_stem().unwrap_or(input.as_os_str()),
    };
    let mut name = OsString::from(stem);
    name.push(".");
    name.push(format.extension());
    directory.join(name)
}
