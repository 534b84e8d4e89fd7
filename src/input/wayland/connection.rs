//! Reading a connection in a thread of its own, or for a limited time.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wayland_client::{Connection, EventQueue};

use super::NAME;
use crate::input::sink::SinkError;

/// Connects to the compositor of the environment.
pub fn connect() -> Result<Connection, SinkError> {
    Connection::connect_to_env().map_err(unavailable)
}

pub fn unavailable(reason: impl ToString) -> SinkError {
    SinkError::unavailable(NAME, reason)
}

/// Dispatches events until `done`, at most for `limit`. Returns whether it is done.
pub fn dispatch_until<S>(
    queue: &mut EventQueue<S>,
    state: &mut S,
    limit: Duration,
    done: impl Fn(&S) -> bool,
) -> Result<bool, SinkError> {
    let until = Instant::now() + limit;
    loop {
        queue.dispatch_pending(state).map_err(SinkError::lost)?;
        queue.flush().map_err(SinkError::lost)?;
        if done(state) {
            return Ok(true);
        }
        let Some(left) = until.checked_duration_since(Instant::now()) else {
            return Ok(false);
        };
        let Some(guard) = queue.prepare_read() else {
            continue;
        };
        if wait_readable(&guard.connection_fd(), left) {
            guard.read().map_err(SinkError::lost)?;
        }
    }
}

/// Waits at most `limit` until something can be read.
pub fn wait_readable(descriptor: &impl AsFd, limit: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let ready = poll(
        &mut [PollFd::new(descriptor, PollFlags::IN)],
        Some(&timeout),
    );
    ready.is_ok_and(|n| n > 0)
}
