//! The kernels of the crate `hearken` with as little around them as they need.

#[path = "../../../src/cpu/mod.rs"]
pub mod cpu;
#[path = "../../../src/models/quantize.rs"]
mod quantize;

/// The part of `hearken::models` that the kernels' tests use.
pub mod models {
    pub use crate::quantize::quantize_rows;
}
