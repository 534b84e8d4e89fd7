//! End-to-end tests with real parts: the program, the model `base`, a message bus and a sound server
//! of their own. `make test` installs and fetches what they need.

mod desktop;
#[path = "../support/mod.rs"]
mod support;

mod accuracy;
mod daemon;
mod hard_speech;
mod install;
mod live;
mod microphone;
mod npu;
mod transcription;
mod word_times;
