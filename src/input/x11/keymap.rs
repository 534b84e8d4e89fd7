//! Keys for characters: which keycodes are free, and which keysym stands for a character.

use std::collections::BTreeMap;

use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{ConnectionExt as _, Keycode, Keysym};

use super::X11;
use x11rb::rust_connection::RustConnection;

/// Keysyms of X11's keysymdef.h.
const RETURN: Keysym = 0xff0d;
const TAB: Keysym = 0xff09;
pub const SHIFT: Keysym = 0xffe1;
pub const CONTROL: Keysym = 0xffe3;
pub const INSERT: Keysym = 0xff63;
const F1: Keysym = 0xffbe;
/// Names of other keys that hotkeys have.
const NAMED: [(&str, Keysym); 6] = [
    ("space", 0x20),
    ("Pause", 0xff13),
    ("Insert", INSERT),
    ("Menu", 0xff67),
    ("Home", 0xff50),
    ("End", 0xff57),
];
/// Keysyms of characters beyond Latin-1 are their code points plus this.
const UNICODE: Keysym = 0x0100_0000;

/// The server's table from keycodes to keysyms.
pub struct Keymap {
    first: Keycode,
    per_code: usize,
    keysyms: Vec<Keysym>,
}

/// The beginning of a text whose characters have a key each.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Keycodes of the characters.
    pub codes: BTreeMap<char, Keycode>,
    /// Number of characters of the text that it covers.
    pub n_chars: usize,
}

impl Keymap {
    /// Asks the server.
    pub fn read(x11: &X11) -> Result<Self, ReplyError> {
        Self::of(&x11.connection)
    }

    fn of(connection: &RustConnection) -> Result<Self, ReplyError> {
        let setup = connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = connection
            .get_keyboard_mapping(first, last - first + 1)?
            .reply()?;
        Ok(Self {
            first,
            per_code: usize::from(mapping.keysyms_per_keycode).max(1),
            keysyms: mapping.keysyms,
        })
    }

    /// Keycodes without a keysym.
    pub fn spare(&self) -> Vec<Keycode> {
        let codes = self.codes();
        codes
            .filter(|(_, keysyms)| keysyms.iter().all(|keysym| *keysym == x11rb::NO_SYMBOL))
            .map(|(code, _)| code)
            .collect()
    }

    /// The keycode whose first keysym is this one, else one that has it at all.
    pub fn code_of(&self, keysym: Keysym) -> Option<Keycode> {
        let first = self.codes().find(|(_, keysyms)| keysyms[0] == keysym);
        let any = || self.codes().find(|(_, keysyms)| keysyms.contains(&keysym));
        first.or_else(any).map(|(code, _)| code)
    }

    /// Keysyms of one keycode that has none.
    pub fn nothing(&self) -> Vec<Keysym> {
        vec![x11rb::NO_SYMBOL; self.per_code]
    }

    fn codes(&self) -> impl Iterator<Item = (Keycode, &[Keysym])> {
        (self.first..=Keycode::MAX).zip(self.keysyms.chunks_exact(self.per_code))
    }
}

/// Returns the keycode of a key by its name: a character, F1 to F35, or one of a few others.
pub fn keycode(connection: &RustConnection, name: &str) -> Option<Keycode> {
    let mut chars = name.chars();
    let only = chars.next().filter(|_| chars.as_str().is_empty());
    let number = name
        .strip_prefix(['F', 'f'])
        .and_then(|number| number.parse::<u32>().ok());
    let wanted = match (only, number) {
        (Some(c), _) => keysym(c.to_ascii_lowercase()),
        (None, Some(number @ 1..=35)) => F1 + number - 1,
        _ => {
            NAMED
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))?
                .1
        }
    };
    Keymap::of(connection).ok()?.code_of(wanted)
}

/// Returns the keysym of a character.
pub fn keysym(c: char) -> Keysym {
    match c {
        '\n' => RETURN,
        '\t' => TAB,
        // Latin-1 is numbered as in Unicode.
        ' '..='~' | '\u{a0}'..='\u{ff}' => c.into(),
        c => UNICODE + u32::from(c),
    }
}

/// Gives each character at the beginning of `text` a keycode of its own, as far as they go.
pub fn batch(text: &[char], spare: &[Keycode]) -> Batch {
    let mut codes = BTreeMap::new();
    let mut n_chars = 0;
    for c in text {
        if !codes.contains_key(c) {
            let Some(code) = spare.get(codes.len()) else {
                break;
            };
            codes.insert(*c, *code);
        }
        n_chars += 1;
    }
    Batch { codes, n_chars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_keysyms_of_the_x_protocol() {
        assert_eq!(keysym('a'), 0x61);
        assert_eq!(keysym('ü'), 0xfc);
        assert_eq!(keysym('€'), 0x0100_20ac);
        assert_eq!(keysym('漢'), 0x0100_6f22);
        assert_eq!(keysym('\n'), RETURN);
    }

    #[test]
    fn a_batch_ends_where_the_keycodes_do() {
        let text: Vec<char> = "abcab d".chars().collect();
        let batch = batch(&text, &[200, 201, 202]);
        assert_eq!(batch.n_chars, 5);
        assert_eq!(
            batch.codes,
            BTreeMap::from([('a', 200), ('b', 201), ('c', 202)])
        );
    }

    #[test]
    fn spare_keycodes_have_no_keysym() {
        let keymap = Keymap {
            first: 8,
            per_code: 2,
            keysyms: vec![0x61, 0x41, 0, 0, 0, 0x62, 0, 0],
        };
        assert_eq!(keymap.spare(), [9, 11]);
        assert_eq!(keymap.code_of(0x62), Some(10));
        assert_eq!(keymap.nothing(), [0, 0]);
    }
}
