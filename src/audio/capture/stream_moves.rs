//! Reports the device to which the sound server has moved a recording. Users and profile changes
//! move streams between devices, but the client library drops these events.
//!
//! In: the server's events, on a separate connection. Out: ids of devices. The server is only
//! queried after a stream has changed, so an idle microphone costs nothing here.

use pulseaudio::protocol::{
    AuthParams, AuthReply, Command, CommandReply, DESCRIPTOR_SIZE, GetSourceInfo, MAX_VERSION,
    Props, ProtocolError, SetClientNameReply, SourceInfo, SourceOutputInfoList,
    SubscriptionEventFacility, SubscriptionMask, TagStructRead, TagStructReader, read_descriptor,
    write_command_message,
};
use pulseaudio::protocol::{Prop, PulseError};
use std::ffi::CStr;
use std::io::{self, Cursor, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Longest message accepted; a list of all streams of a busy desktop is far shorter.
const LONGEST_MESSAGE: usize = 1 << 20;

/// Property that identifies a stream among all of the server's.
pub(super) const TAG: &CStr = c"org.hearken.stream";

/// Watches a recording stream as long as it exists.
pub(super) struct MoveWatcher {
    socket: UnixStream,
    devices: Receiver<String>,
}

impl MoveWatcher {
    /// Watches the stream whose property [`TAG`] is `tag`, over a new connection. If the server
    /// does not cooperate, moves are not reported; recording continues.
    pub fn watch(socket: UnixStream, cookie: Vec<u8>, tag: Vec<u8>) -> io::Result<Self> {
        let (sender, devices) = channel();
        let link = Link {
            socket: socket.try_clone()?,
            version: MAX_VERSION,
            next: 0,
            has_changed: false,
        };
        std::thread::spawn(move || {
            // It ends with the connection; the recording itself reports why.
            let _ = follow(link, cookie, &tag, &sender);
        });
        Ok(Self { socket, devices })
    }

    /// Returns the device that the stream was moved to since the last call.
    pub fn latest(&self) -> Option<String> {
        self.devices.try_iter().last()
    }
}

impl Drop for MoveWatcher {
    fn drop(&mut self) {
        // Wakes the thread, which then ends. If the connection is already closed, it has ended.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn follow(
    mut link: Link,
    cookie: Vec<u8>,
    tag: &[u8],
    devices: &Sender<String>,
) -> Result<(), ProtocolError> {
    let auth = AuthParams {
        version: MAX_VERSION,
        supports_shm: false,
        supports_memfd: false,
        cookie,
    };
    link.version = MAX_VERSION.min(link.ask::<AuthReply>(&Command::Auth(auth))?.version);
    let mut props = Props::new();
    props.set(Prop::ApplicationName, c"Hearken");
    link.ask::<SetClientNameReply>(&Command::SetClientName(props))?;
    link.order(&Command::Subscribe(SubscriptionMask::SOURCE_OUTPUT))?;
    let mut known = link.source_of(tag)?;
    loop {
        link.await_change()?;
        let now = link.source_of(tag)?;
        if let Some(index) = now.filter(|_| now != known) {
            let asked = Command::GetSourceInfo(GetSourceInfo {
                index: Some(index),
                name: None,
            });
            let source = link.ask::<SourceInfo>(&asked)?;
            if devices
                .send(source.name.to_string_lossy().into_owned())
                .is_err()
            {
                return Ok(());
            }
            known = now;
        }
    }
}

/// A connection on which requests are answered in order, with events in between.
struct Link {
    socket: UnixStream,
    version: u16,
    /// Number of the next question.
    next: u32,
    /// Whether a stream has changed since that was last looked at.
    has_changed: bool,
}

impl Link {
    /// Index of the device that the stream `tag` records from.
    fn source_of(&mut self, tag: &[u8]) -> Result<Option<u32>, ProtocolError> {
        self.has_changed = false;
        let outputs = self.ask::<SourceOutputInfoList>(&Command::GetSourceOutputInfoList)?;
        let found = outputs
            .iter()
            .find(|output| output.props.get_bytes(TAG) == Some(tag));
        Ok(found.map(|output| output.source_index))
    }

    /// Waits until a recording stream has changed.
    fn await_change(&mut self) -> Result<(), ProtocolError> {
        while !self.has_changed {
            self.receive()?;
        }
        Ok(())
    }

    fn ask<R: CommandReply + TagStructRead>(
        &mut self,
        question: &Command,
    ) -> Result<R, ProtocolError> {
        let mut answer = self.order(question)?;
        TagStructReader::new(&mut answer, self.version).read()
    }

    /// Sends a command and waits for its answer, which is left at its contents.
    fn order(&mut self, command: &Command) -> Result<Cursor<Vec<u8>>, ProtocolError> {
        let wanted = self.next;
        self.next += 1;
        write_command_message(&mut self.socket, wanted, command, self.version)?;
        loop {
            match self.receive()? {
                (number, Command::Reply, contents) if number == wanted => return Ok(contents),
                (number, Command::Error(error), _) if number == wanted => {
                    return Err(refused(error));
                }
                _ => {}
            }
        }
    }

    /// Receives one message and records changes.
    fn receive(&mut self) -> Result<(u32, Command, Cursor<Vec<u8>>), ProtocolError> {
        let length = read_descriptor(&mut self.socket)?.length as usize;
        if length > LONGEST_MESSAGE {
            return Err(ProtocolError::Invalid(format!(
                "a message of {length} bytes after {DESCRIPTOR_SIZE}"
            )));
        }
        let mut message = vec![0; length];
        self.socket.read_exact(&mut message)?;
        let mut contents = Cursor::new(message);
        let (number, command) = Command::read_tag_prefixed(&mut contents, self.version)?;
        if let Command::SubscribeEvent(event) = &command {
            self.has_changed |= event.event_facility == SubscriptionEventFacility::SourceOutput;
        }
        Ok((number, command, contents))
    }
}

fn refused(error: PulseError) -> ProtocolError {
    ProtocolError::Invalid(format!("the server refuses: {error}"))
}
