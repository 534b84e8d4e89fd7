//! `org.hearken.Desktop1.Dictation`: the agent on the session bus.

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::stream::BoxStream;
use zbus::fdo::RequestNameFlags;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedObjectPath, fdo, interface};

/// Well-known name of the agent.
pub const NAME: &str = "org.hearken.Desktop1";
/// Path of its object.
pub const PATH: &str = "/org/hearken/Desktop1";

/// What a client asks for.
#[derive(Debug)]
pub enum Command {
    Start,
    Stop,
    Toggle,
    Cancel,
    Undo,
    /// Put in one of the latest texts again; the number of the outcome is the answer.
    Again(usize, oneshot::Sender<u32>),
    /// Put the last text in again; the user is told if that fails.
    AgainOrTell,
    /// End.
    Quit,
}

/// What the agent is doing. The numbers are those on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum State {
    #[default]
    Unknown = 0,
    Idle = 1,
    Listening = 2,
    Finishing = 3,
    /// The device is lost or suspended.
    NoSound = 4,
}

/// The object.
pub struct Dictation {
    commands: mpsc::Sender<Command>,
    pub state: State,
    pub method: String,
    pub trouble: String,
    /// Path of the daemon's session; `/` without one.
    pub session: OwnedObjectPath,
}

impl Dictation {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self {
            commands,
            state: State::Unknown,
            method: String::new(),
            trouble: String::new(),
            session: no_session(),
        }
    }

    fn send(&mut self, command: Command) -> fdo::Result<()> {
        let sent = self.commands.try_send(command);
        sent.map_err(|_| fdo::Error::LimitsExceeded("too many requests at once".to_owned()))
    }
}

/// Path of no session.
pub fn no_session() -> OwnedObjectPath {
    ObjectPath::from_static_str_unchecked("/").into()
}

/// Takes the agent's name. Returns a stream that yields once another agent has it.
///
/// # Errors
/// Returns [`zbus::Error::NameTaken`] if another agent has it.
pub async fn take_name(
    connection: &Connection,
    replaces: bool,
) -> zbus::Result<BoxStream<'static, ()>> {
    let proxy = zbus::fdo::DBusProxy::new(connection).await?;
    let lost = proxy.receive_name_lost_with_args(&[(0, NAME)]).await?;
    let mut flags = RequestNameFlags::ALLOW_REPLACEMENT | RequestNameFlags::DO_NOT_QUEUE;
    if replaces {
        flags |= RequestNameFlags::REPLACE_EXISTING;
    }
    connection.request_name_with_flags(NAME, flags).await?;
    Ok(lost.map(|_| ()).boxed())
}

#[interface(name = "org.hearken.Desktop1.Dictation")]
impl Dictation {
    /// Opens the microphone and dictates into the focused window.
    fn start(&mut self) -> fdo::Result<()> {
        self.send(Command::Start)
    }

    /// Closes the microphone and writes the remaining speech.
    fn stop(&mut self) -> fdo::Result<()> {
        self.send(Command::Stop)
    }

    /// Calls Start if it is idle, Stop if it is listening.
    fn toggle(&mut self) -> fdo::Result<()> {
        self.send(Command::Toggle)
    }

    /// Closes the microphone and drops speech that is not written yet.
    fn cancel(&mut self) -> fdo::Result<()> {
        self.send(Command::Cancel)
    }

    /// Deletes the last utterance of the focused field, if it still stands before the cursor.
    fn undo(&mut self) -> fdo::Result<()> {
        self.send(Command::Undo)
    }

    /// Puts in one of the latest texts again; 0 is the last. Returns 1 if the field has it, 2 if it was
    /// sent to a field that does not answer, 3 if it could not be put in.
    #[zbus(out_args("outcome"))]
    async fn again(&mut self, n: u32) -> fdo::Result<u32> {
        let (sender, outcome) = oneshot::channel();
        self.send(Command::Again(n as usize, sender))?;
        outcome
            .await
            .map_err(|_| fdo::Error::NoReply("the agent is ending".to_owned()))
    }

    /// 0 unknown, 1 idle, 2 listening, 3 finishing, 4 no sound.
    #[zbus(property)]
    fn state(&self) -> u32 {
        self.state as u32
    }

    /// ibus-engine, ibus-guest, fcitx, wayland-v2, paste, xtest or clipboard; empty while nothing is
    /// dictated.
    #[zbus(property)]
    fn method(&self) -> String {
        self.method.clone()
    }

    /// Why nothing can be written, such as a password field; empty if all is well.
    #[zbus(property)]
    fn trouble(&self) -> String {
        self.trouble.clone()
    }

    /// Path of the agent's session of org.hearken.Hearken1; / while the daemon is not running.
    #[zbus(property(emits_changed_signal = "false"))]
    fn session(&self) -> OwnedObjectPath {
        self.session.clone()
    }

    /// What became of an edit: 1 inserted, 2 sent, 3 failed; the method and the number of characters.
    #[zbus(signal)]
    pub async fn written(
        emitter: &SignalEmitter<'_>,
        outcome: u32,
        method: &str,
        characters: u32,
    ) -> zbus::Result<()>;
}
