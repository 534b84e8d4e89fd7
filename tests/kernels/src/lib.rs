//! The kernels of the crate `hearken` with as little around them as they need.
//!
//! `#[path]` takes the kernels' own source, since depending on the crate `hearken` would bring its
//! other dependencies: some do not cross-compile without the libraries of the other system, and
//! `packaging/test-aarch64` may have to use Debian's Rust, which is older than what the crate
//! requires. It also keeps runs under Miri short (`packaging/test-miri`).

#[path = "../../../src/cpu/mod.rs"]
pub mod cpu;
