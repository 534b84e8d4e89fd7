//! The last step of setup: a sentence, dictated into the terminal in which setup runs.
//!
//! In: speech. Out: the words as the terminal receives them from its keyboard, which is the proof that
//! every part works; if they do not arrive, the words and the reason.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{Either, select};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::client::session::{ClientEvent, OwnSession};
use crate::commands::error::Error;
use crate::config::Config;
use crate::dbus::options::ClientOptions;
use crate::dbus::protocol::SessionState;
use crate::desktop::typist::Typist;
use crate::input::sink::Wake;
use crate::output::print;

/// Longest time without a word.
const SILENCE: f64 = 15.0;
/// Time that the last keys need to arrive.
const ARRIVAL: Duration = Duration::from_millis(500);

/// Lets the user dictate a sentence.
///
/// # Errors
/// Returns an error if the daemon cannot be reached or standard output cannot be written.
pub fn dictate_a_sentence(config: &Config) -> Result<(), Error> {
    print(
        "Say a sentence, such as: This is my first dictation.\n\
         The words are put into this window as into any other. Ctrl-C ends it.\n\n> ",
    )?;
    let keys = Keys::listen();
    let heard = hear(config)?;
    let arrived = keys.read(ARRIVAL);
    drop(keys);
    let Heard {
        text,
        method,
        trouble,
    } = heard;
    let words = text.trim();
    print("\n\n")?;
    if words.is_empty() {
        print(
            "No words were heard. Is this the right microphone? hearken devices lists them, and \
             hearken listen shows what is heard.\n",
        )?;
    } else if squeezed(&arrived).contains(&squeezed(words)) {
        print(&format!("It works: the words came by {method}.\n"))?;
    } else {
        let reason = if trouble.is_empty() {
            "they did not arrive in this window; did it have the focus?"
        } else {
            &trouble
        };
        print(&format!(
            "The words were heard: {words}\nBut {reason}\nTry it in another program: hearken type\n"
        ))?;
    }
    Ok(())
}

/// What a dictation gave.
#[derive(Default)]
struct Heard {
    text: String,
    method: &'static str,
    /// Why nothing could be written; empty if something could.
    trouble: String,
}

/// Dictates until the first utterance is over.
fn hear(config: &Config) -> Result<Heard, Error> {
    let (sender, mut wakes) = mpsc::channel(1);
    let wake: Wake = Arc::new(move || {
        // A full channel already holds the same message.
        let _ = sender.clone().try_send(());
    });
    let mut typist = Typist::open(
        &config.typing,
        &config.profiles,
        &config.text.hotwords,
        None,
        &wake,
    );
    let mut options = ClientOptions::default();
    options.settings.endpoint.nothing_said = Some(SILENCE);
    // Not zbus::block_on, which the methods call within.
    block_on(async {
        let mut session = OwnSession::create(&options).await?;
        session.proxy.start().await?;
        typist.begin();
        let mut heard = Heard::default();
        loop {
            let event = {
                let next = session.next();
                futures::pin_mut!(next);
                match select(next, wakes.next()).await {
                    Either::Left((event, _)) => event,
                    Either::Right(_) => {
                        typist.refocus();
                        continue;
                    }
                }
            };
            typist.hear(&event);
            if !typist.method().is_empty() {
                heard.method = typist.method();
            }
            match event {
                ClientEvent::Final { text, .. } if !text.is_empty() => {
                    heard.text += &text;
                    heard.trouble = typist.trouble();
                    session.proxy.stop().await?;
                }
                ClientEvent::Interrupted => session.proxy.stop().await?,
                ClientEvent::State { state } if state == SessionState::Idle as u32 => break,
                ClientEvent::Status { message } if !message.is_empty() => {
                    print(&format!("\n{message}\n> "))?;
                }
                ClientEvent::Gone => break,
                _ => {}
            }
        }
        typist.end();
        Ok(heard)
    })
}

/// The terminal's keyboard, read key by key. Dropping it gives the terminal its ordinary mode.
struct Keys {
    before: Option<Termios>,
}

impl Keys {
    fn listen() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut modes) = before.clone() {
            // Without lines: keys are echoed and read at once.
            modes.local_modes.remove(LocalModes::ICANON);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
        }
        Self { before }
    }

    /// Returns what has been typed, once nothing has come for a while.
    fn read(&self, quiet: Duration) -> String {
        let mut typed = Vec::new();
        let mut until = Instant::now() + quiet;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: left.subsec_nanos().into(),
            };
            let stdin = io::stdin();
            let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout));
            let mut keys = [0; 1024];
            match ready {
                Ok(n) if n > 0 => match rustix::io::read(&stdin, &mut keys[..]) {
                    Ok(n) if n > 0 => {
                        typed.extend_from_slice(&keys[..n]);
                        until = Instant::now() + quiet;
                    }
                    _ => break,
                },
                _ => break,
            }
        }
        String::from_utf8_lossy(&typed).into_owned()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Text without spaces, which a terminal may show otherwise.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
