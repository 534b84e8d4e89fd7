//! The thread that serves the bus: answers method calls, sends signals, and notices clients that
//! leave.

use super::captions::Captions;
use super::hub::{Hub, JobResult, Message};
use super::job::JobObject;
use super::manager::Manager;
use super::protocol::{NAME, PATH, WordTuple, job_path, session_path};
use super::session::SessionObject;
use crate::advice::Advice;
use crate::session::Level;
use crate::stream::{Event, Partial};
use crate::text::Word;
use futures::channel::mpsc::Receiver;
use futures::{StreamExt, future, stream};
use sd_notify::NotifyState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::{info, warn};
use zbus::fdo::{DBusProxy, ObjectManager, RequestNameFlags};
use zbus::names::{BusName, OwnedUniqueName};
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, Variant};

/// Reason that the daemon cannot serve the bus.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon is on the bus.
    #[error("another Hearken daemon is already on the session bus")]
    AlreadyRunning,
    /// The bus cannot be reached, or refuses the daemon.
    #[error("the session bus cannot be used: {0}")]
    Bus(#[from] zbus::Error),
    /// The bus is gone.
    #[error("the session bus is gone; the desktop session may have ended")]
    Gone,
}

impl Advice for ServeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::AlreadyRunning => "stop it with `systemctl --user stop hearken`".into(),
            Self::Bus(..) => "run hearken in a desktop session, or under dbus-run-session".into(),
            _ => return None,
        })
    }
}

/// Message or event that the thread handles.
enum Incoming {
    Message(Message),
    /// A client has left the bus.
    Vanished(String),
    Gone,
}

/// Serves the session bus until [`Message::Quit`].
///
/// # Errors
/// Returns an error if the bus cannot be used, disappears, or has another daemon.
pub fn serve(hub: &Arc<Hub>, inbox: Receiver<Message>) -> Result<(), ServeError> {
    let result = zbus::block_on(run(hub, inbox));
    hub.close();
    result
}

async fn run(hub: &Arc<Hub>, inbox: Receiver<Message>) -> Result<(), ServeError> {
    let connection = zbus::connection::Builder::session()
        .serve_at(PATH, ObjectManager)
        .serve_at(PATH, Manager { hub: hub.clone() })
        .serve_at(PATH, Captions)
        .build()
        .await?;
    let owners = DBusProxy::new(&connection)
        .await?
        .receive_name_owner_changed()
        .await?;
    match connection
        .request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE)
        .await
    {
        Err(zbus::Error::NameTaken) => return Err(ServeError::AlreadyRunning),
        other => other?,
    };
    notify(&[NotifyState::Ready]);
    info!("on the session bus as {NAME}");
    let vanished = owners.filter_map(|change| future::ready(vanished(&change)));
    let gone = stream::once(connection.closed()).map(|()| Incoming::Gone);
    let incoming = stream::select(inbox.map(Incoming::Message), vanished);
    let mut incoming = std::pin::pin!(stream::select(incoming, gone));
    let bus = Bus {
        connection: connection.clone(),
        hub: hub.clone(),
    };
    while let Some(next) = incoming.next().await {
        let done = match next {
            Incoming::Message(Message::Quit) => break,
            Incoming::Message(message) => bus.handle(message).await,
            Incoming::Vanished(client) => bus.forget(&client).await,
            Incoming::Gone => return Err(ServeError::Gone),
        };
        if let Err(error) = done {
            warn!("a signal could not be sent: {error}");
        }
    }
    notify(&[NotifyState::Stopping]);
    Ok(())
}

/// Returns the client that has left the bus according to a change of ownership.
fn vanished(change: &zbus::fdo::NameOwnerChanged) -> Option<Incoming> {
    let args = change.args().ok()?;
    let left = args.new_owner().is_none() && args.name().starts_with(':');
    left.then(|| Incoming::Vanished(args.name().to_string()))
}

/// Notifies the service manager, if there is one.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("the service manager cannot be notified: {error}");
    }
}

/// Converts words to `a(sddd)`.
fn words(words: &[Word]) -> Variant<'static> {
    let word = |word: &Word| -> WordTuple {
        (
            word.text.trim().to_owned(),
            word.start_s,
            word.end_s,
            f64::from(word.confidence),
        )
    };
    Variant::new(words.iter().map(word).collect::<Vec<_>>())
}

struct Bus {
    connection: Connection,
    hub: Arc<Hub>,
}

impl Bus {
    async fn handle(&self, message: Message) -> zbus::Result<()> {
        match message {
            Message::Text(number, event) => self.text(number, event).await,
            Message::Level(number, level) => self.level(number, level).await,
            Message::SessionChanged(number) => self.session_changed(number).await,
            Message::CloseSession(number) => self.close_session(number).await,
            Message::JobProgress(number) => self.job_progress(number).await,
            Message::JobEnded(number, result) => self.job_ended(number, result).await,
            Message::EngineChanged => self.engine_changed().await,
            Message::BackendChanged(state) => {
                let object = self
                    .connection
                    .object_server()
                    .interface::<_, Manager>(PATH)
                    .await?;
                let emitter = object.signal_emitter();
                object.get().await.backend_changed(emitter).await?;
                Manager::backend_has_changed(emitter, state.device.name(), &state.reason).await
            }
            Message::PreCaptureChanged => {
                let object = self
                    .connection
                    .object_server()
                    .interface::<_, Manager>(PATH)
                    .await?;
                object
                    .get()
                    .await
                    .pre_capture_changed(object.signal_emitter())
                    .await
            }
            Message::Reload => {
                if let Err(error) = self.hub.reload() {
                    warn!("{error}; the old configuration stays in use");
                }
                Ok(())
            }
            Message::Watchdog => {
                notify(&[NotifyState::Watchdog]);
                Ok(())
            }
            Message::Quit => Ok(()),
        }
    }

    /// Sends text to the session's owner, and as captions if the owner asked for them.
    async fn text(&self, number: u64, event: Event) -> zbus::Result<()> {
        let Some(owned) = self.hub.session(number) else {
            return Ok(());
        };
        let path = ObjectPath::try_from(session_path(number))?;
        let own = self.to_owner(path.clone(), owned.owner);
        let all = owned
            .captions
            .then(|| SignalEmitter::new(&self.connection, PATH))
            .transpose()?;
        match event {
            Event::Partial(p) => {
                let details = || {
                    HashMap::from([
                        ("start", p.start_s.into()),
                        ("end", p.end_s.into()),
                        ("language", p.language.code().into()),
                        ("words", words(&p.words)),
                    ])
                };
                let Partial {
                    utterance,
                    revision,
                    ref committed,
                    ref interim,
                    ..
                } = p;
                if let Some(all) = all {
                    Captions::partial(
                        &all,
                        path,
                        utterance,
                        revision,
                        committed,
                        interim,
                        details(),
                    )
                    .await?;
                }
                SessionObject::partial(&own, utterance, revision, committed, interim, details())
                    .await
            }
            Event::Final(f) => {
                let details = || {
                    HashMap::from([
                        ("start", f.start_s.into()),
                        ("end", f.end_s.into()),
                        ("language", f.language.code().into()),
                        ("avg_logprob", f64::from(f.avg_logprob).into()),
                        ("latency", f.latency.as_secs_f64().into()),
                        ("words", words(&f.words)),
                    ])
                };
                if let Some(all) = all {
                    Captions::final_(&all, path, f.utterance, f.revision, &f.text, details())
                        .await?;
                }
                SessionObject::final_(&own, f.utterance, f.revision, &f.text, details()).await
            }
        }
    }

    async fn level(&self, number: u64, level: Level) -> zbus::Result<()> {
        let Some(owned) = self.hub.session(number) else {
            return Ok(());
        };
        let path = ObjectPath::try_from(session_path(number))?;
        let own = self.to_owner(path, owned.owner);
        SessionObject::level(&own, level.loudness_db, level.is_speech).await
    }

    async fn session_changed(&self, number: u64) -> zbus::Result<()> {
        if self.hub.session(number).is_none() {
            return Ok(());
        }
        let object = self
            .connection
            .object_server()
            .interface::<_, SessionObject>(session_path(number))
            .await?;
        let session = object.get().await;
        let emitter = object.signal_emitter();
        session.device_changed(emitter).await?;
        session.status_message_changed(emitter).await?;
        session.state_changed(emitter).await
    }

    async fn close_session(&self, number: u64) -> zbus::Result<()> {
        self.hub.close_session(number);
        if self
            .connection
            .object_server()
            .remove::<SessionObject, _>(session_path(number))
            .await?
        {
            info!(number, "session closed");
        }
        Ok(())
    }

    async fn job_progress(&self, number: u64) -> zbus::Result<()> {
        let object = self
            .connection
            .object_server()
            .interface::<_, JobObject>(job_path(number))
            .await?;
        object
            .get()
            .await
            .progress_changed(object.signal_emitter())
            .await
    }

    async fn job_ended(&self, number: u64, result: JobResult) -> zbus::Result<()> {
        let path = ObjectPath::try_from(job_path(number))?;
        if let Some(owner) = self.hub.remove_job(number) {
            let emitter = self.to_owner(path.clone(), owner);
            let details = HashMap::from([
                ("segments", Variant::new(result.segments)),
                ("words", words(&result.words)),
                ("language", result.language.into()),
                ("duration", result.duration_s.into()),
                ("error", result.error.into()),
                ("notes", Variant::new(result.notes)),
            ]);
            JobObject::finished(&emitter, result.status as u32, &result.text, details).await?;
        }
        self.connection
            .object_server()
            .remove::<JobObject, _>(path)
            .await?;
        Ok(())
    }

    async fn engine_changed(&self) -> zbus::Result<()> {
        let object = self
            .connection
            .object_server()
            .interface::<_, Manager>(PATH)
            .await?;
        let manager = object.get().await;
        let emitter = object.signal_emitter();
        manager.model_changed(emitter).await?;
        manager.status_message_changed(emitter).await?;
        manager.state_changed(emitter).await?;
        // Sessions that wait for the model show its status message. Their state has not changed: an
        // idle state sent now would reach a client that has just started its session and look like
        // the end of it.
        for number in self.hub.sessions() {
            // A session that is being created or closed has no object.
            let object = self
                .connection
                .object_server()
                .interface::<_, SessionObject>(session_path(number))
                .await;
            if let Ok(object) = object {
                object
                    .get()
                    .await
                    .status_message_changed(object.signal_emitter())
                    .await?;
            }
        }
        Ok(())
    }

    /// Closes the sessions of a client that has left the bus.
    async fn forget(&self, client: &str) -> zbus::Result<()> {
        for number in self.hub.vanished(client) {
            info!(number, "the owner of a session has left the bus");
            self.close_session(number).await?;
        }
        Ok(())
    }

    fn to_owner<'p>(&self, path: ObjectPath<'p>, owner: OwnedUniqueName) -> SignalEmitter<'p> {
        SignalEmitter::from_parts(self.connection.clone(), path)
            .set_destination(BusName::Unique(owner.into_inner()))
    }
}
