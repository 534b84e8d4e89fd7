//! Vector kernels and their thread pool: the arithmetic of the model on the CPU.
//!
//! In: slices of `f32` and packed weights. Out: slices of `f32`. The instruction set is found at
//! run time ([`Isa`]); kernels are written once against `Simd`. Work is split over
//! [`Pool`]'s resident threads so that the result does not depend on their number.

// A closure or an iterator adapter may be compiled without the instruction set of the kernel around
// it.
#![allow(clippy::needless_range_loop)]

mod attention;
mod gemm;
mod isa;
mod math;
mod matrix;
mod memory;
mod peak;
mod pool;
mod quantize;
mod reduce;
#[cfg(test)]
mod reference;
mod sync;

pub use attention::decoder::{AttendPanels, AttendTokens, to_f16};
pub use attention::encoder::{Attention, KeysValues};
pub use attention::panels::{KvFormat, Panels, pack_panels, panels_len};
pub use attention::weights::AttentionWeights;
pub use gemm::linear::{Epilogue, Linear, PackedI8, pack_i8};
pub use gemm::npu_io::{Product, finish_product, terms_width, to_bf16_terms, to_i8};
pub use isa::{Isa, IsaError};
#[cfg(test)]
pub use math::gelu;
pub use math::{LayerNorm, layer_norm};
pub use matrix::{MatMut, MatRef};
pub use memory::bandwidth::read_all;
pub use memory::pages::LargePages;
pub use peak::peak_macs;
pub use pool::Pool;
pub use quantize::quantize_rows;
pub use reduce::{argmax, sum_exp, top_k};

/// Numbers that a product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
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
    pub isa: Isa,
    /// Threads in use.
    pub pool: Pool,
}

impl Cpu {
    /// The instruction set that [`Isa::detect`] finds, and `threads` threads.
    ///
    /// # Errors
    /// Where `HEARKEN_CPU` names no instruction set of this machine.
    pub fn new(threads: usize) -> Result<Self, IsaError> {
        Ok(Self {
            isa: Isa::detect()?,
            pool: Pool::new(threads),
        })
    }
}
