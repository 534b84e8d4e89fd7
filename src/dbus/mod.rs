//! The daemon on the session bus, `org.hearken.Hearken1`: one interface a file.
//!
//! [`Hub`] holds what the interfaces share. Methods answer at once; everything that comes later
//! (text, states) passes through the hub's outbox to [`serve()`], the one place that sends signals.
//! Transcripts go to the session's owner alone, unless the owner asked for `Captions`.

mod captions;
mod error;
mod hub;
mod job;
mod manager;
pub(crate) mod options;
pub mod protocol;
mod serve;
mod session;

pub use error::BusError;
pub use hub::{Hub, Message, engine_events};
pub use serve::{ServeError, serve};
