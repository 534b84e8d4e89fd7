//! `hearken start`, `stop` and `toggle`: control the newest session of the daemon.

use super::error::{Error, exit};
#[cfg(feature = "desktop")]
use crate::client::proxies::DictationProxy;
use crate::client::proxies::SessionProxy;
use crate::client::{ClientError, connect, newest_session};

/// What to do with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Open the microphone.
    Start,
    /// Close the microphone.
    Stop,
    /// Open the microphone, or close it if it is open.
    Toggle,
}

/// Controls the newest session. Returns the exit code.
///
/// # Errors
/// Returns an error if there is no session, or if the daemon cannot be reached or refuses.
pub fn control(control: Control) -> Result<u8, Error> {
    zbus::block_on(control_newest(control))?;
    Ok(exit::SUCCESS)
}

/// Controls the newest session. If it is that of `hearken desktop`, this asks the agent, so that its
/// sounds and its hotkey know.
///
/// # Errors
/// Returns an error if there is no session, or if the daemon cannot be reached or refuses.
pub async fn control_newest(control: Control) -> Result<(), ClientError> {
    let connection = connect().await?;
    let newest = newest_session(&connection)
        .await?
        .ok_or(ClientError::NoSession)?;
    #[cfg(feature = "desktop")]
    {
        let agent = DictationProxy::new(&connection).await?;
        // An agent that is not there has no session.
        if agent.session().await.is_ok_and(|own| own == newest) {
            let done = match control {
                Control::Start => agent.start().await,
                Control::Stop => agent.stop().await,
                Control::Toggle => agent.toggle().await,
            };
            return Ok(done?);
        }
    }
    let session = SessionProxy::builder(&connection)
        .path(newest)
        .build()
        .await?;
    let done = match control {
        Control::Start => session.start().await,
        Control::Stop => session.stop().await,
        Control::Toggle => session.toggle().await,
    };
    Ok(done?)
}
