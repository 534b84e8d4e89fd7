//! Servers: Hearken for programs that speak another protocol than D-Bus.
//!
//! In: listening sockets, of the command line or passed by systemd. Out: text of the sound that
//! clients send. No protocol opens the microphone.
//!
//! ```text
//! Listener ──http: OpenAI's API──▶ Queue ──recording: a thread for the job that runs──▶ segments
//! ```
//!
//! All protocols share one [`Service`]: the engine, the configuration, and the queue of recordings.

mod error;
mod http;
mod listener;
mod queue;
mod recording;
mod service;

pub use error::ServerError;
pub use http::Http;
pub use listener::{Listener, passed};
pub use service::Service;
