//! Attention over the positions of a window (encoder), and of single tokens over cached keys and
//! values (decoder).

pub(super) mod decoder;
pub(super) mod encoder;
pub(super) mod format;
pub(super) mod panels;
pub(super) mod weights;
