//! Hearken as IBus's panel extension, beside the engine that the user has chosen.

use std::sync::Arc;

use zbus::names::BusName;
use zbus::{Connection, OwnedObjectPath, Variant, interface};

use super::state::Shared;
use super::wire;

/// Name of the extension; the emoji picker that usually owns it lets others replace it, and has it
/// again once they release it.
pub const EXTENSION: &str = "org.freedesktop.IBus.Panel.Extension.Emoji";
/// Path of the extension.
pub const EXTENSION_PATH: &str = "/org/freedesktop/IBus/Panel/Extension/Emoji";
/// Interface of panels and extensions.
pub const PANEL: &str = "org.freedesktop.IBus.Panel";

/// What IBus calls.
pub struct Panel {
    shared: Arc<Shared>,
}

impl Panel {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

// In the order of the calls: a focus that leaves must not overtake the one that comes.
#[interface(name = "org.freedesktop.IBus.Panel", spawn = false)]
impl Panel {
    fn focus_in(&self, context: OwnedObjectPath) {
        self.shared.focus_in(context.as_str(), None);
    }

    fn focus_out(&self, _context: OwnedObjectPath) {
        self.shared.focus_out();
    }

    #[zbus(name = "ContentType")]
    fn content(&self, purpose: u32, hints: u32) {
        self.shared.set_content((purpose, hints));
    }

    fn set_cursor_location(&self, _x: i32, _y: i32, _width: i32, _height: i32) {}

    /// The user asks for the emoji picker. An extension that is on gets all keys, so it is switched
    /// off again.
    async fn panel_extension_received(
        &self,
        event: Variant<'_>,
        #[zbus(connection)] connection: &Connection,
    ) {
        if !wire::is_enabled(&event) {
            return;
        }
        let nobody = None::<BusName<'_>>;
        let body = (wire::disabled_extension(),);
        let sent = connection.emit_signal(nobody, EXTENSION_PATH, PANEL, "PanelExtension", &body);
        // A lost bus takes no keys.
        let _ = sent.await;
    }

    fn process_key_event(&self, _keyval: u32, _keycode: u32, _state: u32) -> bool {
        false
    }
}
