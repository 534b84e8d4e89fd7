//! Hotkeys by a grab of the X server.

use std::time::Duration;

use futures::channel::mpsc;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xkb::{ConnectionExt as _, ID, PerClientFlag};
use x11rb::protocol::xproto::{ConnectionExt as _, GrabMode, ModMask};
use x11rb::rust_connection::RustConnection;

use super::Key;
use super::print::Keys;
use crate::input::x11::keycode;

/// Locks, which are not part of a hotkey: Caps Lock and Num Lock.
const LOCKS: [u16; 4] = [0, 1 << 1, 1 << 4, 1 << 1 | 1 << 4];

/// Time between two attempts to reach an X server that has ended.
const RETRY: Duration = Duration::from_secs(2);

/// Grabs a key, and sends what happens to it. If the X server ends, the next one is looked for.
///
/// # Errors
/// Returns why it cannot be grabbed.
pub fn grab(keys: &str) -> Result<mpsc::Receiver<Key>, String> {
    let mut connection = grab_once(keys)?;
    let keys = keys.to_owned();
    let (mut sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut send = move |key| {
            // A full channel holds repeats of the same press.
            let sent = sender.try_send(key);
            !sent.is_err_and(|error| error.is_disconnected())
        };
        loop {
            while let Ok(event) = connection.wait_for_event() {
                let key = match event {
                    Event::KeyPress(_) => Key::Down,
                    Event::KeyRelease(_) => Key::Up,
                    _ => continue,
                };
                if !send(key) {
                    return;
                }
            }
            // A key that was held reports no release any more.
            loop {
                if !send(Key::Up) {
                    return;
                }
                std::thread::sleep(RETRY);
                if let Ok(grabbed) = grab_once(&keys) {
                    connection = grabbed;
                    break;
                }
            }
        }
    });
    Ok(receiver)
}

fn grab_once(keys: &str) -> Result<RustConnection, String> {
    let keys = Keys::parse(keys)?;
    let (connection, screen) = x11rb::connect(None).map_err(|error| error.to_string())?;
    let code = keycode(&connection, keys.key())
        .ok_or_else(|| format!("the keyboard has no key '{}'", keys.key()))?;
    let root = connection.setup().roots[screen].root;
    let taken = "another program has it";
    // A key that is held then reports one release, at its end.
    let detectable = || {
        connection.xkb_use_extension(1, 0).ok()?.reply().ok()?;
        let flag = PerClientFlag::DETECTABLE_AUTO_REPEAT;
        let request = connection.xkb_per_client_flags(
            ID::USE_CORE_KBD.into(),
            flag,
            flag,
            0u32.into(),
            0u32.into(),
            0u32.into(),
        );
        request.ok()?.reply().ok()
    };
    detectable().ok_or("the X server does not tell repeats from presses")?;
    for locks in LOCKS {
        let mask = ModMask::from(keys.mask() | locks);
        let grabbed =
            connection.grab_key(false, root, mask, code, GrabMode::ASYNC, GrabMode::ASYNC);
        grabbed
            .map_err(|error| error.to_string())?
            .check()
            .map_err(|_| taken)?;
    }
    Ok(connection)
}
