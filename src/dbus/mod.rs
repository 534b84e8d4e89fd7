//! The daemon on the session bus, `org.hearken.Hearken1`: one file per interface.
//!
//! [`Hub`] holds the shared state. Methods answer at once; whatever follows (text, states) passes
//! through the hub's outbox to [`serve()`], the only place that sends signals. Only a session's
//! owner receives its transcripts, unless the owner asked for `Captions`.

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
