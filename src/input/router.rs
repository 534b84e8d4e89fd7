//! Which method serves the field that has the focus.
//!
//! In: the methods in their order. Out: the target of the first that has one, and what became of each
//! edit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

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

/// All methods that there are here.
pub struct Router {
    sinks: Vec<Box<dyn TextSink>>,
    /// Why the others are not among them.
    missing: Vec<SinkError>,
    /// Index of the method that serves the current focus.
    chosen: Option<usize>,
    /// Whether an input method is among the methods.
    has_input_method: bool,
    windows: Option<Windows>,
}

impl Router {
    /// Opens the methods that are available. `wake` is called when a target changes.
    pub fn open(methods: &[Method], wake: &Wake) -> Self {
        let mut sinks = Vec::new();
        let mut missing = Vec::new();
        for method in methods {
            match open(*method, wake) {
                Ok(sink) => sinks.push(sink),
                Err(error) => missing.push(error),
            }
        }
        let has_input_method = sinks.iter().any(|sink| is_input_method(sink.method()));
        Self {
            sinks,
            missing,
            has_input_method,
            chosen: None,
            windows: X11::connect().ok().map(Windows::new),
        }
    }

    /// Why methods are missing.
    pub fn missing(&self) -> &[SinkError] {
        &self.missing
    }

    /// Prepares the methods for a dictation.
    pub fn begin(&mut self) {
        for sink in &mut self.sinks {
            // A method that cannot begin has no target.
            let _ = sink.begin();
        }
    }

    /// Gives back what the methods have taken.
    pub fn end(&mut self) {
        for sink in &mut self.sinks {
            sink.end();
        }
        self.chosen = None;
    }

    /// Name of the method in use; empty without one.
    pub fn method(&self) -> &'static str {
        self.chosen.map_or("", |chosen| self.sinks[chosen].name())
    }

    /// Returns the field that has the focus, as the first method of `methods` with a target sees it.
    pub fn target(&mut self, methods: &[Method]) -> Option<Target> {
        let found = self.sinks.iter().enumerate().find_map(|(i, sink)| {
            let is_wanted = methods.contains(&sink.method());
            let target = is_wanted.then(|| sink.target()).flatten()?;
            Some((i, target))
        });
        self.chosen = found.as_ref().map(|(i, _)| *i);
        let (chosen, mut target) = found?;
        if let Some(windows) = &mut self.windows {
            if is_input_method(self.sinks[chosen].method()) {
                windows.note();
            } else if self.has_input_method && windows.have_input_method() {
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
        let now = self.sinks[first].target().ok_or(SinkError::NoTarget)?;
        if now.focus != target.focus {
            return Err(SinkError::NoTarget);
        }
        let mut failure = None;
        for i in first..self.sinks.len() {
            let sink = &mut self.sinks[i];
            if !methods.contains(&sink.method()) || sink.target().is_none() {
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

    /// Returns the selections that are ours, which end with this process.
    pub fn held_board(&mut self) -> Option<&mut dyn Board> {
        let boards = self.sinks.iter_mut().filter_map(|sink| sink.board());
        boards.into_iter().find(|board| board.held().is_some())
    }

    fn chosen(&mut self) -> Result<&mut Box<dyn TextSink>, SinkError> {
        let chosen = self.chosen.ok_or(SinkError::NoTarget)?;
        Ok(&mut self.sinks[chosen])
    }
}

fn is_input_method(method: Method) -> bool {
    matches!(method, Method::Ibus | Method::Fcitx | Method::Wayland)
}

fn open(method: Method, wake: &Wake) -> Result<Box<dyn TextSink>, SinkError> {
    Ok(match method {
        Method::Ibus => Box::new(IbusSink::open(Arc::clone(wake))?),
        Method::Paste => Box::new(PasteSink::new(board()?)),
        Method::Clipboard => Box::new(ClipboardSink::new(board()?)),
        Method::Xtest => Box::new(XtestSink::open()?),
        Method::Wayland => Box::new(WaylandSink::open(Arc::clone(wake))?),
        Method::Fcitx => {
            return Err(SinkError::unavailable(method.name(), "it is not there"));
        }
    })
}

/// Opens the selections of the window system.
///
/// # Errors
/// Returns an error if there is no window system, or if it does not let programs use the selections.
pub fn board() -> Result<Box<dyn Board>, SinkError> {
    if std::env::var_os("WAYLAND_DISPLAY").is_some() {
        return Ok(Box::new(WaylandBoard::open()?));
    }
    Ok(Box::new(X11Board::open()?))
}

/// X11's programs that use an input method. If one of them has the focus and the input method has no
/// target, a password has it (GTK 3 keeps that from the input method), or nothing that takes text.
struct Windows {
    x11: X11,
    served: HashSet<u32>,
}

impl Windows {
    fn new(x11: X11) -> Self {
        Self {
            x11,
            served: HashSet::new(),
        }
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
