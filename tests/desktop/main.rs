//! Text into windows of real programs, without a screen: X server, input methods and compositors of
//! their own. `make test` installs what they need.

#![cfg(feature = "desktop")]

mod ibus;
mod session;
mod sway;
mod x11;
