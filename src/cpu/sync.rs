//! What the thread pool needs of the standard library. `tests/loom` compiles the pool with loom's
//! versions in place of this file, to try the orders in which threads may run.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(super) use std::sync::{Arc, Mutex};
pub(super) use std::thread::{Builder, JoinHandle, Thread, park, yield_now};
pub(super) use std::time::Instant;

/// Turns of the spinning loops after which the core is offered to others: a few microseconds.
pub(super) const YIELD: u32 = 256;
