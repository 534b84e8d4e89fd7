//! The selections of X11: what is copied and what is marked. Owns them for a while, sees who reads
//! them, and gives them back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, Property,
    PropertyNotifyEvent, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent,
    Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::input::board::{Content, Format, SECRET_HINT};
use crate::sync::LockExt;

/// Time that the owner of a selection has to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Most that is saved of a selection, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// Targets that are no form of the content but requests to its owner (ICCCM 2.6).
const REQUESTS: [&str; 7] = [
    "TARGETS",
    "MULTIPLE",
    "SAVE_TARGETS",
    "DELETE",
    "TIMESTAMP",
    "INSERT_SELECTION",
    "INSERT_PROPERTY",
];
/// Names under which text is offered.
const TEXT_TARGETS: [&str; 4] = [
    "UTF8_STRING",
    "text/plain;charset=utf-8",
    "text/plain",
    "TEXT",
];

/// A reading of a selection.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// Window that asked.
    pub requestor: Window,
    /// Whether it got the text.
    pub is_text: bool,
}

/// Both selections, and a thread that serves them.
pub struct Selections {
    connection: Arc<RustConnection>,
    window: Window,
    selections: [Atom; 2],
    atoms: Atoms,
    owned: Arc<Mutex<HashMap<Atom, Content>>>,
    pub reads: Receiver<Read>,
    answers: Receiver<Answer>,
}

/// Events that concern a selection that we read.
enum Answer {
    Notify(SelectionNotifyEvent),
    Changed(PropertyNotifyEvent),
}

#[derive(Debug, Clone, Copy)]
struct Atoms {
    targets: Atom,
    incr: Atom,
    property: Atom,
}

impl Selections {
    /// Connects to the X server and starts the thread.
    pub fn open() -> Result<Self, ReplyError> {
        let (connection, screen) =
            x11rb::connect(None).map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        let root = connection.setup().roots[screen].root;
        let window = connection
            .generate_id()
            .map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        let events = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(
            0,
            window,
            root,
            0,
            0,
            1,
            1,
            0,
            WindowClass::INPUT_ONLY,
            0,
            &events,
        )?;
        let atom = |name: &str| -> Result<Atom, ReplyError> {
            Ok(connection
                .intern_atom(false, name.as_bytes())?
                .reply()?
                .atom)
        };
        let atoms = Atoms {
            targets: atom("TARGETS")?,
            incr: atom("INCR")?,
            property: atom("HEARKEN_SELECTION")?,
        };
        let selections = [atom("CLIPBOARD")?, AtomEnum::PRIMARY.into()];
        let connection = Arc::new(connection);
        let owned = Arc::new(Mutex::new(HashMap::new()));
        let (read_sender, reads) = unbounded();
        // An answer that nobody waits for is dropped.
        let (answer_sender, answers) = bounded(64);
        let server = Server {
            connection: Arc::clone(&connection),
            atoms,
            owned: Arc::clone(&owned),
            reads: read_sender,
            answers: answer_sender,
        };
        thread::spawn(move || server.run());
        Ok(Self {
            connection,
            window,
            selections,
            atoms,
            owned,
            reads,
            answers,
        })
    }

    /// Returns what clipboard and primary selection hold; `None` for one that nobody owns.
    pub fn save(&self) -> Result<[Option<Content>; 2], ReplyError> {
        Ok([
            self.content(self.selections[0])?,
            self.content(self.selections[1])?,
        ])
    }

    /// Takes both selections with new contents; `None` gives one up.
    pub fn set(&self, contents: [Option<Content>; 2]) -> Result<(), ReplyError> {
        for (selection, content) in self.selections.into_iter().zip(contents) {
            let owner = if content.is_some() {
                self.window
            } else {
                x11rb::NONE
            };
            let was_ours = {
                let mut owned = self.owned.lock_unpoisoned();
                let was_ours = owned.remove(&selection).is_some();
                if let Some(content) = content {
                    owned.insert(selection, content);
                }
                was_ours
            };
            // Nobody's selection is not taken from whoever has it by now.
            if owner != x11rb::NONE || was_ours {
                self.connection
                    .set_selection_owner(owner, selection, x11rb::CURRENT_TIME)?;
            }
        }
        self.connection.sync()
    }

    /// Returns whether clipboard and primary selection have owners.
    pub fn are_owned(&self) -> Result<[bool; 2], ReplyError> {
        let is_owned = |selection| -> Result<bool, ReplyError> {
            let reply = self.connection.get_selection_owner(selection)?.reply()?;
            Ok(reply.owner != x11rb::NONE)
        };
        Ok([is_owned(self.selections[0])?, is_owned(self.selections[1])?])
    }

    /// Returns what is still ours of both selections.
    pub fn owned(&self) -> [Option<Content>; 2] {
        let owned = self.owned.lock_unpoisoned();
        self.selections
            .map(|selection| owned.get(&selection).cloned())
    }

    /// Returns text as it is offered.
    pub fn text(text: &str) -> Content {
        let format = |name: &str, text: &str| Format {
            name: name.to_owned(),
            kind: name.to_owned(),
            bits: 8,
            bytes: text.as_bytes().to_vec(),
        };
        let texts = TEXT_TARGETS.iter().map(|name| format(name, text));
        Content(texts.chain([format(SECRET_HINT, "secret")]).collect())
    }

    fn content(&self, selection: Atom) -> Result<Option<Content>, ReplyError> {
        if let Some(own) = self.owned.lock_unpoisoned().get(&selection) {
            return Ok(Some(own.clone()));
        }
        let owner = self
            .connection
            .get_selection_owner(selection)?
            .reply()?
            .owner;
        if owner == x11rb::NONE {
            return Ok(None);
        }
        let Some((_, _, list)) = self.convert(selection, self.atoms.targets)? else {
            return Ok(None);
        };
        let targets = list
            .as_chunks()
            .0
            .iter()
            .map(|bytes| Atom::from_ne_bytes(*bytes));
        let mut formats = Vec::new();
        for target in targets {
            let name = self.name(target)?;
            if REQUESTS.contains(&name.as_str()) {
                continue;
            }
            if let Some((kind, bits, bytes)) = self.convert(selection, target)? {
                formats.push(Format {
                    name,
                    kind: self.name(kind)?,
                    bits,
                    bytes,
                });
            }
        }
        Ok(Some(Content(formats)))
    }

    fn name(&self, atom: Atom) -> Result<String, ReplyError> {
        let name = self.connection.get_atom_name(atom)?.reply()?.name;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    /// Reads a selection in one form: type, bits of an element, bytes.
    fn convert(
        &self,
        selection: Atom,
        target: Atom,
    ) -> Result<Option<(Atom, u8, Vec<u8>)>, ReplyError> {
        while self.answers.try_recv().is_ok() {}
        let property = self.atoms.property;
        self.connection.convert_selection(
            self.window,
            selection,
            target,
            property,
            x11rb::CURRENT_TIME,
        )?;
        self.connection.flush()?;
        let until = Instant::now() + ANSWER_TIMEOUT;
        let notify = loop {
            match self.answers.recv_deadline(until) {
                Ok(Answer::Notify(notify)) if notify.target == target => break notify,
                Ok(_) => {}
                Err(_) => return Ok(None),
            }
        };
        if notify.property == x11rb::NONE {
            return Ok(None);
        }
        let value = self.take_property()?;
        if value.type_ != self.atoms.incr {
            return Ok(Some((value.type_, value.format, value.value)));
        }
        self.convert_in_pieces()
    }

    /// Reads a selection whose owner sends it in pieces, until an empty one.
    fn convert_in_pieces(&self) -> Result<Option<(Atom, u8, Vec<u8>)>, ReplyError> {
        let mut bytes = Vec::new();
        loop {
            let until = Instant::now() + ANSWER_TIMEOUT;
            loop {
                match self.answers.recv_deadline(until) {
                    Ok(Answer::Changed(event)) if event.state == Property::NEW_VALUE => break,
                    Ok(_) => {}
                    Err(_) => return Ok(None),
                }
            }
            let piece = self.take_property()?;
            if piece.value.is_empty() {
                return Ok(Some((piece.type_, piece.format, bytes)));
            }
            bytes.extend(piece.value);
            if bytes.len() > MAX_BYTES {
                return Ok(None);
            }
        }
    }

    fn take_property(&self) -> Result<x11rb::protocol::xproto::GetPropertyReply, ReplyError> {
        let words = u32::try_from(MAX_BYTES / 4).unwrap_or(u32::MAX);
        self.connection
            .get_property(
                true,
                self.window,
                self.atoms.property,
                AtomEnum::ANY,
                0,
                words,
            )?
            .reply()
    }
}

/// The thread that answers other programs.
struct Server {
    connection: Arc<RustConnection>,
    atoms: Atoms,
    owned: Arc<Mutex<HashMap<Atom, Content>>>,
    reads: Sender<Read>,
    answers: Sender<Answer>,
}

impl Server {
    fn run(self) {
        self.serve();
        // The selections ended with the connection.
        self.owned.lock_unpoisoned().clear();
    }

    fn serve(&self) {
        while let Ok(event) = self.connection.wait_for_event() {
            match event {
                Event::SelectionRequest(request) => {
                    let Ok(is_text) = self.answer(&request) else {
                        return;
                    };
                    let requestor = request.requestor;
                    if self.reads.send(Read { requestor, is_text }).is_err() {
                        return;
                    }
                }
                Event::SelectionClear(clear) => {
                    self.owned.lock_unpoisoned().remove(&clear.selection);
                }
                Event::SelectionNotify(notify) => {
                    drop(self.answers.try_send(Answer::Notify(notify)))
                }
                Event::PropertyNotify(notify) if notify.atom == self.atoms.property => {
                    drop(self.answers.try_send(Answer::Changed(notify)));
                }
                _ => {}
            }
        }
    }

    /// Answers a request. Returns whether it was for text.
    fn answer(&self, request: &SelectionRequestEvent) -> Result<bool, ReplyError> {
        // Old clients give no property (ICCCM 2.2).
        let mut property = if request.property == x11rb::NONE {
            request.target
        } else {
            request.property
        };
        let content = self
            .owned
            .lock_unpoisoned()
            .get(&request.selection)
            .cloned();
        let mut is_text = false;
        let mode = PropMode::REPLACE;
        match content {
            None => property = x11rb::NONE,
            Some(content) if request.target == self.atoms.targets => {
                let mut targets = vec![self.atoms.targets];
                for format in &content.0 {
                    targets.push(self.atom(&format.name)?);
                }
                self.connection.change_property32(
                    mode,
                    request.requestor,
                    property,
                    AtomEnum::ATOM,
                    &targets,
                )?;
            }
            Some(content) => {
                let name = self.connection.get_atom_name(request.target)?.reply()?.name;
                let format = content
                    .0
                    .iter()
                    .find(|format| format.name.as_bytes() == name);
                match format {
                    Some(format) => {
                        is_text = TEXT_TARGETS.contains(&format.name.as_str());
                        let kind = self.atom(&format.kind)?;
                        let n = format.bytes.len() / usize::from(format.bits / 8).max(1);
                        let n = u32::try_from(n).unwrap_or(u32::MAX);
                        self.connection.change_property(
                            mode,
                            request.requestor,
                            property,
                            kind,
                            format.bits,
                            n,
                            &format.bytes,
                        )?;
                    }
                    None => property = x11rb::NONE,
                }
            }
        }
        let notify = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property,
        };
        self.connection
            .send_event(false, request.requestor, EventMask::NO_EVENT, notify)?;
        self.connection.flush()?;
        Ok(is_text)
    }

    fn atom(&self, name: &str) -> Result<Atom, ReplyError> {
        Ok(self
            .connection
            .intern_atom(false, name.as_bytes())?
            .reply()?
            .atom)
    }
}
