//! Matrix products of linear layers: activations packed into blocks, weights into panels.

pub(super) mod blocks;
pub(super) mod linear;
pub(super) mod npu_io;
pub(super) mod product;
