//! Vector kernels and their thread pool: the arithmetic of the model on the CPU.
//!
//! In: slices of `f32` and packed weights. Out: slices of `f32`. The instruction set is found at
//! run time ([`Level`]); kernels are written once against [`simd::Simd`]. Work is split over
//! [`Pool`]'s resident threads so that the result does not depend on their number.

// A closure or an iterator adapter may be compiled without the instruction set of the kernel around
// it.
#![allow(clippy::needless_range_loop)]

mod attend;
mod attention;
mod attention_weights;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bandwidth;
mod blocks;
#[cfg(test)]
mod definition;
mod format;
mod level;
mod linear;
mod math;
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon;
mod offload;
mod pages;
mod panels;
mod peak;
mod pool;
mod product;
mod quantize;
mod reduce;
mod scalar;
mod simd;

pub use attend::{AttendPanels, AttendTokens, to_f16};
pub use attention::{Attention, KeysValues};
pub use attention_weights::AttentionWeights;
pub use bandwidth::read_all;
pub use level::{Level, LevelError};
pub use linear::{Epilogue, LayerNorm, Linear, Packed, PackedI8, pack_i8};
pub use math::{gelu, layer_norm, softmax};
pub use matrix::{MatMut, MatRef};
pub use offload::{Product, finish_product, terms_width, to_bf16_terms, to_i8};
pub use pages::LargePages;
pub use panels::{Panels, Stored, pack_panels, panels_len};
pub use peak::peak_macs;
pub use pool::Pool;
pub use quantize::quantize_rows;
pub use reduce::{greatest, sum_exp, top_k};
use simd::{Kernel, Simd};

/// Numbers that a product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// 8-bit whole numbers.
    Int8,
    /// bfloat16 where the instruction set multiplies it, else `f32`.
    Bf16,
    /// Single precision.
    F32,
}

/// Where kernels run: an instruction set and a thread pool.
pub struct Cpu {
    /// Instruction set in use.
    pub level: Level,
    /// Threads in use.
    pub pool: Pool,
}

impl Cpu {
    /// The instruction set that [`Level::detect`] finds, and `threads` threads.
    ///
    /// # Errors
    /// Where `HEARKEN_CPU` names no instruction set of this machine.
    pub fn new(threads: usize) -> Result<Self, LevelError> {
        Ok(Self {
            level: Level::detect()?,
            pool: Pool::new(threads),
        })
    }
}
