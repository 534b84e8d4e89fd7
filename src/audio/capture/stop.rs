//! Ends a recording from another thread.

use crate::sync::LockExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Instant;

/// Ends a [`Microphone`](super::Microphone) from another thread.
#[derive(Debug, Clone, Default)]
pub struct StopHandle(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    at: OnceLock<Instant>,
    is_cancelled: AtomicBool,
    /// The thread that records.
    reader: Mutex<Option<Thread>>,
}

impl StopHandle {
    /// Stops once all that has been recorded by now is read.
    pub fn finish(&self) {
        self.0.at.get_or_init(Instant::now);
        if let Some(reader) = &*self.0.reader.lock_unpoisoned() {
            reader.unpark();
        }
    }

    /// Stops at once.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
        self.finish();
    }

    /// Returns true if it was stopped by [`Self::cancel`].
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }

    /// Returns true if it was stopped, by either.
    pub fn is_stopped(&self) -> bool {
        self.stopped_at().is_some()
    }

    /// Returns when it was stopped.
    pub fn stopped_at(&self) -> Option<Instant> {
        self.0.at.get().copied()
    }

    /// Makes a stop unpark the calling thread.
    pub(super) fn wake_this_thread(&self) {
        let mut reader = self.0.reader.lock_unpoisoned();
        let thread = std::thread::current();
        if reader
            .as_ref()
            .is_none_or(|other| other.id() != thread.id())
        {
            *reader = Some(thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stop_wakes_the_reader_and_a_cancelled_one_stays_cancelled() {
        let stop = StopHandle::default();
        assert!(!stop.is_stopped());
        stop.wake_this_thread();
        let other = stop.clone();
        let begun = Instant::now();
        let stopping = std::thread::spawn(move || other.finish());
        while !stop.is_stopped() {
            std::thread::park_timeout(Duration::from_secs(60));
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        stopping.join().expect("no panic");
        assert!(!stop.is_cancelled());
        let at = stop.stopped_at();
        stop.cancel();
        stop.finish();
        assert!(stop.is_cancelled() && stop.stopped_at() == at);
    }
}
