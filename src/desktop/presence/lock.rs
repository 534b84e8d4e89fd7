//! The user leaves: the screen is locked, the session is no longer the active one, or the machine is
//! about to be suspended.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use tracing::debug;
use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedFd, OwnedVariant, Variant};

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PATH: &str = "/org/freedesktop/login1";
const SESSIONS: &str = "/org/freedesktop/login1/session";

/// Yields when a screen saver of the session bus covers the screen: that of freedesktop, GNOME, KDE,
/// Cinnamon, MATE or Xfce, which differ in name and path only.
///
/// # Errors
/// Returns an error if the bus cannot be used.
pub async fn watch(connection: &Connection) -> zbus::Result<BoxStream<'static, ()>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .member("ActiveChanged")
        .build()?;
    let messages = MessageStream::for_match_rule(rule, connection, None).await?;
    let covered = messages
        .filter_map(|message| future::ready(message.ok().filter(is_screen_saver_on).map(|_| ())));
    Ok(covered.boxed())
}

fn is_screen_saver_on(message: &Message) -> bool {
    let header = message.header();
    let interface = header
        .interface()
        .map_or("", |interface| interface.as_str());
    interface.to_ascii_lowercase().ends_with(".screensaver")
        && message.body().deserialize::<bool>().unwrap_or(false)
}

/// Yields when logind locks a session of this user, when such a session is no longer the active one,
/// and when the machine is about to be suspended. With it comes what delays the suspend.
///
/// # Errors
/// Returns an error if the system bus cannot be used.
pub async fn watch_logind(
    call_timeout: Duration,
) -> zbus::Result<(Inhibitor, BoxStream<'static, ()>)> {
    let connection = Builder::system()
        .method_timeout(call_timeout)
        .build()
        .await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(LOGIND)
        .path_namespace(PATH)
        .build()?;
    let messages = MessageStream::for_match_rule(rule, &connection, None).await?;
    let asked = connection.clone();
    let leaves = messages.filter_map(move |message| {
        let connection = asked.clone();
        async move {
            let message = message.ok()?;
            let leaves = match leave(&message)? {
                Leave::Machine => true,
                Leave::Session => is_own(&connection, &message).await.unwrap_or(true),
            };
            leaves.then_some(())
        }
    });
    let inhibitor = Inhibitor {
        connection,
        lock: None,
    };
    Ok((inhibitor, leaves.chain(stream::pending()).boxed()))
}

enum Leave {
    Machine,
    Session,
}

/// Whether a signal of logind means that somebody leaves.
fn leave(message: &Message) -> Option<Leave> {
    let header = message.header();
    let body = message.body();
    match (header.interface()?.as_str(), header.member()?.as_str()) {
        (MANAGER, "PrepareForSleep") => body.deserialize::<bool>().ok()?.then_some(Leave::Machine),
        (SESSION, "Lock") => Some(Leave::Session),
        ("org.freedesktop.DBus.Properties", "PropertiesChanged") => {
            type Changed = (String, HashMap<String, OwnedVariant>, Vec<String>);
            let (interface, changed, _): Changed = body.deserialize().ok()?;
            let is = |name: &str, wanted: bool| {
                let value = changed.get(name);
                value.and_then(|value| bool::try_from(value).ok()) == Some(wanted)
            };
            let leaves = interface == SESSION && (is("LockedHint", true) || is("Active", false));
            leaves.then_some(Leave::Session)
        }
        _ => None,
    }
}

/// Whether the session that sent a signal is this user's.
async fn is_own(connection: &Connection, message: &Message) -> zbus::Result<bool> {
    let header = message.header();
    let path = header.path().map_or("", |path| path.as_str());
    if !path.starts_with(SESSIONS) {
        return Ok(false);
    }
    let arguments = (SESSION, "User");
    let answer = connection
        .call_method(
            Some(LOGIND),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &arguments,
        )
        .await?;
    let user: OwnedVariant = answer.body().deserialize()?;
    // Number of the user, and the path of its object.
    let Variant::Structure(user) = Variant::from(user) else {
        return Ok(false);
    };
    let id = user.fields().first().and_then(|id| u32::try_from(id).ok());
    Ok(id == Some(rustix::process::getuid().as_raw()))
}

/// Delays a suspend while the microphone is open, until it is closed; logind waits 5 s at most.
pub struct Inhibitor {
    connection: Connection,
    /// logind delays while this is open.
    lock: Option<OwnedFd>,
}

impl Inhibitor {
    /// Says whether the microphone is open.
    pub async fn set(&mut self, is_open: bool) {
        if !is_open {
            self.lock = None;
        } else if self.lock.is_none() {
            self.lock = match self.inhibit().await {
                Ok(lock) => Some(lock),
                Err(error) => return debug!("a suspend will not wait: {error}"),
            };
        }
    }

    async fn inhibit(&self) -> zbus::Result<OwnedFd> {
        let arguments = ("sleep", "Hearken", "The microphone is open", "delay");
        let answer = self
            .connection
            .call_method(Some(LOGIND), PATH, Some(MANAGER), "Inhibit", &arguments)
            .await?;
        answer.body().deserialize()
    }
}
