//! `org.kde.StatusNotifierItem`: icon, tooltip and clicks.

use futures::channel::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, interface};

use super::icon;
use crate::desktop::bus::{Command, State};

/// Path of the object.
pub const PATH: &str = "/StatusNotifierItem";
/// Path of its menu.
pub const MENU_PATH: &str = "/Menu";

/// Width, height, and pixels of four bytes: opacity, red, green, blue.
type Pixmap = (i32, i32, Vec<u8>);

/// The object.
pub struct Item {
    commands: mpsc::Sender<Command>,
    state: State,
    trouble: String,
}

impl Item {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self {
            commands,
            state: State::Unknown,
            trouble: String::new(),
        }
    }

    /// Takes a state. Returns whether anything has changed.
    pub fn set(&mut self, state: State, trouble: &str) -> bool {
        let has_changed = (self.state, self.trouble.as_str()) != (state, trouble);
        self.state = state;
        trouble.clone_into(&mut self.trouble);
        has_changed
    }

    fn send(&mut self, command: Command) {
        // An agent that has as much to do as fits is not to be asked for more.
        let _ = self.commands.try_send(command);
    }
}

/// Whether trays that hide icons may hide this one.
pub fn status_of(state: State) -> &'static str {
    match state {
        State::NoSound => "NeedsAttention",
        State::Listening | State::Finishing => "Active",
        State::Idle | State::Unknown => "Passive",
    }
}

/// What the state is called.
pub fn title_of(state: State) -> &'static str {
    match state {
        State::Unknown => "The daemon is not running",
        State::Idle => "Ready",
        State::Listening => "Listening",
        State::Finishing => "Writing the last words",
        State::NoSound => "No sound from the microphone",
    }
}

#[interface(name = "org.kde.StatusNotifierItem")]
impl Item {
    #[zbus(property)]
    fn category(&self) -> &'static str {
        "ApplicationStatus"
    }

    #[zbus(property)]
    fn id(&self) -> &'static str {
        "org.hearken.Hearken"
    }

    #[zbus(property)]
    fn title(&self) -> &'static str {
        "Hearken"
    }

    #[zbus(property)]
    fn status(&self) -> &'static str {
        status_of(self.state)
    }

    #[zbus(property)]
    fn window_id(&self) -> i32 {
        0
    }

    /// Empty: the pixmap is used, which needs no icon theme.
    #[zbus(property)]
    fn icon_name(&self) -> &'static str {
        ""
    }

    #[zbus(property)]
    fn icon_pixmap(&self) -> Vec<Pixmap> {
        icon::pixmaps(self.state)
    }

    #[zbus(property)]
    fn overlay_icon_name(&self) -> &'static str {
        ""
    }

    #[zbus(property)]
    fn overlay_icon_pixmap(&self) -> Vec<Pixmap> {
        Vec::new()
    }

    #[zbus(property)]
    fn attention_icon_name(&self) -> &'static str {
        ""
    }

    #[zbus(property)]
    fn attention_icon_pixmap(&self) -> Vec<Pixmap> {
        icon::pixmaps(State::NoSound)
    }

    #[zbus(property)]
    fn attention_movie_name(&self) -> &'static str {
        ""
    }

    #[zbus(property)]
    fn tool_tip(&self) -> (&'static str, Vec<Pixmap>, &'static str, String) {
        let text = if self.trouble.is_empty() {
            title_of(self.state)
        } else {
            &self.trouble
        };
        ("", Vec::new(), "Hearken", text.to_owned())
    }

    #[zbus(property)]
    fn item_is_menu(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn menu(&self) -> ObjectPath<'static> {
        ObjectPath::from_static_str_unchecked(MENU_PATH)
    }

    /// A click.
    fn activate(&mut self, _x: i32, _y: i32) {
        self.send(Command::Toggle);
    }

    /// A click with the middle button.
    fn secondary_activate(&mut self, _x: i32, _y: i32) {
        self.send(Command::Cancel);
    }

    /// The host shows the menu.
    fn context_menu(&self, _x: i32, _y: i32) {}

    fn scroll(&self, _delta: i32, _orientation: &str) {}

    #[zbus(signal)]
    pub async fn new_icon(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    pub async fn new_tool_tip(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    #[zbus(signal)]
    pub async fn new_status(emitter: &SignalEmitter<'_>, status: &str) -> zbus::Result<()>;
}
