//! State that a method's thread writes and the sink reads.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::sink::Wake;
use crate::sync::{LockExt, WaitExt};

/// The state, and who is told of changes.
pub struct Watched<S> {
    state: Mutex<S>,
    changed: Condvar,
    wake: Wake,
}

impl<S> Watched<S> {
    /// Creates a state. `wake` is called after each change.
    pub fn new(state: S, wake: Wake) -> Self {
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            wake,
        }
    }

    /// Locks it, to read it or to change what nobody waits for.
    pub fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock_unpoisoned()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.lock());
        self.changed.notify_all();
        (self.wake)();
    }

    /// Waits at most `limit` until it is `done`. Returns whether it is.
    pub fn wait(&self, limit: Duration, done: impl Fn(&S) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while !done(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self.changed.wait_timeout_unpoisoned(state, left);
        }
        true
    }
}
