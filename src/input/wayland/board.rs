//! Pasting on Wayland. The compositor does not tell who reads a selection, only that somebody does:
//! clipboard managers get their time before the keys are pressed.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use wayland_client::globals::registry_queue_init;
use wayland_client::protocol::wl_seat::WlSeat;
use wayland_client::{Connection, EventQueue, QueueHandle};
use wayland_protocols::ext::data_control::v1::client::ext_data_control_manager_v1::ExtDataControlManagerV1;
use wayland_protocols_misc::zwp_virtual_keyboard_v1::client::zwp_virtual_keyboard_manager_v1::ZwpVirtualKeyboardManagerV1;
use wayland_protocols_plasma::fake_input::client::org_kde_kwin_fake_input::OrgKdeKwinFakeInput;
use wayland_protocols_wlr::data_control::v1::client::zwlr_data_control_manager_v1::ZwlrDataControlManagerV1;

use super::clipboard::{Clipboard, Device, text};
use super::connection::{connect, dispatch_until, unavailable, wait_readable};
use super::keyboard::Keyboard;
use crate::input::board::{Chord, Content, SECRET_HINT};
use crate::input::guard::Guard;
use crate::input::sink::{Board, SinkError, Target, next_focus};
use crate::sync::LockExt;

/// Time in which clipboard managers read what is new.
const MANAGER_TIME: Duration = Duration::from_millis(40);
/// Time to read what has arrived.
const READ_TIME: Duration = Duration::from_millis(1);
/// Interval at which a thread looks whether it is still needed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Selections and keyboard of Wayland. A thread serves other programs.
pub struct WaylandBoard(Arc<Mutex<Inner>>);

struct Inner {
    connection: Connection,
    queue: EventQueue<Clipboard>,
    handle: QueueHandle<Clipboard>,
    clipboard: Clipboard,
    device: Device,
    keyboard: Option<Keyboard>,
    focus: u64,
    saved: [Option<Content>; 2],
    is_lost: bool,
    guard: Guard,
}

impl WaylandBoard {
    /// Connects to the compositor.
    ///
    /// # Errors
    /// Returns an error if there is none, or if it does not let programs use the selections.
    pub fn open(guard: Guard) -> Result<Self, SinkError> {
        let connection = connect()?;
        let (globals, mut queue) =
            registry_queue_init::<Clipboard>(&connection).map_err(unavailable)?;
        let handle = queue.handle();
        let seat: WlSeat = globals.bind(&handle, 1..=1, ()).map_err(unavailable)?;
        let common = globals.bind::<ExtDataControlManagerV1, _, _>(&handle, 1..=1, ());
        // Version 2 has the primary selection.
        let wlr = globals.bind::<ZwlrDataControlManagerV1, _, _>(&handle, 2..=2, ());
        let device = match (common, wlr) {
            (Ok(manager), _) => {
                let device = manager.get_data_device(&seat, &handle, ());
                Device::Ext(manager, device)
            }
            (_, Ok(manager)) => {
                let device = manager.get_data_device(&seat, &handle, ());
                Device::Wlr(manager, device)
            }
            _ => {
                return Err(unavailable(
                    "the compositor does not have the protocol data-control",
                ));
            }
        };
        let virtual_keyboard =
            globals.bind::<ZwpVirtualKeyboardManagerV1, _, _>(&handle, 1..=1, ());
        let fake_input = globals.bind::<OrgKdeKwinFakeInput, _, _>(&handle, 4..=5, ());
        let keyboard = match (virtual_keyboard, fake_input) {
            (Ok(manager), _) => {
                let keyboard = manager.create_virtual_keyboard(&seat, &handle, ());
                Some(Keyboard::with_keymap(keyboard)?)
            }
            (_, Ok(input)) => {
                input.authenticate("Hearken".to_owned(), "paste dictated text".to_owned());
                Some(Keyboard::Fake(input))
            }
            _ => None,
        };
        let mut clipboard = Clipboard::default();
        queue.roundtrip(&mut clipboard).map_err(unavailable)?;
        let inner = Arc::new(Mutex::new(Inner {
            connection,
            queue,
            handle,
            clipboard,
            device,
            keyboard,
            focus: next_focus(),
            saved: [None, None],
            is_lost: false,
            guard,
        }));
        let server = Arc::downgrade(&inner);
        std::thread::spawn(move || while serve(&server) {});
        Ok(Self(inner))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock_unpoisoned()
    }
}

impl Inner {
    fn set(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError> {
        for (i, content) in contents.into_iter().enumerate() {
            self.clipboard
                .set_one(&self.device, &self.handle, i, content);
        }
        self.queue
            .roundtrip(&mut self.clipboard)
            .map_err(SinkError::lost)?;
        Ok(())
    }

    fn dispatch(
        &mut self,
        limit: Duration,
        done: impl Fn(&Clipboard) -> bool,
    ) -> Result<bool, SinkError> {
        dispatch_until(&mut self.queue, &mut self.clipboard, limit, done)
    }
}

/// Handles what has arrived. Returns whether the board still exists and is connected.
fn serve(board: &Weak<Mutex<Inner>>) -> bool {
    let Some(inner) = board.upgrade() else {
        return false;
    };
    let Ok(connection) = ({
        let inner = inner.lock_unpoisoned();
        inner.connection.as_fd().try_clone_to_owned()
    }) else {
        return false;
    };
    drop(inner);
    if !wait_readable(&connection, POLL_INTERVAL) {
        return true;
    }
    board.upgrade().is_some_and(|inner| {
        let mut inner = inner.lock_unpoisoned();
        let dispatched = inner.dispatch(READ_TIME, |_| false);
        if dispatched.is_err() {
            inner.is_lost = true;
            // The selections ended with the connection.
            inner.clipboard = Clipboard::default();
        }
        dispatched.is_ok()
    })
}

impl Board for WaylandBoard {
    fn is_lost(&self) -> bool {
        self.inner().is_lost
    }

    /// Whether a window has the focus, and which, is not known here.
    fn target(&self) -> Option<Target> {
        let inner = self.inner();
        inner.keyboard.as_ref().filter(|_| !inner.is_lost)?;
        Some(Target {
            focus: inner.focus,
            ..Target::default()
        })
    }

    fn offer(&mut self, content: &str) -> Result<(), SinkError> {
        let mut inner = self.inner();
        inner.saved = inner.clipboard.save(&inner.connection);
        inner
            .guard
            .note(|taken| taken.selections = inner.saved.clone());
        let content = text(content);
        inner.set([Some(content.clone()), Some(content)])?;
        inner.dispatch(MANAGER_TIME, |_| false)?;
        inner.clipboard.reads.clear();
        Ok(())
    }

    fn press(&mut self, chord: Chord) -> Result<(), SinkError> {
        let inner = self.inner();
        let keyboard = inner.keyboard.as_ref().ok_or(SinkError::NoTarget)?;
        keyboard.press(chord);
        inner.connection.flush().map_err(SinkError::lost)
    }

    fn was_read(&mut self, limit: Duration) -> bool {
        let is_text =
            |clipboard: &Clipboard| clipboard.reads.iter().any(|name| name != SECRET_HINT);
        self.inner().dispatch(limit, is_text).unwrap_or(false)
    }

    fn give_back(&mut self) -> Result<(), SinkError> {
        let mut inner = self.inner();
        let saved = std::mem::take(&mut inner.saved);
        inner.set(saved)
    }

    fn copy(&mut self, content: &str) -> Result<(), SinkError> {
        let mut inner = self.inner();
        let content = text(content);
        let Inner {
            clipboard,
            device,
            handle,
            guard,
            ..
        } = &mut *inner;
        clipboard.set_one(device, handle, 0, Some(content));
        guard.note(|taken| taken.selections = clipboard.owned());
        inner.connection.flush().map_err(SinkError::lost)
    }

    fn wait_until_taken(&mut self, stop: &AtomicBool) {
        while self.held().is_some() && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn are_owned(&mut self) -> [bool; 2] {
        let mut inner = self.inner();
        match inner.dispatch(READ_TIME, |_| false) {
            Ok(_) => inner.clipboard.are_owned(),
            // A compositor that has ended has no selections to be taken.
            Err(_) => [true; 2],
        }
    }

    fn held(&self) -> Option<[Option<Content>; 2]> {
        let owned = self.inner().clipboard.owned();
        owned.iter().any(Option::is_some).then_some(owned)
    }

    fn hold(&mut self, contents: [Option<Content>; 2]) -> Result<(), SinkError> {
        let mut inner = self.inner();
        for (i, content) in contents
            .into_iter()
            .enumerate()
            .filter(|(_, content)| content.is_some())
        {
            let Inner {
                clipboard,
                device,
                handle,
                ..
            } = &mut *inner;
            clipboard.set_one(device, handle, i, content);
        }
        inner.dispatch(MANAGER_TIME, |_| false)?;
        Ok(())
    }
}
