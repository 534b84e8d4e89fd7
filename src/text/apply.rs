//! The rules on what the pipeline and the live engine give.
//!
//! Words that become one entry have the start of the first, the end of the last, and the confidence
//! of the least sure. A spoken mark stands at a word and does not change the times of that.

use super::rewrite::{Entry, Rewriter};
use super::token::tokens;
use super::{Rules, trimmed};
use crate::stream::{Event, Final, Partial, Word, split};
use crate::whisper::tokenizer::Language;
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

    /// Rewrites the text of an utterance, text in `language`.
    pub fn event(&self, event: Event, language: Language) -> Event {
        match (self.rewriter(language), event) {
            (None, event) => event,
            (Some(rewriter), Event::Partial(partial)) => {
                Event::Partial(rewritten_partial(rewriter, partial, language))
            }
            (Some(rewriter), Event::Final(done)) => Event::Final(rewritten_final(rewriter, done)),
        }
    }
}

fn rewritten_partial(rewriter: Rewriter<'_>, partial: Partial, language: Language) -> Partial {
    let committed = || partial.words.iter().map(|word| word.text.as_str());
    let tail = split(&partial.tail, language);
    let settled = rewriter.rewrite(committed(), true);
    let whole = text(&rewriter.rewrite(
        committed().chain(tail.iter().map(|word| word.text.as_str())),
        false,
    ));
    let committed = text(&settled);
    Partial {
        tail: whole.get(committed.len()..).unwrap_or_default().to_owned(),
        committed,
        words: words(settled, &partial.words),
        ..partial
    }
}

fn rewritten_final(rewriter: Rewriter<'_>, done: Final) -> Final {
    let entries = rewriter.rewrite(done.words.iter().map(|word| word.text.as_str()), false);
    Final {
        text: trimmed(&text(&entries)).to_owned(),
        words: words(entries, &done.words),
        ..done
    }
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
        attended: words.iter().map(|word| word.attended).fold(0.0, f64::max),
    })
}
