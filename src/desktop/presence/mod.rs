//! What the user sees and hears of the agent besides the text: notifications, sounds, the tray,
//! captions, media that pause; and what stops dictation from outside: locks and suspends.
//!
//! In: moments of the agent. Out: calls to services of the desktop, commands for the agent.
//!
//! All of it runs on a thread with a connection of its own, whose calls have a time limit: a service
//! that hangs delays no text.

#[cfg(feature = "captions")]
pub(crate) mod caption;
mod captions;
mod cues;
mod lock;
mod media;
mod moment;
mod notice;
mod tray;

use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::executor::block_on;
use futures::stream::{self, LocalBoxStream};
use tracing::{debug, info};
use zbus::Connection;
use zbus::connection::Builder;

use super::bus::{Command, State};
use crate::advice::Advice;
use crate::config::Config;
use crate::settings::presence::DesktopSettings;
use captions::Captions;
pub use cues::Cue;
use lock::Inhibitor;
use media::Media;
pub use moment::{Heard, Moment, Notice};
use notice::Notices;
use tray::Tray;

/// Longest time that a service of the desktop may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);

/// The agent's side: it tells what happens.
pub struct Presence {
    /// Unbounded: moments come at the speed of speech, and no call of the thread lasts.
    moments: mpsc::UnboundedSender<Moment>,
    thread: Option<JoinHandle<()>>,
    settings: DesktopSettings,
}

impl Presence {
    /// Starts what the configuration asks for. `commands` gets what the user does with it.
    pub fn start(config: &Config, commands: mpsc::Sender<Command>) -> Self {
        let (moments, inbox) = mpsc::unbounded();
        let settings = config.desktop.clone();
        let config = config.clone();
        let thread = std::thread::Builder::new()
            .name("presence".to_owned())
            .spawn(move || block_on(run(&config, inbox, commands)));
        if let Err(error) = &thread {
            info!("neither notifications nor tray: {error}");
        }
        Self {
            moments,
            thread: thread.ok(),
            settings,
        }
    }

    /// Tells what has happened.
    pub fn tell(&self, moment: Moment) {
        // Without the thread nobody is shown anything.
        let _ = self.moments.unbounded_send(moment);
    }

    /// Plays a sound, if there are to be any. The one for the start is over when this returns.
    pub fn play(&self, cue: Cue) {
        if self.settings.cues {
            cues::play(cue, self.settings.cue_volume);
        }
    }

    /// Whether notifications quote text.
    pub fn quotes(&self) -> bool {
        self.settings.notifications && self.settings.notification_text
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.moments.close_channel();
        // It resumes what is paused; each of its calls has a time limit.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread waits for.
enum Event {
    Moment(Moment),
    /// The screen was locked, or the machine is about to be suspended.
    Leave,
    /// The user wants the kept text put in.
    Again,
    /// The tray's host has come.
    TrayHost,
    End,
}

async fn run(
    config: &Config,
    moments: mpsc::UnboundedReceiver<Moment>,
    commands: mpsc::Sender<Command>,
) {
    let builder = Builder::session().method_timeout(CALL_TIMEOUT);
    let connection = match builder.build().await {
        Ok(connection) => connection,
        Err(error) => {
            info!("neither notifications nor tray: {error}");
            return;
        }
    };
    let moments = moments.map(Event::Moment);
    let mut events: Vec<LocalBoxStream<'_, Event>> = vec![
        moments
            .chain(stream::once(async { Event::End }))
            .boxed_local(),
    ];
    let mut parts = Parts::open(config, connection, commands, &mut events).await;
    let mut events = stream::select_all(events);
    while let Some(event) = events.next().await {
        match event {
            Event::Moment(moment) => parts.tell(moment).await,
            Event::Leave => parts.send(Command::Stop),
            Event::Again => parts.send(Command::AgainOrTell),
            Event::TrayHost => {
                if let Some(tray) = &parts.tray {
                    tray.register().await;
                }
            }
            Event::End => break,
        }
    }
    parts.end().await;
}

/// What is there, by configuration and desktop.
struct Parts {
    commands: mpsc::Sender<Command>,
    notices: Option<Notices>,
    media: Option<Media>,
    inhibitor: Option<Inhibitor>,
    tray: Option<Tray>,
    captions: Captions,
}

impl Parts {
    async fn open(
        config: &Config,
        connection: Connection,
        commands: mpsc::Sender<Command>,
        events: &mut Vec<LocalBoxStream<'_, Event>>,
    ) -> Self {
        let settings = &config.desktop;
        let mut parts = Self {
            commands: commands.clone(),
            notices: None,
            media: settings.pause_media.then(|| Media::new(connection.clone())),
            inhibitor: None,
            tray: None,
            captions: Captions::new(&config.captions),
        };
        if settings.notifications {
            let (notices, again) = Notices::open(connection.clone()).await;
            events.push(again.map(|()| Event::Again).boxed_local());
            parts.notices = Some(notices);
        }
        if settings.stop_on_lock {
            match lock::watch(&connection).await {
                Ok(locks) => events.push(locks.map(|()| Event::Leave).boxed_local()),
                Err(error) => info!("locks of the screen are not seen: {error}"),
            }
            match lock::watch_logind(CALL_TIMEOUT).await {
                Ok((inhibitor, leaves)) => {
                    events.push(leaves.map(|()| Event::Leave).boxed_local());
                    parts.inhibitor = Some(inhibitor);
                }
                Err(error) => info!("suspends are not seen: {error}"),
            }
        }
        if settings.tray {
            match Tray::open(connection, commands).await {
                Ok((tray, hosts)) => {
                    tray.register().await;
                    events.push(hosts.map(|()| Event::TrayHost).boxed_local());
                    parts.tray = Some(tray);
                }
                Err(error) => info!("no tray: {error}"),
            }
        }
        parts
    }

    async fn tell(&mut self, moment: Moment) {
        match moment {
            Moment::State { state, trouble } => self.follow(state, &trouble).await,
            Moment::Notice(notice) => {
                if let Some(notices) = &mut self.notices {
                    notices.show(&notice).await;
                }
            }
            Moment::Heard(heard) => self.captions.hear(&heard),
        }
    }

    async fn follow(&mut self, state: State, trouble: &str) {
        let is_open = matches!(state, State::Listening | State::NoSound);
        if let Some(inhibitor) = &mut self.inhibitor {
            inhibitor.set(is_open).await;
        }
        if let Some(media) = &mut self.media {
            if is_open {
                media.pause().await;
            } else {
                media.resume().await;
            }
        }
        if let Some(tray) = &self.tray {
            tray.set(state, trouble).await;
        }
        if let Some(notices) = &mut self.notices
            && state != State::Unknown
        {
            notices.daemon_is_there().await;
        }
        match state {
            State::Idle | State::Unknown => self.captions.fade(),
            _ if !trouble.is_empty() => self.captions.say(trouble),
            _ => {}
        }
    }

    fn send(&mut self, command: Command) {
        if self.commands.try_send(command).is_err() {
            debug!("the agent is busy or ending");
        }
    }

    /// Leaves nothing behind: no player that stays paused, no notification of this process.
    async fn end(&mut self) {
        if let Some(media) = &mut self.media {
            media.resume().await;
        }
        if let Some(inhibitor) = &mut self.inhibitor {
            inhibitor.set(false).await;
        }
    }
}

/// The notice of a daemon that cannot be reached.
pub fn no_daemon(error: &dyn Advice) -> Moment {
    Moment::Notice(Notice::NoDaemon(error.explain()))
}
