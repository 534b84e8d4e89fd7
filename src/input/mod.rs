//! Text into the field that has the keyboard's focus.
//!
//! In: committed and interim text of a dictation. Out: the same text in the focused field, by the
//! first of several methods that reaches it, and what became of it.
//!
//! ```text
//! session events ──▶ writer: edits ──▶ router: the method of this focus ──▶ TextSink: IBus, Fcitx,
//!                    spacing, profile                                       Wayland, paste, XTEST, clipboard
//! ```

pub(crate) mod board;
pub(crate) mod fcitx;
pub(crate) mod guard;
pub(crate) mod ibus;
pub(crate) mod paste;
pub(crate) mod profile;
pub(crate) mod router;
pub(crate) mod sink;
pub(crate) mod spacing;
pub(crate) mod watch;
pub(crate) mod watched;
pub(crate) mod wayland;
pub(crate) mod writer;
pub(crate) mod x11;
