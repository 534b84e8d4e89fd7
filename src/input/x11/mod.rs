//! The X server: who has the focus, which keys are held, and pressing keys by the extension XTEST.

mod board;
mod keymap;
mod selection;
mod typing;

pub use board::X11Board;
pub use keymap::keycode;
pub use typing::{XtestSink, give_back};

use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, Keycode, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::sink::SinkError;
use crate::settings::desktop::Purpose;

/// How long the user may hold a modifier before a text is given up.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Values of the focus that are no window.
const POINTER_ROOT: Window = 1;

/// Parts of the classes of terminals, in lower case. Nothing else tells on X11 that a line end would
/// run a command.
const TERMINALS: [&str; 8] = [
    "alacritty",
    "foot",
    "ghostty",
    "kitty",
    "konsole",
    "rxvt",
    "term",
    "tilix",
];

/// Parts of the names of input methods' modules for toolkits.
const MODULES: [&str; 3] = ["im-ibus", "ibusplatforminputcontext", "fcitx"];

/// Name of the method in errors.
const NAME: &str = "X11";

/// Connection to the X server of the environment.
pub struct X11 {
    connection: RustConnection,
    root: Window,
}

/// The window that has the focus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Focus {
    /// The window.
    pub window: Window,
    /// Part of its id that all windows of its client share.
    pub client: u32,
    /// Class of its program.
    pub program: Option<String>,
}

impl Focus {
    /// Returns what the window is for, as far as its class tells.
    pub fn purpose(&self) -> Purpose {
        let class = self.program.as_deref().unwrap_or_default().to_lowercase();
        if TERMINALS.iter().any(|terminal| class.contains(terminal)) {
            Purpose::Terminal
        } else {
            Purpose::Text
        }
    }
}

impl X11 {
    /// Connects.
    ///
    /// # Errors
    /// Returns an error if there is no X server, or if it does not have XTEST.
    pub fn connect() -> Result<Self, SinkError> {
        let connected = x11rb::connect(None);
        let (connection, screen) =
            connected.map_err(|error| SinkError::unavailable(NAME, error))?;
        let root = connection
            .setup()
            .roots
            .get(screen)
            .map(|screen| screen.root);
        let root = root.ok_or_else(|| SinkError::unavailable(NAME, "there is no screen"))?;
        let x11 = Self { connection, root };
        x11.check_xtest()
            .map_err(|_| SinkError::unavailable(NAME, "the X server does not have XTEST"))?;
        Ok(x11)
    }

    fn check_xtest(&self) -> Result<(), ReplyError> {
        self.connection.xtest_get_version(2, 2)?.reply()?;
        Ok(())
    }

    /// Whether the X server has ended.
    pub fn is_lost(&self) -> bool {
        let asked = self.connection.get_input_focus();
        let answer = asked.map_err(ReplyError::from).and_then(|it| it.reply());
        matches!(answer, Err(ReplyError::ConnectionError(_)))
    }

    /// Returns the window that has the focus, if it is one of a program.
    pub fn focus(&self) -> Option<Focus> {
        self.find_focus().ok().flatten()
    }

    fn find_focus(&self) -> Result<Option<Focus>, ReplyError> {
        let window = self.connection.get_input_focus()?.reply()?.focus;
        if window <= POINTER_ROOT || window == self.root {
            return Ok(None);
        }
        Ok(Some(Focus {
            window,
            client: self.client_of(window),
            // The window may have gone meanwhile.
            program: self.class_of(window).unwrap_or_default(),
        }))
    }

    /// Returns the part of a window's id that its client's windows share.
    pub fn client_of(&self, window: Window) -> u32 {
        window & !self.connection.setup().resource_id_mask
    }

    /// Returns the class of the program that a window belongs to.
    fn class_of(&self, window: Window) -> Result<Option<String>, ReplyError> {
        let value = self.property_of(window, AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into())?;
        // It holds instance and class, each with a zero at its end.
        let names = value.map(|value| String::from_utf8_lossy(&value).into_owned());
        let names = names.unwrap_or_default();
        let class = names.split('\0').rfind(|name| !name.is_empty());
        Ok(class.map(str::to_owned))
    }

    /// Returns the process that a window belongs to.
    fn process_of(&self, window: Window) -> Result<Option<u32>, ReplyError> {
        let name = self.connection.intern_atom(false, b"_NET_WM_PID")?;
        let value = self.property_of(window, name.reply()?.atom, AtomEnum::CARDINAL.into())?;
        let id = value.and_then(|value| Some(u32::from_ne_bytes(value.try_into().ok()?)));
        Ok(id)
    }

    /// Whether the program of a window has loaded an input method's module: fields that it keeps from
    /// the input method take no text, or are passwords (GTK 3).
    pub fn has_input_method(&self, focus: &Focus) -> bool {
        let process = self.process_of(focus.window).ok().flatten();
        let maps = process.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/maps")).ok());
        maps.is_some_and(|maps| MODULES.iter().any(|module| maps.contains(module)))
    }

    /// Returns a property of a window, or of the nearest parent that has it.
    fn property_of(
        &self,
        mut window: Window,
        name: Atom,
        kind: Atom,
    ) -> Result<Option<Vec<u8>>, ReplyError> {
        while window != self.root && window != x11rb::NONE {
            let property = self
                .connection
                .get_property(false, window, name, kind, 0, 256)?;
            let value = property.reply()?.value;
            if !value.is_empty() {
                return Ok(Some(value));
            }
            window = self.connection.query_tree(window)?.reply()?.parent;
        }
        Ok(None)
    }

    /// Waits until the user holds no modifier: with one, keys would be shortcuts.
    ///
    /// # Errors
    /// Returns an error if one is held for two seconds.
    fn wait_for_modifiers(&self) -> Result<(), SinkError> {
        let until = Instant::now() + RELEASE_TIMEOUT;
        while self.is_modifier_held().map_err(SinkError::lost)? {
            if Instant::now() > until {
                return Err(SinkError::lost("a modifier key is held down"));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn is_modifier_held(&self) -> Result<bool, ReplyError> {
        let keys = self.connection.query_keymap()?.reply()?.keys;
        let modifiers = self.connection.get_modifier_mapping()?.reply()?.keycodes;
        let is_down = |code: &Keycode| keys[usize::from(code / 8)] & (1 << (code % 8)) != 0;
        Ok(modifiers.iter().any(|code| *code != 0 && is_down(code)))
    }

    /// Presses or releases a key.
    fn key(&self, code: Keycode, is_down: bool) -> Result<(), ConnectionError> {
        let kind = if is_down {
            KEY_PRESS_EVENT
        } else {
            KEY_RELEASE_EVENT
        };
        self.connection
            .xtest_fake_input(kind, code, 0, x11rb::NONE, 0, 0, 0)?;
        Ok(())
    }

    /// Waits until the server has done everything.
    fn sync(&self) -> Result<(), ReplyError> {
        self.connection.sync()
    }
}

/// An error of the connection, as an edit's.
fn lost(error: impl Into<ReplyError>) -> SinkError {
    SinkError::lost(error.into())
}
