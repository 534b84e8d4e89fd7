//! Locks that outlive a panic.
//!
//! A thread that panics while it holds a [`Mutex`] poisons it, and every later `lock` fails. The
//! values that Hearken guards stay valid at every step, so the threads that remain carry on with
//! them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "daemon")]
use std::time::Duration;

/// Locking that ignores poison.
pub(crate) trait LockExt<T> {
    /// Locks the mutex, even if a thread panicked while it held the lock.
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T>;
}

impl<T> LockExt<T> for Mutex<T> {
    fn lock_unpoisoned(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waiting that ignores poison.
pub(crate) trait WaitExt {
    /// Waits for a notification, even if a thread panicked while it held the lock.
    fn wait_unpoisoned<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T>;

    /// The same, for at most `timeout`.
    #[cfg(feature = "daemon")]
    fn wait_timeout_unpoisoned<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T>;
}

impl WaitExt for Condvar {
    fn wait_unpoisoned<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "daemon")]
    fn wait_timeout_unpoisoned<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.wait_timeout(guard, timeout)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_lock_the_others_out() {
        let counter = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let mut counter = counter.lock_unpoisoned();
                *counter += 1;
                panic!("while the lock is held");
            });
            holder.join().is_err()
        });
        assert!(panicked && counter.is_poisoned());
        assert_eq!(*counter.lock_unpoisoned(), 2);
    }
}
