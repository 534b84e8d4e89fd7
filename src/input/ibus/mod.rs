//! IBus, over its own bus.
//!
//! As an *engine*, Hearken takes the place of the user's engine while it listens: it shows interim
//! text, sees the text before the cursor and deletes. As a *guest* it uses the door that IBus has for
//! its emoji picker: the user's engine stays, and keys do not pass through here, but there is no text
//! before the cursor, and interim text only since IBus 1.5.35.

mod address;
mod calls;
mod engine;
mod guest;
mod restore;
mod state;
mod wire;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use zbus::Connection;
use zbus::connection::Builder;
use zbus::fdo::RequestNameFlags;
use zbus::names::BusName;

use super::guard::Guard;
use super::sink::{Receipt, SinkError, Target, TextSink, Wake};
use crate::settings::desktop::{Method, Purpose};
use calls::{OWN_ENGINE, global_engine, is_known, is_owned, set_global_engine};
use engine::{ENGINE, Factory};
use guest::{EXTENSION, EXTENSION_PATH, PANEL, Panel};
use restore::Remembered;
use state::Shared;

/// Names on IBus's bus.
const OWN_NAME: &str = "org.freedesktop.IBus.Hearken";
const FACTORY_PATH: &str = "/org/freedesktop/IBus/Factory";

/// How long IBus may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a field may take to notice a change of the engine.
const FOCUS_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a field may take to tell its text.
const SURROUNDING_TIMEOUT: Duration = Duration::from_millis(150);
/// First version that shows a guest's interim text.
const SHOWS_GUESTS: [u32; 3] = [1, 5, 35];

/// Text through IBus.
pub struct IbusSink {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    version: [u32; 3],
    remembered: Remembered,
    mode: Mode,
}

/// How text goes in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    /// Not at all: no dictation.
    Off,
    /// The user's engine is this one, if there was one.
    Engine {
        before: Option<String>,
    },
    Guest,
    /// As a guest until the next focus: the user, or GNOME in a password field, has replaced our
    /// engine. The number is that of the first focus since then.
    Aside {
        since: Option<u64>,
    },
}

impl IbusSink {
    /// Looks for IBus. `wake` is called when the focused field changes.
    ///
    /// # Errors
    /// Returns an error if IBus is not running.
    pub fn open(wake: Wake, guard: Guard) -> Result<Self, SinkError> {
        let mut sink = Self {
            shared: Arc::new(Shared::new(wake)),
            connection: None,
            version: version(),
            remembered: Remembered::new(guard),
            mode: Mode::Off,
        };
        sink.connect()?;
        sink.restore_after_crash();
        Ok(sink)
    }

    fn connect(&mut self) -> Result<&Connection, SinkError> {
        if self.connection.as_ref().is_none_or(Connection::is_closed) {
            self.connection = Some(connect(&self.shared)?);
        }
        self.connection.as_ref().ok_or(SinkError::NoTarget)
    }

    /// A process of ours that was killed while it listened, with its guard, has left no engine.
    fn restore_after_crash(&mut self) {
        let (Some(connection), Some(before)) = (&self.connection, self.remembered.read()) else {
            return;
        };
        if put_back(connection, &before) {
            self.remembered.forget();
        }
    }

    /// Takes the place of the engine `before`, or becomes a guest if another process of ours has it.
    fn begin_engine(&mut self, before: Option<String>) -> Result<(), SinkError> {
        let connection = self.connect()?.clone();
        let owned = connection.request_name_with_flags(OWN_NAME, RequestNameFlags::DO_NOT_QUEUE);
        match zbus::block_on(owned) {
            Ok(_) => {}
            Err(zbus::Error::NameTaken) => return self.begin_guest(),
            Err(error) => return Err(unavailable(error)),
        }
        if let Some(before) = &before {
            self.remembered.write(before);
        }
        self.mode = Mode::Engine { before };
        self.shared.begin_engine();
        set_global_engine(&connection, OWN_ENGINE).map_err(unavailable)?;
        self.shared.wait_for_focus(FOCUS_TIMEOUT);
        self.shared.wait_for_surrounding(SURROUNDING_TIMEOUT);
        Ok(())
    }

    fn begin_guest(&mut self) -> Result<(), SinkError> {
        let shows = self.version >= SHOWS_GUESTS;
        let connection = self.connect()?.clone();
        self.mode = Mode::Guest;
        self.shared.begin_guest(shows);
        let taken = zbus::block_on(
            connection.request_name_with_flags(EXTENSION, RequestNameFlags::REPLACE_EXISTING),
        );
        taken.map_err(unavailable)?;
        self.shared.wait_for_focus(FOCUS_TIMEOUT);
        Ok(())
    }

    /// Makes room for the engine that has replaced ours.
    fn step_aside(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        if global_engine(connection).is_some_and(|engine| engine == OWN_ENGINE) {
            // IBus has made a new object of our engine.
            return;
        }
        self.remembered.forget();
        if self.begin_guest().is_ok() {
            self.mode = Mode::Aside { since: None };
        }
    }

    /// Takes our engine's place again in the next field that is no password, unless the user has chosen
    /// an input method meanwhile.
    fn come_back(&mut self, since: Option<u64>) {
        let (Some(connection), Some(target)) = (self.connection.clone(), self.shared.target())
        else {
            return;
        };
        let first = since.unwrap_or(target.focus);
        self.mode = Mode::Aside { since: Some(first) };
        if target.focus == first || target.purpose == Purpose::Secret {
            return;
        }
        let engine = global_engine(&connection);
        if !is_keyboard(engine.as_deref()) {
            self.mode = Mode::Guest;
            return;
        }
        // A failure leaves us a guest without a name, which gets no more fields.
        drop(zbus::block_on(connection.release_name(EXTENSION)));
        if self.begin_engine(engine).is_err() {
            self.mode = Mode::Off;
        }
    }

    fn emit<B>(&self, member: &str, body: &B) -> Result<(), SinkError>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let connection = self.connection.as_ref().ok_or(SinkError::NoTarget)?;
        let path = self.shared.engine_path();
        let (path, interface) = match (&self.mode, path) {
            (Mode::Engine { .. }, Some(path)) => (path, ENGINE),
            (Mode::Guest | Mode::Aside { .. }, _) => (EXTENSION_PATH.to_owned(), PANEL),
            _ => return Err(SinkError::NoTarget),
        };
        let nobody = None::<BusName<'_>>;
        zbus::block_on(connection.emit_signal(nobody, path.as_str(), interface, member, body))
            .map_err(SinkError::lost)
    }

    fn show_text(&self, text: &str) -> Result<(), SinkError> {
        let n_chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let (text, is_visible) = (wire::text(text, true), !text.is_empty());
        match self.mode {
            // The last number: interim text is cleared, not committed, when the focus leaves.
            Mode::Engine { .. } => {
                self.emit("UpdatePreeditText", &(text, n_chars, is_visible, 0u32))
            }
            _ => self.emit("UpdatePreeditTextReceived", &(text, n_chars, is_visible)),
        }
    }
}

impl TextSink for IbusSink {
    fn method(&self) -> Method {
        Method::Ibus
    }

    fn name(&self) -> &'static str {
        match self.mode {
            Mode::Guest | Mode::Aside { .. } => "ibus-guest",
            _ => "ibus-engine",
        }
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        let connection = self.connect()?.clone();
        let before = global_engine(&connection).filter(|engine| engine != OWN_ENGINE);
        let is_guest = self.version >= SHOWS_GUESTS
            || !is_keyboard(before.as_deref())
            || !is_known(&connection);
        if is_guest {
            self.begin_guest()
        } else {
            self.begin_engine(before)
        }
    }

    fn end(&mut self) {
        if self.shared.is_showing() {
            // The field is gone otherwise.
            let _ = self.show("");
        }
        let mode = std::mem::replace(&mut self.mode, Mode::Off);
        let Some(connection) = self.connection.clone() else {
            return;
        };
        match mode {
            Mode::Off => {}
            Mode::Guest | Mode::Aside { .. } => {
                drop(zbus::block_on(connection.release_name(EXTENSION)));
            }
            Mode::Engine { before } => {
                match (global_engine(&connection), before) {
                    // The user has chosen another one meanwhile.
                    (Some(now), _) if now != OWN_ENGINE => {}
                    (_, Some(before)) => drop(set_global_engine(&connection, &before)),
                    // There is no call for it; IBus has no engine once ours is gone.
                    (_, None) => drop(self.connection.take()),
                }
                self.remembered.forget();
                // IBus asks whoever has it for the engine.
                drop(zbus::block_on(connection.release_name(OWN_NAME)));
            }
        }
        self.shared.end();
    }

    fn follow(&mut self) {
        match self.mode {
            Mode::Engine { .. } if self.shared.has_lost_engine() => self.step_aside(),
            Mode::Aside { since } => self.come_back(since),
            _ => {}
        }
    }

    fn is_lost(&self) -> bool {
        self.mode != Mode::Off && self.connection.as_ref().is_none_or(Connection::is_closed)
    }

    fn target(&self) -> Option<Target> {
        if self.connection.as_ref().is_none_or(Connection::is_closed) {
            return None;
        }
        self.shared.target()
    }

    fn show(&mut self, interim: &str) -> Result<(), SinkError> {
        self.show_text(interim)?;
        self.shared.set_shown(interim);
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        self.shared.target().ok_or(SinkError::NoTarget)?;
        if self.shared.is_showing() {
            // GNOME would show it again beside the text.
            self.show("")?;
        }
        self.shared.note_commit(text);
        self.emit("CommitText", &(wire::text(text, false),))
    }

    fn erase(&mut self, text: &str) -> Result<(), SinkError> {
        let target = self.shared.target().ok_or(SinkError::NoTarget)?;
        let before = target.before.filter(|before| before.ends_with(text));
        let before = before.ok_or(SinkError::CannotErase)?;
        let n_chars = i32::try_from(text.chars().count()).map_err(SinkError::lost)?;
        self.emit("DeleteSurroundingText", &(-n_chars, n_chars.unsigned_abs()))?;
        self.shared.wait_for_erasure(&before, SURROUNDING_TIMEOUT);
        Ok(())
    }

    fn receipt(&mut self, limit: Duration) -> Receipt {
        self.shared.receipt(limit)
    }
}

impl Drop for IbusSink {
    fn drop(&mut self) {
        self.end();
    }
}

/// Gives back the engine that was in use before another process of ours was killed.
pub fn give_back(engine: &str) {
    let shared = Arc::new(Shared::new(Arc::new(|| {})));
    if let Ok(connection) = connect(&shared) {
        put_back(&connection, engine);
    }
}

/// Gives an engine back, unless the user has chosen another one. Returns whether no process of ours
/// is listening.
fn put_back(connection: &Connection, engine: &str) -> bool {
    if is_owned(connection, OWN_NAME) {
        return false;
    }
    if global_engine(connection).is_none_or(|now| now == OWN_ENGINE) {
        // A failure leaves plain keys, as it is.
        let _ = set_global_engine(connection, engine);
    }
    true
}

/// Whether an engine, or none, does nothing but pass on keys.
fn is_keyboard(engine: Option<&str>) -> bool {
    engine.is_none_or(|engine| engine.starts_with("xkb:"))
}

fn connect(shared: &Arc<Shared>) -> Result<Connection, SinkError> {
    let mut failure = SinkError::unavailable(Method::Ibus.name(), "ibus-daemon is not running");
    for address in address::candidates() {
        let connected = zbus::block_on(async {
            Builder::address(address.as_str())
                .method_timeout(CALL_TIMEOUT)
                .serve_at(FACTORY_PATH, Factory::new(Arc::clone(shared)))
                .serve_at(EXTENSION_PATH, Panel::new(Arc::clone(shared)))
                .build()
                .await
        });
        match connected {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = unavailable(error),
        }
    }
    Err(failure)
}

fn unavailable(error: zbus::Error) -> SinkError {
    SinkError::unavailable(Method::Ibus.name(), error)
}

/// Version of IBus; zeros if it cannot be found out.
fn version() -> [u32; 3] {
    let output = Command::new("ibus").arg("version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    parse_version(&text.unwrap_or_default())
}

/// Reads "IBus 1.5.35-rc1".
fn parse_version(text: &str) -> [u32; 3] {
    let number = text.split_whitespace().last().unwrap_or_default();
    let mut parts = number
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(parse_version("IBus 1.5.27\n"), [1, 5, 27]);
        assert!(parse_version("IBus 1.5.35-rc1") >= SHOWS_GUESTS);
        assert!(parse_version("IBus 1.6.0") >= SHOWS_GUESTS);
        assert_eq!(parse_version(""), [0, 0, 0]);
    }
}
