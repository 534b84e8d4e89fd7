//! Hearken: streaming speech-to-text with OpenAI's Whisper, on the user's own machine.
//!
//! Transcribe a recording with the installed model `base` (`hearken models fetch base`):
//!
//! ```no_run
//! use hearken::audio::FileSource;
//! use hearken::engine::{Engine, EngineOptions};
//! use hearken::pipeline::Transcriber;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::load(&EngineOptions::default(), |state| eprintln!("{state}"))?;
//!     let source = FileSource::open("talk.flac".as_ref())?;
//!     Transcriber::new(&engine.whisper).run(source, |window| {
//!         println!("{}", window.text());
//!         Ok::<_, std::io::Error>(())
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! | module | in | out |
//! |---|---|---|
//! | [`audio`] | a file, pipe or microphone | 16 kHz mono samples, utterances |
//! | [`models`] | downloads, checkpoints | installed model files |
//! | [`engine`] | a model's name, a device | a [`whisper::Whisper`] that is ready |
//! | [`pipeline`] | a source | the text of its windows, while it is being read |
//! | [`stream`] | samples as they come | partial and final text |
//! | [`text`] | words as Whisper writes them | replacements, spoken punctuation, fillers, numbers |
//! | [`output`] | segments | txt, srt, vtt, ass, tsv, lrc, json |
//!
//! `examples/` has a program for a file, for the microphone, and a client of the daemon.
//!
//! Features, all on by default: `daemon` (microphone, sessions, D-Bus and the commands that use
//! them), `serve` (the servers of other protocols) and `fetch` (downloads of models).

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
#[cfg(feature = "desktop")]
pub(crate) mod desktop;
pub mod engine;
pub(crate) mod env;
pub(crate) mod filter;
#[cfg(feature = "desktop")]
pub(crate) mod input;
pub(crate) mod mel;
pub mod models;
pub(crate) mod npu;
pub mod output;
pub mod pipeline;
pub(crate) mod recognize;
#[cfg(feature = "serve")]
pub(crate) mod serve;
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
#[path = "../tests/support/mod.rs"]
mod support;
#[cfg(test)]
mod tests;
