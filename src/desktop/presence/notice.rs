//! Notifications (`org.freedesktop.Notifications`).
//!
//! They hold no word of the dictation unless the configuration asks for it: the notices come without.

use std::collections::HashMap;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::debug;
use zbus::message::Type;
use zbus::{Connection, MatchRule, MessageStream, Variant};

use super::moment::Notice;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// Key of the button that puts kept text in.
const AGAIN: &str = "again";
/// How long the server shows it: as the user has set it.
const DEFAULT_TIME: i32 = -1;

/// Notifications of this process: one about text, one about the daemon; each replaces the last.
pub struct Notices {
    connection: Connection,
    /// Ids that the server gave; 0 is none.
    text: Arc<AtomicU32>,
    daemon: u32,
    /// Whether the server reads bodies as markup; `None` if it has not been asked.
    has_markup: Option<bool>,
}

impl Notices {
    /// Returns the notifications, and a stream that yields when the user presses the button of kept
    /// text.
    pub async fn open(connection: Connection) -> (Self, BoxStream<'static, ()>) {
        let text = Arc::new(AtomicU32::new(0));
        let pressed = pressed(&connection, text.clone()).await;
        let notices = Self {
            connection,
            text,
            daemon: 0,
            has_markup: None,
        };
        (
            notices,
            pressed.unwrap_or_else(|_| stream::pending().boxed()),
        )
    }

    /// Shows a notice in place of the last of its kind.
    pub async fn show(&mut self, notice: &Notice) {
        let (title, body) = words(notice);
        let is_about_daemon = matches!(notice, Notice::NoDaemon(_));
        let replaced = if is_about_daemon {
            self.daemon
        } else {
            self.text.load(Ordering::Relaxed)
        };
        let actions: &[&str] = match notice {
            Notice::Kept(_) => &[AGAIN, "Put it in here"],
            _ => &[],
        };
        let body = if self.reads_markup().await {
            escaped(&body)
        } else {
            body
        };
        let hints = HashMap::from([
            ("desktop-entry", Variant::from("org.hearken.Hearken")),
            ("urgency", Variant::from(1u8)),
        ]);
        let arguments = (
            "Hearken",
            replaced,
            "org.hearken.Hearken",
            title,
            body,
            actions,
            hints,
            DEFAULT_TIME,
        );
        let answer = self
            .connection
            .call_method(Some(NAME), PATH, Some(NAME), "Notify", &arguments)
            .await;
        let id = answer.and_then(|answer| answer.body().deserialize::<u32>());
        match id {
            Ok(id) if is_about_daemon => self.daemon = id,
            Ok(id) => self.text.store(id, Ordering::Relaxed),
            Err(error) => debug!("no notification: {error}"),
        }
    }

    /// Takes back the notice of a missing daemon.
    pub async fn daemon_is_there(&mut self) {
        let id = std::mem::take(&mut self.daemon);
        if id != 0 {
            // The user may have closed it.
            let _ = self
                .connection
                .call_method(Some(NAME), PATH, Some(NAME), "CloseNotification", &(id,))
                .await;
        }
    }

    async fn reads_markup(&mut self) -> bool {
        if self.has_markup.is_none() {
            let answer = self
                .connection
                .call_method(Some(NAME), PATH, Some(NAME), "GetCapabilities", &())
                .await;
            let capabilities = answer.and_then(|answer| answer.body().deserialize::<Vec<String>>());
            let has_markup = |known: Vec<String>| known.iter().any(|known| known == "body-markup");
            self.has_markup = capabilities.ok().map(has_markup);
        }
        self.has_markup.unwrap_or(false)
    }
}

/// Title and body of a notice.
fn words(notice: &Notice) -> (&'static str, String) {
    match notice {
        Notice::Kept(words) => {
            let quoted = words.as_ref().map(|words| format!("“{words}”\n"));
            let body = "Click into a text field, then run: hearken type --again";
            (
                "Text is kept that could not be put in",
                format!("{}{body}", quoted.unwrap_or_default()),
            )
        }
        Notice::InClipboard => (
            "The text is in the clipboard",
            "Press Ctrl+V to paste it.".to_owned(),
        ),
        Notice::Failed(reason) => ("Dictation", reason.clone()),
        Notice::NoSound(reason) => ("No sound from the microphone", reason.clone()),
        Notice::NoDaemon(reason) => ("Dictation is not available", reason.clone()),
    }
}

/// Yields when the button of the notice about text is pressed.
async fn pressed(
    connection: &Connection,
    text: Arc<AtomicU32>,
) -> zbus::Result<BoxStream<'static, ()>> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .interface(NAME)
        .member("ActionInvoked")
        .path(PATH)
        .build()?;
    let messages = MessageStream::for_match_rule(rule, connection, None).await?;
    let pressed = messages.filter_map(move |message| {
        let pressed = message
            .ok()
            .and_then(|message| message.body().deserialize::<(u32, String)>().ok());
        let is_ours =
            pressed.is_some_and(|(id, key)| id == text.load(Ordering::Relaxed) && key == AGAIN);
        future::ready(is_ours.then_some(()))
    });
    Ok(pressed.boxed())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
