//! Typing by keys. All characters of a piece of text get keycodes of their own before the first key
//! is pressed: a program that looks a key up after the next change would see another character.

use std::time::Duration;

use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{ConnectionExt as _, Keycode};

use super::keymap::{Batch, Keymap, batch, keysym};
use super::{X11, lost};
use crate::input::guard::Guard;
use crate::input::sink::{Receipt, SinkError, Target, TextSink};
use crate::input::x11::board::Numbered;
use crate::settings::desktop::Method;

/// Time that programs take to read a changed keymap.
const READ_TIME: Duration = Duration::from_millis(30);
/// Time that they take to look up the last key.
const LOOK_UP_TIME: Duration = Duration::from_millis(150);

/// Keys by XTEST.
pub struct XtestSink {
    x11: X11,
    focus: Numbered,
    guard: Guard,
}

impl XtestSink {
    /// Connects to the X server.
    ///
    /// # Errors
    /// Returns an error if there is none, or if it is Xwayland: its keys reach X11 programs only.
    pub fn open(guard: Guard) -> Result<Self, SinkError> {
        if std::env::var_os("WAYLAND_DISPLAY").is_some() {
            let reason = "the compositor's windows get no keys from X11";
            return Err(SinkError::unavailable(Method::Xtest.name(), reason));
        }
        Ok(Self {
            x11: X11::connect()?,
            focus: Numbered::default(),
            guard,
        })
    }
}

impl TextSink for XtestSink {
    fn method(&self) -> Method {
        Method::Xtest
    }

    fn is_lost(&self) -> bool {
        self.x11.is_lost()
    }

    fn target(&self) -> Option<Target> {
        self.focus.target(&self.x11.focus()?)
    }

    fn show(&mut self, _interim: &str) -> Result<(), SinkError> {
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        self.x11.focus().ok_or(SinkError::NoTarget)?;
        self.x11.wait_for_modifiers()?;
        let typed = self.type_text(text);
        self.guard.note(|taken| taken.keycodes.clear());
        typed
    }

    fn erase(&mut self, _text: &str) -> Result<(), SinkError> {
        Err(SinkError::CannotErase)
    }

    fn receipt(&mut self, _limit: Duration) -> Receipt {
        Receipt::Sent
    }
}

impl XtestSink {
    fn type_text(&self, text: &str) -> Result<(), SinkError> {
        let keymap = Keymap::read(&self.x11).map_err(lost)?;
        let spare = keymap.spare();
        if spare.is_empty() {
            return Err(SinkError::lost("the keyboard has no free keycode"));
        }
        let chars: Vec<char> = text.chars().collect();
        let mut rest = &chars[..];
        while !rest.is_empty() {
            let batch = batch(rest, &spare);
            let (now, later) = rest.split_at(batch.n_chars);
            let codes: Vec<Keycode> = batch.codes.values().copied().collect();
            self.guard.note(|taken| taken.keycodes.clone_from(&codes));
            let typed = self.x11.type_batch(&batch, now);
            // Also after a failure: the user's keyboard is as it was.
            let unmapped = self.x11.unmap(&codes, &keymap);
            unmapped.and(typed).map_err(lost)?;
            rest = later;
        }
        Ok(())
    }
}

/// Gives keycodes back that another process had used when it was killed.
pub fn give_back(codes: &[Keycode]) {
    let Ok(x11) = X11::connect() else {
        // The keymap has ended with the X server.
        return;
    };
    for code in codes {
        // A key that is up stays up.
        let _ = x11.key(*code, false);
    }
    if let Ok(keymap) = Keymap::read(&x11) {
        let _ = x11.unmap(codes, &keymap);
    }
}

impl X11 {
    fn type_batch(&self, batch: &Batch, text: &[char]) -> Result<(), ReplyError> {
        for (c, code) in &batch.codes {
            let keysym = keysym(*c);
            // Both levels, since Caps Lock may be on.
            self.connection
                .change_keyboard_mapping(1, *code, 2, &[keysym, keysym])?;
        }
        self.sync()?;
        std::thread::sleep(READ_TIME);
        for c in text {
            self.key(batch.codes[c], true)?;
            self.key(batch.codes[c], false)?;
        }
        self.sync()?;
        std::thread::sleep(LOOK_UP_TIME);
        Ok(())
    }

    fn unmap(&self, codes: &[Keycode], keymap: &Keymap) -> Result<(), ReplyError> {
        let nothing = keymap.nothing();
        let per_code = u8::try_from(nothing.len()).unwrap_or(u8::MAX);
        for code in codes {
            self.connection
                .change_keyboard_mapping(1, *code, per_code, &nothing)?;
        }
        self.sync()
    }
}
