//! From an endless stream of samples to utterances that fit an encoder window.
