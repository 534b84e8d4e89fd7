//! The Whisper encoder on an NPU: its linear layers and convolutions on the array, the rest on the
//! CPU.
//!
//! ```text
//! log-mel ──▶ whisper::CpuEncoder ──rows──▶ gemm: bf16 or i8 ──▶ device: runs ──▶ xrt-sys: XRT, or the emulator
//!             attention, layer norm ◀──products through bias, GELU── gemm ◀──┘
//! ```
//!
//! With [`NpuOptions::whole`], `blocks` computes everything between the stem and the last norm on the
//! array instead.
//!
//! [`Npu`] owns the device. If anything in it fails, the window is recomputed on the CPU and no
//! text is lost; the device is closed, and tried again after a growing pause.

mod backend;
mod blocks;
mod detect;
mod device;
mod gemm;
mod layout;
mod paths;
mod setup;
mod times;
mod weights;

pub use backend::{BackendState, Npu};
pub use detect::{Finding, examine};
pub use gemm::Submission;
pub use setup::{NpuOptions, SetupError, pack_weights};
pub use times::Times;

#[cfg(test)]
mod tests;
