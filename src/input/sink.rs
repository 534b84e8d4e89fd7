//! What all methods have in common: a target, edits and receipts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::board::{Chord, Content};
use crate::advice::Advice;
use crate::settings::desktop::{Method, Purpose};
use std::borrow::Cow;

/// A way to put text where the user types.
pub trait TextSink: Send {
    /// Returns the method.
    fn method(&self) -> Method;

    /// Returns the method's exact name, for people and the bus, for example `ibus-guest`.
    fn name(&self) -> &'static str {
        self.method().name()
    }

    /// Prepares for a dictation. What this takes from the user's input method, [`Self::end`] gives
    /// back.
    ///
    /// # Errors
    /// Returns an error if the method cannot be used now.
    fn begin(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Returns everything to its state before [`Self::begin`].
    fn end(&mut self) {}

    /// Follows what has happened to the user's input method since the last edit.
    fn follow(&mut self) {}

    /// Whether its connection has ended, for example with the compositor. It is opened anew then.
    fn is_lost(&self) -> bool;

    /// Returns the field that would get the text now; `None` if there is none.
    fn target(&self) -> Option<Target>;

    /// Shows interim text at the cursor instead of what was shown. An empty text clears it.
    ///
    /// # Errors
    /// Returns an error if the target is lost.
    fn show(&mut self, interim: &str) -> Result<(), SinkError>;

    /// Puts text at the cursor for good, and clears what was shown.
    ///
    /// # Errors
    /// Returns an error if the text did not go in.
    fn commit(&mut self, text: &str) -> Result<(), SinkError>;

    /// Deletes `text`, which ends at the cursor.
    ///
    /// # Errors
    /// Returns an error if nothing was deleted.
    fn erase(&mut self, text: &str) -> Result<(), SinkError>;

    /// Waits at most `limit` for the receipt of the last commit.
    fn receipt(&mut self, limit: Duration) -> Receipt;

    /// Returns the selections, if the method has them.
    fn board(&mut self) -> Option<&mut dyn Board> {
        None
    }
}

/// Both selections and the keyboard of a window system.
pub trait Board: Send {
    /// Whether its connection has ended.
    fn is_lost(&self) -> bool;

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

    /// Waits until other programs own both selections, or until `stop`.
    fn wait_until_taken(&mut self, stop: &AtomicBool);

    /// Returns whether somebody owns the clipboard and the primary selection.
    fn are_owned(&mut self) -> [bool; 2];

    /// Returns what the selections hold by our doing; `None` if nothing.
    fn held(&self) -> Option<[Option<Content>; 2]>;

    /// Takes the selections with what another process of ours held.
    fn hold(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError>;
}

/// A field that has the keyboard's focus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Number of this focus; larger for each focus that any method sees.
    pub focus: u64,
    /// Name of the field or window, if it has one that stays the same.
    pub field: Option<String>,
    /// Name of the program, if it is known.
    pub program: Option<String>,
    /// What the field is for.
    pub purpose: Purpose,
    /// Text before the cursor, if the program reports it.
    pub before: Option<String>,
    /// Whether interim text can be shown.
    pub shows: bool,
    /// Whether text can be deleted again.
    pub erases: bool,
    /// Whether utterances go in whole: every edit disturbs the user.
    pub whole: bool,
    /// Number of keys that the user has pressed, where the method sees them.
    pub keys: u64,
}

impl Target {
    /// Whether field and program have the same names, as far as they are known: IBus tells the program
    /// of a field only when the focus changes.
    pub fn has_name_of(&self, other: &Self) -> bool {
        let programs = self.program.as_ref().zip(other.program.as_ref());
        self.field == other.field && programs.is_none_or(|(one, two)| one == two)
    }
}

/// What is known about a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The field has it: its text or its reading of the clipboard shows it.
    Inserted,
    /// It was sent to a live target, which does not answer.
    Sent,
}

/// Reason that an edit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The method is not available here.
    #[error("{method} is not available: {reason}")]
    Unavailable {
        /// Name of the method.
        method: &'static str,
        /// Why.
        reason: String,
    },
    /// No field has the focus.
    #[error("no text field has the focus")]
    NoTarget,
    /// The focused field must not get text.
    #[error("the focused field is a password, or private")]
    Secret,
    /// The focused field did not take the text.
    #[error("the text did not arrive: {0}")]
    Lost(String),
    /// The method cannot delete.
    #[error("this method cannot delete text")]
    CannotErase,
}

impl Advice for SinkError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NoTarget => Some("click into a text field and try again".into()),
            _ => None,
        }
    }
}

impl SinkError {
    /// Returns the error of a method that is not available.
    pub fn unavailable(method: &'static str, reason: impl ToString) -> Self {
        Self::Unavailable {
            method,
            reason: reason.to_string(),
        }
    }

    /// Returns the error of an edit that did not arrive.
    pub fn lost(reason: impl ToString) -> Self {
        Self::Lost(reason.to_string())
    }
}

/// Called by a sink's thread after its target has changed.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Returns the number of a focus that has just begun.
pub fn next_focus() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
