//! `hearken listen` and `hearken record`: what is said, in the terminal.

use super::error::{Error, exit};
use crate::cli::{ListenArgs, RecordArgs};
use crate::client::ClientError;
use crate::client::session::{ClientEvent, OwnSession};
use crate::dbus::protocol::SessionState;
use crate::output::{eprint_line, print};
use crate::text::append;
use std::io::IsTerminal;

const IDLE: u32 = SessionState::Idle as u32;
const LISTENING: u32 = SessionState::Listening as u32;

/// Moves to the start of the line and clears it (ECMA-48: carriage return, erase in line).
const CLEAR_LINE: &str = "\r\x1b[K";
/// Switches faint text on and off (ECMA-48: select graphic rendition).
const FAINT: (&str, &str) = ("\x1b[2m", "\x1b[22m");

/// Shows what is said until the user ends it or somebody stops the session. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn listen(args: &ListenArgs) -> Result<u8, Error> {
    zbus::block_on(async {
        let mut session = OwnSession::create(&args.session.options()).await?;
        if !args.standby {
            session.proxy.start().await?;
        }
        let redraws = !args.json && std::io::stdout().is_terminal();
        let mut view = View {
            json: args.json,
            redraws,
            listens: false,
        };
        let mut ending = false;
        loop {
            let told = session.next().await;
            view.show(&told)?;
            match told {
                ClientEvent::Gone => return Err(ClientError::Gone.into()),
                ClientEvent::Interrupted if ending => return Ok(exit::INTERRUPTED),
                ClientEvent::Interrupted => {
                    ending = true;
                    session.proxy.stop().await?;
                    if session.proxy.state().await? == IDLE {
                        return Ok(exit::SUCCESS);
                    }
                }
                ClientEvent::State { state: IDLE } if ending || !args.standby => {
                    return Ok(exit::SUCCESS);
                }
                _ => {}
            }
        }
    })
}

/// Records until stopped and prints what was said. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn record(args: &RecordArgs) -> Result<u8, Error> {
    zbus::block_on(async {
        let mut options = args.session.options();
        options.settings.live.partials = Some(false);
        let mut session = OwnSession::create(&options).await?;
        session.proxy.start().await?;
        let mut texts = Vec::new();
        let mut is_gone = false;
        while !is_gone {
            match session.next().await {
                ClientEvent::Gone => is_gone = true,
                ClientEvent::Interrupted => session.proxy.stop().await?,
                ClientEvent::Final { text, .. } => {
                    texts.push(text);
                    if args.once {
                        session.proxy.stop().await?;
                    }
                }
                ClientEvent::Status { message } => report_status(&message),
                ClientEvent::State { state: IDLE } => break,
                _ => {}
            }
        }
        if args.once {
            texts.truncate(1);
        }
        let mut all = String::new();
        texts
            .iter()
            .for_each(|text| append(&mut all, &format!(" {text}")));
        if !texts.is_empty() {
            print(&format!("{}\n", all.trim()))?;
        }
        if is_gone {
            Err(ClientError::Gone.into())
        } else {
            Ok(exit::SUCCESS)
        }
    })
}

/// How text is shown: finals a line each; on a terminal the utterance that goes on below them,
/// redrawn, with what may change faint; or everything as JSON.
struct View {
    json: bool,
    redraws: bool,
    /// Whether that it listens was shown since it was idle.
    listens: bool,
}

impl View {
    fn show(&mut self, told: &ClientEvent) -> Result<(), Error> {
        if self.json {
            if matches!(told, ClientEvent::Interrupted | ClientEvent::Gone) {
                return Ok(());
            }
            let line = serde_json::to_string(told).unwrap_or_default();
            return Ok(print(&format!("{line}\n"))?);
        }
        let clear = if self.redraws { CLEAR_LINE } else { "" };
        match told {
            ClientEvent::Partial {
                committed, interim, ..
            } if self.redraws => {
                let (on, off) = FAINT;
                // A line is all that can be cleared.
                print(&format!("{clear}{committed}{on}{interim}{off}").replace('\n', " "))?;
            }
            ClientEvent::Final { text, .. } if !text.is_empty() => {
                print(&format!("{clear}{}\n", text.trim_end()))?
            }
            ClientEvent::Final { .. } => print(clear)?,
            ClientEvent::Status { message } => report_status(message),
            ClientEvent::Device { id } => eprint_line(&format!("hearken: the microphone is {id}")),
            ClientEvent::State { state: LISTENING } if !self.listens => {
                self.listens = true;
                eprint_line("hearken: listening; Ctrl-C ends it");
            }
            ClientEvent::State { state: IDLE } => self.listens = false,
            _ => {}
        }
        Ok(())
    }
}

/// Tells why there is no sound or text, or that this is over.
fn report_status(message: &str) {
    eprint_line(&format!(
        "hearken: {}",
        if message.is_empty() {
            "all is well again"
        } else {
            message
        }
    ));
}
