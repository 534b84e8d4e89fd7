//! A mutex with priority: encoder and decoder share the machine's cores, so only one computes at a
//! time.
//!
//! The encoder has priority. The bounded channel after it limits its lead, and the decoder gets as
//! many windows in flight as it takes, whose passes read the weights only once.

use crate::sync::{LockExt, WaitExt};
use std::sync::{Condvar, Mutex};

/// Lock that a stage holds while it computes.
#[derive(Default)]
pub struct ComputeLock {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    taken: bool,
    encoder_waits: bool,
}

/// Guard of the lock, which is free again when the guard is dropped.
pub struct ComputeGuard<'a>(&'a ComputeLock);

impl ComputeLock {
    /// Locks for the encoder.
    pub fn encoder(&self) -> ComputeGuard<'_> {
        let mut state = self.state.lock_unpoisoned();
        state.encoder_waits = true;
        while state.taken {
            state = self.free.wait_unpoisoned(state);
        }
        *state = State {
            taken: true,
            encoder_waits: false,
        };
        ComputeGuard(self)
    }

    /// Locks for the decoder, if the encoder does not wait.
    pub fn decoder(&self) -> ComputeGuard<'_> {
        let mut state = self.state.lock_unpoisoned();
        while state.taken || state.encoder_waits {
            state = self.free.wait_unpoisoned(state);
        }
        state.taken = true;
        ComputeGuard(self)
    }
}

impl Drop for ComputeGuard<'_> {
    fn drop(&mut self) {
        self.0.state.lock_unpoisoned().taken = false;
        self.0.free.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn one_computes_at_a_time_and_the_encoder_goes_first() {
        let lock = ComputeLock::default();
        let (log, entries) = channel();
        std::thread::scope(|scope| {
            let first = lock.decoder();
            let (encoder_log, decoder_log) = (log.clone(), log.clone());
            let lock = &lock;
            scope.spawn(move || {
                let _guard = lock.encoder();
                // A decoder that did not wait would log first.
                std::thread::sleep(Duration::from_millis(20));
                encoder_log.send("encoder")
            });
            while !lock.state.lock().expect("no panic").encoder_waits {
                std::thread::yield_now();
            }
            scope.spawn(move || {
                let _guard = lock.decoder();
                decoder_log.send("decoder")
            });
            drop(first);
        });
        drop(log);
        assert_eq!(entries.iter().collect::<Vec<_>>(), ["encoder", "decoder"]);
    }
}
