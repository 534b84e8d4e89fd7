//! Wayland: the compositor's input method protocol, the clipboard, and a keyboard that pastes.

mod board;
mod clipboard;
mod connection;
mod keyboard;
mod method;

pub use board::WaylandBoard;
pub use method::WaylandSink;

/// Name of the window system in errors.
const NAME: &str = "Wayland";
