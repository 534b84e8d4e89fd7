//! The clipboard and what pasting needs of a window system.

use serde::{Deserialize, Serialize};

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
