//! Text into windows of real programs, without a screen: X server, input methods and compositors of
//! their own. `make test` installs what they need.

#![cfg(feature = "desktop")]

mod agent;
#[cfg(feature = "captions")]
mod captions;
mod fcitx;
mod ibus;
mod killed;
mod memory;
mod portal;
mod presence;
mod session;
mod setup;
mod sway;
mod x11;
