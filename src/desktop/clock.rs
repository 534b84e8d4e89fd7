//! A clock that wakes the agent at deadlines.

use std::time::Instant;

use crossbeam_channel::RecvTimeoutError;
use futures::channel::mpsc;

/// Starts a clock: it takes deadlines, each in place of the one before, and yields at each.
pub fn clock() -> (
    crossbeam_channel::Sender<Option<Instant>>,
    mpsc::Receiver<()>,
) {
    let (deadlines, inbox) = crossbeam_channel::unbounded::<Option<Instant>>();
    let (mut ticks, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut deadline = None;
        loop {
            let received = match deadline {
                Some(deadline) => inbox.recv_deadline(deadline),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(new) => deadline = new,
                Err(RecvTimeoutError::Timeout) => {
                    deadline = None;
                    // A full channel already holds the same message.
                    let _ = ticks.try_send(());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    (deadlines, receiver)
}
