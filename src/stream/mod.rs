//! From an endless stream of samples to utterances that fit an encoder window.

mod cut;
mod segmenter;

pub use segmenter::{Segmenter, SegmenterOptions, Utterance};
