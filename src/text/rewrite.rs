//! Rewrites pieces of text: phrases are replaced, the rest stays as it is.
//!
//! In: pieces of an utterance. Out: [`Entry`]s.
//!
//! Whisper punctuates automatically, also around the words of spoken punctuation ("Hello, comma,
//! how"). Its marks next to a spoken mark are removed.

use super::phrases::{Action, Found, Phrases, Token};
use super::punctuation::{Mark, Place};
use super::token::{is_space, is_word, key, tokens};
use std::ops::Range;

/// Marks that Whisper may write next to a spoken one.
const OWN_MARKS: &str = ",.;:!?…–—-";
/// Marks that are removed before an opening mark or a line end. The end of a sentence stays.
const PAUSE_MARKS: &str = ",";

/// Text, and the pieces that it takes its times from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub text: String,
    pub from: Range<usize>,
}

/// Rewriter for text in one language.
#[derive(Clone, Copy)]
pub(super) struct Rewriter<'r> {
    pub phrases: &'r Phrases,
    /// Whether spoken punctuation is among the phrases.
    pub is_spoken: bool,
}

impl Rewriter<'_> {
    /// Rewrites an utterance. If it `is_open`, more pieces may follow; then the result ends before
    /// anything that they could still change, so that the result with them begins with it.
    pub fn rewrite<'a>(
        self,
        pieces: impl IntoIterator<Item = &'a str>,
        is_open: bool,
    ) -> Vec<Entry> {
        let in_piece = |(piece, text)| {
            tokens(text).into_iter().map(move |text| Token {
                text,
                key: key(text),
                piece,
            })
        };
        let all: Vec<Token<'_>> = pieces.into_iter().enumerate().flat_map(in_piece).collect();
        let mut writer = Writer::default();
        let mut rest = all.as_slice();
        while let [token, behind @ ..] = rest {
            if is_space(token.text) {
                writer.space(token);
                rest = behind;
                continue;
            }
            match self.phrases.find(rest, is_open) {
                Found::Undecided => break,
                Found::Phrase(action, n) if !is_part_of_word(action, rest, n) => {
                    let (phrase, behind) = rest.split_at(n);
                    writer.act(
                        action,
                        token.piece..phrase.last().map_or(token.piece, |last| last.piece) + 1,
                    );
                    rest = behind;
                }
                _ => {
                    writer.copy(token);
                    rest = behind;
                }
            }
        }
        if is_open {
            // A phrase that follows may remove them.
            writer.give_way(if self.is_spoken { OWN_MARKS } else { "" });
        }
        writer.entries()
    }
}

/// Whether spoken punctuation is only a part of a word: "the colon's".
fn is_part_of_word(action: &Action, tokens: &[Token<'_>], n: usize) -> bool {
    let same_piece =
        |token: &&Token<'_>| Some(token.piece) == tokens.get(n - 1).map(|last| last.piece);
    let next = |i: usize| tokens.get(i).filter(same_piece);
    matches!(action, Action::Punctuate(_))
        && next(n).is_some_and(|token| token.key == "'")
        && next(n + 1).is_some_and(|token| is_word(token.text))
}

/// Text written so far.
#[derive(Default)]
struct Writer {
    text: String,
    /// Start of each entry in bytes of the text, and its pieces.
    entries: Vec<(usize, Range<usize>)>,
    /// Start of the next entry, if a mark before its word belongs to it.
    lead: Option<usize>,
    /// Pieces of the first mark, if there is no word for it yet.
    first: Option<Range<usize>>,
    /// End of the text that rules have written, which is never removed, in bytes.
    settled: usize,
    behind: Behind,
}

/// Effect of a phrase on the text after it.
#[derive(Default)]
struct Behind {
    /// Marks that are removed.
    drops: &'static str,
    /// Whether spaces are removed.
    joins: bool,
    /// Whether the next word begins with a capital letter.
    capital: bool,
    /// Whether only spaces and removed marks have followed yet.
    is_next: bool,
}

impl Writer {
    fn space(&mut self, token: &Token<'_>) {
        let doubled = self.behind.is_next && self.text.ends_with(char::is_whitespace);
        if !self.behind.joins && !doubled {
            self.push(token.text, token.piece..token.piece + 1);
        }
    }

    fn copy(&mut self, token: &Token<'_>) {
        if self.behind.is_next && self.behind.drops.contains(token.text) {
            return;
        }
        let is_word = is_word(token.text);
        let capital = std::mem::take(&mut self.behind).capital;
        // An opening quote or bracket does not begin the sentence, but the word after it does.
        self.behind.capital = capital && !is_word;
        if capital && is_word {
            self.push(&capitalised(token.text), token.piece..token.piece + 1)
        } else {
            self.push(token.text, token.piece..token.piece + 1)
        }
    }

    fn act(&mut self, action: &Action, pieces: Range<usize>) {
        match action {
            Action::Replace(text) => self.replace(text, pieces),
            Action::Punctuate(marks) => marks
                .iter()
                .for_each(|mark| self.punctuate(mark, pieces.clone())),
        }
    }

    fn replace(&mut self, text: &str, pieces: Range<usize>) {
        if text.is_empty() {
            self.give_way("");
            self.behind = Behind {
                drops: PAUSE_MARKS,
                is_next: true,
                ..std::mem::take(&mut self.behind)
            };
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.give_way("");
        }
        self.push(text, pieces);
        self.settled = self.text.len();
        self.behind = Behind {
            joins: text.ends_with(char::is_whitespace),
            is_next: true,
            ..Behind::default()
        };
    }

    fn punctuate(&mut self, mark: &Mark, pieces: Range<usize>) {
        let capital = self.behind.capital || mark.ends_sentence;
        match mark.place {
            Place::After => self.give_way(OWN_MARKS),
            Place::Break => self.give_way(PAUSE_MARKS),
            Place::Before => {
                let is_apart = self.free().ends_with(char::is_whitespace);
                self.give_way(PAUSE_MARKS);
                self.lead.get_or_insert(self.text.len());
                if is_apart {
                    self.text.push(' ');
                }
            }
        }
        if self.entries.is_empty() {
            self.lead.get_or_insert(0);
            self.first.get_or_insert(pieces);
        }
        self.text.push_str(mark.text);
        self.settled = self.text.len();
        self.behind = Behind {
            drops: OWN_MARKS,
            joins: mark.place != Place::After,
            capital,
            is_next: true,
        };
    }

    /// Adds the text of pieces: to the last entry if that has the first of them, else as a new one.
    fn push(&mut self, text: &str, pieces: Range<usize>) {
        match self.entries.last_mut() {
            Some((_, from)) if from.end > pieces.start && self.lead.is_none() => {
                from.end = from.end.max(pieces.end)
            }
            _ => {
                let begin = self.lead.take().unwrap_or(self.text.len());
                self.entries.push((begin, pieces));
            }
        }
        self.text.push_str(text);
    }

    /// Removes spaces, and marks in `marks`, from the end of the text.
    fn give_way(&mut self, marks: &str) {
        let kept = self
            .free()
            .trim_end_matches(|c: char| c.is_whitespace() || marks.contains(c))
            .len();
        self.text.truncate(self.settled + kept);
        while self
            .entries
            .last()
            .is_some_and(|(begin, _)| *begin >= self.text.len())
        {
            self.entries.pop();
        }
        self.lead = self.lead.filter(|lead| *lead < self.text.len());
    }

    /// Text that may be removed.
    fn free(&self) -> &str {
        self.text.get(self.settled..).unwrap_or_default()
    }

    fn entries(mut self) -> Vec<Entry> {
        if let (true, Some(pieces)) = (self.entries.is_empty() && !self.text.is_empty(), self.first)
        {
            self.entries.push((0, pieces));
        }
        let ends = self
            .entries
            .iter()
            .skip(1)
            .map(|(begin, _)| *begin)
            .chain([self.text.len()]);
        let entry = |((begin, from), end): (&(usize, Range<usize>), usize)| Entry {
            text: self.text.get(*begin..end).unwrap_or_default().to_owned(),
            from: from.clone(),
        };
        self.entries.iter().zip(ends).map(entry).collect()
    }
}

/// Returns the word with a capital first letter.
fn capitalised(word: &str) -> String {
    let mut rest = word.chars();
    rest.next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(rest)
        .collect()
}
