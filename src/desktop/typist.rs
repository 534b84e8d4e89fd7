//! Writes what a session hears into the focused field.
//!
//! In: events of the session, changes of the focus. Out: edits by the router, reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::advice::Advice;
use crate::client::session::ClientEvent;
use crate::filter::Filter;
use crate::input::router::{Outcome, Router};
use crate::input::sink::{SinkError, Target, Wake};
use crate::input::writer::{Edit, Heard, Misdeletion, Refusal, Writer, misdeletion};
use crate::settings::TypeSettings;
use crate::settings::desktop::Purpose;
use crate::settings::profile::Profile;

/// Number of texts that are kept.
const N_KEPT: usize = 20;
/// Time in which a field tells what is to be deleted.
const UNDO_TIMEOUT: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Most characters before the cursor that the recogniser reads.
const N_CONTEXT: usize = 500;
/// Time that a field has to show a text.
const RECEIPT_TIMEOUT: Duration = Duration::from_millis(400);

/// What became of something. Never holds text that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// An edit, by which method, and its length in characters.
    Written {
        outcome: Outcome,
        method: &'static str,
        characters: usize,
    },
    /// Text was kept, since its field was not there.
    Kept,
    /// Something could not be done; why.
    Failed(String),
    /// Dictation is to stop.
    Stop,
}

/// A writer and the methods that do what it says.
pub struct Typist {
    router: Router,
    writer: Writer,
    filter: Option<Filter>,
    target: Option<Target>,
    /// Latest texts, the last one first.
    texts: VecDeque<String>,
    /// Text of the utterance that is being spoken.
    current: String,
}

impl Typist {
    /// Opens the methods. `wake` is called when a target changes; call [`Self::refocus`] then. With a
    /// `filter`, text is written once its utterance has ended and the filter has seen it.
    pub fn open(
        settings: &TypeSettings,
        profiles: &[Profile],
        hotwords: &[String],
        filter: Option<Filter>,
        wake: &Wake,
    ) -> Self {
        Self {
            router: Router::open(&settings.methods, wake),
            writer: Writer::new(settings.clone(), profiles.to_vec(), hotwords.to_vec()),
            filter,
            target: None,
            texts: VecDeque::new(),
            current: String::new(),
        }
    }

    /// Begins a dictation.
    pub fn begin(&mut self) -> Vec<Report> {
        self.router.begin();
        self.refocus()
    }

    /// Ends a dictation: what waits for its field is kept, and the user's input method is as before.
    pub fn end(&mut self) -> Vec<Report> {
        let mut reports = self.refocus();
        let edits = self.writer.end();
        reports.extend(self.apply(edits));
        self.router.end();
        self.target = None;
        reports
    }

    /// Name of the method in use; empty without one.
    pub fn method(&self) -> &'static str {
        self.router.method()
    }

    /// Why nothing can be written; empty if something can.
    pub fn trouble(&self) -> String {
        match &self.target {
            Some(target) if !self.writer.style().allows(target.purpose) => {
                SinkError::Secret.to_string()
            }
            Some(_) => String::new(),
            None => SinkError::NoTarget.to_string(),
        }
    }

    /// Whether the field shows interim text.
    pub fn shows(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.shows)
    }

    /// Whether text may be shown elsewhere: not that of a password.
    pub fn may_show(&self) -> bool {
        let target = self.target.as_ref();
        target.is_none_or(|target| self.writer.style().allows(target.purpose))
    }

    /// Returns the text that was kept last.
    pub fn last_text(&self) -> Option<&str> {
        self.texts.front().map(String::as_str)
    }

    /// Looks which field has the focus.
    pub fn refocus(&mut self) -> Vec<Report> {
        let methods = self.writer.style().methods;
        self.target = self.router.target(&methods);
        let edits = self.writer.focus(self.target.clone());
        self.apply(edits)
    }

    /// Writes the text of an event, if it has any.
    pub fn hear(&mut self, event: &ClientEvent) -> Vec<Report> {
        let mut reports = self.refocus();
        let (text, failure) = self.filtered(event);
        reports.extend(failure);
        let heard = match event {
            ClientEvent::Partial {
                utterance,
                committed,
                interim,
                language,
                ..
            } => Heard {
                utterance: *utterance,
                committed: if self.filter.is_some() { "" } else { committed },
                interim: if self.filter.is_some() {
                    &text
                } else {
                    interim
                },
                language,
                is_final: false,
            },
            ClientEvent::Final {
                utterance,
                language,
                ..
            } => Heard {
                utterance: *utterance,
                committed: &text,
                interim: "",
                language,
                is_final: true,
            },
            _ => return reports,
        };
        let edits = self.writer.hear(heard);
        reports.extend(self.apply(edits));
        if heard.is_final {
            let text = std::mem::take(&mut self.current);
            self.remember(text);
        }
        reports
    }

    /// Returns the text of an event as far as it is to be written, and why it is unfiltered if the
    /// filter has failed. What the filter has not seen is only shown.
    fn filtered(&self, event: &ClientEvent) -> (String, Option<Report>) {
        match (event, &self.filter) {
            (
                ClientEvent::Partial {
                    committed, interim, ..
                },
                Some(_),
            ) => (format!("{committed}{interim}"), None),
            (ClientEvent::Final { text, .. }, Some(filter)) if !text.is_empty() => {
                match filter.apply(text) {
                    Ok(filtered) => (filtered, None),
                    Err(error) => (text.clone(), Some(Report::Failed(error.explain()))),
                }
            }
            (ClientEvent::Final { text, .. }, _) => (text.clone(), None),
            _ => (String::new(), None),
        }
    }

    /// Deletes the last utterance of the focused field.
    pub fn undo(&mut self) -> Vec<Report> {
        let mut reports = self.refocus();
        let until = Instant::now() + UNDO_TIMEOUT;
        loop {
            match self.writer.undo() {
                Ok(edit) => {
                    reports.extend(self.apply(vec![edit]));
                    return reports;
                }
                // A field that has the focus anew tells its name and text a little later.
                Err(Refusal::Nothing | Refusal::Unknown) if Instant::now() < until => {
                    std::thread::sleep(POLL_INTERVAL);
                    reports.extend(self.refocus());
                }
                Err(refusal) => {
                    reports.push(Report::Failed(refusal.explain()));
                    return reports;
                }
            }
        }
    }

    /// Puts in one of the latest texts again; 0 is the last.
    ///
    /// # Errors
    /// Returns an error if there is no such text, or if it could not be put in.
    pub fn again(&mut self, n: usize) -> Result<Outcome, SinkError> {
        let text = self.texts.get(n).cloned();
        let text = text.ok_or_else(|| SinkError::lost("there is no such text"))?;
        self.put_in(&text)
    }

    /// Puts a text in as it is, and waits for its receipt.
    ///
    /// # Errors
    /// Returns an error if it could not be put in.
    pub fn put_in(&mut self, text: &str) -> Result<Outcome, SinkError> {
        self.refocus();
        let target = self.target.clone().ok_or(SinkError::NoTarget)?;
        let style = self.writer.style();
        if !style.allows(target.purpose) {
            return Err(SinkError::Secret);
        }
        let text = style.cleaned(target.purpose, text);
        self.router.commit(&text, &target, &style.methods)?;
        Ok(self.router.receipt(RECEIPT_TIMEOUT))
    }

    /// Returns the text before the cursor for the recogniser: empty if it must not have any, `None`
    /// while an utterance is spoken, whose words it knows itself.
    pub fn context(&self) -> Option<&str> {
        if self.writer.is_speaking() {
            return None;
        }
        let target = self.target.as_ref();
        let target = target.filter(|target| {
            let is_open = matches!(target.purpose, Purpose::Text | Purpose::Terminal);
            is_open && self.writer.style().context
        });
        let before = target.and_then(|target| target.before.as_deref());
        let before = before.unwrap_or_default();
        let n = before.chars().count().saturating_sub(N_CONTEXT);
        let start = before.char_indices().nth(n);
        Some(start.map_or("", |(at, _)| &before[at..]))
    }

    /// The methods.
    pub fn router(&mut self) -> &mut Router {
        &mut self.router
    }

    fn apply(&mut self, edits: Vec<Edit>) -> Vec<Report> {
        let mut reports = Vec::new();
        for edit in edits {
            match edit {
                // What is shown is gone with its target.
                Edit::Show(interim) => drop(self.router.show(&interim)),
                Edit::Commit(text) => reports.extend(self.commit(text)),
                Edit::Erase(text) => reports.push(self.erase(&text)),
                Edit::Keep(text) => {
                    self.remember(text);
                    reports.push(Report::Kept);
                }
                Edit::Undo => reports.extend(self.undo()),
                Edit::Stop => reports.push(Report::Stop),
            }
        }
        reports
    }

    /// Deletes `text`, and looks again: some programs delete more, or less.
    fn erase(&mut self, text: &str) -> Report {
        let before = self.target.take().and_then(|target| target.before);
        let erased = self.router.erase(text);
        let written = self.written(text);
        match erased.and_then(|()| self.mend(text, before)) {
            Ok(()) => written,
            Err(error) => Report::Failed(error.explain()),
        }
    }

    /// Puts right what a deletion of `text`, which ended `before`, has left.
    fn mend(&mut self, text: &str, before: Option<String>) -> Result<(), SinkError> {
        let methods = self.writer.style().methods;
        self.target = self.router.target(&methods);
        let (Some(before), Some(target)) = (before, self.target.clone()) else {
            return Ok(());
        };
        let expected = before.strip_suffix(text);
        // An unchanged text means that the field has not reported yet.
        let now = target.before.as_ref().filter(|now| **now != before);
        let wrong = expected
            .zip(now)
            .and_then(|(expected, now)| misdeletion(expected, now));
        match wrong {
            Some(Misdeletion::Missing(text)) => self.router.commit(text, &target, &methods),
            Some(Misdeletion::Left(text)) => self.router.erase(text),
            None => Ok(()),
        }
    }

    fn commit(&mut self, text: String) -> Vec<Report> {
        let style = self.writer.style();
        let committed = match &self.target {
            Some(target) => self.router.commit(&text, target, &style.methods),
            None => Err(SinkError::NoTarget),
        };
        match committed {
            Ok(()) => {
                self.current.push_str(&text);
                vec![self.written(&text)]
            }
            Err(error) => {
                self.writer.lost(&text);
                self.remember(text);
                vec![Report::Failed(error.explain()), Report::Kept]
            }
        }
    }

    /// A receipt that comes later is not waited for while somebody speaks.
    fn written(&mut self, text: &str) -> Report {
        Report::Written {
            outcome: self.router.receipt(Duration::ZERO),
            method: self.router.method(),
            characters: text.chars().count(),
        }
    }

    fn remember(&mut self, text: String) {
        let text = text.trim().to_owned();
        if !text.is_empty() {
            self.texts.push_front(text);
            self.texts.truncate(N_KEPT);
        }
    }
}
