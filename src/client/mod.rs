//! A client's view of the daemon: its bus interfaces, and a session owned by this process.
//!
//! It knows no more about the daemon than any other program on the bus.

pub(crate) mod proxies;
pub(crate) mod session;

use crate::advice::Advice;
use crate::dbus::protocol::{NAME, PATH, session_number};
use std::borrow::Cow;
use zbus::fdo::ObjectManagerProxy;
use zbus::{Connection, OwnedObjectPath, fdo};

/// Reason that a client cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no session bus.
    #[error("the session bus cannot be reached: {0}")]
    NoBus(#[source] zbus::Error),
    /// No daemon is running, and none can be started.
    #[error("the daemon is not running")]
    NoDaemon,
    /// The daemon has left the bus.
    #[error("the daemon has ended")]
    Gone,
    /// The daemon refuses the request.
    #[error("the daemon refuses: {0}")]
    Refused(String),
    /// A job has failed.
    #[error("transcription failed: {0}")]
    Failed(String),
    /// There is no session to control.
    #[error("there is no session")]
    NoSession,
    /// The agent of the desktop is not running.
    #[cfg(feature = "desktop")]
    #[error("hearken desktop is not running")]
    NoAgent,
    /// Another error of the bus.
    #[error("cannot communicate with the daemon: {0}")]
    Bus(#[source] zbus::Error),
}

impl Advice for ClientError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NoBus(..) => "run this in a desktop session".into(),
            Self::NoDaemon => {
                "start it with `systemctl --user start hearken` or `hearken daemon`".into()
            }
            Self::Gone => "see `journalctl --user -u hearken` for the reason".into(),
            #[cfg(feature = "desktop")]
            Self::NoAgent => {
                "start it with `systemctl --user start app-org.hearken.Hearken`".into()
            }
            Self::NoSession => "start one with `hearken listen` or `hearken record`".into(),
            _ => return None,
        })
    }
}

impl From<zbus::Error> for ClientError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, Some(message), _) if name.starts_with(NAME) => {
                Self::Refused(message)
            }
            zbus::Error::FDO(error)
                if matches!(
                    *error,
                    fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_)
                ) =>
            {
                Self::NoDaemon
            }
            other => Self::Bus(other),
        }
    }
}

impl From<fdo::Error> for ClientError {
    fn from(error: fdo::Error) -> Self {
        Self::from(zbus::Error::from(error))
    }
}

/// Connects to the session bus.
///
/// # Errors
/// Returns an error if there is no session bus.
pub async fn connect() -> Result<Connection, ClientError> {
    Connection::session().await.map_err(ClientError::NoBus)
}

/// Returns the paths of the daemon's sessions, oldest first.
///
/// # Errors
/// Returns an error if the daemon cannot be reached.
pub async fn sessions(connection: &Connection) -> Result<Vec<OwnedObjectPath>, ClientError> {
    let manager = ObjectManagerProxy::new(connection, NAME, PATH).await?;
    let objects = manager.get_managed_objects().await?;
    let mut paths: Vec<_> = objects.into_keys().collect();
    paths.retain(|path| session_number(path).is_some());
    paths.sort_by_key(|path| session_number(path));
    Ok(paths)
}

/// Returns the path of the newest session.
///
/// # Errors
/// Returns an error if the daemon cannot be reached.
pub async fn newest_session(
    connection: &Connection,
) -> Result<Option<OwnedObjectPath>, ClientError> {
    Ok(sessions(connection).await?.pop())
}
