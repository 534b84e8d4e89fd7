//! Hearken as an engine of IBus: its factory and the objects that IBus calls.
//!
//! The user's keyboard waits for the answers to `ProcessKeyEvent`, so nothing here waits.

use std::sync::Arc;

use zbus::object_server::ObjectServer;
use zbus::{Connection, ObjectPath, OwnedObjectPath, Variant, fdo, interface};

use super::calls::current_context;
use super::state::Shared;
use super::wire;

/// Interface of engines.
pub const ENGINE: &str = "org.freedesktop.IBus.Engine";
/// State bit of a key that is released (ibustypes.h).
const RELEASED: u32 = 1 << 30;

/// Creates engines for IBus.
pub struct Factory {
    shared: Arc<Shared>,
    n_created: u32,
}

impl Factory {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            n_created: 0,
        }
    }
}

#[interface(name = "org.freedesktop.IBus.Factory")]
impl Factory {
    async fn create_engine(
        &mut self,
        _name: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> fdo::Result<OwnedObjectPath> {
        self.n_created += 1;
        let path = format!("/org/freedesktop/IBus/Engine/{}", self.n_created);
        let engine = Engine {
            shared: Arc::clone(&self.shared),
        };
        let service = Service {
            shared: Arc::clone(&self.shared),
            connection: connection.clone(),
            path: path.clone(),
        };
        server.at(path.as_str(), engine).await?;
        server.at(path.as_str(), service).await?;
        self.shared.created(&path);
        Ok(ObjectPath::try_from(path)
            .map_err(|error| fdo::Error::Failed(error.to_string()))?
            .into())
    }
}

/// Lets IBus remove an engine.
struct Service {
    shared: Arc<Shared>,
    connection: Connection,
    path: String,
}

#[interface(name = "org.freedesktop.IBus.Service")]
impl Service {
    async fn destroy(&self) {
        self.shared.removed(&self.path);
        let server = self.connection.object_server();
        // It may have been removed already.
        let _ = server.remove::<Engine, _>(self.path.as_str()).await;
    }
}

struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    async fn require_surrounding(&self, connection: &Connection) {
        let Some(path) = self.shared.engine_path() else {
            return;
        };
        let nobody = None::<zbus::names::BusName<'_>>;
        let sent =
            connection.emit_signal(nobody, path.as_str(), ENGINE, "RequireSurroundingText", &());
        // Without it the field's text is unknown.
        let _ = sent.await;
    }
}

// In the order of the calls: a focus that leaves must not overtake the one that comes.
#[interface(name = "org.freedesktop.IBus.Engine", spawn = false)]
impl Engine {
    fn process_key_event(&self, _keyval: u32, _keycode: u32, state: u32) -> bool {
        if state & RELEASED == 0 {
            self.shared.key();
        }
        false
    }

    /// IBus calls this once for a new engine, before it has read `FocusId`.
    async fn focus_in(&self, #[zbus(connection)] connection: &Connection) {
        self.shared.focus_in_unnamed();
        if let Some(path) = current_context(connection).await {
            self.shared.name_focus(&path);
        }
        self.require_surrounding(connection).await;
    }

    async fn focus_in_id(
        &self,
        path: String,
        client: String,
        #[zbus(connection)] connection: &Connection,
    ) {
        self.shared.focus_in(&path, Some(&client));
        self.require_surrounding(connection).await;
    }

    fn focus_out(&self) {
        self.shared.focus_out();
    }

    fn focus_out_id(&self, _path: String) {
        self.shared.focus_out();
    }

    async fn enable(&self, #[zbus(connection)] connection: &Connection) {
        self.require_surrounding(connection).await;
    }

    fn disable(&self) {}

    fn reset(&self) {}

    fn set_capabilities(&self, _capabilities: u32) {}

    fn set_surrounding_text(&self, text: Variant<'_>, cursor: u32, _anchor: u32) {
        if let Some(text) = wire::text_of(&text) {
            self.shared.surrounding(&text, cursor);
        }
    }

    fn set_cursor_location(&self, _x: i32, _y: i32, _width: i32, _height: i32) {}

    fn property_activate(&self, _name: String, _state: u32) {}

    fn property_show(&self, _name: String) {}

    fn property_hide(&self, _name: String) {}

    fn candidate_clicked(&self, _index: u32, _button: u32, _state: u32) {}

    fn page_up(&self) {}

    fn page_down(&self) {}

    fn cursor_up(&self) {}

    fn cursor_down(&self) {}

    /// IBus compares it with what it sets and keeps quiet if they are equal.
    #[zbus(property)]
    fn content_type(&self) -> (u32, u32) {
        self.shared.content()
    }

    #[zbus(property)]
    fn set_content_type(&mut self, content: (u32, u32)) {
        self.shared.set_content(content);
    }

    /// IBus then calls FocusInId, which names the client.
    #[zbus(property)]
    fn focus_id(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn active_surrounding_text(&self) -> bool {
        true
    }
}
