//! Waits for changes in a folder, by inotify. Where that is missing or has no room, as on some network
//! file systems, the folder is looked at every few seconds.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Longest time until a signal is noticed.
const SIGNAL: Duration = Duration::from_millis(250);
/// Interval of looking if a recording may soon be complete.
const SETTLING: Duration = Duration::from_millis(500);
/// Interval of looking if nothing has changed: not all file systems report changes.
const IDLE: Duration = Duration::from_secs(10);

/// Waits for changes.
pub struct Wake {
    inotify: Option<OwnedFd>,
}

impl Wake {
    /// Begins to wait for changes.
    pub fn new() -> Self {
        let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
        Self {
            inotify: inotify::init(flags).ok(),
        }
    }

    /// Watches a folder, and with `recursive` those in it. Folders that are watched already stay so.
    pub fn watch(&self, directory: &Path, recursive: bool) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let changes = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        // Without a watch, the folder is looked at from time to time.
        let _ = inotify::add_watch(inotify, directory, changes);
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries.filter(|_| recursive) {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.watch(&entry.path(), recursive);
            }
        }
    }

    /// Waits until something has changed, or it is time to look, or `stop` is set.
    pub fn wait(&mut self, is_settling: bool, stop: &AtomicBool) {
        let limit = if is_settling { SETTLING } else { IDLE };
        let begun = Instant::now();
        while begun.elapsed() < limit && !stop.load(Ordering::Relaxed) {
            if self.has_changed(SIGNAL.min(limit)) && !is_settling {
                return;
            }
        }
    }

    /// Waits for a change until a time has passed, and drops the reports of it.
    fn has_changed(&self, limit: Duration) -> bool {
        let Some(inotify) = &self.inotify else {
            std::thread::sleep(limit);
            return false;
        };
        let timeout = Timespec::try_from(limit).ok();
        let mut polled = [PollFd::new(inotify, PollFlags::IN)];
        let is_ready = poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0);
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify, &mut buffer);
        while is_ready && events.next().is_ok() {}
        is_ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_arrives_in_a_folder_below_ends_the_wait() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("below");
        std::fs::create_dir(&below).expect("a directory");
        let mut wake = Wake::new();
        wake.watch(directory.path(), true);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                std::fs::write(below.join("a.wav"), "x").expect("a file");
            });
            let begun = Instant::now();
            wake.wait(false, &stop);
            assert!(begun.elapsed() < IDLE);
        });
    }

    #[test]
    fn a_signal_ends_the_wait() {
        let begun = Instant::now();
        Wake::new().wait(false, &AtomicBool::new(true));
        assert!(begun.elapsed() < IDLE);
    }
}
