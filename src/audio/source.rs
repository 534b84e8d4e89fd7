//! Turns a path or `-` into bytes that can be read more than once.
//!
//! Regular files (standard input may be one) are read in place. Pipes are read as data arrives; what
//! has been read is kept until it is known who reads the rest. Formats that need seeking are copied
//! from a pipe to an unnamed temporary file.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::AudioError;
use super::stream::{ByteStream, FileAt};
use crate::sync::LockExt;

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

/// Readable bytes.
pub enum Bytes {
    /// A regular file, which can be read repeatedly from `start`.
    File { file: Arc<File>, start: u64 },
    /// A stream, of which only the start can be read again.
    Pipe(Recorded),
}

impl Bytes {
    /// Opens `path`, or standard input for `-`; `name` is used in errors. A pipe ends when `stop`
    /// is set.
    pub fn open(path: &Path, name: &str, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        let error = |e| AudioError::from_io(name, e);
        let mut file = if path.as_os_str() == STDIN {
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
            let start = file.stream_position().map_err(error)?;
            // Files in /proc and the like state no length but can be read.
            if metadata.len() > start {
                let file = Arc::new(file);
                return Ok(Self::File { file, start });
            }
        }
        Ok(Self::pipe(Pipe::new(file, stop)))
    }

    /// Wraps a stream.
    pub fn pipe(source: impl Read + Send + Sync + 'static) -> Self {
        Self::Pipe(Recorded(Arc::new(Mutex::new(Recording {
            source: Box::new(source),
            taken: Some(Vec::new()),
        }))))
    }

    /// Returns the bytes, from their start.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or a pipe has been [settled](Self::settle).
    pub fn stream(&self) -> io::Result<ByteStream> {
        match self {
            Self::File { file, start } => Ok(ByteStream::file(FileAt::new(file.clone(), *start)?)),
            Self::Pipe(pipe) => Ok(ByteStream::other(Box::new(pipe.whole()?), None)),
        }
    }

    /// Returns the file; `None` for a pipe.
    pub fn file(&self) -> Option<(&Arc<File>, u64)> {
        match self {
            Self::File { file, start } => Some((file, *start)),
            Self::Pipe(_) => None,
        }
    }

    /// Says that the bytes need not be read again from their start.
    pub fn settle(&self) {
        if let Self::Pipe(pipe) = self {
            pipe.0.lock_unpoisoned().taken = None;
        }
    }

    /// Returns the bytes as a file, to which a pipe is copied.
    pub fn spooled(self, name: &str) -> Result<Self, AudioError> {
        let Self::Pipe(pipe) = &self else {
            return Ok(self);
        };
        let file = pipe.whole().and_then(spool);
        let file = file.map_err(|source| AudioError::Spool {
            name: name.to_owned(),
            source,
        })?;
        let file = Arc::new(file);
        Ok(Self::File { file, start: 0 })
    }
}

/// A stream that remembers what was read of it.
#[derive(Clone)]
pub struct Recorded(Arc<Mutex<Recording>>);

struct Recording {
    source: Box<dyn Read + Send + Sync>,
    /// What was read so far, as long as it may be read again.
    taken: Option<Vec<u8>>,
}

impl Recorded {
    fn whole(&self) -> io::Result<impl Read + Send + Sync + use<>> {
        let taken = self.0.lock_unpoisoned().taken.clone();
        let taken = taken.ok_or_else(|| io::Error::other("a pipe can be read only once"))?;
        Ok(Cursor::new(taken).chain(self.clone()))
    }
}

impl Read for Recorded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut recording = self.0.lock_unpoisoned();
        let n = recording.source.read(out)?;
        if let (Some(taken), Some(read)) = (&mut recording.taken, out.get(..n)) {
            taken.extend_from_slice(read);
        }
        Ok(n)
    }
}

/// A pipe that ends when `stop` is set, even if no data arrives: a blocking read would not notice.
pub struct Pipe {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Pipe {
    /// Wraps the reading end of a pipe.
    pub fn new(file: impl Into<OwnedFd>, stop: Arc<AtomicBool>) -> Self {
        Self {
            file: File::from(file.into()),
            stop,
        }
    }
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
