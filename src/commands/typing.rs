//! `hearken type`, `desktop`, `undo` and `hotkey`: speech or a given text into the focused window.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use signal_hook::consts::SIGTERM;

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
use crate::desktop::context::Context;
use crate::desktop::hotkey::{self, print::Keys};
use crate::desktop::typist::{Report, Typist};
use crate::input::guard::Guard;
use crate::input::router::{self, Outcome};
use crate::input::sink::{SinkError, Wake};
use crate::input::watch;
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
    if args.guard {
        return watch();
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
    if let Err(error) = typist.router().leave_selections() {
        eprint_line(&format!("hearken: {}", error.explain()));
    }
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
        let mut context = Context::default();
        let code = loop {
            context.tell(&session, typist).await;
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

/// Gives back what the process on the other end of standard input had taken, once it ends.
fn watch() -> Result<u8, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    // Without it, a signal ends this process at once.
    let _ = signal_hook::flag::register(SIGTERM, Arc::clone(&stop));
    watch::watch(
        std::io::stdin().lock(),
        || router::board(&Guard::default()),
        // The other process may have gone.
        || drop(crate::output::print("\n")),
        &stop,
    )?;
    Ok(exit::SUCCESS)
}
