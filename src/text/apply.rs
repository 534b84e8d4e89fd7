//! Applies the rules to segments and to live words.
//!
//! In: segments or words. Out: the same, rewritten. Words that become one entry have the start of
//! the first, the end of the last and the confidence of the least sure. A spoken mark belongs to a
//! word and does not change its times.

use super::rewrite::Entry;
use super::token::tokens;
use super::words::{Word, split};
use super::{Rules, trimmed};
use crate::tokenizer::Language;
use crate::whisper::{Segment, TimedWord};
use std::collections::HashSet;

/// Piece of a recording's text.
struct Piece {
    text: String,
    /// Index of its segment.
    segment: usize,
    /// Timed words, if there are any.
    words: Vec<TimedWord>,
}

impl Rules {
    /// Rewrites the segments of an utterance with text in `language`, and their words. A phrase
    /// belongs to the segment in which it begins. Tokens do not change. Segments without text are
    /// removed.
    pub fn segments(&self, segments: &mut Vec<Segment>, language: Language) {
        let Some(rewriter) = self.rewriter(language) else {
            return;
        };
        let of_segment = |(number, segment): (usize, &Segment)| pieces(segment, number, language);
        let pieces: Vec<Piece> = segments.iter().enumerate().flat_map(of_segment).collect();
        for segment in segments.iter_mut() {
            segment.text.clear();
            segment.words.clear();
        }
        for Entry { text, from } in
            rewriter.rewrite(pieces.iter().map(|piece| piece.text.as_str()), false)
        {
            let source = pieces.get(from).unwrap_or_default();
            let Some(segment) = source
                .first()
                .and_then(|piece| segments.get_mut(piece.segment))
            else {
                continue;
            };
            segment.text += &text;
            let words: Vec<&TimedWord> = source.iter().flat_map(|piece| &piece.words).collect();
            segment.words.extend(joined(&words, text));
        }
        segments.retain(|segment| !trimmed(&segment.text).is_empty());
    }

    /// Rewrites an utterance in `language` that continues: its settled words, and the interim text
    /// after them. Returns `None` if there are no rules for that language.
    pub fn interim(
        &self,
        settled: &[Word],
        interim: &str,
        language: Language,
    ) -> Option<(Rewritten, String)> {
        let rewriter = self.rewriter(language)?;
        let interim = split(interim, language);
        let entries = rewriter.rewrite(texts(settled), true);
        let whole = text(&rewriter.rewrite(texts(settled).chain(texts(&interim)), false));
        let settled = Rewritten::new(entries, settled);
        let interim = whole
            .get(settled.text.len()..)
            .unwrap_or_default()
            .to_owned();
        Some((settled, interim))
    }

    /// Rewrites the words of a finished utterance in `language`. Returns `None` if there are no
    /// rules for that language.
    pub fn words(&self, words: &[Word], language: Language) -> Option<Rewritten> {
        let entries = self.rewriter(language)?.rewrite(texts(words), false);
        Some(Rewritten::new(entries, words))
    }
}

/// Rewritten words of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    /// Text, without its leading space.
    pub text: String,
    /// Words, with the times of the words that they were made of.
    pub words: Vec<Word>,
}

impl Rewritten {
    fn new(entries: Vec<Entry>, from: &[Word]) -> Self {
        Self {
            text: text(&entries),
            words: words(entries, from),
        }
    }
}

fn texts(words: &[Word]) -> impl Iterator<Item = &str> {
    words.iter().map(|word| word.text.as_str())
}

/// Returns the text of an utterance without its leading space.
fn text(entries: &[Entry]) -> String {
    let text: String = entries.iter().map(|entry| entry.text.as_str()).collect();
    let begin = text
        .find(|c: char| !c.is_whitespace() || c == '\n')
        .unwrap_or(text.len());
    text.get(begin..).unwrap_or_default().to_owned()
}

/// Returns the entries as words, with the times of the words that they were made of.
fn words(entries: Vec<Entry>, from: &[Word]) -> Vec<Word> {
    let is_word = |entry: &Entry| !entry.text.trim().is_empty();
    let to_word = |entry: Entry| Word::joined(from.get(entry.from)?, entry.text);
    entries
        .into_iter()
        .filter(is_word)
        .filter_map(to_word)
        .collect()
}

/// Splits a segment into pieces: its timed words, joined if they are parts of one word, or else the
/// words of its text.
fn pieces(segment: &Segment, number: usize, language: Language) -> Vec<Piece> {
    if segment.words.is_empty() {
        let to_piece = |word: Word| Piece {
            text: word.text,
            segment: number,
            words: Vec::new(),
        };
        return split(&segment.text, language)
            .into_iter()
            .map(to_piece)
            .collect();
    }
    let text: String = segment
        .words
        .iter()
        .map(|word| word.text.as_str())
        .collect();
    let mut end = 0;
    let ends: HashSet<usize> = tokens(&text)
        .iter()
        .map(|token| {
            end += token.len();
            end
        })
        .collect();
    let mut pieces = Vec::new();
    let mut words: Vec<TimedWord> = Vec::new();
    let mut at = 0;
    for word in &segment.words {
        at += word.text.len();
        words.push(word.clone());
        if ends.contains(&at) {
            pieces.push(Piece {
                text: words.iter().map(|word| word.text.as_str()).collect(),
                segment: number,
                words: std::mem::take(&mut words),
            });
        }
    }
    pieces
}

/// Joins words to one with the text `text`. Returns `None` if there are no words or no text.
fn joined(words: &[&TimedWord], text: String) -> Option<TimedWord> {
    let (first, last) = (words.first()?, words.last()?);
    (!text.trim().is_empty()).then(|| TimedWord {
        text,
        tokens: words.iter().map(|word| word.tokens).sum(),
        start: first.start,
        end: last.end,
        probability: words
            .iter()
            .map(|word| word.probability)
            .fold(f32::INFINITY, f32::min),
    })
}
