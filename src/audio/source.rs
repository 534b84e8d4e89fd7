//! From a path or `-` to bytes that the demuxers can read.
//!
//! Regular files (standard input may be one) are read in place. Pipes are read as they come, except for mp4: its
//! index may stand at the end, so such input is first copied to an unnamed temporary file.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;

use symphonia::core::io::{MediaSource, ReadOnlySource};

use super::AudioError;

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// Most bytes that are copied to a temporary file: 4 GiB, some days of voice-quality mp4.
const SPOOL_LIMIT: u64 = 4 << 30;

/// Enough of a stream's start to tell mp4: a box length and its name.
const HEAD_LEN: u64 = 8;

/// Readable bytes.
pub enum Bytes {
    /// A regular file, readable again and again from `start`.
    File { file: File, start: u64 },
    /// Something that can be read once.
    Pipe(Box<dyn MediaSource>),
}

impl Bytes {
    /// Opens `path`, or standard input for `-`; `name` is what errors call it.
    pub fn open(path: &Path, name: &str) -> Result<Self, AudioError> {
        let error = |e| AudioError::from_io(name, e);
        let file = if path.as_os_str() == STDIN {
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(error)?)
        } else {
            File::open(path).map_err(error)?
        };
        let metadata = file.metadata().map_err(error)?;
        if metadata.is_dir() {
            return Err(AudioError::IsDirectory { name: name.to_owned() });
        }
        if metadata.is_file() { Self::regular(file, name) } else { Self::piped(file, name) }
    }

    /// The file as a seekable source, from its start.
    pub fn seekable(&self) -> Option<io::Result<Box<dyn MediaSource>>> {
        match self {
            Self::File { file, start } => Some(reopen(file, *start).map(|f| Box::new(f) as _)),
            Self::Pipe(_) => None,
        }
    }

    /// The bytes as a source that is only read forward.
    pub fn forward(self) -> io::Result<Box<dyn MediaSource>> {
        match self {
            Self::File { file, start } => Ok(Box::new(ReadOnlySource::new(reopen(&file, start)?))),
            Self::Pipe(pipe) => Ok(pipe),
        }
    }

    fn regular(mut file: File, name: &str) -> Result<Self, AudioError> {
        let error = |e| AudioError::from_io(name, e);
        let start = file.stream_position().map_err(error)?;
        let len = file.metadata().map_err(error)?.len();
        if len <= start {
            // Files of /proc and the like state no length but can be read.
            return Self::piped(file, name);
        }
        Ok(Self::File { file, start })
    }

    fn piped(mut file: File, name: &str) -> Result<Self, AudioError> {
        let mut head = Vec::new();
        file.by_ref().take(HEAD_LEN).read_to_end(&mut head).map_err(|e| AudioError::from_io(name, e))?;
        if head.is_empty() {
            return Err(AudioError::Empty { name: name.to_owned() });
        }
        let is_mp4 = head.get(4..8) == Some(b"ftyp");
        let whole = Cursor::new(head).chain(file);
        if !is_mp4 {
            return Ok(Self::Pipe(Box::new(ReadOnlySource::new(whole))));
        }
        let file = spool(whole).map_err(|source| AudioError::Spool { name: name.to_owned(), source })?;
        Ok(Self::File { file, start: 0 })
    }
}

/// Another handle on `file`, moved to `start`. The handles share their position: only one may be in use.
fn reopen(file: &File, start: u64) -> io::Result<File> {
    let mut handle = file.try_clone()?;
    handle.seek(SeekFrom::Start(start))?;
    Ok(handle)
}

/// Copies a stream to a temporary file that vanishes with its handle.
fn spool(stream: impl Read) -> io::Result<File> {
    // /var/tmp is for large temporary files; /tmp is often kept in memory (file-hierarchy(7)).
    let mut file = tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile())?;
    let copied = io::copy(&mut stream.take(SPOOL_LIMIT + 1), &mut file)?;
    if copied > SPOOL_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 4 GiB"));
    }
    Ok(file)
}
