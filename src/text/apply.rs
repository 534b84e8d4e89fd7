//! The rules on what the pipeline and the live engine give.
//!
//! Words that become one entry have the start of the first, the end of the last, and the confidence
//! of the least sure. A spoken mark stands at a word and does not change the times of that.

use super::rewrite::Entry;
use super::token::tokens;
use super::words::{Word, split};
use super::{Rules, trimmed};
use crate::tokenizer::Language;
use crate::whisper::{Segment, TimedWord};
use std::collections::HashSet;

/// A piece of a recording's text.
struct Piece {
    text: String,
    /// Number of the segment that it belongs to.
    segment: usize,
    /// Its timed words, where there are any.
    words: Vec<TimedWord>,
}

impl Rules {
    /// Rewrites the segments of an utterance, text in `language`, and their words; a phrase belongs
    /// to the segment that it begins in. Tokens stay those of what Whisper wrote. Segments without
    /// text are left out.
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

    /// Rewrites the words of an utterance in `language` that is still spoken: the settled ones, and
    /// the interim text after them. `None` if nothing is rewritten in that language.
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

    /// Rewrites the words of a finished utterance in `language`. `None` if nothing is rewritten in
    /// that language.
    pub fn words(&self, words: &[Word], language: Language) -> Option<Rewritten> {
        let entries = self.rewriter(language)?.rewrite(texts(words), false);
        Some(Rewritten::new(entries, words))
    }
}

/// Rewritten words of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    /// Their text, without the space that it begins with.
    pub text: String,
    /// The words, with the times of those that they were made of.
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

/// The text of an utterance, without the space that it begins with.
fn text(entries: &[Entry]) -> String {
    let text: String = entries.iter().map(|entry| entry.text.as_str()).collect();
    let begin = text
        .find(|c: char| !c.is_whitespace() || c == '\n')
        .unwrap_or(text.len());
    text.get(begin..).unwrap_or_default().to_owned()
}

/// The entries as words with the times of what they were made of.
fn words(entries: Vec<Entry>, from: &[Word]) -> Vec<Word> {
    let is_word = |entry: &Entry| !entry.text.trim().is_empty();
    let to_word = |entry: Entry| Word::joined(from.get(entry.from)?, entry.text);
    entries
        .into_iter()
        .filter(is_word)
        .filter_map(to_word)
        .collect()
}

/// Cuts a segment into pieces: its timed words, those put together that are one word, or else the
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
    let (mut pieces, mut words, mut at) = (Vec::new(), Vec::new(), 0);
    for word in &segment.words {
        at += word.text.len();
        words.push(word.clone());
        if ends.contains(&at) {
            let text = words
                .iter()
                .map(|word: &TimedWord| word.text.as_str())
                .collect();
            pieces.push(Piece {
                text,
                segment: number,
                words: std::mem::take(&mut words),
            });
        }
    }
    pieces
}

/// Words as one, written as `text`; none where there are no words or no text.
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
