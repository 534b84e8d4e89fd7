//! Vector kernels and their thread pool: the arithmetic of the model on the CPU.
//!
//! In: slices of `f32` and packed weights. Out: slices of `f32`. The instruction set is found at
//! run time ([`Isa`]); kernels are written once against `Simd`. Work is split over
//! [`Pool`]'s resident threads so that the result does not depend on their number. `example.rs` is
//! a complete kernel with its dispatch and test.
//!
//! # Layouts
//!
//! A product y = x Wᵀ reads both operands packed, so that every step over k reads the next few
//! bytes of each. Rows of x come in blocks of [`MR`] (12 with AVX-512, 4 with AVX2 and NEON, 2 in
//! plain code), rows of W, the outputs, in panels of 16:
//!
//! ```text
//!                   step 0                     step 1
//! block 0 of x      x[0]0 x[1]0 … x[11]0       x[0]1 x[1]1 … x[11]1       …  [k][MR]
//! block 1           x[12]0 x[13]0 … x[23]0     x[12]1 x[13]1 … x[23]1     …
//!
//! panel 0 of W      W[0]0 W[1]0 … W[15]0       W[0]1 W[1]1 … W[15]1       …  [k][16]
//! panel 1           W[16]0 W[17]0 … W[31]0     W[16]1 W[17]1 … W[31]1     …
//!
//! with 8 bits       x[0]0–3 x[1]0–3 … x[11]0–3    x[0]4–7 x[1]4–7 …       …  [k / 4][MR][4]
//!                   W[0]0–3 W[1]0–3 … W[15]0–3    W[0]4–7 W[1]4–7 …       …  [k / 4][16][4]
//! ```
//!
//! `x[r]i` is value i of row r, `x[r]0–3` are four adjacent bytes. A register tile multiplies a
//! block by one panel, or two with AVX-512: each step loads a vector of 16 weights from each
//! panel, broadcasts each of the block's values and adds their products to MR × 16 or 32 sums,
//! which stay in registers until k ends.
//!
//! - x: with 8 bits, 128 stands for 0, and k is rounded up to a multiple of 16. The last block is
//!   as high as the smallest tile that holds its rows.
//! - W: the number of outputs, and k with 8 bits, are rounded up to multiples of 16; the values
//!   added are zero.
//!
//! [`MR`]: isa::simd::Simd::MR

// A closure or an iterator adapter may be compiled without the instruction set of the kernel around
// it.
#![allow(clippy::needless_range_loop)]

mod attention;
#[cfg(test)]
mod example;
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
