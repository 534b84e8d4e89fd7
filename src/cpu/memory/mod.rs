//! Memory: large pages, and read bandwidth.

pub(super) mod bandwidth;
pub(super) mod pages;
