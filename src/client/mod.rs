//! Programs' view of the daemon: its bus interfaces, and a session of our own.
//!
//! They know no more of the daemon than any other program on the bus.

pub(crate) mod proxies;
pub(crate) mod session;

use crate::advice::Advice;
use crate::dbus::protocol::NAME;
use std::borrow::Cow;
use zbus::{Connection, fdo};

/// Why a client cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no session bus.
    #[error("the session bus cannot be reached: {0}")]
    NoBus(#[source] zbus::Error),
    /// There is no daemon, and none can be started.
    #[error("the daemon is not running")]
    NoDaemon,
    /// The daemon went away.
    #[error("the daemon has ended")]
    Gone,
    /// The daemon refuses.
    #[error("the daemon refuses: {0}")]
    Refused(String),
    /// A job has failed.
    #[error("it cannot be transcribed: {0}")]
    Failed(String),
    /// There is nothing to control.
    #[error("there is no session")]
    NoSession,
    /// Something else between here and the daemon.
    #[error("the daemon cannot be talked to: {0}")]
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
            Self::NoSession => "begin one with `hearken listen` or `hearken record`".into(),
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
/// Returns an error if there is none.
pub async fn connect() -> Result<Connection, ClientError> {
    Connection::session().await.map_err(ClientError::NoBus)
}
