//! Waiting for a sound server that may never answer, with no thread left behind that waits for
//! ever.

use super::error::CaptureError;
use crate::sync::LockExt;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long the server may take to answer.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for `answer`, at most [`REPLY_TIMEOUT`].
///
/// # Errors
/// [`CaptureError::Silent`] after that.
pub(super) fn within<T>(answer: impl Future<Output = T>) -> Result<T, CaptureError> {
    let until = Instant::now() + REPLY_TIMEOUT;
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

/// Something that may block for ever, done on a thread of which there is never more than one: as
/// long as it is stuck, whoever wants the same waits for the same thread.
pub(super) struct AtMostOne<T>(Mutex<Option<Receiver<T>>>);

impl<T: Send + 'static> AtMostOne<T> {
    /// Nothing is being done yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Has `work` done, or goes on waiting for what was begun before; waits at most [`REPLY_TIMEOUT`].
    ///
    /// # Errors
    /// [`CaptureError::Silent`] after that.
    pub fn run(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, CaptureError> {
        let mut pending = self.0.lock_unpoisoned();
        let receiver = pending.take().unwrap_or_else(|| {
            let (sender, receiver) = channel();
            std::thread::spawn(move || {
                // Where nobody waits any more there is nobody to tell.
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
    fn what_is_stuck_is_not_begun_again() {
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
            "the result of what was begun first"
        );
        assert_eq!(BEGUN.load(Ordering::Relaxed), 1);
        assert!(matches!(one.run(again), Ok(false)));
    }
}
