//! Dictation into the focused window, as a client of the daemon.
//!
//! In: events of a session, the hotkey. Out: text in the field, reports of what became of it, and what
//! the user sees and hears of it.

pub(crate) mod agent;
mod bus;
mod clock;
pub(crate) mod context;
pub(crate) mod hotkey;
pub(crate) mod presence;
pub(crate) mod typist;
