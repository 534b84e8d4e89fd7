//! What all protocols share: the engine, the configuration and the queue of recordings.

use std::sync::Arc;

use super::queue::Queue;
use crate::config::Config;
use crate::session::SharedEngine;

/// What all protocols share.
pub struct Service {
    /// The model.
    pub engine: Arc<SharedEngine>,
    /// Returns the current configuration.
    pub config: Box<dyn Fn() -> Config + Send + Sync>,
    /// Recordings that are transcribed.
    pub(super) queue: Queue,
}

impl Service {
    /// Creates a service over an engine; `config` returns the configuration for each request.
    pub fn new(
        engine: Arc<SharedEngine>,
        config: impl Fn() -> Config + Send + Sync + 'static,
    ) -> Arc<Self> {
        let queue = Queue::new(config().server.waiting);
        Arc::new(Self {
            engine,
            config: Box::new(config),
            queue,
        })
    }
}
