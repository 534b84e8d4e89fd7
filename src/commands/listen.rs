//! `hearken listen` and `hearken record`: text from the microphone in the terminal.

use super::error::{Error, exit};
use super::filtering::Filtering;
use super::live_line::LiveLine;
use super::terminal;
use crate::cli::{ListenArgs, RecordArgs};
use crate::client::ClientError;
use crate::client::session::{ClientEvent, OwnSession};
use crate::dbus::protocol::SessionState;
use crate::output::{eprint_line, print};
use crate::text::append;

const IDLE: u32 = SessionState::Idle as u32;
const LISTENING: u32 = SessionState::Listening as u32;
const FINISHING: u32 = SessionState::Finishing as u32;

/// Shows live text until the user or another program stops the session. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn listen(args: &ListenArgs) -> Result<u8, Error> {
    let filter = args.session.text.filter()?;
    let mut filtering = Filtering::new(filter.as_ref());
    zbus::block_on(async {
        let mut session = OwnSession::create(&args.session.options()).await?;
        if !args.standby {
            session.proxy.start().await?;
        }
        let mut view = View {
            json: args.json,
            line: LiveLine::default(),
            open_note: if args.standby {
                "the microphone is open; hearken toggle closes it, Ctrl-C ends hearken listen"
            } else {
                "listening; press Ctrl-C to stop"
            },
            microphone: Microphone::default(),
        };
        if args.standby && !args.json && terminal::is_watched() {
            eprint_line("hearken: the microphone is closed; hearken toggle opens it");
        }
        let mut is_stopping = false;
        loop {
            let mut event = session.next().await;
            if let ClientEvent::Final { text, .. } = &mut event
                && !text.is_empty()
            {
                *text = filtering.text(text);
            }
            view.show(&event)?;
            match event {
                ClientEvent::Gone => return Err(ClientError::Gone.into()),
                ClientEvent::Interrupted if is_stopping => return Ok(exit::INTERRUPTED),
                ClientEvent::Interrupted => {
                    is_stopping = true;
                    session.proxy.stop().await?;
                    if session.proxy.state().await? == IDLE {
                        return Ok(exit::SUCCESS);
                    }
                }
                ClientEvent::State { state: IDLE } if is_stopping || !args.standby => {
                    return Ok(exit::SUCCESS);
                }
                _ => {}
            }
        }
    })
}

/// Records until stopped, then prints the text. Returns the exit code.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn record(args: &RecordArgs) -> Result<u8, Error> {
    let filter = args.session.text.filter()?;
    zbus::block_on(async {
        let mut options = args.session.options();
        options.settings.live.partials = Some(false);
        let mut session = OwnSession::create(&options).await?;
        session.proxy.start().await?;
        let mut texts = Vec::new();
        let mut is_gone = false;
        let mut microphone = Microphone::default();
        while !is_gone {
            let event = session.next().await;
            if let Some(note) = microphone.note(&event, "recording; Ctrl-C or hearken stop ends it")
            {
                eprint_line(&note);
            }
            match event {
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
            let text = Filtering::new(filter.as_ref()).text(all.trim());
            print(&format!("{text}\n"))?;
        }
        if is_gone {
            Err(ClientError::Gone.into())
        } else {
            Ok(exit::SUCCESS)
        }
    })
}

/// Shows events: as JSON, or each final text on a line of its own. On a terminal, the current
/// utterance is shown below the final texts.
struct View {
    json: bool,
    line: LiveLine,
    /// Note for when the microphone opens.
    open_note: &'static str,
    microphone: Microphone,
}

impl View {
    fn show(&mut self, event: &ClientEvent) -> Result<(), Error> {
        if self.json {
            if matches!(event, ClientEvent::Interrupted | ClientEvent::Gone) {
                return Ok(());
            }
            let line = serde_json::to_string(event).unwrap_or_default();
            return Ok(print(&format!("{line}\n"))?);
        }
        // Asked each time: the user may have resized the terminal.
        let columns = terminal::columns();
        match event {
            ClientEvent::Partial {
                committed, interim, ..
            } => print(&self.line.redraw(committed, interim, columns))?,
            ClientEvent::Final { text, .. } => {
                let clear = self.line.clear(columns);
                let end = if text.is_empty() { "" } else { "\n" };
                print(&format!("{clear}{}{end}", text.trim_end()))?;
            }
            ClientEvent::Status { message } => {
                print(&self.line.clear(columns))?;
                report_status(message);
            }
            ClientEvent::Device { id } => {
                print(&self.line.clear(columns))?;
                eprint_line(&format!("hearken: the microphone is {id}"));
            }
            event => {
                if let Some(note) = self.microphone.note(event, self.open_note) {
                    print(&self.line.clear(columns))?;
                    eprint_line(&note);
                }
            }
        }
        Ok(())
    }
}

/// Whether the microphone is open, as far as the user has been told.
#[derive(Default)]
struct Microphone {
    is_open: bool,
}

impl Microphone {
    /// Returns what to tell the user on a terminal, if an event opens or closes the microphone.
    fn note(&mut self, event: &ClientEvent, open_note: &str) -> Option<String> {
        let ClientEvent::State { state } = event else {
            return None;
        };
        let is_open = match *state {
            LISTENING => true,
            FINISHING | IDLE => false,
            _ => self.is_open,
        };
        if is_open == self.is_open {
            return None;
        }
        self.is_open = is_open;
        let note = if is_open {
            open_note
        } else {
            "the microphone is closed"
        };
        terminal::is_watched().then(|| format!("hearken: {note}"))
    }
}

/// Reports why there is no sound or text, or that the problem is over.
fn report_status(message: &str) {
    eprint_line(&format!(
        "hearken: {}",
        if message.is_empty() {
            "the problem is resolved"
        } else {
            message
        }
    ));
}
