//! Errors of the D-Bus methods, `org.hearken.Hearken1.Error.…`.

use crate::advice::Advice;
use crate::audio::capture::CaptureError;
use crate::config::ConfigError;
use crate::models::ModelError;
use crate::session::SessionError;
use zbus::DBusError;

/// Reason that a method fails; the variant's name is the name of the D-Bus error.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.hearken.Hearken1.Error")]
pub enum BusError {
    /// The bus itself failed.
    #[zbus(error)]
    Bus(zbus::Error),
    /// An option is unknown, or its value is invalid.
    InvalidOption(String),
    /// The configuration file is invalid; the old configuration stays in use.
    InvalidConfig(String),
    /// The model is missing or damaged.
    Model(String),
    /// There is no audio.
    Audio(String),
    /// The feature is off in the configuration.
    NotEnabled(String),
    /// Only the owner of the session or job may do this.
    NotOwner(String),
    /// The session is closed.
    Closed(String),
    /// The daemon has a bug.
    Internal(String),
}

impl From<SessionError> for BusError {
    fn from(error: SessionError) -> Self {
        Self::Closed(error.explain())
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

/// Runs slow work on a thread of its own, so that the thread that serves the bus stays responsive.
pub(super) async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BusError> {
    let (sender, receiver) = futures::channel::oneshot::channel();
    std::thread::spawn(move || {
        // The caller may be gone; then nobody needs the result.
        let _ = sender.send(work());
    });
    receiver
        .await
        .map_err(|_| BusError::Internal("a thread has panicked; please report this".to_owned()))
}
