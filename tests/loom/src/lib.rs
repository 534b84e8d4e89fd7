//! The thread pool of the crate `hearken`, compiled with loom's atomics and threads.

pub mod cpu;
