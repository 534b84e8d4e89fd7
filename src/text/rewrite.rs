//! Rewrites pieces of text: phrases are replaced, the rest stays as it is.
//!
//! In: pieces of an utterance. Out: [`Entry`]s.
//!
//! Whisper punctuates automatically, also around the words of spoken punctuation ("Hello, comma,
//! how"). Its marks next to a spoken mark are removed. So are those that only set off a filler
//! ("I, um, think").

use super::fillers;
use super::function_words;
use super::numbers::{self, Grammar};
use super::phrases::{self, Action, Phrases, Token};
use super::punctuation::{Mark, Place};
use super::token::{is_space, is_word, key, tokens};
use crate::tokenizer::Language;
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
    /// Whether a phrase may remove marks before it, as spoken punctuation and fillers do.
    pub removes_marks: bool,
    /// Numbers that are written in digits.
    pub numbers: Option<&'static Grammar>,
    pub language: Language,
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
        let mut at = 0;
        // Numbers before this token stay words.
        let mut kept = 0;
        while let Some((before, rest @ [token, ..])) = all.split_at_checked(at) {
            if is_space(token.text) {
                writer.space(token);
                at += 1;
                continue;
            }
            let found = match self.phrases.find(rest, is_open) {
                phrases::Found::Undecided => break,
                phrases::Found::Phrase(Action::Drop, n) => self.filler(before, rest, n, is_open),
                phrases::Found::Phrase(action, n) if !is_part_of_word(action, rest, n) => {
                    Found::Phrase(action, n)
                }
                _ => Found::Nothing,
            };
            let found = match (found, self.numbers) {
                (Found::Nothing, Some(numbers)) if at >= kept => {
                    match numbers.find(rest, word_before(before), is_open) {
                        numbers::Found::Nothing => Found::Nothing,
                        numbers::Found::Undecided => Found::Undecided,
                        numbers::Found::Digits(text, n) => Found::Number(text, n),
                        numbers::Found::Words(n) => {
                            kept = at + n;
                            Found::Nothing
                        }
                    }
                }
                (found, _) => found,
            };
            let pieces = |n: usize| {
                let last = rest.get(n.saturating_sub(1)).unwrap_or(token);
                token.piece..last.piece + 1
            };
            at += match found {
                Found::Undecided => break,
                Found::Nothing => {
                    writer.copy(token);
                    1
                }
                Found::Phrase(action, n) => {
                    writer.act(action, pieces(n));
                    n
                }
                Found::Number(text, n) => {
                    writer.number(&text, pieces(n));
                    n
                }
                Found::Filler(filler) => {
                    writer.drop_filler(&filler, self.language);
                    filler.len
                }
            };
        }
        if is_open {
            // A phrase that follows may remove them.
            writer.give_way(if self.removes_marks {
                fillers::MARKS
            } else {
                ""
            });
        }
        writer.entries()
    }

    /// Judges a filler of `n` tokens at the beginning of `rest`.
    fn filler<'t>(
        self,
        before: &[Token<'_>],
        rest: &'t [Token<'t>],
        n: usize,
        is_open: bool,
    ) -> Found<'t> {
        let (words, behind) = rest.split_at(n);
        let n_marks = behind
            .iter()
            .take_while(|token| fillers::MARKS.contains(token.text))
            .count();
        let (marks, behind) = behind.split_at(n_marks);
        let next = behind.iter().find(|token| !is_space(token.text));
        if is_open && next.is_none() {
            return Found::Undecided;
        }
        let is_joined = |token: Option<&Token<'_>>| {
            token.is_some_and(|token| is_word(token.text) || token.key == "'")
        };
        let joins_next = marks.is_empty() && is_joined(behind.first());
        let is_filler = if self.language.is_written_without_spaces() {
            !(is_joined(before.last()) || n == 1 && joins_next)
        } else {
            !joins_next && !words.iter().any(|token| is_abbreviation(token.text))
        };
        if !is_filler {
            return Found::Nothing;
        }
        Found::Filler(Filler {
            len: n + n_marks,
            is_capital: words.first().is_some_and(|token| is_capital(token.text)),
            marks: marks.iter().map(|token| token.text).collect(),
            next: next.map(|token| token.text),
        })
    }
}

/// What begins at a token.
enum Found<'a> {
    Nothing,
    /// More words are needed to decide.
    Undecided,
    /// Phrase, and its number of tokens.
    Phrase(&'a Action, usize),
    /// Number in digits, and its number of tokens.
    Number(String, usize),
    Filler(Filler<'a>),
}

/// Filler that is left out.
struct Filler<'a> {
    /// Number of its tokens and the marks after it.
    len: usize,
    is_capital: bool,
    /// Marks after it.
    marks: String,
    /// Next word or mark, if there is one.
    next: Option<&'a str>,
}

impl Filler<'_> {
    /// Whether the marks after it end a sentence. Three dots may also be a pause.
    fn ends_sentence(&self) -> bool {
        let is_pause = matches!(self.marks.as_str(), "..." | "…");
        self.marks.ends_with(|c| fillers::ENDS.contains(c))
            && (!is_pause || self.next.is_none_or(is_capital))
    }
}

fn is_capital(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

/// Whether a word is written in capital letters: "ER" is no filler.
fn is_abbreviation(word: &str) -> bool {
    word.chars().nth(1).is_some() && !word.contains(char::is_lowercase) && is_capital(word)
}

/// Returns the word directly before, or nothing after a mark.
fn word_before<'t>(tokens: &'t [Token<'_>]) -> &'t str {
    tokens
        .iter()
        .rfind(|token| !is_space(token.text))
        .filter(|token| is_word(token.text))
        .map_or("", |token| token.key.as_str())
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
            Action::Drop => {}
        }
    }

    fn number(&mut self, digits: &str, pieces: Range<usize>) {
        self.push(digits, pieces);
        self.settled = self.text.len();
        self.behind = Behind::default();
    }

    /// Leaves out a filler and the marks that belong to it.
    fn drop_filler(&mut self, filler: &Filler<'_>, language: Language) {
        let begins_sentence = self.begins_sentence();
        let is_apart = self.text.is_empty() || self.text.ends_with(char::is_whitespace);
        if begins_sentence {
            self.give_way("");
        } else if filler.ends_sentence() {
            self.give_way(fillers::PAUSES);
            self.text.push_str(&filler.marks);
        } else if filler.next.is_none()
            || function_words::of(language.code()).contains(&self.last_word().as_str())
        {
            self.give_way(fillers::PAUSES);
        } else {
            self.give_way("");
        }
        self.behind = Behind {
            joins: self.behind.joins || !is_apart,
            capital: self.behind.capital || begins_sentence && filler.is_capital,
            is_next: true,
            ..std::mem::take(&mut self.behind)
        };
    }

    /// Whether the next word begins a sentence.
    fn begins_sentence(&self) -> bool {
        const OPENING: &str = "\"'“„«‘([¿¡「『";
        let is_end = |c: char| c == '\n' || fillers::ENDS.contains(c);
        let end = self
            .text
            .trim_end_matches(|c: char| c != '\n' && c.is_whitespace());
        let is_quoted = end.ends_with(|c| OPENING.contains(c)) && end.len() == self.text.len();
        end.is_empty() || end.ends_with(is_end) || is_quoted
    }

    /// Returns the last word in lower case.
    fn last_word(&self) -> String {
        let end = self.text.trim_end_matches(|c: char| !c.is_alphanumeric());
        let word = end.rsplit(char::is_whitespace).next().unwrap_or_default();
        word.to_lowercase()
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
