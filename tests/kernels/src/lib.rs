//! The kernels of the crate `hearken` with as little around them as they need.

#[path = "../../../src/cpu/mod.rs"]
pub mod cpu;
