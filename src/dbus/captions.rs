//! `org.hearken.Hearken1.Captions`: broadcasts the text of the sessions whose owner asked for it.

use std::collections::HashMap;
use zbus::interface;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, Variant};

/// The object's interface.
pub(super) struct Captions;

#[interface(name = "org.hearken.Hearken1.Captions")]
impl Captions {
    /// Text of an utterance that is still being spoken. The arguments after session are those of
    /// Session.Partial.
    #[zbus(signal)]
    pub(super) async fn partial(
        emitter: &SignalEmitter<'_>,
        session: ObjectPath<'_>,
        utterance: u64,
        revision: u64,
        committed: &str,
        interim: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;

    /// Text of a finished utterance. The arguments after session are those of Session.Final.
    #[zbus(signal, name = "Final")]
    pub(super) async fn final_(
        emitter: &SignalEmitter<'_>,
        session: ObjectPath<'_>,
        utterance: u64,
        revision: u64,
        text: &str,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}
