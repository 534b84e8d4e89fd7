//! A session owned by this process: its events, in the order in which the daemon sent them.

use super::proxies::{ManagerProxy, SessionProxy};
use super::{ClientError, connect};
use crate::dbus::options::{self, ClientOptions};
use crate::dbus::protocol::{NAME, WordTuple, property, signal};
use futures::stream::LocalBoxStream;
use futures::{Stream, StreamExt, future, stream};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::BusName;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant};

/// Time that a daemon may take to start, and the interval at which the client looks for it.
const START_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Committed word: text, start and end in seconds of the session's clock, confidence from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpokenWord {
    word: String,
    start: f64,
    end: f64,
    confidence: f64,
}

/// Event of a session, or of the process that owns it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum ClientEvent {
    /// Text of an utterance that is still being spoken.
    Partial {
        utterance: u64,
        revision: u64,
        start: f64,
        end: f64,
        language: String,
        committed: String,
        interim: String,
        words: Vec<SpokenWord>,
    },
    /// Text of a finished utterance.
    Final {
        utterance: u64,
        revision: u64,
        start: f64,
        end: f64,
        language: String,
        text: String,
        words: Vec<SpokenWord>,
    },
    /// State of the session.
    State { state: u32 },
    /// The device that it records from, if it has changed.
    Device { id: String },
    /// Why there is no sound or text; empty if all is well again.
    Status { message: String },
    /// The user wants to stop.
    Interrupted,
    /// The daemon has left the bus.
    Gone,
}

/// A session owned by this process.
pub struct OwnSession {
    pub proxy: SessionProxy<'static>,
    events: LocalBoxStream<'static, ClientEvent>,
    /// Last reported device and status message.
    device: String,
    status_message: String,
}

impl OwnSession {
    /// Creates a session. SIGINT and SIGTERM of this process are among its events.
    pub async fn create(options: &ClientOptions) -> Result<Self, ClientError> {
        let connection = connect().await?;
        await_daemon(&connection).await?;
        let manager = ManagerProxy::new(&connection).await?;
        let path = manager.create_session(options::write(options)).await?;
        let proxy = SessionProxy::builder(&connection)
            .path(path.clone())
            .build()
            .await?;
        let signals = signals_of(&connection, path).await?;
        let events = stream::select(
            stream::select(signals, gone(&connection).await?),
            interruptions(),
        );
        Ok(Self {
            proxy,
            events: events.boxed_local(),
            device: String::new(),
            status_message: String::new(),
        })
    }

    /// Waits for the next event. The daemon reports device and status message with each change of
    /// state; unchanged ones are skipped here.
    pub async fn next(&mut self) -> ClientEvent {
        loop {
            let event = self.events.next().await.unwrap_or(ClientEvent::Gone);
            let (last, value) = match &event {
                ClientEvent::Device { id } => (&mut self.device, id),
                ClientEvent::Status { message } => (&mut self.status_message, message),
                _ => return event,
            };
            if last != value {
                last.clone_from(value);
                return event;
            }
        }
    }
}

async fn signals_of(
    connection: &Connection,
    path: OwnedObjectPath,
) -> Result<impl Stream<Item = ClientEvent> + use<>, ClientError> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .path(path)
        .build()?;
    let messages = MessageStream::for_match_rule(rule, connection, None).await?;
    Ok(messages.flat_map(|message| {
        let events = message
            .ok()
            .and_then(|message| parse(&message))
            .unwrap_or_default();
        stream::iter(events)
    }))
}

/// Parses a signal of the session.
fn parse(message: &Message) -> Option<Vec<ClientEvent>> {
    type Details = HashMap<String, OwnedVariant>;
    let header = message.header();
    let body = message.body();
    match header.member()?.as_str() {
        signal::PARTIAL => {
            let (utterance, revision, committed, interim, details): (
                u64,
                u64,
                String,
                String,
                Details,
            ) = body.deserialize().ok()?;
            let (start, end, language, words) = common(details);
            Some(vec![ClientEvent::Partial {
                utterance,
                revision,
                start,
                end,
                language,
                committed,
                interim,
                words,
            }])
        }
        signal::FINAL => {
            let (utterance, revision, text, details): (u64, u64, String, Details) =
                body.deserialize().ok()?;
            let (start, end, language, words) = common(details);
            Some(vec![ClientEvent::Final {
                utterance,
                revision,
                start,
                end,
                language,
                text,
                words,
            }])
        }
        "PropertiesChanged" => {
            let (_, changed, _): (String, Details, Vec<String>) = body.deserialize().ok()?;
            let message = changed
                .get(property::STATUS_MESSAGE)
                .and_then(|value| <&str>::try_from(value).ok());
            let state = changed
                .get(property::STATE)
                .and_then(|value| u32::try_from(value).ok());
            let device = changed
                .get(property::DEVICE)
                .and_then(|value| <&str>::try_from(value).ok());
            let message = message.map(|message| ClientEvent::Status {
                message: message.to_owned(),
            });
            let device = device.map(|id| ClientEvent::Device { id: id.to_owned() });
            Some(
                device
                    .into_iter()
                    .chain(message)
                    .chain(state.map(|state| ClientEvent::State { state }))
                    .collect(),
            )
        }
        _ => None,
    }
}

fn common(mut details: HashMap<String, OwnedVariant>) -> (f64, f64, String, Vec<SpokenWord>) {
    let words = details
        .remove("words")
        .and_then(|words| Vec::<WordTuple>::try_from(words).ok());
    let spoken = |(word, start, end, confidence)| SpokenWord {
        word,
        start,
        end,
        confidence,
    };
    let words = words.unwrap_or_default().into_iter().map(spoken).collect();
    let number = |name| {
        details
            .get(name)
            .and_then(|value| f64::try_from(value).ok())
            .unwrap_or(0.0)
    };
    let language = details
        .get("language")
        .and_then(|value| <&str>::try_from(value).ok())
        .unwrap_or_default();
    (number("start"), number("end"), language.to_owned(), words)
}

/// Waits for a daemon that is just being started, as in `hearken daemon & hearken listen`. Does not
/// wait if the bus starts it.
async fn await_daemon(connection: &Connection) -> Result<(), ClientError> {
    let bus = DBusProxy::new(connection).await?;
    let name = BusName::from_static_str(NAME)?;
    let until = Instant::now() + START_TIMEOUT;
    while !bus.name_has_owner(name.clone()).await?
        && !bus
            .list_activatable_names()
            .await?
            .iter()
            .any(|known| known.as_str() == NAME)
        && Instant::now() < until
    {
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Returns a stream that yields once the running daemon leaves the bus or the connection closes.
pub async fn gone(
    connection: &Connection,
) -> Result<LocalBoxStream<'static, ClientEvent>, ClientError> {
    let owners = DBusProxy::new(connection)
        .await?
        .receive_name_owner_changed_with_args(&[(0, NAME)])
        .await?;
    let connection = connection.clone();
    let closed = stream::once(async move { connection.closed().await });
    Ok(stream::select(
        owners.map(|_| ClientEvent::Gone),
        closed.map(|()| ClientEvent::Gone),
    )
    .boxed_local())
}

/// Returns a stream of the SIGINT and SIGTERM that this process receives.
pub fn interruptions() -> impl Stream<Item = ClientEvent> {
    let (sender, receiver) = futures::channel::mpsc::channel(4);
    if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) {
        std::thread::spawn(move || {
            let mut sender = sender;
            for _ in signals.forever() {
                // A full channel already holds the same event.
                let _ = sender.try_send(ClientEvent::Interrupted);
            }
        });
    }
    receiver.chain(stream::once(future::pending()))
}
