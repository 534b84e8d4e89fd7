//! The clipboard and what pasting needs of a window system.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sink::{SinkError, Target};

/// Form in which text is offered to tell clipboard histories not to keep it (KDE, and others).
pub const SECRET_HINT: &str = "x-kde-passwordManagerHint";

/// What a selection holds, in every form that its owner offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content(pub Vec<Format>);

/// One form of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Name: a target of X11 or a MIME type.
    pub name: String,
    /// Type of the data on X11; elsewhere the name again.
    pub kind: String,
    /// Bits of an element: 8, 16 or 32.
    pub bits: u8,
    /// The data.
    pub bytes: Vec<u8>,
}

/// Key combination that pastes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chord {
    /// Clipboard in most programs, primary selection in terminals; the same in all layouts.
    ShiftInsert,
    /// Clipboard in most programs.
    ControlV,
}

/// Both selections and the keyboard of a window system.
pub trait Board: Send {
    /// Returns the window that would get a paste.
    fn target(&self) -> Option<Target>;

    /// Remembers what both selections hold, and offers `text` in both.
    fn offer(&mut self, text: &str) -> Result<(), SinkError>;

    /// Presses a key combination.
    fn press(&mut self, chord: Chord) -> Result<(), SinkError>;

    /// Waits at most `limit` until the focused program has read the text.
    fn was_read(&mut self, limit: Duration) -> bool;

    /// Gives the selections back what they held.
    fn give_back(&mut self) -> Result<(), SinkError>;

    /// Offers `text` in the clipboard and leaves it there.
    fn copy(&mut self, text: &str) -> Result<(), SinkError>;

    /// Waits until other programs own both selections.
    fn wait_until_taken(&mut self);

    /// Returns what the selections hold by our doing; `None` if nothing.
    fn held(&self) -> Option<[Option<Content>; 2]>;

    /// Takes the selections with what another process of ours held.
    fn hold(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError>;
}
