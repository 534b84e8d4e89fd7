//! Pasting on X11. The request for a selection names its requestor, which shows whether the focused
//! program has read it or a clipboard manager.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use x11rb::protocol::xproto::Window;

use super::keymap::{CONTROL, INSERT, Keymap, SHIFT};
use super::selection::Selections;
use super::{Focus, NAME, X11, lost};
use crate::input::board::{Chord, Content};
use crate::input::guard::Guard;
use crate::input::sink::{Board, SinkError, Target, next_focus};
use crate::sync::LockExt;

/// Time in which clipboard managers read what is new.
const MANAGER_TIME: Duration = Duration::from_millis(40);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Selections and keyboard of X11.
pub struct X11Board {
    x11: X11,
    selections: Selections,
    focus: Numbered,
    saved: [Option<Content>; 2],
    guard: Guard,
    /// Client that had the focus when the keys were pressed.
    client: Option<u32>,
}

impl X11Board {
    /// Connects to the X server.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn open(guard: Guard) -> Result<Self, SinkError> {
        let selections = Selections::open();
        Ok(Self {
            x11: X11::connect()?,
            selections: selections.map_err(|error| SinkError::unavailable(NAME, error))?,
            focus: Numbered::default(),
            saved: [None, None],
            guard,
            client: None,
        })
    }
}

impl Board for X11Board {
    fn is_lost(&self) -> bool {
        self.x11.is_lost()
    }

    fn target(&self) -> Option<Target> {
        self.focus.target(&self.x11.focus()?)
    }

    fn offer(&mut self, text: &str) -> Result<(), SinkError> {
        self.x11.wait_for_modifiers()?;
        self.saved = self.selections.save().map_err(lost)?;
        self.guard
            .note(|taken| taken.selections = self.saved.clone());
        let text = Selections::text(text);
        let both = [Some(text.clone()), Some(text)];
        self.selections.set(both).map_err(lost)?;
        std::thread::sleep(MANAGER_TIME);
        while self.selections.reads.try_recv().is_ok() {}
        Ok(())
    }

    fn press(&mut self, chord: Chord) -> Result<(), SinkError> {
        let keymap = Keymap::read(&self.x11).map_err(lost)?;
        let (modifier, key) = match chord {
            Chord::ShiftInsert => (SHIFT, INSERT),
            Chord::ControlV => (CONTROL, u32::from('v')),
        };
        let missing = || SinkError::lost("the keyboard layout lacks the keys that paste");
        let modifier = keymap.code_of(modifier).ok_or_else(missing)?;
        let key = keymap.code_of(key).ok_or_else(missing)?;
        self.client = Some(self.x11.focus().ok_or(SinkError::NoTarget)?.client);
        for (code, is_down) in [
            (modifier, true),
            (key, true),
            (key, false),
            (modifier, false),
        ] {
            self.x11.key(code, is_down).map_err(lost)?;
        }
        self.x11.sync().map_err(lost)
    }

    fn was_read(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while let Ok(read) = self.selections.reads.recv_deadline(until) {
            if read.is_text && Some(self.x11.client_of(read.requestor)) == self.client {
                return true;
            }
        }
        false
    }

    fn give_back(&mut self) -> Result<(), SinkError> {
        let saved = std::mem::take(&mut self.saved);
        self.selections.set(saved).map_err(lost)
    }

    fn copy(&mut self, text: &str) -> Result<(), SinkError> {
        let [_, primary] = self.selections.owned();
        let both = [Some(Selections::text(text)), primary];
        self.guard.note(|taken| taken.selections = both.clone());
        self.selections.set(both).map_err(lost)
    }

    fn wait_until_taken(&mut self, stop: &AtomicBool) {
        while self.held().is_some() && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn are_owned(&mut self) -> [bool; 2] {
        // A server that has ended has no selections to be taken.
        self.selections.are_owned().unwrap_or([true; 2])
    }

    fn held(&self) -> Option<[Option<Content>; 2]> {
        let owned = self.selections.owned();
        owned.iter().any(Option::is_some).then_some(owned)
    }

    fn hold(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError> {
        self.selections.set(contents).map_err(lost)
    }
}

/// Numbers each focus as it is seen.
#[derive(Debug, Default)]
pub struct Numbered(Mutex<Option<(Window, u64)>>);

impl Numbered {
    /// Returns the target that a window is.
    pub fn target(&self, focus: &Focus) -> Option<Target> {
        let mut last = self.0.lock_unpoisoned();
        let number = match *last {
            Some((window, number)) if window == focus.window => number,
            _ => next_focus(),
        };
        *last = Some((focus.window, number));
        Some(Target {
            focus: number,
            field: Some(format!("{:#x}", focus.window)),
            program: focus.program.clone(),
            purpose: focus.purpose(),
            ..Target::default()
        })
    }
}
