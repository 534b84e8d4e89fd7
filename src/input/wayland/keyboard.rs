//! A keyboard of our own that presses the keys that paste, and no others.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use rustix::fs::{MemfdFlags, memfd_create};
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_v1::ZwpVirtualKeyboardV1;
use wayland_protocols_plasma::fake_input::client::org_kde_kwin_fake_input::OrgKdeKwinFakeInput;

use super::connection::unavailable;
use crate::input::board::Chord;
use crate::input::sink::SinkError;

/// An ordinary keyboard: programs look up shortcuts by keycode, so the keys must be where they are
/// on every keyboard.
const KEYMAP: &str = "xkb_keymap {
xkb_keycodes { include \"evdev+aliases(qwerty)\" };
xkb_types { include \"complete\" };
xkb_compat { include \"complete\" };
xkb_symbols { include \"pc+us+inet(evdev)\" };
};
";
/// `WL_KEYBOARD_KEYMAP_FORMAT_XKB_V1`.
const FORMAT_XKB: u32 = 1;
/// Keycodes of Linux (input-event-codes.h).
const KEY_LEFT_CONTROL: u32 = 29;
const KEY_LEFT_SHIFT: u32 = 42;
const KEY_V: u32 = 47;
const KEY_INSERT: u32 = 110;
/// Modifiers of the keymap.
const SHIFT: u32 = 1;
const CONTROL: u32 = 1 << 2;

/// The keyboard, for as long as the process lives: a device that has just appeared loses its first
/// key.
pub enum Keyboard {
    /// Of wlroots and others.
    Virtual(ZwpVirtualKeyboardV1),
    /// KWin's.
    Fake(OrgKdeKwinFakeInput),
}

impl Keyboard {
    /// Makes a virtual keyboard ready.
    pub fn with_keymap(keyboard: ZwpVirtualKeyboardV1) -> Result<Self, SinkError> {
        let file = memfd_create("keymap", MemfdFlags::CLOEXEC).map_err(unavailable)?;
        let mut file = File::from(file);
        let mut bytes = KEYMAP.as_bytes().to_vec();
        bytes.push(0);
        file.write_all(&bytes).map_err(unavailable)?;
        let n_bytes = u32::try_from(bytes.len()).map_err(unavailable)?;
        keyboard.keymap(FORMAT_XKB, file.as_fd(), n_bytes);
        Ok(Self::Virtual(keyboard))
    }

    /// Presses and releases a key combination.
    pub fn press(&self, chord: Chord) {
        let (modifier, mask, key) = match chord {
            Chord::ShiftInsert => (KEY_LEFT_SHIFT, SHIFT, KEY_INSERT),
            Chord::ControlV => (KEY_LEFT_CONTROL, CONTROL, KEY_V),
        };
        match self {
            Self::Virtual(keyboard) => {
                keyboard.key(0, modifier, 1);
                keyboard.modifiers(mask, 0, 0, 0);
                keyboard.key(1, key, 1);
                keyboard.key(2, key, 0);
                keyboard.key(3, modifier, 0);
                keyboard.modifiers(0, 0, 0, 0);
            }
            Self::Fake(input) => {
                for (key, state) in [(modifier, 1), (key, 1), (key, 0), (modifier, 0)] {
                    input.keyboard_key(key, state);
                }
            }
        }
    }
}
