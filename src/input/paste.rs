//! Text through the clipboard: pasted, with a receipt, or only copied.

use std::time::Duration;

use super::board::Chord;
use super::sink::{Board, Receipt, SinkError, Target, TextSink};
use crate::settings::desktop::Method;

/// Time that a program has to read the clipboard after a key combination. Shift+Insert and Ctrl+V are
/// tried one after another: without a reading the first had no effect.
const READ_TIMEOUT: Duration = Duration::from_millis(250);
/// Time between the reading and giving back the clipboard: some programs ask in several steps.
const AFTER_READ: Duration = Duration::from_millis(30);

/// Pastes, and gives the clipboard back.
pub struct PasteSink(Box<dyn Board>);

impl PasteSink {
    /// Creates the sink of a window system.
    pub fn new(board: Box<dyn Board>) -> Self {
        Self(board)
    }

    fn paste(&mut self) -> Result<(), SinkError> {
        for chord in [Chord::ShiftInsert, Chord::ControlV] {
            self.0.press(chord)?;
            if self.0.was_read(READ_TIMEOUT) {
                std::thread::sleep(AFTER_READ);
                return Ok(());
            }
        }
        Err(SinkError::lost(
            "the focused program has not read the clipboard",
        ))
    }
}

impl TextSink for PasteSink {
    fn method(&self) -> Method {
        Method::Paste
    }

    fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    fn target(&self) -> Option<Target> {
        let target = self.0.target()?;
        Some(Target {
            whole: true,
            ..target
        })
    }

    fn show(&mut self, _interim: &str) -> Result<(), SinkError> {
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        self.0.target().ok_or(SinkError::NoTarget)?;
        self.0.offer(text)?;
        let pasted = self.paste();
        let given_back = self.0.give_back();
        pasted.and(given_back)
    }

    fn erase(&mut self, _text: &str) -> Result<(), SinkError> {
        Err(SinkError::CannotErase)
    }

    /// An edit without a reading is an error, so what was committed has arrived.
    fn receipt(&mut self, _limit: Duration) -> Receipt {
        Receipt::Inserted
    }

    fn board(&mut self) -> Option<&mut dyn Board> {
        Some(self.0.as_mut())
    }
}

/// Copies; the user pastes.
pub struct ClipboardSink {
    board: Box<dyn Board>,
    text: String,
    focus: u64,
}

impl ClipboardSink {
    /// Creates the sink of a window system.
    pub fn new(board: Box<dyn Board>) -> Self {
        Self {
            board,
            text: String::new(),
            focus: super::sink::next_focus(),
        }
    }
}

impl TextSink for ClipboardSink {
    fn method(&self) -> Method {
        Method::Clipboard
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.text.clear();
        Ok(())
    }

    fn is_lost(&self) -> bool {
        self.board.is_lost()
    }

    /// The clipboard is always there.
    fn target(&self) -> Option<Target> {
        Some(Target {
            focus: self.focus,
            field: Some("clipboard".to_owned()),
            whole: true,
            before: Some(self.text.clone()),
            ..Target::default()
        })
    }

    fn show(&mut self, _interim: &str) -> Result<(), SinkError> {
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        self.text.push_str(text);
        self.board.copy(&self.text)
    }

    fn erase(&mut self, _text: &str) -> Result<(), SinkError> {
        Err(SinkError::CannotErase)
    }

    fn receipt(&mut self, _limit: Duration) -> Receipt {
        Receipt::Sent
    }

    fn board(&mut self) -> Option<&mut dyn Board> {
        Some(self.board.as_mut())
    }
}
