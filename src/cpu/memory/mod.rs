//! Memory: large pages, and how fast it can be read.

pub(super) mod bandwidth;
pub(super) mod pages;
