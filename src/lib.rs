//! Hearken: streaming speech-to-text with OpenAI's Whisper, on the user's own machine.
//!
//! Audio goes in at [`audio`], is cut into utterances by [`stream`], becomes a log-mel spectrogram
//! in [`mel`], encoder states and tokens in [`whisper`] (on the vector kernels of [`cpu`], or with
//! [`npu`]) and leaves as text through [`text`] and [`output`], or, spoken into a microphone,
//! through `session` and `dbus`. [`models`] keeps the weights.
//!
//! Features, all on by default: `daemon` (microphone, sessions, D-Bus and the commands that use
//! them), `fetch` (downloads of models).

pub mod advice;
pub mod audio;
pub(crate) mod cli;
#[cfg(feature = "daemon")]
pub(crate) mod client;
#[doc(hidden)]
pub mod commands;
pub mod compute;
pub(crate) mod config;
pub(crate) mod cpu;
#[cfg(feature = "daemon")]
pub(crate) mod dbus;
pub mod engine;
pub(crate) mod env;
pub(crate) mod mel;
pub mod models;
pub(crate) mod npu;
pub mod output;
pub mod pipeline;
pub(crate) mod recognize;
#[cfg(feature = "daemon")]
pub(crate) mod session;
pub(crate) mod settings;
pub mod stream;
mod suggest;
mod sync;
pub mod text;
pub mod tokenizer;
pub mod whisper;

// Helpers that unit tests share with the programs under tests/, under the name that these use.
#[cfg(test)]
extern crate self as hearken;
#[cfg(test)]
mod mel_golden;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
