//! `org.hearken.Desktop1.Dictation`: the agent on the session bus.

use futures::channel::{mpsc, oneshot};
use zbus::object_server::SignalEmitter;
use zbus::{fdo, interface};

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
}

impl Dictation {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Self {
            commands,
            state: State::Unknown,
            method: String::new(),
            trouble: String::new(),
        }
    }

    fn send(&mut self, command: Command) -> fdo::Result<()> {
        let sent = self.commands.try_send(command);
        sent.map_err(|_| fdo::Error::LimitsExceeded("too many requests at once".to_owned()))
    }
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

    /// What became of an edit: 1 inserted, 2 sent, 3 failed; the method and the number of characters.
    #[zbus(signal)]
    pub async fn written(
        emitter: &SignalEmitter<'_>,
        outcome: u32,
        method: &str,
        characters: u32,
    ) -> zbus::Result<()>;
}
