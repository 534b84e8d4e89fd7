//! Which method serves the field that has the focus.
//!
//! In: the methods in their order. Out: the target of the first that has one, and what became of each
//! edit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fcitx::FcitxSink;
use super::guard::Guard;
use super::ibus::IbusSink;
use super::paste::{ClipboardSink, PasteSink};
use super::sink::{Board, Receipt, SinkError, Target, TextSink, Wake};
use super::wayland::{WaylandBoard, WaylandSink};
use super::x11::{X11, X11Board, XtestSink};
use crate::settings::desktop::{Method, Purpose};

/// What became of an edit. The numbers are those on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// The field has it.
    Inserted = 1,
    /// It was sent to a live target, which does not answer.
    Sent = 2,
    /// It could not be put in.
    Failed = 3,
}

/// Time between two attempts to reach a window system or an input method that has ended.
const RETRY: Duration = Duration::from_secs(1);

/// All methods that there are here.
pub struct Router {
    slots: Vec<Slot>,
    wake: Wake,
    guard: Guard,
    /// Index of the method that serves the current focus.
    chosen: Option<usize>,
    windows: Option<Windows>,
    is_dictating: bool,
    /// Last time that lost methods were looked for.
    looked: Instant,
}

/// A method, or why it is missing.
struct Slot {
    method: Method,
    sink: Result<Box<dyn TextSink>, SinkError>,
}

impl Router {
    /// Opens the methods that are available. `wake` is called when a target changes.
    pub fn open(methods: &[Method], wake: &Wake) -> Self {
        let guard = Guard::default();
        let slot = |method: &Method| Slot {
            method: *method,
            sink: open(*method, wake, &guard),
        };
        Self {
            slots: methods.iter().map(slot).collect(),
            wake: Arc::clone(wake),
            guard: guard.clone(),
            chosen: None,
            windows: Windows::open(),
            is_dictating: false,
            looked: Instant::now(),
        }
    }

    /// Why methods are missing.
    pub fn missing(&self) -> impl Iterator<Item = &SinkError> {
        self.slots
            .iter()
            .filter_map(|slot| slot.sink.as_ref().err())
    }

    /// Prepares the methods for a dictation. What was missing may be there by now.
    pub fn begin(&mut self) {
        for slot in &mut self.slots {
            if slot.sink.as_ref().map_or(true, |sink| sink.is_lost()) {
                slot.sink = open(slot.method, &self.wake, &self.guard);
            }
        }
        if self
            .windows
            .as_ref()
            .is_none_or(|windows| windows.x11.is_lost())
        {
            self.windows = Windows::open();
        }
        self.is_dictating = true;
        for sink in self.sinks() {
            // A method that cannot begin has no target.
            let _ = sink.begin();
        }
    }

    /// Gives back what the methods have taken.
    pub fn end(&mut self) {
        for sink in self.sinks() {
            sink.end();
        }
        self.is_dictating = false;
        self.chosen = None;
    }

    /// Opens methods anew whose connection has ended during a dictation.
    fn revive(&mut self) {
        if !self.is_dictating || self.looked.elapsed() < RETRY {
            return;
        }
        self.looked = Instant::now();
        for slot in &mut self.slots {
            let is_lost = slot.sink.as_ref().is_ok_and(|sink| sink.is_lost());
            if is_lost && let Ok(mut sink) = open(slot.method, &self.wake, &self.guard) {
                // A method that cannot begin has no target.
                let _ = sink.begin();
                slot.sink = Ok(sink);
            }
        }
        if self
            .windows
            .as_ref()
            .is_some_and(|windows| windows.x11.is_lost())
        {
            self.windows = Windows::open();
        }
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut Box<dyn TextSink>> {
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.sink.as_mut().ok())
    }

    fn has_input_method(&self) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|slot| slot.sink.is_ok() && is_input_method(slot.method))
    }

    /// Name of the method in use; empty without one.
    pub fn method(&self) -> &'static str {
        let chosen = self.chosen.and_then(|i| self.slots[i].sink.as_ref().ok());
        chosen.map_or("", |sink| sink.name())
    }

    /// Returns the field that has the focus, as the first method of `methods` with a target sees it.
    pub fn target(&mut self, methods: &[Method]) -> Option<Target> {
        self.revive();
        let found = self.slots.iter_mut().enumerate().find_map(|(i, slot)| {
            let sink = slot.sink.as_mut().ok()?;
            if !methods.contains(&slot.method) {
                return None;
            }
            sink.follow();
            Some((i, sink.target()?))
        });
        self.chosen = found.as_ref().map(|(i, _)| *i);
        let (chosen, mut target) = found?;
        let has_input_method = self.has_input_method();
        if let Some(windows) = &mut self.windows {
            if is_input_method(self.slots[chosen].method) {
                windows.note();
            } else if has_input_method && windows.have_input_method() {
                target.purpose = Purpose::Secret;
            }
        }
        Some(target)
    }

    /// Shows interim text.
    pub fn show(&mut self, interim: &str) -> Result<(), SinkError> {
        self.chosen()?.show(interim)
    }

    /// Puts text into the field of `target`. If the method fails, the next ones that have a target
    /// are tried, as long as the focus has not moved.
    ///
    /// # Errors
    /// Returns the first error if all methods fail.
    pub fn commit(
        &mut self,
        text: &str,
        target: &Target,
        methods: &[Method],
    ) -> Result<(), SinkError> {
        let first = self.chosen.ok_or(SinkError::NoTarget)?;
        let now = self.chosen()?.target().ok_or(SinkError::NoTarget)?;
        if now.focus != target.focus {
            return Err(SinkError::NoTarget);
        }
        let mut failure = None;
        for (i, slot) in self.slots.iter_mut().enumerate().skip(first) {
            let Ok(sink) = &mut slot.sink else {
                continue;
            };
            if !methods.contains(&slot.method) || sink.target().is_none() {
                continue;
            }
            match sink.commit(text) {
                Ok(()) => {
                    self.chosen = Some(i);
                    return Ok(());
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(SinkError::NoTarget))
    }

    /// Deletes text before the cursor.
    ///
    /// # Errors
    /// Returns an error if nothing was deleted.
    pub fn erase(&mut self, text: &str) -> Result<(), SinkError> {
        self.chosen()?.erase(text)
    }

    /// Waits at most `limit` for the receipt of the last commit.
    pub fn receipt(&mut self, limit: Duration) -> Outcome {
        match self.chosen().map(|sink| sink.receipt(limit)) {
            Ok(Receipt::Inserted) => Outcome::Inserted,
            Ok(Receipt::Sent) => Outcome::Sent,
            Err(_) => Outcome::Failed,
        }
    }

    /// Hands the selections that are ours to a process of their own: they end with their owner.
    ///
    /// # Errors
    /// Returns an error if they end with this process.
    pub fn leave_selections(&mut self) -> Result<(), SinkError> {
        let held = self
            .sinks()
            .filter_map(|sink| sink.board())
            .find_map(|board| board.held());
        let is_kept = held.is_none_or(|held| self.guard.hand_over(held));
        let lost =
            || SinkError::lost("the clipboard is lost: no process can be started to keep it");
        is_kept.then_some(()).ok_or_else(lost)
    }

    fn chosen(&mut self) -> Result<&mut Box<dyn TextSink>, SinkError> {
        let chosen = self.chosen.ok_or(SinkError::NoTarget)?;
        let sink = self.slots[chosen].sink.as_mut();
        sink.map_err(|error| error.clone())
    }
}

fn is_input_method(method: Method) -> bool {
    matches!(method, Method::Ibus | Method::Fcitx | Method::Wayland)
}

fn open(method: Method, wake: &Wake, guard: &Guard) -> Result<Box<dyn TextSink>, SinkError> {
    Ok(match method {
        Method::Ibus => Box::new(IbusSink::open(Arc::clone(wake), guard.clone())?),
        Method::Paste => Box::new(PasteSink::new(board(guard)?)),
        Method::Clipboard => Box::new(ClipboardSink::new(board(guard)?)),
        Method::Xtest => Box::new(XtestSink::open(guard.clone())?),
        Method::Wayland => Box::new(WaylandSink::open(Arc::clone(wake))?),
        Method::Fcitx => Box::new(FcitxSink::open(Arc::clone(wake))?),
    })
}

/// Opens the selections of the window system.
///
/// # Errors
/// Returns an error if there is no window system, or if it does not let programs use the selections.
pub fn board(guard: &Guard) -> Result<Box<dyn Board>, SinkError> {
    if std::env::var_os("WAYLAND_DISPLAY").is_some() {
        return Ok(Box::new(WaylandBoard::open(guard.clone())?));
    }
    Ok(Box::new(X11Board::open(guard.clone())?))
}

/// X11's programs that use an input method. If one of them has the focus and the input method has no
/// target, a password has it (GTK 3 keeps that from the input method), or nothing that takes text.
struct Windows {
    x11: X11,
    served: HashSet<u32>,
}

impl Windows {
    fn open() -> Option<Self> {
        Some(Self {
            x11: X11::connect().ok()?,
            served: HashSet::new(),
        })
    }

    fn note(&mut self) {
        self.served
            .extend(self.x11.focus().map(|focus| focus.client));
    }

    fn have_input_method(&self) -> bool {
        self.x11.focus().is_some_and(|focus| {
            self.served.contains(&focus.client) || self.x11.has_input_method(&focus)
        })
    }
}
