//! `hearken type`, `desktop`, `undo` and `hotkey`: speech or a given text into the focused window.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};

#[cfg(feature = "captions")]
use super::captions;
use super::error::{Error, exit};
use super::{log, setup};
use crate::advice::Advice;
use crate::cli::{DesktopCommand, TypeArgs};
use crate::client::proxies::DictationProxy;
use crate::client::session::{ClientEvent, OwnSession};
use crate::client::{ClientError, connect};
use crate::config::Config;
use crate::dbus::protocol::SessionState;
use crate::desktop::agent;
use crate::desktop::hotkey::{self, print::Keys};
use crate::desktop::typist::{Report, Typist};
use crate::input::router::{self, Outcome};
use crate::input::sink::{SinkError, Wake};
use crate::output::eprint_line;
use crate::settings::desktop::Method;

/// Time in which the methods find the focused field.
const TARGET_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Runs a command. Returns the exit code.
///
/// # Errors
/// Returns an error if the text cannot be put in, or if daemon or agent cannot be reached.
pub fn run(command: DesktopCommand) -> Result<u8, Error> {
    match command {
        DesktopCommand::Type(args) => type_into(&args),
        DesktopCommand::Desktop { replace } => {
            log::start();
            agent::run(&config()?, replace)?;
            Ok(exit::SUCCESS)
        }
        DesktopCommand::Setup(args) => setup::setup(&args),
        #[cfg(feature = "captions")]
        DesktopCommand::Captions(args) => captions::captions(&args),
        DesktopCommand::Undo => zbus::block_on(async {
            dictation().await?.undo().await.map_err(of_agent)?;
            Ok(exit::SUCCESS)
        }),
        DesktopCommand::Hotkey { print } => {
            let settings = config()?.hotkey;
            let keys = Keys::parse(&settings.keys).map_err(SinkError::lost)?;
            crate::output::print(&hotkey::print::lines(print, &keys, settings.mode))?;
            Ok(exit::SUCCESS)
        }
    }
}

fn config() -> Result<Config, Error> {
    Ok(Config::read(&Config::path()?)?)
}

async fn dictation() -> Result<DictationProxy<'static>, Error> {
    Ok(DictationProxy::new(&connect().await?).await?)
}

fn of_agent(error: zbus::Error) -> Error {
    match ClientError::from(error) {
        ClientError::NoDaemon => ClientError::NoAgent.into(),
        other => other.into(),
    }
}

fn again(n: u32) -> Result<u8, Error> {
    let outcome = zbus::block_on(async { dictation().await?.again(n).await.map_err(of_agent) })?;
    if outcome == Outcome::Failed as u32 {
        return Err(SinkError::lost("hearken desktop could not put it in").into());
    }
    Ok(exit::SUCCESS)
}

fn type_into(args: &TypeArgs) -> Result<u8, Error> {
    if let Some(n) = args.again {
        return again(n);
    }
    if args.hold_clipboard {
        return hold_clipboard();
    }
    let mut config = config()?;
    if let Some(method) = args.method {
        config.typing.methods = vec![method];
        config
            .profiles
            .iter_mut()
            .for_each(|profile| profile.changes.methods = None);
    }
    let (sender, wakes) = mpsc::channel(1);
    let wake: Wake = Arc::new(move || {
        // A full channel already holds the same message.
        let _ = sender.clone().try_send(());
    });
    let mut hotwords = config.text.hotwords.clone();
    hotwords.extend(
        args.session
            .text
            .settings
            .hotwords
            .iter()
            .flatten()
            .cloned(),
    );
    let mut typist = Typist::open(
        &config.typing,
        &config.profiles,
        &hotwords,
        args.session.text.filter()?,
        &wake,
    );
    let done = match &args.text {
        Some(text) => type_text(&mut typist, text, args.verify),
        None => dictate(&mut typist, args, wakes),
    };
    leave_clipboard(&mut typist);
    done
}

fn type_text(typist: &mut Typist, text: &str, must_verify: bool) -> Result<u8, Error> {
    let mut given = text.to_owned();
    if text == "-" {
        given.clear();
        let read = std::io::stdin().read_to_string(&mut given);
        read.map_err(|error| SinkError::lost(format!("standard input cannot be read: {error}")))?;
        // The end of the last line belongs to the file.
        given.truncate(given.trim_end_matches('\n').len());
    }
    typist.begin();
    wait_for_target(typist);
    let outcome = typist.put_in(&given);
    typist.end();
    if matches!(outcome, Err(SinkError::NoTarget)) {
        for missing in typist.router().missing() {
            eprint_line(&format!("hearken: {}", missing.explain()));
        }
    }
    let outcome = outcome?;
    Ok(match outcome {
        Outcome::Sent if must_verify => exit::UNVERIFIED,
        Outcome::Inserted | Outcome::Sent => exit::SUCCESS,
        Outcome::Failed => exit::NOT_TYPED,
    })
}

/// Methods learn of the focus shortly after they have begun.
fn wait_for_target(typist: &mut Typist) {
    let until = Instant::now() + TARGET_TIMEOUT;
    let clipboard = Method::Clipboard.name();
    while (typist.method().is_empty() || typist.method() == clipboard) && Instant::now() < until {
        std::thread::sleep(POLL_INTERVAL);
        typist.refocus();
    }
}

fn dictate(
    typist: &mut Typist,
    args: &TypeArgs,
    mut wakes: mpsc::Receiver<()>,
) -> Result<u8, Error> {
    // Not zbus::block_on, which the methods call within.
    block_on(async {
        let mut session = OwnSession::create(&args.session.options()).await?;
        session.proxy.start().await?;
        report(&typist.begin());
        let trouble = typist.trouble();
        if !trouble.is_empty() {
            eprint_line(&format!("hearken: {trouble}"));
        }
        let mut is_stopping = false;
        let code = loop {
            let event = {
                let next = session.next();
                futures::pin_mut!(next);
                match select(next, wakes.next().fuse()).await {
                    Either::Left((event, _)) => event,
                    Either::Right(_) => {
                        report(&typist.refocus());
                        continue;
                    }
                }
            };
            let reports = typist.hear(&event);
            report(&reports);
            let must_stop = reports.contains(&Report::Stop);
            match event {
                ClientEvent::Gone => break Err(ClientError::Gone.into()),
                ClientEvent::Interrupted if is_stopping => break Ok(exit::INTERRUPTED),
                ClientEvent::Interrupted => {
                    is_stopping = true;
                    session.proxy.stop().await?;
                    if session.proxy.state().await? == SessionState::Idle as u32 {
                        break Ok(exit::SUCCESS);
                    }
                }
                ClientEvent::State { state } if state == SessionState::Idle as u32 => {
                    break Ok(exit::SUCCESS);
                }
                ClientEvent::State { state } if state == SessionState::Listening as u32 => {
                    eprint_line("hearken: listening; press Ctrl-C to stop");
                }
                ClientEvent::Status { message } if !message.is_empty() => {
                    eprint_line(&format!("hearken: {message}"));
                }
                _ if must_stop => session.proxy.stop().await?,
                _ => {}
            }
        };
        report(&typist.end());
        code
    })
}

fn report(reports: &[Report]) {
    for report in reports {
        match report {
            Report::Failed(reason) => eprint_line(&format!("hearken: {reason}")),
            Report::Kept => eprint_line("hearken: text could not be put in and was kept"),
            Report::Written {
                method: "clipboard",
                ..
            } => {
                eprint_line("hearken: the text is in the clipboard; press Ctrl+V to paste it");
            }
            Report::Written { .. } | Report::Stop => {}
        }
    }
}

/// Hands the selections that are ours to a process of its own: they end with their owner.
fn leave_clipboard(typist: &mut Typist) {
    let held = typist.router().held_board().and_then(|board| board.held());
    let Some(held) = held else {
        return;
    };
    let program = std::env::current_exe();
    let child = program.and_then(|program| {
        Command::new(program)
            .args(["type", "--hold-clipboard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    });
    let Ok(mut child) = child else {
        eprint_line("hearken: the clipboard is lost: no process can be started to keep it");
        return;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // An error means that the child has ended; so does the end of its output.
        let _ = serde_json::to_writer(&mut stdin, &held);
    }
    if let Some(mut stdout) = child.stdout.take() {
        // It says a byte once it owns them.
        let _ = stdout.read_exact(&mut [0]);
    }
}

fn hold_clipboard() -> Result<u8, Error> {
    let contents = serde_json::from_reader(std::io::stdin()).map_err(SinkError::lost)?;
    let mut board = router::board()?;
    board.hold(contents)?;
    crate::output::print("\n")?;
    board.wait_until_taken();
    Ok(exit::SUCCESS)
}
