//! What is written where: the events of a dictation become edits of the focused field.
//!
//! In: committed and interim text, focus changes. Out: edits. Committed text is put in once, in
//! order, into the field in which its utterance began; if that field loses the focus, the rest waits
//! until it is back or the dictation ends. Nothing here knows how an edit is made.

mod undo;

#[cfg(test)]
mod tests;

use super::profile::style_for;
use super::sink::Target;
use super::spacing::{Opening, Rules};
use crate::settings::TypeSettings;
use crate::settings::desktop::{FocusChange, Live, Space};
use crate::settings::profile::Profile;
use undo::{Ledger, is_undo, may_become_undo};
pub use undo::{Misdeletion, Refusal, misdeletion};

/// One step of writing, for the field that has the focus now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Show this interim text instead of what is shown.
    Show(String),
    /// Put this text in.
    Commit(String),
    /// Delete this text, which ends at the cursor.
    Erase(String),
    /// Keep this text, which could not be put in.
    Keep(String),
    /// Delete the last utterance: the user said so.
    Undo,
    /// Stop dictating.
    Stop,
}

/// Text of an utterance, as the session reports it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Number of the utterance.
    pub utterance: u64,
    /// Committed text from the beginning of the utterance; only grows.
    pub committed: &'a str,
    /// Interim text after it.
    pub interim: &'a str,
    /// Code of the language, if it is known.
    pub language: &'a str,
    /// Whether the utterance is over.
    pub is_final: bool,
}

/// State of a dictation.
pub struct Writer {
    style: TypeSettings,
    profiles: Vec<Profile>,
    hotwords: Vec<String>,
    target: Option<Target>,
    utterance: Option<Utterance>,
    held: Vec<Held>,
    ledger: Ledger,
}

/// The utterance that is being spoken.
struct Utterance {
    number: u64,
    /// The field in which it began.
    home: Option<Home>,
    style: TypeSettings,
    language: String,
    opening: Opening,
    /// Length of the committed text that has been taken, in bytes.
    n_taken: usize,
    /// Text that has been taken and not put in.
    waiting: String,
    /// What has been put in.
    written: String,
    /// Interim text that is shown.
    shown: String,
    /// Whether the focus has left its field since the last edit.
    is_away: bool,
}

/// A field, and how it is recognised when it has the focus again.
#[derive(Debug, Clone)]
struct Home {
    target: Target,
    /// Text before the cursor once the field reports the last edit.
    expected: Option<String>,
    /// Interim text that was shown when the focus left; some programs keep it as text.
    tail: String,
}

/// The rest of an utterance whose field has lost the focus.
struct Held {
    home: Home,
    style: TypeSettings,
    text: String,
}

impl Writer {
    /// Creates a writer. The case of `hotwords` stays.
    pub fn new(style: TypeSettings, profiles: Vec<Profile>, hotwords: Vec<String>) -> Self {
        Self {
            style,
            profiles,
            hotwords,
            target: None,
            utterance: None,
            held: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// Returns the style of the field that has the focus.
    pub fn style(&self) -> TypeSettings {
        self.target.as_ref().map_or_else(
            || self.style.clone(),
            |target| style_for(&self.style, &self.profiles, target),
        )
    }

    /// Whether an utterance has begun and not ended.
    pub fn is_speaking(&self) -> bool {
        self.utterance.is_some()
    }

    /// Takes the field that has the focus now, or its new state.
    pub fn focus(&mut self, target: Option<Target>) -> Vec<Edit> {
        let number = |target: &Option<Target>| target.as_ref().map(|target| target.focus);
        let has_changed = number(&self.target) != number(&target);
        self.target = target;
        let mut edits = Vec::new();
        if has_changed {
            edits.extend(self.leave());
        }
        edits.extend(self.put_in_held());
        if self.utterance.as_ref().is_some_and(|u| u.is_away) && self.come_home() {
            edits.extend(self.clear_kept_tail());
            edits.extend(self.write("", false));
        }
        edits
    }

    /// Takes text of an utterance.
    pub fn hear(&mut self, heard: Heard<'_>) -> Vec<Edit> {
        let mut edits = self.begin(heard);
        let Some(utterance) = &mut self.utterance else {
            return edits;
        };
        utterance.take(heard.committed);
        let is_refused = utterance
            .home
            .as_ref()
            .is_some_and(|home| !utterance.style.allows(home.target.purpose));
        if is_refused {
            utterance.waiting.clear();
        } else if heard.is_final && utterance.written.is_empty() && is_undo(&utterance.waiting) {
            utterance.waiting.clear();
            edits.extend(self.write("", true));
            edits.push(Edit::Undo);
        } else if self.is_home() {
            edits.extend(self.write(heard.interim, heard.is_final));
        }
        if heard.is_final {
            edits.extend(self.conclude());
        }
        edits
    }

    /// Ends the dictation: what has not reached its field is kept.
    pub fn end(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        if let Some(utterance) = self.utterance.take() {
            if !utterance.shown.is_empty() {
                edits.push(Edit::Show(String::new()));
            }
            if !utterance.waiting.is_empty() {
                edits.push(Edit::Keep(utterance.rest().trim_start().to_owned()));
            }
        }
        let held = self.held.drain(..);
        edits.extend(held.map(|held| Edit::Keep(held.text.trim_start().to_owned())));
        edits
    }

    /// Forgets a commit that failed.
    pub fn lost(&mut self, text: &str) {
        self.ledger.lost(text);
        if let Some(utterance) = &mut self.utterance
            && let Some(written) = utterance.written.strip_suffix(text)
        {
            utterance.written = written.to_owned();
        }
    }

    /// Returns the edit that deletes the last utterance of the focused field.
    ///
    /// # Errors
    /// Returns why it cannot be deleted.
    pub fn undo(&mut self) -> Result<Edit, Refusal> {
        self.ledger.undo(self.target.as_ref()).map(Edit::Erase)
    }

    /// Begins an utterance if `heard` is of a new one.
    fn begin(&mut self, heard: Heard<'_>) -> Vec<Edit> {
        let is_known = self
            .utterance
            .as_ref()
            .is_some_and(|utterance| utterance.number == heard.utterance);
        if is_known {
            return Vec::new();
        }
        // The final text of an utterance ends it; one without final text ends here.
        let edits = self.conclude();
        self.utterance = Some(Utterance {
            number: heard.utterance,
            home: self.target.clone().map(Home::new),
            style: self.style(),
            language: heard.language.to_owned(),
            opening: Opening::default(),
            n_taken: 0,
            waiting: String::new(),
            written: String::new(),
            shown: String::new(),
            is_away: false,
        });
        edits
    }

    /// Notes that the focus has left the utterance's field.
    fn leave(&mut self) -> Option<Edit> {
        let utterance = self.utterance.as_mut()?;
        if utterance.is_away {
            return None;
        }
        utterance.is_away = true;
        let shown = std::mem::take(&mut utterance.shown);
        utterance.home.as_mut()?.tail = shown;
        (utterance.style.focus_change == FocusChange::Stop).then_some(Edit::Stop)
    }

    /// Whether the utterance's field has the focus. Follows the field's state if so.
    fn is_home(&mut self) -> bool {
        let (Some(utterance), Some(target)) = (&mut self.utterance, &self.target) else {
            return false;
        };
        let Some(home) = &mut utterance.home else {
            return false;
        };
        if utterance.is_away || home.target.focus != target.focus {
            return false;
        }
        home.target.clone_from(target);
        true
    }

    /// Whether the focus has come back to the utterance's field, or may be followed to another one.
    fn come_home(&mut self) -> bool {
        let (Some(utterance), Some(target)) = (&mut self.utterance, &self.target) else {
            return false;
        };
        let Some(home) = &mut utterance.home else {
            return false;
        };
        let is_back = home.is(target);
        let follows = utterance.style.focus_change == FocusChange::Follow
            && style_for(&self.style, &self.profiles, target).allows(target.purpose);
        if !is_back && !follows {
            return false;
        }
        if !is_back {
            // The rest begins anew in another field.
            home.tail.clear();
            utterance.opening = Opening::default();
            let written = std::mem::take(&mut utterance.written);
            self.ledger
                .add(&home.target, &written, home.expected.take());
        }
        home.target.clone_from(target);
        utterance.is_away = false;
        true
    }

    /// Returns the edit for interim text that the program has kept as text when the focus left.
    fn clear_kept_tail(&mut self) -> Option<Edit> {
        let utterance = self.utterance.as_mut()?;
        let home = utterance.home.as_mut()?;
        let tail = std::mem::take(&mut home.tail);
        let edit = erase_kept(&home.target, &tail);
        if edit.is_some() {
            home.target.before = cut(home.target.before.take(), &tail);
        }
        edit
    }

    /// Writes what may be written into the utterance's field, which has the focus.
    fn write(&mut self, interim: &str, is_final: bool) -> Vec<Edit> {
        let mut edits = Vec::new();
        let Some(utterance) = &mut self.utterance else {
            return edits;
        };
        let Some(target) = utterance.home.as_ref().map(|home| home.target.clone()) else {
            return edits;
        };
        if utterance.written.is_empty() {
            let before = self.ledger.before(&target);
            utterance.open(before.as_deref(), interim, &self.hotwords);
        }
        let by_words = utterance.style.live == Live::Words && !target.whole;
        let may_be_undo =
            utterance.written.is_empty() && may_become_undo(&utterance.waiting, interim);
        if is_final || (by_words && !may_be_undo) {
            edits.extend(utterance.put_in(&target));
        }
        if target.shows && !target.whole && utterance.style.live != Live::Final {
            edits.extend(utterance.show(&target, interim));
        }
        edits
    }

    /// Ends the current utterance, if there is one.
    fn conclude(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        let is_home = self.is_home();
        let Some(mut utterance) = self.utterance.take() else {
            return edits;
        };
        if is_home && !utterance.shown.is_empty() {
            edits.push(Edit::Show(String::new()));
        }
        let space = if utterance.style.space == Space::After {
            " "
        } else {
            ""
        };
        let rest = utterance.rest();
        match utterance.home.take() {
            Some(home) => {
                let mut after = home.expected.clone();
                if is_home && !utterance.written.is_empty() && !space.is_empty() {
                    utterance.written.push_str(space);
                    after = after.map(|after| after + space);
                    edits.push(Edit::Commit(space.to_owned()));
                }
                self.ledger.add(&home.target, &utterance.written, after);
                if !rest.is_empty() {
                    self.held.push(Held {
                        home,
                        style: utterance.style,
                        text: rest + space,
                    });
                }
            }
            None if !rest.is_empty() => edits.push(Edit::Keep(rest)),
            None => {}
        }
        edits
    }

    /// Puts in what waits for the focused field.
    fn put_in_held(&mut self) -> Vec<Edit> {
        let Some(target) = self.target.clone() else {
            return Vec::new();
        };
        let mut edits = Vec::new();
        let style = style_for(&self.style, &self.profiles, &target);
        let mut still_held = Vec::new();
        for held in self.held.drain(..) {
            let follows =
                held.style.focus_change == FocusChange::Follow && style.allows(target.purpose);
            let is_back = held.home.is(&target);
            if !is_back && !follows {
                still_held.push(held);
                continue;
            }
            if is_back {
                edits.extend(erase_kept(&target, &held.home.tail));
            }
            let after = target
                .before
                .as_ref()
                .map(|before| format!("{before}{}", held.text));
            self.ledger.add(&target, &held.text, after);
            edits.push(Edit::Commit(held.text));
        }
        self.held = still_held;
        edits
    }
}

impl Utterance {
    /// Takes what is new of the committed text.
    fn take(&mut self, committed: &str) {
        if let Some(new) = committed.get(self.n_taken..) {
            self.waiting.push_str(new);
            self.n_taken = committed.len();
        }
    }

    /// Decides how the utterance continues `before`; until something is put in, anew each time.
    fn open(&mut self, before: Option<&str>, interim: &str, hotwords: &[String]) {
        let rules = Rules {
            space: self.style.space,
            case: self.style.case,
            language: &self.language,
            hotwords,
        };
        self.opening = Opening::new(before, &format!("{}{interim}", self.waiting), rules);
    }

    /// Returns the edit that puts in what waits.
    fn put_in(&mut self, target: &Target) -> Option<Edit> {
        let text = self.rest();
        self.waiting.clear();
        if text.is_empty() {
            return None;
        }
        if let Some(home) = &mut self.home {
            // A field may not have reported the last edit yet.
            let last = home.expected.take();
            home.expected = target.before.as_ref().map(|before| {
                let last = last.filter(|last| last.starts_with(before));
                last.unwrap_or_else(|| before.clone()) + &text
            });
        }
        self.written.push_str(&text);
        self.shown.clear();
        Some(Edit::Commit(text))
    }

    /// Returns the edit that shows what waits and the interim text.
    fn show(&mut self, target: &Target, interim: &str) -> Option<Edit> {
        let opened = self.opened(&format!("{}{interim}", self.waiting));
        let text = self.style.cleaned(target.purpose, &opened);
        if text == self.shown {
            return None;
        }
        self.shown.clone_from(&text);
        Some(Edit::Show(text))
    }

    /// Returns the waiting text as its field gets it.
    fn rest(&self) -> String {
        let purpose = self.home.as_ref().map(|home| home.target.purpose);
        self.style
            .cleaned(purpose.unwrap_or_default(), &self.opened(&self.waiting))
    }

    /// Returns text that follows what has been written, with space and case if it is the first.
    fn opened(&self, text: &str) -> String {
        if self.written.is_empty() {
            self.opening.apply(text)
        } else {
            text.to_owned()
        }
    }
}

impl Home {
    fn new(target: Target) -> Self {
        Self {
            target,
            expected: None,
            tail: String::new(),
        }
    }

    /// Whether `target` is this field. Several fields of a program may have one name; then the text
    /// before the cursor tells them apart.
    fn is(&self, target: &Target) -> bool {
        if self.target.focus == target.focus {
            return true;
        }
        let has_name = target.field.is_some();
        if !self.target.has_name_of(target) {
            return false;
        }
        match (&self.target.before, &target.before) {
            (Some(then), Some(now)) => {
                let is_text = |text: &str| {
                    *now == *text || now.strip_suffix(&self.tail).is_some_and(|now| now == text)
                };
                (has_name || !then.is_empty())
                    && (is_text(then) || self.expected.as_deref().is_some_and(is_text))
            }
            (None, None) => has_name,
            _ => false,
        }
    }
}

/// Returns the edit that deletes `tail` if the field has kept it as text.
fn erase_kept(target: &Target, tail: &str) -> Option<Edit> {
    let before = target.before.as_deref()?;
    let has_kept = !tail.is_empty() && target.erases && before.ends_with(tail);
    has_kept.then(|| Edit::Erase(tail.to_owned()))
}

fn cut(before: Option<String>, tail: &str) -> Option<String> {
    before.map(|before| before.strip_suffix(tail).unwrap_or(&before).to_owned())
}
