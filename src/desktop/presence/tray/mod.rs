//! The icon in the tray: a StatusNotifierItem with a menu, spoken without a library of its own.
//!
//! In: the agent's state. Out: icon, tooltip and menu; the user's clicks as commands.

mod icon;
mod item;
mod menu;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::BoxStream;
use tracing::debug;
use zbus::Connection;
use zbus::fdo::DBusProxy;

use crate::desktop::bus::{Command, State};
use item::Item;
use menu::Menu;

/// Who keeps the list of tray icons.
const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const WATCHER_PATH: &str = "/StatusNotifierWatcher";

/// The icon.
pub struct Tray {
    connection: Connection,
    name: String,
}

impl Tray {
    /// Offers the icon, and returns it with a stream that yields when a tray has come: register then.
    ///
    /// # Errors
    /// Returns an error if the bus cannot be used.
    pub async fn open(
        connection: Connection,
        commands: mpsc::Sender<Command>,
    ) -> zbus::Result<(Self, BoxStream<'static, ()>)> {
        let server = connection.object_server();
        server.at(item::PATH, Item::new(commands.clone())).await?;
        server.at(item::MENU_PATH, Menu::new(commands)).await?;
        // The name that the specification asks for: process, and number of the icon.
        let name = format!("org.kde.StatusNotifierItem-{}-1", std::process::id());
        connection.request_name(name.as_str()).await?;
        let owners = DBusProxy::new(&connection)
            .await?
            .receive_name_owner_changed_with_args(&[(0, WATCHER)])
            .await?;
        let come = owners.filter_map(|change| {
            let has_come = change.args().is_ok_and(|args| args.new_owner().is_some());
            futures::future::ready(has_come.then_some(()))
        });
        Ok((Self { connection, name }, come.boxed()))
    }

    /// Registers the icon with the tray. Without a tray nothing happens.
    pub async fn register(&self) {
        let registered = self
            .connection
            .call_method(
                Some(WATCHER),
                WATCHER_PATH,
                Some(WATCHER),
                "RegisterStatusNotifierItem",
                &(self.name.as_str(),),
            )
            .await;
        if let Err(error) = registered {
            debug!("no tray: {error}");
        }
    }

    /// Shows a state, and why nothing can be written; empty if all is well.
    pub async fn set(&self, state: State, trouble: &str) {
        if let Err(error) = self.try_set(state, trouble).await {
            debug!("the tray is not told: {error}");
        }
    }

    async fn try_set(&self, state: State, trouble: &str) -> zbus::Result<()> {
        let server = self.connection.object_server();
        let item = server.interface::<_, Item>(item::PATH).await?;
        if !item.get_mut().await.set(state, trouble) {
            return Ok(());
        }
        let emitter = item.signal_emitter();
        Item::new_icon(emitter).await?;
        Item::new_tool_tip(emitter).await?;
        Item::new_status(emitter, item::status_of(state)).await?;
        let menu = server.interface::<_, Menu>(item::MENU_PATH).await?;
        let revision = menu.get_mut().await.set(state, trouble);
        Menu::layout_updated(menu.signal_emitter(), revision, menu::ROOT).await
    }
}
