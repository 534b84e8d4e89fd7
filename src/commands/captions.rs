//! `hearken captions`: what the machine plays, or what is said, as text on the screen.

use super::error::{Error, exit};
use crate::audio::capture::DEFAULT_MONITOR;
use crate::cli::CaptionsArgs;
use crate::client::ClientError;
use crate::client::session::{ClientEvent, OwnSession};
use crate::config::Config;
use crate::dbus::protocol::SessionState;
use crate::desktop::presence::caption::Caption;
use crate::output::eprint_line;

/// Shows captions until Ctrl-C. Returns the exit code.
///
/// # Errors
/// Returns an error if there is no screen or if the daemon cannot be reached.
pub fn captions(args: &CaptionsArgs) -> Result<u8, Error> {
    let config = Config::read(&Config::path()?)?;
    let caption = Caption::open(&config.captions)?;
    let mut options = args.session.options();
    let device = &mut options.settings.audio.device;
    device.get_or_insert_with(|| DEFAULT_MONITOR.to_owned());
    zbus::block_on(async {
        let mut session = OwnSession::create(&options).await?;
        session.proxy.start().await?;
        loop {
            match session.next().await {
                ClientEvent::Partial {
                    committed, interim, ..
                } => caption.hear(&committed, &interim, false),
                ClientEvent::Final { text, .. } => caption.hear(&text, "", true),
                ClientEvent::State { state } if state == SessionState::Listening as u32 => {
                    eprint_line("hearken: captions are shown; press Ctrl-C to stop");
                }
                ClientEvent::State { state } if state == SessionState::Idle as u32 => {
                    return Ok(exit::SUCCESS);
                }
                ClientEvent::Device { id } => eprint_line(&format!("hearken: the sound is {id}")),
                ClientEvent::Status { message } if !message.is_empty() => {
                    eprint_line(&format!("hearken: {message}"));
                    caption.say(&message);
                }
                ClientEvent::Interrupted => return Ok(exit::SUCCESS),
                ClientEvent::Gone => return Err(ClientError::Gone.into()),
                _ => {}
            }
        }
    })
}
