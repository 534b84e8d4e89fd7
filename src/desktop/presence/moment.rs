//! What the agent tells of itself.

use crate::desktop::bus::State;

/// Something that the user may want to see or hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The state, and why nothing can be written; empty if all is well.
    State { state: State, trouble: String },
    /// Text of the utterance that is being spoken.
    Heard(Heard),
    /// Something that the user should know.
    Notice(Notice),
}

/// Something that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Text could not be put in and was kept; its first words, if they may be shown.
    Kept(Option<String>),
    /// Text is in the clipboard, and the user has to paste it.
    InClipboard,
    /// Something could not be done; why.
    Failed(String),
    /// There is no sound, or no text of it; why.
    NoSound(String),
    /// The daemon cannot be reached; why.
    NoDaemon(String),
}

/// Text of the utterance that is being spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub committed: String,
    pub interim: String,
    /// Whether the utterance is over.
    pub is_final: bool,
    /// Whether the field itself shows all of it.
    pub is_shown: bool,
}
