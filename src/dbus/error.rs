//! The errors of the D-Bus methods, `org.hearken.Hearken1.Error.…`.

use crate::advice::Advice;
use crate::audio::capture::CaptureError;
use crate::config::ConfigError;
use crate::models::ModelError;
use crate::session::SessionError;
use zbus::DBusError;

/// Why a method fails; the name of the variant is that of the D-Bus error.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.hearken.Hearken1.Error")]
pub enum BusError {
    /// The bus itself failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// An option is unknown, or its value makes no sense.
    InvalidOption(String),
    /// The configuration file makes no sense; the old configuration goes on.
    InvalidConfig(String),
    /// The model is missing or damaged.
    Model(String),
    /// There is no sound.
    Audio(String),
    /// It has to be turned on in the configuration first.
    NotEnabled(String),
    /// Only the owner of the session or job may do this.
    NotOwner(String),
    /// The session is still busy with what was said before.
    Busy(String),
    /// The session is closed.
    Closed(String),
    /// A defect of the daemon.
    Internal(String),
}

impl From<SessionError> for BusError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Finishing => Self::Busy(error.explain()),
            SessionError::Closed => Self::Closed(error.explain()),
        }
    }
}

impl From<CaptureError> for BusError {
    fn from(error: CaptureError) -> Self {
        Self::Audio(error.explain())
    }
}

impl From<ModelError> for BusError {
    fn from(error: ModelError) -> Self {
        Self::Model(error.explain())
    }
}

impl From<ConfigError> for BusError {
    fn from(error: ConfigError) -> Self {
        Self::InvalidConfig(error.explain())
    }
}

/// Runs what may take a while away from the thread that serves the bus.
pub(super) async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BusError> {
    let (sender, receiver) = futures::channel::oneshot::channel();
    std::thread::spawn(move || {
        // A caller who is gone wants no answer.
        let _ = sender.send(work());
    });
    receiver
        .await
        .map_err(|_| BusError::Internal("a thread has panicked; please report this".to_owned()))
}
