//! What IBus has told: which field has the focus, its purpose, its text. The bus's thread writes it
//! and never waits; the sink reads it.

use std::time::Duration;

use crate::input::sink::{Receipt, Target, Wake, next_focus};
use crate::input::watched::Watched;
use crate::settings::desktop::Purpose;

/// Client of a context that stands for no field.
const NO_CLIENT: &str = "fake";
/// Path of that context, which is all that a guest sees of it.
const NO_CONTEXT: &str = "/InputContext_1";
/// Client that is GNOME's compositor.
const COMPOSITOR: &str = "gnome-shell";
/// Purposes and hints (ibustypes.h).
const PURPOSE_PASSWORD: u32 = 8;
const PURPOSE_PIN: u32 = 9;
const PURPOSE_TERMINAL: u32 = 10;
const HINT_PRIVATE: u32 = 1 << 11;
const HINT_HIDDEN: u32 = 1 << 12;

/// The state.
pub struct Shared(Watched<State>);

#[derive(Default)]
struct State {
    mode: Mode,
    /// Path of our engine's object.
    engine: Option<String>,
    /// IBus has removed our engine while it was in use.
    has_lost_engine: bool,
    focus: Option<Focus>,
    /// The field that has told its text last, and what. IBus keeps quiet if a field that has the focus
    /// again tells the same.
    told: Option<(String, String)>,
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
        Self(Watched::new(State::default(), wake))
    }

    pub fn begin_engine(&self) {
        self.0.change(|state| {
            state.mode = Mode::Engine;
            state.has_lost_engine = false;
            state.focus = None;
            state.told = None;
        });
    }

    pub fn begin_guest(&self, shows: bool) {
        self.0.change(|state| {
            state.mode = Mode::Guest { shows };
            state.focus = None;
            state.has_content = false;
        });
    }

    pub fn end(&self) {
        self.0.change(|state| {
            state.mode = Mode::Off;
            state.focus = None;
            state.shown.clear();
        });
    }

    pub fn created(&self, path: &str) {
        self.0.change(|state| {
            state.engine = Some(path.to_owned());
            state.has_lost_engine = false;
        });
    }

    pub fn engine_path(&self) -> Option<String> {
        self.0.lock().engine.clone()
    }

    /// IBus has removed the engine: the user, or GNOME in a password field, has chosen another one.
    pub fn removed(&self, path: &str) {
        self.0.change(|state| {
            if state.engine.as_deref() == Some(path) {
                state.engine = None;
                state.has_lost_engine = true;
                state.focus = None;
            }
        });
    }

    pub fn has_lost_engine(&self) -> bool {
        self.0.lock().has_lost_engine
    }

    pub fn focus_in(&self, path: &str, client: Option<&str>) {
        self.0.change(|state| state.focus_in(path, client));
    }

    pub fn focus_in_unnamed(&self) {
        self.0.change(|state| state.focus_in("", None));
    }

    /// Takes the path of a focus that came without one.
    pub fn name_focus(&self, path: &str) {
        self.0.change(|state| match &mut state.focus {
            Some(focus) if focus.path.is_empty() && path.ends_with(NO_CONTEXT) => {
                state.focus = None;
            }
            Some(focus) if focus.path.is_empty() => path.clone_into(&mut focus.path),
            _ => {}
        });
    }

    pub fn focus_out(&self) {
        self.0.change(|state| state.focus = None);
    }

    pub fn set_content(&self, content: (u32, u32)) {
        self.0.change(|state| {
            state.content = content;
            state.has_content = true;
        });
    }

    pub fn content(&self) -> (u32, u32) {
        self.0.lock().content
    }

    pub fn key(&self) {
        self.0.lock().keys += 1;
    }

    /// Takes the field's text; the cursor is counted in characters.
    pub fn surrounding(&self, text: &str, cursor: u32) {
        let before: String = text.chars().take(cursor as usize).collect();
        self.0.change(|state| {
            // Firefox counts interim text as text.
            let before = match before.strip_suffix(&state.shown) {
                Some(without) if !state.shown.is_empty() => without.to_owned(),
                _ => before,
            };
            if let Some(focus) = &mut state.focus {
                state.told = Some((focus.path.clone(), before.clone()));
                focus.before = Some(before);
            }
        });
    }

    pub fn is_showing(&self) -> bool {
        !self.0.lock().shown.is_empty()
    }

    pub fn set_shown(&self, text: &str) {
        text.clone_into(&mut self.0.lock().shown);
    }

    pub fn note_commit(&self, text: &str) {
        text.clone_into(&mut self.0.lock().committed);
    }

    pub fn target(&self) -> Option<Target> {
        self.0.lock().target()
    }

    pub fn wait_for_focus(&self, limit: Duration) {
        self.0.wait(limit, |state| {
            state.focus.is_some() && (state.mode == Mode::Engine || state.has_content)
        });
    }

    /// Waits until the field has told its text, if it ever does.
    pub fn wait_for_surrounding(&self, limit: Duration) {
        self.0.wait(limit, |state| match &state.focus {
            Some(focus) => focus.before.is_some(),
            None => true,
        });
    }

    pub fn wait_for_erasure(&self, before: &str, limit: Duration) {
        self.0.wait(limit, |state| {
            let focus = state.focus.as_ref();
            focus.and_then(|focus| focus.before.as_deref()) != Some(before)
        });
    }

    /// Waits until the field's text ends with what was committed.
    pub fn receipt(&self, limit: Duration) -> Receipt {
        // GTK tells whether it reports its text only with the text.
        let may_tell = self.0.lock().mode == Mode::Engine;
        let has_arrived = |state: &State| {
            let before = state
                .focus
                .as_ref()
                .and_then(|focus| focus.before.as_deref());
            before.is_some_and(|before| before.ends_with(&state.committed))
        };
        if may_tell && self.0.wait(limit, has_arrived) {
            Receipt::Inserted
        } else {
            Receipt::Sent
        }
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
            let told = self
                .told
                .as_ref()
                .filter(|(field, _)| field == path && client.is_some() && !is_shared(client));
            let before = told.map(|(_, text)| text.clone());
            self.focus = Some(Focus {
                number: next_focus(),
                path: path.to_owned(),
                client: client.map(str::to_owned),
                before,
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
            field: (!is_shared(focus.client.as_deref())).then(|| focus.path.clone()),
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

/// Whether a client has one context for the fields of all windows, so that its path names none of
/// them: compositors do.
fn is_shared(client: Option<&str>) -> bool {
    match client {
        Some(client) => client == COMPOSITOR,
        None => std::env::var_os("WAYLAND_DISPLAY").is_some(),
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
    fn a_field_that_has_the_focus_again_has_the_text_that_it_told() {
        let shared = Shared::new(std::sync::Arc::new(|| {}));
        let before = || shared.target().and_then(|target| target.before);
        shared.begin_engine();
        shared.focus_in("/a", Some("gtk4-im:a"));
        shared.surrounding("Grüße", 3);
        shared.focus_in("/b", Some("gtk4-im:a"));
        assert_eq!(before(), None);
        shared.focus_in("/a", Some("gtk4-im:a"));
        assert_eq!(before().as_deref(), Some("Grü"));
        shared.focus_in("/c", Some(COMPOSITOR));
        assert_eq!(shared.target().and_then(|target| target.field), None);
        shared.surrounding("another", 7);
        shared.focus_in("/a", Some("gtk4-im:a"));
        assert_eq!(before(), None);
        // Another field of the same context.
        shared.focus_in("/c", Some(COMPOSITOR));
        assert_eq!(before(), None);
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
