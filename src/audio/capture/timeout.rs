//! Waits for a sound server that may never answer, without leaving threads behind.

use super::error::CaptureError;
use crate::sync::LockExt;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Longest time to wait for the sound that a device had recorded when the user stopped, and for the
/// server to tell how much that is. Usually it takes a tenth of it.
pub(super) const MAX_TAIL: Duration = Duration::from_millis(200);
/// Maximum time for the server to answer.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for `answer`, at most [`REPLY_TIMEOUT`].
///
/// # Errors
/// Returns [`CaptureError::Silent`] after that time.
pub(super) fn within<T>(answer: impl Future<Output = T>) -> Result<T, CaptureError> {
    within_time(REPLY_TIMEOUT, answer)
}

/// Waits for `answer`, at most for a given time.
///
/// # Errors
/// Returns [`CaptureError::Silent`] after that time.
pub(super) fn within_time<T>(
    most: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, CaptureError> {
    let until = Instant::now() + most;
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut answer = pin!(answer);
    loop {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(answer);
        }
        match until.checked_duration_since(Instant::now()) {
            Some(rest) => std::thread::park_timeout(rest),
            None => return Err(CaptureError::Silent),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A call that may block forever, on at most one thread: while it is stuck, later callers wait for
/// the same thread.
pub(super) struct AtMostOne<T>(Mutex<Option<Receiver<T>>>);

impl<T: Send + 'static> AtMostOne<T> {
    /// Creates it without a call in progress.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Runs `work`, or continues to wait for a call already in progress; waits at most
    /// [`REPLY_TIMEOUT`].
    ///
    /// # Errors
    /// Returns [`CaptureError::Silent`] after that time.
    pub fn run(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, CaptureError> {
        let mut pending = self.0.lock_unpoisoned();
        let receiver = pending.take().unwrap_or_else(|| {
            let (sender, receiver) = channel();
            std::thread::spawn(move || {
                // The receiver may have stopped waiting.
                let _ = sender.send(work());
            });
            receiver
        });
        receiver.recv_timeout(REPLY_TIMEOUT).map_err(|error| {
            if error == RecvTimeoutError::Timeout {
                *pending = Some(receiver);
            }
            CaptureError::Silent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_never_answers_is_given_up() {
        let begun = Instant::now();
        assert!(matches!(
            within(std::future::pending::<()>()),
            Err(CaptureError::Silent)
        ));
        assert!(begun.elapsed() >= REPLY_TIMEOUT);
        assert!(matches!(within(async { 7 }), Ok(7)));
    }

    #[test]
    fn a_stuck_call_is_not_started_again() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let (release, stuck) = channel::<()>();
        let one = AtMostOne::new();
        let first = move || {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            stuck.recv().is_ok()
        };
        assert!(matches!(one.run(first), Err(CaptureError::Silent)));
        release.send(()).expect("it waits");
        let again = || {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            false
        };
        assert!(
            matches!(one.run(again), Ok(true)),
            "the result of the call that was started first"
        );
        assert_eq!(BEGUN.load(Ordering::Relaxed), 1);
        assert!(matches!(one.run(again), Ok(false)));
    }
}
