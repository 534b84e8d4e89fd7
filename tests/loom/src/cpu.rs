//! The pool and the modules that it expects around itself.
//!
//! `#[path]` takes the pool's own source, since loom must stand in for the standard library inside
//! it, and the crate `hearken` has the standard library there.

/// Safe code makes views of what there is:
///
/// ```
/// use hearken_test_loom::cpu::matrix::MatMut;
/// let mut data = [0.0; 4];
/// let view = MatMut::new(&mut data, 2, 2, 2);
/// ```
///
/// It cannot make them larger, since the sizes are private:
///
/// ```compile_fail,E0451
/// use hearken_test_loom::cpu::matrix::MatMut;
/// let mut data = [0.0; 4];
/// let view = MatMut::new(&mut data, 2, 2, 2);
/// let larger = MatMut { rows: 1000, ..view };
/// ```
///
/// ```compile_fail,E0616
/// use hearken_test_loom::cpu::matrix::MatMut;
/// let mut data = [0.0; 4];
/// let mut view = MatMut::new(&mut data, 2, 2, 2);
/// view.rows = 1000;
/// ```
///
/// These examples stand here since the crate `hearken` keeps the type to itself: there they would
/// fail to compile whatever the fields are.
#[path = "../../../src/cpu/matrix.rs"]
pub mod matrix;
#[path = "../../../src/cpu/pool.rs"]
pub mod pool;

/// Stands in for `src/cpu/sync.rs`.
mod sync {
    pub use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub use loom::sync::{Arc, Mutex};
    pub use loom::thread::{Builder, JoinHandle, Thread, park, yield_now};
    use std::time::Duration;

    /// loom runs one thread at a time: every turn of a spinning loop lets the others run.
    pub const YIELD: u32 = 1;

    /// Nothing, since the pool yields after each turn.
    pub fn spin_loop() {}

    /// A clock by which any wait has been long, so that idle workers park soon and always after
    /// the same number of turns, as loom requires.
    pub struct Instant;

    impl Instant {
        /// The only instant there is.
        pub fn now() -> Self {
            Self
        }

        /// Longer than any limit.
        pub fn elapsed(&self) -> Duration {
            Duration::MAX
        }
    }
}
