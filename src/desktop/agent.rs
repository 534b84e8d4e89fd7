//! The agent of a desktop session: dictation by hotkey into the focused window.
//!
//! In: the hotkey, calls on the bus, events of a session of the daemon. Out: text in the focused
//! field, state on the bus. The text goes to nobody else and into no log.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{Either, select};
use futures::stream::{BoxStream, LocalBoxStream};
use futures::{StreamExt, stream};
use tracing::{info, warn};
use zbus::{Connection, OwnedObjectPath};

use super::bus::{self, Command, Dictation, State};
use super::clock::clock;
use super::context::Context;
use super::hotkey::portal::{self, Shortcut};
use super::hotkey::{Action, Hotkey, Key, x11};
use super::presence::{self, Cue, Heard, Moment, Notice, Presence};
use super::typist::{Report, Typist};
use crate::advice::Advice;
use crate::client::ClientError;
use crate::client::session::{ClientEvent, OwnSession, interruptions};
use crate::config::Config;
use crate::dbus::options::ClientOptions;
use crate::dbus::protocol::SessionState;
use crate::filter::Filter;
use crate::input::router::Outcome;
use crate::input::sink::Wake;
use crate::settings::HotkeySettings;
use crate::settings::desktop::{HotkeyVia, Method};

/// Time between two attempts to reach the daemon.
const RETRY: Duration = Duration::from_secs(2);
/// Words of a text that a notification quotes.
const N_QUOTED: usize = 8;

/// Reason that the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent is on the bus.
    #[error("another hearken desktop is running")]
    AlreadyRunning,
    /// The bus cannot be used.
    #[error("the session bus cannot be used: {0}")]
    Bus(#[source] zbus::Error),
}

impl From<zbus::Error> for AgentError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::NameTaken => Self::AlreadyRunning,
            error => Self::Bus(error),
        }
    }
}

impl Advice for AgentError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::AlreadyRunning => "replace it with `hearken desktop --replace`".into(),
            Self::Bus(_) => "run this in a desktop session".into(),
        })
    }
}

/// What the agent waits for.
enum Incoming {
    Client(ClientEvent),
    Shortcut(Shortcut),
    Command(Command),
    /// A focus has changed.
    Focus,
    /// The hotkey's deadline is over.
    Tick,
    /// A new agent has taken the name.
    Replaced,
}

/// Runs until it is interrupted or replaced.
///
/// # Errors
/// Returns an error if the bus cannot be used or has another agent.
pub fn run(config: &Config, replaces: bool) -> Result<(), AgentError> {
    // Not zbus::block_on, which the methods call within.
    block_on(async {
        let (commands, command_stream) = mpsc::channel(16);
        let connection = zbus::connection::Builder::session()
            .serve_at(bus::PATH, Dictation::new(commands.clone()))
            .build()
            .await?;
        let replaced = bus::take_name(&connection, replaces).await?;
        let (waker, wakes) = mpsc::channel(1);
        let wake: Wake = Arc::new(move || {
            // A full channel already holds the same message.
            let _ = waker.clone().try_send(());
        });
        let (deadlines, ticks) = clock();
        let mut others: LocalBoxStream<'_, Incoming> = stream::select_all([
            command_stream.map(Incoming::Command).boxed_local(),
            wakes.map(|()| Incoming::Focus).boxed_local(),
            ticks.map(|()| Incoming::Tick).boxed_local(),
            interruptions().map(Incoming::Client).boxed_local(),
            replaced.map(|()| Incoming::Replaced).boxed_local(),
            // The user may take a while to grant it.
            stream::once(hotkey(connection.clone(), config.hotkey.clone()))
                .flatten()
                .map(Incoming::Shortcut)
                .boxed_local(),
        ])
        .boxed_local();
        let mut agent = Agent {
            connection,
            typist: Typist::open(
                &config.typing,
                &config.profiles,
                &config.text.hotwords,
                Filter::new(&config.text.filter, config.text.filter_timeout),
                &wake,
            ),
            hotkey: Hotkey::new(
                config.hotkey.mode,
                Duration::from_secs_f64(config.hotkey.silence),
            ),
            is_dictating: false,
            is_open: false,
            state: State::Unknown,
            shown: Default::default(),
            clock: deadlines,
            deadline: None,
            presence: Presence::start(config, commands),
            knows_no_daemon: false,
        };
        for missing in agent.typist.router().missing() {
            info!("{}", missing.explain());
        }
        let options = session_options(config);
        loop {
            match OwnSession::create(&options).await {
                Ok(session) => match agent.serve(session, &mut others).await {
                    Ending::Done => return Ok(()),
                    Ending::NoDaemon => warn!("the daemon has ended"),
                },
                Err(error) => {
                    warn!("{}", error.explain());
                    agent.tell_no_daemon(&error);
                }
            }
            agent.finish().await;
            if !agent.wait_to_retry(&mut others).await {
                return Ok(());
            }
        }
    })
}

/// Options of the agent's session. A sound for the start must not be heard: the session begins after
/// it.
fn session_options(config: &Config) -> ClientOptions {
    let mut options = ClientOptions::default();
    if config.desktop.cues {
        options.settings.audio.reach_back = Some(0.0);
    }
    options
}

/// Returns what happens to the hotkey, by the portal or a grab; nothing if neither is there.
async fn hotkey(connection: Connection, settings: HotkeySettings) -> BoxStream<'static, Shortcut> {
    if matches!(settings.via, HotkeyVia::Auto | HotkeyVia::Portal) {
        match portal::bind(&connection, &settings.keys).await {
            Ok(shortcuts) => return shortcuts,
            Err(error) => info!("no hotkey by the portal: {error}"),
        }
    }
    if matches!(settings.via, HotkeyVia::Auto | HotkeyVia::X11) {
        match x11::grab(&settings.keys) {
            Ok(keys) => return keys.map(Shortcut::Dictate).boxed(),
            Err(error) => info!("no hotkey by the X server: {error}"),
        }
    }
    stream::pending().boxed()
}

enum Ending {
    Done,
    NoDaemon,
}

struct Agent {
    connection: Connection,
    typist: Typist,
    hotkey: Hotkey,
    is_dictating: bool,
    /// Whether the microphone is open.
    is_open: bool,
    /// State, method and trouble that were published last.
    state: State,
    shown: (&'static str, String),
    clock: crossbeam_channel::Sender<Option<Instant>>,
    /// What the clock was told last.
    deadline: Option<Instant>,
    presence: Presence,
    /// Whether the user knows that the daemon is missing.
    knows_no_daemon: bool,
}

impl Agent {
    async fn serve(
        &mut self,
        mut session: OwnSession,
        others: &mut LocalBoxStream<'_, Incoming>,
    ) -> Ending {
        self.knows_no_daemon = false;
        self.set_session(session.proxy.inner().path().to_owned().into())
            .await;
        self.publish(State::Idle).await;
        let mut context = Context::default();
        loop {
            let deadline = self.hotkey.deadline();
            if deadline != self.deadline {
                self.deadline = deadline;
                // The clock lives as long as the agent.
                let _ = self.clock.send(deadline);
            }
            let incoming = {
                let client = session.next();
                futures::pin_mut!(client);
                match select(client, others.next()).await {
                    Either::Left((event, _)) => Incoming::Client(event),
                    Either::Right((other, _)) => other.unwrap_or(Incoming::Replaced),
                }
            };
            let handled = match incoming {
                Incoming::Tick => {
                    let action = self.hotkey.tick(Instant::now());
                    self.act(&session, action).await
                }
                Incoming::Client(ClientEvent::Gone) => return Ending::NoDaemon,
                Incoming::Client(ClientEvent::Interrupted)
                | Incoming::Replaced
                | Incoming::Command(Command::Quit) => {
                    // The daemon closes the session with its owner.
                    let _ = session.proxy.stop().await;
                    self.finish().await;
                    if let Err(error) = self.typist.router().leave_selections() {
                        warn!("{}", error.explain());
                    }
                    return Ending::Done;
                }
                Incoming::Client(event) => self.hear(&session, &event).await,
                Incoming::Focus => {
                    let mut reports = Vec::new();
                    if self.is_dictating {
                        reports = self.typist.refocus();
                        if self.shown != self.showing() {
                            self.publish(self.state).await;
                        }
                    }
                    self.report(&session, reports).await
                }
                Incoming::Shortcut(Shortcut::Dictate(key)) => self.key(&session, key).await,
                Incoming::Shortcut(Shortcut::Cancel) => {
                    self.command(&session, Command::Cancel).await
                }
                Incoming::Shortcut(Shortcut::Undo) => self.command(&session, Command::Undo).await,
                Incoming::Command(command) => self.command(&session, command).await,
            };
            if let Err(error) = handled {
                warn!("{}", error.explain());
                self.presence.play(Cue::Error);
                self.notice(Notice::Failed(error.explain()));
            }
            context.tell(&session, &self.typist).await;
        }
    }

    async fn key(&mut self, session: &OwnSession, key: Key) -> Result<(), ClientError> {
        let action = self.hotkey.report(key, Instant::now());
        self.act(session, action).await
    }

    async fn act(
        &mut self,
        session: &OwnSession,
        action: Option<Action>,
    ) -> Result<(), ClientError> {
        match action {
            Some(Action::Start) => self.start(session).await?,
            Some(Action::Stop) => session.proxy.stop().await?,
            None => {}
        }
        Ok(())
    }

    /// Starts after the sound that says so, which is then not recorded.
    async fn start(&mut self, session: &OwnSession) -> Result<(), ClientError> {
        if !self.is_dictating {
            self.presence.play(Cue::Start);
        }
        Ok(session.proxy.start().await?)
    }

    async fn command(&mut self, session: &OwnSession, command: Command) -> Result<(), ClientError> {
        match command {
            Command::Start => self.start(session).await?,
            Command::Stop => session.proxy.stop().await?,
            Command::Toggle if self.is_open => session.proxy.stop().await?,
            Command::Toggle => self.start(session).await?,
            Command::Cancel => session.proxy.cancel().await?,
            Command::Undo => {
                let reports = self.between(Typist::undo);
                self.report(session, reports).await?;
            }
            Command::Again(n, answer) => {
                let outcome = self.between(|typist| typist.again(n));
                if let Err(error) = &outcome {
                    warn!("{}", error.explain());
                }
                // The client may have gone.
                let _ = answer.send(outcome.unwrap_or(Outcome::Failed) as u32);
            }
            Command::AgainOrTell => {
                if let Err(error) = self.between(|typist| typist.again(0)) {
                    self.failed(&error.explain());
                }
            }
            // Handled where the loop ends.
            Command::Quit => {}
        }
        Ok(())
    }

    /// Does something with the focused field, also while nothing is dictated.
    fn between<T>(&mut self, act: impl FnOnce(&mut Typist) -> T) -> T {
        if self.is_dictating {
            return act(&mut self.typist);
        }
        self.typist.begin();
        let done = act(&mut self.typist);
        self.typist.end();
        done
    }

    async fn hear(&mut self, session: &OwnSession, event: &ClientEvent) -> Result<(), ClientError> {
        match event {
            ClientEvent::State { state } => self.follow(session, *state).await,
            ClientEvent::Status { message } if !message.is_empty() => {
                warn!("{message}");
                if self.is_dictating {
                    self.presence.play(Cue::Error);
                    self.notice(Notice::NoSound(message.clone()));
                }
                Ok(())
            }
            event => {
                self.hotkey.speech(Instant::now());
                let reports = self.typist.hear(event);
                self.show(event);
                self.report(session, reports).await
            }
        }
    }

    /// Follows the session, whoever starts and stops it.
    async fn follow(&mut self, session: &OwnSession, state: u32) -> Result<(), ClientError> {
        let state = match SessionState::try_from(state) {
            Ok(SessionState::Idle) => State::Idle,
            Ok(SessionState::Starting | SessionState::Listening) => State::Listening,
            Ok(SessionState::DeviceLost) => State::NoSound,
            Ok(SessionState::Finishing) => State::Finishing,
            Err(_) => State::Unknown,
        };
        let is_open = matches!(state, State::Listening | State::NoSound);
        if std::mem::replace(&mut self.is_open, is_open) && !is_open {
            self.presence.play(Cue::Stop);
        }
        self.hotkey.set_listening(is_open, Instant::now());
        let mut reports = Vec::new();
        if is_open && !self.is_dictating {
            self.is_dictating = true;
            reports = self.typist.begin();
        } else if state == State::Idle && self.is_dictating {
            self.is_dictating = false;
            reports = self.typist.end();
        }
        self.publish(state).await;
        self.report(session, reports).await
    }

    async fn report(
        &mut self,
        session: &OwnSession,
        reports: Vec<Report>,
    ) -> Result<(), ClientError> {
        for report in reports {
            match report {
                Report::Written {
                    outcome,
                    method,
                    characters,
                } => {
                    self.written(outcome, method, characters).await;
                    if method == Method::Clipboard.name() {
                        self.notice(Notice::InClipboard);
                    }
                }
                Report::Kept => {
                    warn!("text could not be put in and was kept");
                    self.presence.play(Cue::Error);
                    self.notice(Notice::Kept(self.first_words()));
                }
                Report::Failed(reason) => {
                    self.failed(&reason);
                    self.written(Outcome::Failed, self.typist.method(), 0).await;
                }
                Report::Stop => session.proxy.stop().await?,
            }
        }
        Ok(())
    }

    async fn written(&self, outcome: Outcome, method: &str, characters: usize) {
        let object = self
            .connection
            .object_server()
            .interface::<_, Dictation>(bus::PATH);
        if let Ok(object) = object.await {
            let characters = u32::try_from(characters).unwrap_or(u32::MAX);
            // Nobody has to listen.
            let _ = Dictation::written(object.signal_emitter(), outcome as u32, method, characters)
                .await;
        }
    }

    fn failed(&self, reason: &str) {
        warn!("{reason}");
        self.presence.play(Cue::Error);
        self.notice(Notice::Failed(reason.to_owned()));
    }

    fn notice(&self, notice: Notice) {
        self.presence.tell(Moment::Notice(notice));
    }

    fn tell_no_daemon(&mut self, error: &ClientError) {
        if !std::mem::replace(&mut self.knows_no_daemon, true) {
            self.presence.tell(presence::no_daemon(error));
        }
    }

    /// First words of the text that was kept last, if they may be shown.
    fn first_words(&self) -> Option<String> {
        let text = self.typist.last_text().filter(|_| self.presence.quotes())?;
        let words: Vec<&str> = text.split_whitespace().take(N_QUOTED).collect();
        Some(words.join(" "))
    }

    /// Shows the text of an event on the screen, unless the field is secret.
    fn show(&self, event: &ClientEvent) {
        let (committed, interim, is_final) = match event {
            ClientEvent::Partial {
                committed, interim, ..
            } => (committed.clone(), interim.clone(), false),
            ClientEvent::Final { text, .. } => (text.clone(), String::new(), true),
            _ => return,
        };
        if self.typist.may_show() {
            self.presence.tell(Moment::Heard(Heard {
                committed,
                interim,
                is_final,
                is_shown: self.typist.shows(),
            }));
        }
    }

    async fn set_session(&self, session: OwnedObjectPath) {
        let object = self
            .connection
            .object_server()
            .interface::<_, Dictation>(bus::PATH)
            .await;
        if let Ok(object) = object {
            object.get_mut().await.session = session;
        }
    }

    /// Method and trouble.
    fn showing(&self) -> (&'static str, String) {
        let trouble = self.is_dictating.then(|| self.typist.trouble());
        (self.typist.method(), trouble.unwrap_or_default())
    }

    async fn publish(&mut self, state: State) {
        self.state = state;
        self.shown = self.showing();
        self.presence.tell(Moment::State {
            state,
            trouble: self.shown.1.clone(),
        });
        let object = self
            .connection
            .object_server()
            .interface::<_, Dictation>(bus::PATH)
            .await;
        let Ok(object) = object else {
            return;
        };
        let mut dictation = object.get_mut().await;
        dictation.state = state;
        self.shown.0.clone_into(&mut dictation.method);
        self.shown.1.clone_into(&mut dictation.trouble);
        // Nobody has to listen.
        let emitter = object.signal_emitter();
        let _ = dictation.state_changed(emitter).await;
        let _ = dictation.method_changed(emitter).await;
        let _ = dictation.trouble_changed(emitter).await;
    }

    /// Waits before the daemon is asked again. Returns whether to go on.
    async fn wait_to_retry(&mut self, others: &mut LocalBoxStream<'_, Incoming>) -> bool {
        // The clock lives as long as the agent.
        let _ = self.clock.send(Some(Instant::now() + RETRY));
        self.deadline = None;
        loop {
            match others.next().await {
                Some(Incoming::Tick) => return true,
                None | Some(Incoming::Client(ClientEvent::Interrupted) | Incoming::Replaced) => {
                    return false;
                }
                Some(Incoming::Command(Command::Quit)) => return false,
                // Without a daemon there is nothing to start.
                Some(
                    Incoming::Shortcut(Shortcut::Dictate(Key::Down))
                    | Incoming::Command(Command::Start | Command::Toggle),
                ) => {
                    self.presence.play(Cue::Error);
                    self.presence
                        .tell(presence::no_daemon(&ClientError::NoDaemon));
                }
                Some(_) => {}
            }
        }
    }

    /// Ends a dictation whose session is gone.
    async fn finish(&mut self) {
        if std::mem::take(&mut self.is_dictating) {
            self.typist.end();
        }
        self.is_open = false;
        self.hotkey.set_listening(false, Instant::now());
        self.set_session(bus::no_session()).await;
        self.publish(State::Unknown).await;
    }
}
