//! Text by `zwp_input_method_v2`, which the compositors of wlroots, Hyprland, niri and COSMIC have.
//!
//! Keys are left alone: nobody grabs the keyboard. Only one program at a time can be the input method
//! of a seat, so Hearken is it only while it listens.

use std::sync::Arc;
use std::time::Duration;

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_seat::{self, WlSeat};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, WEnum};
use wayland_protocols::wp::text_input::zv3::client::zwp_text_input_v3::{
    ContentHint, ContentPurpose,
};
use wayland_protocols_misc::zwp_input_method_v2::client::zwp_input_method_manager_v2::{
    self, ZwpInputMethodManagerV2,
};
use wayland_protocols_misc::zwp_input_method_v2::client::zwp_input_method_v2::{
    self, ZwpInputMethodV2,
};

use super::connection::{connect, unavailable};
use crate::input::sink::{Receipt, SinkError, Target, TextSink, Wake, next_focus};
use crate::input::watched::Watched;
use crate::settings::desktop::{Method, Purpose};

/// How long the compositor may take to tell which field has the focus.
const FOCUS_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a field may take to report a deletion.
const ERASE_TIMEOUT: Duration = Duration::from_millis(150);

/// An input method of the compositor.
pub struct WaylandSink {
    connection: Connection,
    manager: ZwpInputMethodManagerV2,
    seat: WlSeat,
    queue: QueueHandle<Reader>,
    method: Option<ZwpInputMethodV2>,
    shared: Arc<Watched<State>>,
}

/// What the compositor has told.
#[derive(Default)]
struct State {
    /// Number of the focus; `None` if no field has it.
    focus: Option<u64>,
    field: Field,
    /// Number of `done` events, which each edit names.
    serial: u32,
    committed: String,
    shown: String,
    /// Another input method has the seat.
    is_taken: bool,
    /// The compositor has ended.
    is_lost: bool,
}

/// State of a field. It is complete with `done`.
#[derive(Default, Clone)]
struct Field {
    is_active: bool,
    purpose: Purpose,
    before: Option<String>,
}

/// Receives events.
struct Reader {
    shared: Arc<Watched<State>>,
    pending: Field,
}

impl WaylandSink {
    /// Connects to the compositor. `wake` is called when the focused field changes.
    ///
    /// # Errors
    /// Returns an error if there is no compositor, or if it lets no program be an input method.
    pub fn open(wake: Wake) -> Result<Self, SinkError> {
        let connection = connect()?;
        let (globals, events) = registry_queue_init::<Reader>(&connection).map_err(unavailable)?;
        let queue = events.handle();
        let seat = globals.bind(&queue, 1..=1, ()).map_err(unavailable)?;
        let manager = globals.bind(&queue, 1..=1, ());
        let shared = Arc::new(Watched::new(State::default(), wake));
        let reader = Reader {
            shared: Arc::clone(&shared),
            pending: Field::default(),
        };
        let manager = manager.map_err(|_| {
            unavailable("the compositor does not have the protocol input-method-v2")
        })?;
        std::thread::spawn(move || read(events, reader));
        Ok(Self {
            connection,
            manager,
            seat,
            queue,
            method: None,
            shared,
        })
    }

    /// Sends an edit: the requests of `edit`, then that they are complete.
    fn edit(&self, edit: impl FnOnce(&ZwpInputMethodV2)) -> Result<(), SinkError> {
        let method = self.method.as_ref().ok_or(SinkError::NoTarget)?;
        let serial = {
            let state = self.shared.lock();
            state.focus.ok_or(SinkError::NoTarget)?;
            state.serial
        };
        edit(method);
        method.commit(serial);
        self.connection.flush().map_err(SinkError::lost)
    }
}

impl TextSink for WaylandSink {
    fn method(&self) -> Method {
        Method::Wayland
    }

    fn name(&self) -> &'static str {
        "wayland-v2"
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.shared.change(|state| {
            *state = State {
                is_lost: state.is_lost,
                ..State::default()
            };
        });
        self.method = Some(self.manager.get_input_method(&self.seat, &self.queue, ()));
        self.connection.flush().map_err(SinkError::lost)?;
        self.shared.wait(FOCUS_TIMEOUT, |state| {
            state.focus.is_some() || state.is_taken || state.is_lost
        });
        Ok(())
    }

    fn end(&mut self) {
        if !self.shared.lock().shown.is_empty() {
            // The field is gone otherwise.
            let _ = self.show("");
        }
        if let Some(method) = self.method.take() {
            method.destroy();
            // A lost compositor has no input method.
            let _ = self.connection.flush();
        }
        self.shared.change(|state| state.focus = None);
    }

    fn is_lost(&self) -> bool {
        self.shared.lock().is_lost
    }

    fn target(&self) -> Option<Target> {
        self.method.as_ref()?;
        let state = self.shared.lock();
        Some(Target {
            focus: state.focus?,
            purpose: state.field.purpose,
            before: state.field.before.clone(),
            shows: true,
            erases: state.field.before.is_some(),
            ..Target::default()
        })
    }

    fn show(&mut self, interim: &str) -> Result<(), SinkError> {
        let end = i32::try_from(interim.len()).unwrap_or(i32::MAX);
        self.edit(|method| method.set_preedit_string(interim.to_owned(), end, end))?;
        interim.clone_into(&mut self.shared.lock().shown);
        Ok(())
    }

    fn commit(&mut self, text: &str) -> Result<(), SinkError> {
        {
            let mut state = self.shared.lock();
            text.clone_into(&mut state.committed);
            // An edit without interim text clears it.
            state.shown.clear();
        }
        self.edit(|method| method.commit_string(text.to_owned()))
    }

    fn erase(&mut self, text: &str) -> Result<(), SinkError> {
        let before = self.target().and_then(|target| target.before);
        let before = before.filter(|before| before.ends_with(text));
        let before = before.ok_or(SinkError::CannotErase)?;
        let n_bytes = u32::try_from(text.len()).map_err(SinkError::lost)?;
        self.edit(|method| method.delete_surrounding_text(n_bytes, 0))?;
        self.shared.wait(ERASE_TIMEOUT, |state| {
            state.field.before.as_ref() != Some(&before)
        });
        Ok(())
    }

    fn receipt(&mut self, limit: Duration) -> Receipt {
        let tells = self.shared.lock().field.before.is_some();
        let has_arrived = |state: &State| {
            let before = state.field.before.as_deref();
            before.is_some_and(|before| before.ends_with(&state.committed))
        };
        if tells && self.shared.wait(limit, has_arrived) {
            Receipt::Inserted
        } else {
            Receipt::Sent
        }
    }
}

impl Drop for WaylandSink {
    fn drop(&mut self) {
        self.end();
    }
}

/// Receives events until the connection ends.
fn read(mut events: EventQueue<Reader>, mut reader: Reader) {
    while events.blocking_dispatch(&mut reader).is_ok() {}
    reader.shared.change(|state| {
        *state = State {
            is_lost: true,
            ..State::default()
        };
    });
}

impl Dispatch<ZwpInputMethodV2, ()> for Reader {
    fn event(
        reader: &mut Self,
        _: &ZwpInputMethodV2,
        event: zwp_input_method_v2::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwp_input_method_v2::Event;
        match event {
            Event::Activate => {
                reader.pending = Field {
                    is_active: true,
                    ..Field::default()
                };
                // A field that has the focus anew, even if another had it before.
                reader.shared.change(|state| state.focus = None);
            }
            Event::Deactivate => reader.pending.is_active = false,
            Event::SurroundingText { text, cursor, .. } => {
                let before = text.get(..cursor as usize);
                reader.pending.before = before.map(str::to_owned);
            }
            Event::ContentType { hint, purpose } => {
                reader.pending.purpose = purpose_of(hint, purpose);
            }
            Event::Done => {
                let pending = reader.pending.clone();
                reader.shared.change(|state| state.done(pending));
            }
            Event::Unavailable => reader.shared.change(|state| state.is_taken = true),
            _ => {}
        }
    }
}

impl State {
    fn done(&mut self, field: Field) {
        self.serial = self.serial.wrapping_add(1);
        if !field.is_active {
            self.focus = None;
            self.shown.clear();
        } else if self.focus.is_none() {
            self.focus = Some(next_focus());
            self.shown.clear();
        }
        self.field = field;
    }
}

fn purpose_of(hint: WEnum<ContentHint>, purpose: WEnum<ContentPurpose>) -> Purpose {
    let has = |wanted| hint.into_result().is_ok_and(|hint| hint.contains(wanted));
    match purpose {
        WEnum::Value(ContentPurpose::Password | ContentPurpose::Pin) => Purpose::Secret,
        _ if has(ContentHint::HiddenText) => Purpose::Secret,
        _ if has(ContentHint::SensitiveData) => Purpose::Private,
        WEnum::Value(ContentPurpose::Terminal) => Purpose::Terminal,
        _ => Purpose::Text,
    }
}

/// Objects whose events say nothing.
macro_rules! silent {
    ($($object:ty, $event:ty, $data:ty);+) => {$(
        impl Dispatch<$object, $data> for Reader {
            fn event(
                _: &mut Self, _: &$object, _: $event, _: &$data, _: &Connection, _: &QueueHandle<Self>,
            ) {
            }
        }
    )+};
}

silent!(
    WlRegistry, wl_registry::Event, GlobalListContents;
    WlSeat, wl_seat::Event, ();
    ZwpInputMethodManagerV2, zwp_input_method_manager_v2::Event, ()
);
