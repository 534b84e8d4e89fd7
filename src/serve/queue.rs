//! The queue of recordings: one is transcribed, a few wait, further ones are refused.
//!
//! A recording is transcribed by all cores, so a second one at the same time would only make both
//! later, and take memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The queue.
pub(super) struct Queue {
    /// Places of the recordings that wait, and of the one that runs.
    places: Arc<Semaphore>,
    /// Who has it is transcribed.
    turn: Arc<Semaphore>,
}

/// A place in the queue, free again when it is dropped.
pub(super) struct Place {
    place: OwnedSemaphorePermit,
    turn: Arc<Semaphore>,
}

/// The right to transcribe, until it is dropped.
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Queue {
    /// Creates a queue in which that many recordings may wait.
    pub fn new(waiting: f64) -> Self {
        Self {
            places: Arc::new(Semaphore::new(waiting as usize + 1)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Takes a place; `None` if the queue is full.
    pub fn enter(&self) -> Option<Place> {
        Some(Place {
            place: self.places.clone().try_acquire_owned().ok()?,
            turn: self.turn.clone(),
        })
    }
}

impl Place {
    /// Waits for those before it.
    pub async fn turn(self) -> Turn {
        Turn {
            _place: self.place,
            // The semaphore is never closed.
            _turn: self.turn.acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn one_runs_some_wait_in_order_and_the_rest_are_refused() {
        let queue = Queue::new(2.0);
        let mut cx = Context::from_waker(Waker::noop());
        let places: Vec<_> = (0..4).map_while(|_| queue.enter()).collect();
        assert_eq!(places.len(), 3);
        let [first, second, third] = <[Place; 3]>::try_from(places).ok().expect("three places");
        let (mut first, mut second) = (Box::pin(first.turn()), Box::pin(second.turn()));
        let mut third = pin!(third.turn());
        let Poll::Ready(running) = first.as_mut().poll(&mut cx) else {
            panic!("nobody is before it");
        };
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(third.as_mut().poll(&mut cx).is_pending());
        // A client that does not wait any longer.
        drop(second);
        assert!(queue.enter().is_some(), "its place is free");
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(running);
        assert!(third.as_mut().poll(&mut cx).is_ready());
    }
}
