//! Text before the cursor, for the recogniser: names and case then fit what is there.
//!
//! In: the field that has the focus. Out: the property `Context` of a session. It stays on this
//! machine; the daemon tells it to nobody.

use super::typist::Typist;
use crate::client::session::OwnSession;

/// What a session has been told last.
#[derive(Default)]
pub struct Context(String);

impl Context {
    /// Tells the session what stands before the cursor, if it has changed since.
    pub async fn tell(&mut self, session: &OwnSession, typist: &Typist) {
        let Some(now) = typist.context().filter(|now| *now != self.0) else {
            return;
        };
        now.clone_into(&mut self.0);
        // It only helps: a failure costs no text.
        let _ = session.proxy.set_context(now).await;
    }
}
