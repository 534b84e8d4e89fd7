//! What has been put in, so that it can be deleted again.

use crate::advice::Advice;
use crate::input::sink::Target;
use std::borrow::Cow;

/// Number of utterances that can be deleted, one after another.
const DEPTH: usize = 20;

/// What people say to delete the last utterance, in English, German, French and Spanish.
const PHRASES: [&str; 10] = [
    "scratch that",
    "delete that",
    "undo that",
    "lösche das",
    "das löschen",
    "streich das",
    "efface ça",
    "supprime ça",
    "borra eso",
    "elimina eso",
];

/// Reason that an utterance cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was dictated into this field.
    #[error("nothing was dictated into this field")]
    Nothing,
    /// The field does not report its text.
    #[error("the program does not report the text before the cursor")]
    Unknown,
    /// The text before the cursor is another one.
    #[error("the cursor no longer stands behind the dictated text")]
    Moved,
}

impl Advice for Refusal {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Nothing => None,
            Self::Unknown => Some("use the program's own undo".into()),
            Self::Moved => Some("put the cursor behind it and try again".into()),
        }
    }
}

/// Returns whether a text is nothing but the request to delete.
pub fn is_undo(text: &str) -> bool {
    PHRASES.contains(&plain(text).as_str())
}

/// Returns whether a text may still become that request.
pub fn may_become_undo(committed: &str, interim: &str) -> bool {
    let all = plain(&format!("{committed}{interim}"));
    let committed = plain(committed);
    PHRASES.iter().any(|phrase| {
        let is_whole_word =
            |rest: &str| committed.is_empty() || rest.is_empty() || rest.starts_with(' ');
        phrase
            .strip_prefix(committed.as_str())
            .is_some_and(is_whole_word)
            && (all.starts_with(phrase) || phrase.starts_with(all.as_str()))
            && all.chars().count() <= phrase.chars().count()
    })
}

/// Words in lower case, without marks.
fn plain(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The latest utterances, oldest first.
#[derive(Debug, Default)]
pub struct Ledger(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// The field, as it was reported last.
    target: Target,
    /// Text before the cursor once the field reports this utterance.
    after: Option<String>,
    text: String,
}

impl Entry {
    /// Whether `target` is the field of this utterance. A dictation that begins later gives its fields
    /// other numbers; then their names tell them apart, and without a name all the text before the
    /// cursor.
    fn is_in(&self, target: &Target) -> bool {
        if self.target.focus == target.focus {
            return true;
        }
        self.target.has_name_of(target)
            && (target.field.is_some() || (self.after.is_some() && self.after == target.before))
    }
}

impl Ledger {
    /// Notes an utterance. `after` is the text before the cursor once the field reports it.
    pub fn add(&mut self, target: &Target, text: &str, after: Option<String>) {
        if text.is_empty() {
            return;
        }
        self.0.push(Entry {
            target: target.clone(),
            after,
            text: text.to_owned(),
        });
        if self.0.len() > DEPTH {
            self.0.remove(0);
        }
    }

    /// Forgets text that has not arrived.
    pub fn lost(&mut self, text: &str) {
        if let Some(at) = self.0.iter().rposition(|entry| entry.text == text) {
            self.0.remove(at);
        }
    }

    /// Returns the text before the cursor: what the field reports, or what was put in last. Some
    /// programs report late.
    pub fn before(&self, target: &Target) -> Option<String> {
        let last = self
            .0
            .last()
            .filter(|entry| entry.target.focus == target.focus && entry.target.keys == target.keys);
        match (&target.before, last) {
            (Some(before), Some(last))
                if last.target.before.as_ref() == Some(before) && !before.ends_with(&last.text) =>
            {
                Some(format!("{before}{}", last.text))
            }
            (Some(before), _) => Some(before.clone()),
            (None, last) => last.map(|last| last.text.clone()),
        }
    }

    /// Returns the last utterance of a field, which stands before the cursor, and forgets it.
    pub fn undo(&mut self, target: Option<&Target>) -> Result<String, Refusal> {
        let target = target.ok_or(Refusal::Nothing)?;
        let at = self.0.iter().rposition(|entry| entry.is_in(target));
        let at = at.ok_or(Refusal::Nothing)?;
        let before = target.before.as_ref().filter(|_| target.erases);
        let before = before.ok_or(Refusal::Unknown)?;
        if !before.ends_with(&self.0[at].text) {
            return Err(Refusal::Moved);
        }
        Ok(self.0.remove(at).text)
    }
}

/// What a deletion did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeletion<'a> {
    /// This is gone, too. Firefox does that behind text that is wide.
    Missing(&'a str),
    /// This is still there.
    Left(&'a str),
}

/// Compares the text before the cursor after a deletion with what should stand there. Texts that have
/// nothing to do with each other tell nothing.
pub fn misdeletion<'a>(expected: &'a str, now: &'a str) -> Option<Misdeletion<'a>> {
    let missing = expected.strip_prefix(now).map(Misdeletion::Missing);
    let left = now.strip_prefix(expected).map(Misdeletion::Left);
    (expected != now).then(|| missing.or(left)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_that_took_too_much_or_too_little_is_seen() {
        assert_eq!(misdeletion("one", "one"), None);
        let missing = misdeletion("漢字 one", "漢字 ");
        assert_eq!(missing, Some(Misdeletion::Missing("one")));
        let left = misdeletion("one", "one tw");
        assert_eq!(left, Some(Misdeletion::Left(" tw")));
        assert_eq!(misdeletion("one", "another"), None);
    }

    #[test]
    fn only_the_whole_phrase_deletes() {
        assert!(is_undo("Scratch that.") && is_undo(" lösche das!"));
        assert!(!is_undo("Scratch that itch.") && !is_undo("scratch") && !is_undo(""));
    }

    #[test]
    fn words_wait_only_while_they_may_become_the_phrase() {
        assert!(may_become_undo("", "") && may_become_undo("Scratch", ""));
        assert!(may_become_undo("Scratch", " that.") && may_become_undo("", "Scra"));
        assert!(!may_become_undo("Scratch", " my back") && !may_become_undo("Scr", ""));
        assert!(!may_become_undo("Scratch that", " itch") && !may_become_undo("Hello", ""));
    }
}
