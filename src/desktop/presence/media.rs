//! Players that pause while the microphone is open (MPRIS).
//!
//! Only those that play are paused; only those that we paused, and that are still paused, play again.

use futures::future::join_all;
use tracing::debug;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{Connection, proxy};

const PREFIX: &str = "org.mpris.MediaPlayer2.";

#[proxy(
    interface = "org.mpris.MediaPlayer2.Player",
    default_path = "/org/mpris/MediaPlayer2",
    assume_defaults = false
)]
trait Player {
    fn pause(&self) -> zbus::Result<()>;

    fn play(&self) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn playback_status(&self) -> zbus::Result<String>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn can_pause(&self) -> zbus::Result<bool>;
}

/// The players of the session.
pub struct Media {
    connection: Connection,
    /// Unique names of those that we paused; a player that is started anew has another.
    paused: Vec<OwnedUniqueName>,
    is_open: bool,
}

impl Media {
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            paused: Vec::new(),
            is_open: false,
        }
    }

    /// Pauses what plays, once for each time that the microphone opens.
    pub async fn pause(&mut self) {
        if std::mem::replace(&mut self.is_open, true) {
            return;
        }
        let players = match self.players().await {
            Ok(players) => players,
            Err(error) => return debug!("players are not known: {error}"),
        };
        let media = &*self;
        let paused = players.into_iter().map(|player| async move {
            let did = media.pause_one(&player).await;
            did.unwrap_or(false).then_some(player)
        });
        self.paused = join_all(paused).await.into_iter().flatten().collect();
    }

    /// Lets the players play that this paused.
    pub async fn resume(&mut self) {
        self.is_open = false;
        let paused = std::mem::take(&mut self.paused);
        // A player that has ended, or that the user has stopped, stays as it is.
        join_all(paused.iter().map(|player| self.resume_one(player))).await;
    }

    async fn players(&self) -> zbus::Result<Vec<OwnedUniqueName>> {
        let bus = DBusProxy::new(&self.connection).await?;
        let names = bus.list_names().await?;
        let mut owners = Vec::new();
        for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
            if let Ok(owner) = bus.get_name_owner(BusName::from(name)).await {
                owners.push(owner);
            }
        }
        // A player may have several names.
        owners.sort();
        owners.dedup();
        Ok(owners)
    }

    async fn player(&self, name: &OwnedUniqueName) -> zbus::Result<PlayerProxy<'static>> {
        PlayerProxy::builder(&self.connection)
            .destination(name.clone())
            .build()
            .await
    }

    async fn pause_one(&self, name: &OwnedUniqueName) -> zbus::Result<bool> {
        let player = self.player(name).await?;
        let plays = player.playback_status().await? == "Playing" && player.can_pause().await?;
        if plays {
            player.pause().await?;
        }
        Ok(plays)
    }

    async fn resume_one(&self, name: &OwnedUniqueName) -> zbus::Result<()> {
        let player = self.player(name).await?;
        if player.playback_status().await? == "Paused" {
            player.play().await?;
        }
        Ok(())
    }
}
