//! A small C ABI to AMD's XRT for XDNA NPUs (`include/hearken_xrt.h`) and its implementations.
//!
//! XRT's C interface has neither hardware contexts nor run lists, so the ABI is implemented by a
//! C++ shim (`shim/shim.cpp`), a shared object that [`Api::load`] opens at run time: programs that
//! use this crate build and run without XRT. [`emulator`] implements the same ABI in Rust,
//! strictly, for tests and for machines without an NPU. A [`manifest`] describes what an overlay
//! computes.

mod api;
pub mod bfp16;
pub mod emulator;
pub mod manifest;

pub use api::*;

/// Path of the shim that the build made; `None` without the feature `build-shim`.
pub const BUILT_SHIM: Option<&str> = option_env!("HEARKEN_XRT_SHIM");
