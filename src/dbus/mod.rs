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
mod options;
mod serve;
mod session;

pub use error::BusError;
pub use hub::{Hub, Message};
pub use serve::{ServeError, serve};

/// Well-known name of the daemon.
pub const NAME: &str = "org.hearken.Hearken1";
/// Its main object; sessions and jobs lie below it.
pub const PATH: &str = "/org/hearken/Hearken1";

/// Path of a session.
fn session_path(number: u64) -> String {
    format!("{PATH}/Session/{number}")
}

/// Path of a job.
fn job_path(number: u64) -> String {
    format!("{PATH}/Job/{number}")
}
