//! A small C ABI to AMD's XRT for XDNA NPUs (`include/hearken_xrt.h`), and what lies around it.
//!
//! XRT's C interface knows neither hardware contexts nor run lists, so the ABI is implemented by a
//! shim in C++ (`shim/shim.cpp`), a shared object that [`Api::load`] opens at run time: a program
//! that uses this crate needs no XRT to be built or run. [`emulator`] implements the same ABI in
//! Rust, strictly, for tests and for machines without an NPU. What an overlay computes is described
//! by a [`manifest`].

mod api;
pub mod bfp16;
pub mod emulator;
pub mod manifest;

pub use api::*;

/// Where the build has put the shim; there is one only with the feature `build-shim`.
pub const BUILT_SHIM: Option<&str> = option_env!("HEARKEN_XRT_SHIM");
