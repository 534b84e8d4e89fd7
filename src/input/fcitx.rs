//! Fcitx 5, through an addon of ours on the session bus (packaging/fcitx5): Fcitx has no interface of
//! its own that puts text in.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream};

use super::sink::{Receipt, SinkError, Target, TextSink, Wake, next_focus};
use super::watched::Watched;
use crate::settings::desktop::{Method, Purpose};

const NAME: &str = "org.hearken.Fcitx1";
const PATH: &str = "/org/hearken/Fcitx1";

/// How long Fcitx may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it may take to tell which field has the focus.
const FOCUS_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a field may take to report a deletion.
const ERASE_TIMEOUT: Duration = Duration::from_millis(150);

/// Capabilities of a field (capabilityflags.h).
const PASSWORD: u64 = 1 << 3;
const TERMINAL: u64 = 1 << 32;
const SENSITIVE: u64 = 1 << 36;

/// Text through Fcitx.
pub struct FcitxSink {
    connection: Connection,
    shared: Arc<Watched<State>>,
}

#[derive(Default)]
struct State {
    focus: Option<Focus>,
    /// Whether the addon has told the focus since the dictation began.
    is_told: bool,
    committed: String,
    shown: String,
    /// Fcitx has ended.
    is_lost: bool,
}

struct Focus {
    number: u64,
    /// The addon's number, which each edit names.
    id: u32,
    field: String,
    program: String,
    purpose: Purpose,
    before: Option<String>,
}

impl FcitxSink {
    /// Looks for the addon. `wake` is called when the focused field changes.
    ///
    /// # Errors
    /// Returns an error if Fcitx is not running, or does not have the addon.
    pub fn open(wake: Wake) -> Result<Self, SinkError> {
        let shared = Arc::new(Watched::new(State::default(), wake));
        let connection = zbus::block_on(connect(Arc::clone(&shared))).map_err(unavailable)?;
        Ok(Self { connection, shared })
    }

    /// Calls a method whose answer is whether it was done.
    fn call<B>(&self, method: &str, body: &B) -> Result<(), SinkError>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let call = self
            .connection
            .call_method(Some(NAME), PATH, Some(NAME), method, body);
        let reply = zbus::block_on(call).map_err(SinkError::lost)?;
        let is_done: bool = reply.body().deserialize().map_err(SinkError::lost)?;
        is_done.then_some(()).ok_or(SinkError::NoTarget)
    }

    fn focus_id(&self) -> Result<u32, SinkError> {
        let state = self.shared.lock();
        state
            .focus
            .as_ref()
            .map(|focus| focus.id)
            .ok_or(SinkError::NoTarget)
    }
}

impl TextSink for FcitxSink {
    fn method(&self) -> Method {
        Method::Fcitx
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.shared.change(|state| {
            *state = State {
                is_lost: state.is_lost,
                ..State::default()
            };
        });
        self.call("Begin", &())
            .map_err(|_| unavailable("another program dictates through it"))?;
        self.shared
            .wait(FOCUS_TIMEOUT, |state| state.is_told || state.is_lost);
        Ok(())
    }

    fn end(&mut self) {
        if !self.shared.lock().is_lost {
            // It clears what is shown. A lost Fcitx shows nothing.
            let call = self
                .connection
                .call_method(Some(NAME), PATH, Some(NAME), "End", &());
            drop(zbus::block_on(call));
        }
        self.shared.change(|state| {
            state.focus = None;
            state.is_told = false;
        });
    }

    fn is_lost(&self) -> bool {
        self.shared.lock().is_lost
    }

    fn target(&self) -> Option<Target> {
        let state = self.shared.lock();
        let focus = state.focus.as_ref()?;
        Some(Target {
            focus: focus.number,
            field: Some(focus.field.clone()),
            program: Some(focus.program.clone()),
            purpose: focus.purpose,
            before: focus.before.clone(),
            shows: true,
            erases: focus.before.is_some(),
            ..Target::default()
        })
    }

    fn show(&mut self, interim: &str) -> Result<(), SinkError> {
        self.call("Preedit", &(self.focus_id()?, interim))?;
        interim.clone_into(&mut self.shared.lock().shown);
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        let focus = self.focus_id()?;
        {
            let mut state = self.shared.lock();
            text.clone_into(&mut state.committed);
            state.shown.clear();
        }
        self.call("Commit", &(focus, text))
    }

    fn erase(&mut self, text: &str) -> Result<(), SinkError> {
        let before = self.target().and_then(|target| target.before);
        let before = before.filter(|before| before.ends_with(text));
        let before = before.ok_or(SinkError::CannotErase)?;
        let n_chars = u32::try_from(text.chars().count()).map_err(SinkError::lost)?;
        self.call("Erase", &(self.focus_id()?, n_chars))?;
        self.shared
            .wait(ERASE_TIMEOUT, |state| state.before() != Some(&before));
        Ok(())
    }

    fn receipt(&mut self, limit: Duration) -> Receipt {
        let tells = self.shared.lock().before().is_some();
        let has_arrived = |state: &State| {
            state
                .before()
                .is_some_and(|before| before.ends_with(&state.committed))
        };
        if tells && self.shared.wait(limit, has_arrived) {
            Receipt::Inserted
        } else {
            Receipt::Sent
        }
    }
}

impl State {
    fn before(&self) -> Option<&str> {
        self.focus.as_ref()?.before.as_deref()
    }

    fn take_focus(&mut self, id: u32, field: String, program: String, capabilities: u64) {
        self.is_told = true;
        if field.is_empty() {
            self.focus = None;
            return;
        }
        let purpose = purpose(capabilities);
        match &mut self.focus {
            // The same field with other capabilities.
            Some(focus) if focus.id == id => focus.purpose = purpose,
            _ => {
                self.shown.clear();
                self.focus = Some(Focus {
                    number: next_focus(),
                    id,
                    field,
                    program,
                    purpose,
                    before: None,
                });
            }
        }
    }

    fn take_surrounding(&mut self, id: u32, text: &str, cursor: u32) {
        if let Some(focus) = self.focus.as_mut().filter(|focus| focus.id == id) {
            focus.before = Some(text.chars().take(cursor as usize).collect());
        }
    }
}

fn purpose(capabilities: u64) -> Purpose {
    if capabilities & PASSWORD != 0 {
        Purpose::Secret
    } else if capabilities & SENSITIVE != 0 {
        Purpose::Private
    } else if capabilities & TERMINAL != 0 {
        Purpose::Terminal
    } else {
        Purpose::Text
    }
}

/// Connects, and starts a thread that takes what the addon tells until Fcitx ends.
async fn connect(shared: Arc<Watched<State>>) -> zbus::Result<Connection> {
    let connection = Builder::session()
        .method_timeout(CALL_TIMEOUT)
        .build()
        .await?;
    let bus = DBusProxy::new(&connection).await?;
    let owners = bus
        .receive_name_owner_changed_with_args(&[(0, NAME)])
        .await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .interface(NAME)
        .build()?;
    let signals = MessageStream::for_match_rule(rule, &connection, None).await?;
    if !bus.name_has_owner(NAME.try_into()?).await? {
        let reason = "Fcitx 5 is not running, or does not have Hearken's addon".to_owned();
        return Err(zbus::Error::Failure(reason));
    }
    std::thread::spawn(move || {
        let signals = signals.filter_map(async |message| message.ok()).map(Some);
        let mut events = stream::select(signals.boxed(), owners.map(|_| None).boxed());
        zbus::block_on(async {
            while let Some(Some(message)) = events.next().await {
                take(&shared, &message);
            }
        });
        shared.change(|state| {
            *state = State {
                is_lost: true,
                ..State::default()
            };
        });
    });
    Ok(connection)
}

fn take(shared: &Watched<State>, message: &Message) {
    let (header, body) = (message.header(), message.body());
    match header.member().map(|member| member.as_str()) {
        Some("Focus") => {
            if let Ok((id, field, program, capabilities)) = body.deserialize() {
                shared.change(|state| state.take_focus(id, field, program, capabilities));
            }
        }
        Some("Surrounding") => {
            if let Ok((id, text, cursor)) = body.deserialize::<(u32, String, u32)>() {
                shared.change(|state| state.take_surrounding(id, &text, cursor));
            }
        }
        _ => {}
    }
}

fn unavailable(reason: impl ToString) -> SinkError {
    SinkError::unavailable(Method::Fcitx.name(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_tell_what_a_field_is_for() {
        assert_eq!(purpose(PASSWORD | TERMINAL), Purpose::Secret);
        assert_eq!(purpose(SENSITIVE), Purpose::Private);
        assert_eq!(purpose(TERMINAL), Purpose::Terminal);
        assert_eq!(purpose(1 << 1 | 1 << 6), Purpose::Text);
    }

    #[test]
    fn a_text_belongs_to_its_focus() {
        let mut state = State::default();
        state.take_focus(1, "a".into(), "gedit".into(), 0);
        let first = state.focus.as_ref().expect("a focus").number;
        state.take_surrounding(1, "Grüße, Welt", 6);
        assert_eq!(state.before(), Some("Grüße,"));
        state.take_focus(1, "a".into(), "gedit".into(), PASSWORD);
        assert_eq!(state.focus.as_ref().expect("a focus").number, first);
        state.take_focus(2, "b".into(), "gedit".into(), 0);
        state.take_surrounding(1, "late", 4);
        assert_eq!(state.before(), None);
        state.take_focus(0, String::new(), String::new(), 0);
        assert!(state.focus.is_none());
    }
}
