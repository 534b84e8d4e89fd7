//! Turns a path or `-` into bytes that the demuxers can read.
//!
//! Regular files (standard input may be one) are read in place. Pipes are read as data arrives,
//! except for mp4: its index may be at the end, so such input is first copied to an unnamed
//! temporary file.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use symphonia::core::io::{MediaSource, ReadOnlySource};

use super::AudioError;

/// The path that stands for standard input.
pub const STDIN: &str = "-";

/// Maximum number of bytes copied to a temporary file: 4 GiB, some days of voice-quality mp4.
const SPOOL_LIMIT: u64 = 4 << 30;

/// Interval at which a reader that waits for a pipe checks for a stop: 100 ms, so that Ctrl-C
/// appears to act at once.
const STOP_POLL_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Bytes needed to recognise mp4: a box length and its name.
const HEAD_LEN: u64 = 8;

/// Readable bytes.
pub enum Bytes {
    /// A regular file, which can be read repeatedly from `start`.
    File { file: File, start: u64 },
    /// A stream, which can be read once.
    Pipe(Box<dyn MediaSource>),
}

impl Bytes {
    /// Opens `path`, or standard input for `-`; `name` is used in errors. A pipe ends when `stop`
    /// is set.
    pub fn open(path: &Path, name: &str, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        let error = |e| AudioError::from_io(name, e);
        let file = if path.as_os_str() == STDIN {
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(error)?)
        } else {
            File::open(path).map_err(error)?
        };
        let metadata = file.metadata().map_err(error)?;
        if metadata.is_dir() {
            return Err(AudioError::IsDirectory {
                name: name.to_owned(),
            });
        }
        if metadata.is_file() {
            Self::regular(file, name, stop)
        } else {
            Self::piped(file, name, stop)
        }
    }

    /// Returns the file as a seekable source, from its start.
    pub fn seekable(&self) -> Option<io::Result<Box<dyn MediaSource>>> {
        match self {
            Self::File { file, start } => Some(reopen(file, *start).map(|f| Box::new(f) as _)),
            Self::Pipe(_) => None,
        }
    }

    /// Returns the bytes as a source that is only read forward.
    pub fn forward(self) -> io::Result<Box<dyn MediaSource>> {
        match self {
            Self::File { file, start } => Ok(Box::new(ReadOnlySource::new(reopen(&file, start)?))),
            Self::Pipe(pipe) => Ok(pipe),
        }
    }

    fn regular(mut file: File, name: &str, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        let error = |e| AudioError::from_io(name, e);
        let start = file.stream_position().map_err(error)?;
        let len = file.metadata().map_err(error)?.len();
        if len <= start {
            // Files in /proc and the like state no length but can be read.
            return Self::piped(file, name, stop);
        }
        Ok(Self::File { file, start })
    }

    fn piped(file: File, name: &str, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        let mut pipe = Pipe { file, stop };
        let mut head = Vec::new();
        pipe.by_ref()
            .take(HEAD_LEN)
            .read_to_end(&mut head)
            .map_err(|e| AudioError::from_io(name, e))?;
        if head.is_empty() {
            return Err(AudioError::Empty {
                name: name.to_owned(),
            });
        }
        let is_mp4 = head.get(4..8) == Some(b"ftyp");
        let whole = Cursor::new(head).chain(pipe);
        if !is_mp4 {
            return Ok(Self::Pipe(Box::new(ReadOnlySource::new(whole))));
        }
        let file = spool(whole).map_err(|source| AudioError::Spool {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self::File { file, start: 0 })
    }
}

/// A pipe that ends when `stop` is set, even if no data arrives: a blocking read would not notice.
struct Pipe {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Relaxed) {
            match poll(
                &mut [PollFd::new(&self.file, PollFlags::IN)],
                Some(&STOP_POLL_INTERVAL),
            ) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.file.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// Returns another handle on `file`, moved to `start`. The handles share their position: only one
/// may be in use.
fn reopen(file: &File, start: u64) -> io::Result<File> {
    let mut handle = file.try_clone()?;
    handle.seek(SeekFrom::Start(start))?;
    Ok(handle)
}

/// Copies a stream to a temporary file that disappears with its handle.
fn spool(stream: impl Read) -> io::Result<File> {
    // /var/tmp is for large temporary files; /tmp is often kept in memory (file-hierarchy(7)).
    let mut file = tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile())?;
    let copied = io::copy(&mut stream.take(SPOOL_LIMIT + 1), &mut file)?;
    if copied > SPOOL_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "more than 4 GiB",
        ));
    }
    Ok(file)
}
