//! `org.hearken.Hearken1.Session`: live text from a microphone.

use super::BusError;
use super::hub::{Hub, Message, sender};
use super::protocol::SessionState;
use crate::session::{self, Session};
use std::collections::HashMap;
use std::sync::Arc;
use zbus::message::Header;
use zbus::names::OwnedUniqueName;
use zbus::object_server::SignalEmitter;
use zbus::{Variant, interface};

/// A session's object.
pub(super) struct SessionObject {
    pub hub: Arc<Hub>,
    pub number: u64,
    pub owner: OwnedUniqueName,
    pub session: Arc<Session>,
}

#[interface(name = "org.hearken.Hearken1.Session")]
impl SessionObject {
    /// Opens the microphone. Does nothing if it is open already. While the state is 5 (finishing),
    /// the new speech follows the earlier one, whose text comes first.
    async fn start(&self) -> Result<(), BusError> {
        Ok(self.session.start()?)
    }

    /// Closes the microphone and transcribes the remaining speech, or drops it if the model is
    /// missing. The state is 5 (finishing) until all text has been sent, then 1 (idle).
    async fn stop(&self) {
        self.session.stop();
    }

    /// Closes the microphone and drops speech that has no final text yet.
    async fn cancel(&self) {
        self.session.cancel();
    }

    /// Calls Stop if the microphone is open or being opened, else Start.
    async fn toggle(&self) -> Result<(), BusError> {
        Ok(self.session.toggle()?)
    }

    /// Ends the session and removes its object. Only the owner may call it; others get
    /// Error.NotOwner. A session also ends when its owner leaves the bus.
    async fn close(&self, #[zbus(header)] header: Header<'_>) -> Result<(), BusError> {
        self.check_owner(Some(&header), "close it")?;
        self.session.close();
        let hub = self.hub.clone();
        let number = self.number;
        super::error::unblock(move || hub.post(Message::CloseSession(number))).await
    }

    /// 0 unknown, 1 idle, 2 starting, 3 listening, 4 no sound (the device is lost or suspended, and
    /// the session waits for it), 5 finishing.
    #[zbus(property)]
    fn state(&self) -> u32 {
        let state = match self.session.state() {
            session::SessionState::Idle => SessionState::Idle,
            session::SessionState::Starting => SessionState::Starting,
            session::SessionState::Listening => SessionState::Listening,
            session::SessionState::DeviceLost => SessionState::DeviceLost,
            session::SessionState::Finishing => SessionState::Finishing,
        };
        state as u32
    }

    /// Id of the device that is open or was last open; changes if the sound server moves the stream
    /// to another device.
    #[zbus(property)]
    fn device(&self) -> String {
        self.session.device()
    }

    /// Why there is no sound or text, for example because the model is missing; empty if all is
    /// well.
    #[zbus(property)]
    fn status_message(&self) -> String {
        self.session.status_message()
    }

    /// Unique bus name of the owner.
    #[zbus(property(emits_changed_signal = "const"))]
    fn owner(&self) -> String {
        self.owner.to_string()
    }

    /// Text before the cursor, which the next utterance continues, until it is changed. An utterance
    /// that closely follows another one continues that instead. The last thousand characters are
    /// kept. Only the owner can read and set it; others get Error.NotOwner.
    #[zbus(property(emits_changed_signal = "false"))]
    fn context(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String, BusError> {
        self.check_owner(header.as_ref(), "read its context")?;
        Ok(self.session.context())
    }

    #[zbus(property)]
    fn set_context(
        &self,
        text: String,
        #[zbus(header)] header: Option<Header<'_>>,
    ) -> Result<(), BusError> {
        self.check_owner(header.as_ref(), "set its context")?;
        self.session.set_context(&text);
        Ok(())
    }

    /// How well the session keeps up. real_time_factor (d): seconds of work per second of audio;
    /// final_p50 and final_p95 (d): seconds from the end of an utterance to its text; committed_p50
    /// and committed_p95 (d): seconds from the end of a word until a Partial commits it; step (d):
    /// seconds between two interim passes at present; backlog (d): seconds of audio waiting to be
    /// processed; audio (d): seconds of audio processed; overruns and dropped_samples (t): losses
    /// while capturing. Percentiles cover the latest 200 values.
    #[zbus(property(emits_changed_signal = "false"))]
    fn metrics(&self) -> HashMap<String, zbus::OwnedVariant> {
        let now = self.session.metrics();
        let stats = self.session.capture_stats();
        let seconds = [
            ("real_time_factor", now.real_time_factor),
            ("final_p50", now.final_p50_s),
            ("final_p95", now.final_p95_s),
            ("committed_p50", now.committed_p50_s),
            ("committed_p95", now.committed_p95_s),
            ("step", now.step_s),
            ("backlog", now.backlog_s),
            ("audio", now.audio_s),
        ];
        let counts = [
            ("overruns", stats.overruns()),
            ("dropped_samples", stats.dropped()),
        ];
        let seconds = seconds.map(|(name, value)| (name.to_owned(), value.into()));
        seconds
            .into_iter()
            .chain(counts.map(|(name, value)| (name.to_owned(), value.into())))
            .collect()
    }

    /// Text of an utterance that is still being spoken, sent to the owner only. committed never
    /// changes: in each signal it begins with what it was in the one before. interim may change.
    /// Utterances count from 1, revisions from 1 in each utterance. details: start and end (d) of
    /// the audio in seconds of the session's clock; language (s); words (a(sddd)): the words of
    /// committed, each with start and end in seconds of the session's clock and confidence from 0
    /// to 1.
    #[zbus(signal)]
    pub(super) async fn partial(
        emitter: &SignalEmitter<'_>,
        utterance: u64,
        revision: u64,
        committed: &str,
        interim: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    /// Text of a finished utterance, sent once and to the owner only. It begins with the committed
    /// text. details: start and end (d) in seconds of the session's clock; language (s);
    /// avg_logprob (d): mean log-probability of a token; latency (d): seconds since the end of the
    /// utterance was detected; words (a(sddd)): the words of text as in Partial, with more exact
    /// times.
    #[zbus(signal, name = "Final")]
    pub(super) async fn final_(
        emitter: &SignalEmitter<'_>,
        utterance: u64,
        revision: u64,
        text: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    /// Loudness in dBFS (mean square, at least -120) and whether somebody speaks, about 15 times a
    /// second while the microphone is open, to the owner only, if the option levels asked for it.
    #[zbus(signal)]
    pub(super) async fn level(
        emitter: &SignalEmitter<'_>,
        loudness: f64,
        speech: bool,
    ) -> zbus::Result<()>;
}

impl SessionObject {
    /// Returns an error unless a call comes from the session's owner. `what`: the privilege.
    fn check_owner(&self, header: Option<&Header<'_>>, what: &str) -> Result<(), BusError> {
        let is_owner = match header {
            Some(header) => sender(header)? == self.owner,
            None => false,
        };
        if is_owner {
            return Ok(());
        }
        Err(BusError::NotOwner(format!(
            "only the client that created a session may {what}"
        )))
    }
}
