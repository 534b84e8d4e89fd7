//! What IBus has told: which field has the focus, its purpose, its text. The bus's thread writes it
//! and never waits; the sink reads it.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::input::sink::{Receipt, Target, Wake, next_focus};
use crate::settings::desktop::Purpose;
use crate::sync::{LockExt, WaitExt};

/// Client of a context that stands for no field.
const NO_CLIENT: &str = "fake";
/// Path of that context, which is all that a guest sees of it.
const NO_CONTEXT: &str = "/InputContext_1";
/// Purposes and hints (ibustypes.h).
const PURPOSE_PASSWORD: u32 = 8;
const PURPOSE_PIN: u32 = 9;
const PURPOSE_TERMINAL: u32 = 10;
const HINT_PRIVATE: u32 = 1 << 11;
const HINT_HIDDEN: u32 = 1 << 12;

/// The state, and who is told of changes.
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    wake: Wake,
}

#[derive(Default)]
struct State {
    mode: Mode,
    /// Path of our engine's object.
    engine: Option<String>,
    focus: Option<Focus>,
    content: (u32, u32),
    /// Whether a guest has been told the purpose of the focused field.
    has_content: bool,
    keys: u64,
    shown: String,
    committed: String,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Off,
    Engine,
    Guest {
        shows: bool,
    },
}

struct Focus {
    number: u64,
    path: String,
    client: Option<String>,
    /// Text before the cursor.
    before: Option<String>,
}

impl Shared {
    pub fn new(wake: Wake) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            wake,
        }
    }

    pub fn begin_engine(&self) {
        self.change(|state| {
            state.mode = Mode::Engine;
            state.focus = None;
        });
    }

    pub fn begin_guest(&self, shows: bool) {
        self.change(|state| {
            state.mode = Mode::Guest { shows };
            state.focus = None;
            state.has_content = false;
        });
    }

    pub fn end(&self) {
        self.change(|state| {
            state.mode = Mode::Off;
            state.focus = None;
            state.shown.clear();
        });
    }

    pub fn created(&self, path: &str) {
        self.change(|state| state.engine = Some(path.to_owned()));
    }

    pub fn engine_path(&self) -> Option<String> {
        self.lock().engine.clone()
    }

    /// IBus has removed the engine: the user, or GNOME in a password field, has chosen another one.
    pub fn removed(&self, path: &str) {
        self.change(|state| {
            if state.engine.as_deref() == Some(path) {
                state.engine = None;
                state.focus = None;
            }
        });
    }

    pub fn focus_in(&self, path: &str, client: Option<&str>) {
        self.change(|state| state.focus_in(path, client));
    }

    pub fn focus_in_unnamed(&self) {
        self.change(|state| state.focus_in("", None));
    }

    /// Takes the path of a focus that came without one.
    pub fn name_focus(&self, path: &str) {
        self.change(|state| match &mut state.focus {
            Some(focus) if focus.path.is_empty() && path.ends_with(NO_CONTEXT) => {
                state.focus = None;
            }
            Some(focus) if focus.path.is_empty() => path.clone_into(&mut focus.path),
            _ => {}
        });
    }

    pub fn focus_out(&self) {
        self.change(|state| state.focus = None);
    }

    pub fn set_content(&self, content: (u32, u32)) {
        self.change(|state| {
            state.content = content;
            state.has_content = true;
        });
    }

    pub fn content(&self) -> (u32, u32) {
        self.lock().content
    }

    pub fn key(&self) {
        self.lock().keys += 1;
    }

    /// Takes the field's text; the cursor is counted in characters.
    pub fn surrounding(&self, text: &str, cursor: u32) {
        let before: String = text.chars().take(cursor as usize).collect();
        self.change(|state| {
            // Firefox counts interim text as text.
            let before = match before.strip_suffix(&state.shown) {
                Some(without) if !state.shown.is_empty() => without.to_owned(),
                _ => before,
            };
            if let Some(focus) = &mut state.focus {
                focus.before = Some(before);
            }
        });
    }

    pub fn is_showing(&self) -> bool {
        !self.lock().shown.is_empty()
    }

    pub fn set_shown(&self, text: &str) {
        text.clone_into(&mut self.lock().shown);
    }

    pub fn note_commit(&self, text: &str) {
        text.clone_into(&mut self.lock().committed);
    }

    pub fn target(&self) -> Option<Target> {
        self.lock().target()
    }

    pub fn wait_for_focus(&self, limit: Duration) {
        self.wait(limit, |state| {
            state.focus.is_some() && (state.mode == Mode::Engine || state.has_content)
        });
    }

    /// Waits until the field has told its text, if it ever does.
    pub fn wait_for_surrounding(&self, limit: Duration) {
        self.wait(limit, |state| match &state.focus {
            Some(focus) => focus.before.is_some(),
            None => true,
        });
    }

    pub fn wait_for_erasure(&self, before: &str, limit: Duration) {
        self.wait(limit, |state| {
            let focus = state.focus.as_ref();
            focus.and_then(|focus| focus.before.as_deref()) != Some(before)
        });
    }

    /// Waits until the field's text ends with what was committed.
    pub fn receipt(&self, limit: Duration) -> Receipt {
        // GTK tells whether it reports its text only with the text.
        let may_tell = self.lock().mode == Mode::Engine;
        let has_arrived = |state: &State| {
            let before = state
                .focus
                .as_ref()
                .and_then(|focus| focus.before.as_deref());
            before.is_some_and(|before| before.ends_with(&state.committed))
        };
        if may_tell && self.wait(limit, has_arrived) {
            Receipt::Inserted
        } else {
            Receipt::Sent
        }
    }

    fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while !done(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self.changed.wait_timeout_unpoisoned(state, left);
        }
        true
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
        (self.wake)();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock_unpoisoned()
    }
}

impl State {
    fn focus_in(&mut self, path: &str, client: Option<&str>) {
        let is_nobody = client.is_some_and(|client| client == NO_CLIENT)
            || (client.is_none() && path.ends_with(NO_CONTEXT));
        let is_known = self.focus.as_ref().is_some_and(|focus| focus.path == path);
        if is_nobody {
            self.focus = None;
        } else if !is_known || client.is_some() {
            self.shown.clear();
            self.focus = Some(Focus {
                number: next_focus(),
                path: path.to_owned(),
                client: client.map(str::to_owned),
                before: None,
            });
        }
    }

    fn target(&self) -> Option<Target> {
        let (shows, erases) = match self.mode {
            Mode::Off => return None,
            Mode::Engine => (true, true),
            // It may be a password.
            Mode::Guest { .. } if !self.has_content => return None,
            Mode::Guest { shows } => (shows, false),
        };
        let focus = self.focus.as_ref().filter(|focus| !focus.path.is_empty())?;
        Some(Target {
            focus: focus.number,
            field: Some(focus.path.clone()),
            program: focus.client.clone(),
            purpose: purpose(self.content),
            before: focus.before.clone(),
            shows,
            erases: erases && focus.before.is_some(),
            whole: false,
            keys: self.keys,
        })
    }
}

/// Returns what a field is for, given IBus's purpose and hints.
fn purpose((purpose, hints): (u32, u32)) -> Purpose {
    match purpose {
        PURPOSE_PASSWORD | PURPOSE_PIN => Purpose::Secret,
        _ if hints & HINT_HIDDEN != 0 => Purpose::Secret,
        _ if hints & HINT_PRIVATE != 0 => Purpose::Private,
        PURPOSE_TERMINAL => Purpose::Terminal,
        _ => Purpose::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_purpose_or_hints() {
        assert_eq!(purpose((8, 0)), Purpose::Secret);
        assert_eq!(purpose((9, 0)), Purpose::Secret);
        assert_eq!(purpose((0, 2048)), Purpose::Private);
        assert_eq!(purpose((0, 6144)), Purpose::Secret);
        assert_eq!(purpose((10, 0)), Purpose::Terminal);
        assert_eq!(purpose((0, 0)), Purpose::Text);
    }

    #[test]
    fn the_field_of_nobody_is_no_target() {
        let shared = Shared::new(std::sync::Arc::new(|| {}));
        shared.begin_engine();
        shared.focus_in(
            "/org/freedesktop/IBus/InputContext_7",
            Some("gtk3-im:gedit"),
        );
        let target = shared.target().expect("a target");
        assert_eq!(target.program.as_deref(), Some("gtk3-im:gedit"));
        shared.focus_in("/org/freedesktop/IBus/InputContext_1", Some("fake"));
        assert_eq!(shared.target(), None);
        shared.focus_in_unnamed();
        assert_eq!(shared.target(), None);
        shared.name_focus("/org/freedesktop/IBus/InputContext_7");
        assert!(shared.target().is_some());
        shared.begin_guest(false);
        shared.focus_in("/org/freedesktop/IBus/InputContext_12", None);
        assert_eq!(shared.target(), None, "it may be a password");
        shared.set_content((0, 0));
        assert!(shared.target().is_some());
        shared.focus_in("/org/freedesktop/IBus/InputContext_1", None);
        assert_eq!(shared.target(), None);
    }
}
