//! Text into windows of real programs, without a screen: X server, input methods and compositors of
//! their own. `make test` installs what they need.

#![cfg(feature = "desktop")]

#[cfg(feature = "captions")]
mod captions;
mod ibus;
mod memory;
mod presence;
mod session;
mod setup;
mod sway;
mod x11;
