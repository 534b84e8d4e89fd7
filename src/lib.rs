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
pub mod cli;
#[cfg(feature = "daemon")]
pub mod client;
pub mod commands;
pub mod compute;
pub mod config;
pub mod cpu;
#[cfg(feature = "daemon")]
pub mod dbus;
pub mod engine;
pub mod env;
pub mod mel;
pub mod models;
pub mod npu;
pub mod output;
pub mod pipeline;
pub mod recognize;
#[cfg(feature = "daemon")]
pub mod session;
pub mod settings;
pub mod stream;
mod suggest;
mod sync;
pub mod text;
pub mod tokenizer;
pub mod whisper;
