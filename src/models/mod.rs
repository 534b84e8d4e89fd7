//! The weights: which models there are, how they are fetched, converted, checked and opened.
pub mod quantize;
