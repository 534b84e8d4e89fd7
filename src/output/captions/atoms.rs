//! Pieces of a segment that a line may break between.
//!
//! In: a segment, with or without the times of its words. Out: [`Atom`]s.

use unicode_width::UnicodeWidthStr;

use crate::output::transcript::Segment;
use crate::output::writer::milliseconds;
use crate::text::{is_function_word, is_word, tokens};

/// Signs that open something: they belong to what follows.
const OPENING: &str = "\"“„«‘([{¿¡「『（《〈【";
const SENTENCE_ENDS: &str = ".!?…。！？";
const CLAUSE_ENDS: &str = ",;:–—、，；：";
/// Marks that may follow the end of a sentence or clause.
const CLOSING: &str = "\"”“»’')]}」』）》〉】";

/// Latest time that is believed, in milliseconds: times beyond it are errors.
const LATEST_MS: u64 = 1 << 50;

/// Pause that a cue should not bridge, in milliseconds.
const PAUSE_MS: u64 = 500;

/// Word with its marks and the space before it, or a character of a script without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Atom {
    pub text: String,
    pub start_ms: u64,
    pub end_ms: u64,
}

impl Atom {
    /// Columns with the space before it; characters of Chinese, Japanese and Korean take two.
    pub fn width(&self) -> usize {
        self.text.width()
    }

    /// Columns at the start of a line.
    pub fn width_without_space(&self) -> usize {
        self.text.trim_start().width()
    }

    /// Returns how much a break after this atom disturbs the reader, if `next` follows: 0 after a
    /// sentence, 10 within a phrase.
    pub fn break_penalty(&self, next: &Self) -> u32 {
        let bare = self.text.trim_end_matches(|c| CLOSING.contains(c));
        if bare.ends_with(|c| SENTENCE_ENDS.contains(c)) {
            return 0;
        }
        if bare.ends_with(|c| CLAUSE_ENDS.contains(c)) {
            return 1;
        }
        if next.start_ms >= self.end_ms + PAUSE_MS {
            return 2;
        }
        if !next.text.starts_with(char::is_whitespace) {
            // Japanese phrases end with particles in Hiragana.
            let is_hiragana = |c: char| ('ぁ'..='ゟ').contains(&c);
            let ends_phrase = bare.ends_with(is_hiragana) && !next.text.starts_with(is_hiragana);
            return if ends_phrase { 4 } else { 8 };
        }
        let word = |atom: &Self| {
            let letters = atom.text.trim_matches(|c: char| !c.is_alphanumeric());
            is_function_word(&letters.to_lowercase())
        };
        match (word(self), word(next)) {
            (true, _) => 10,
            (false, true) => 4,
            (false, false) => 6,
        }
    }
}

/// Splits a segment. Without times of words, its time is divided by the widths.
pub(super) fn atoms(segment: &Segment) -> Vec<Atom> {
    let words = segment.words.as_deref().unwrap_or_default();
    let spelled: String = words.iter().map(|word| word.word.as_str()).collect();
    let mut atoms = Vec::new();
    if spelled.trim() == segment.text.trim() {
        for word in words {
            split(&word.word, word.start_s, word.end_s, &mut atoms);
        }
    } else {
        split(&segment.text, segment.start_s, segment.end_s, &mut atoms);
    }
    if let Some(first) = atoms.first_mut() {
        first.text = format!(" {}", first.text.trim_start());
    }
    atoms
}

/// Splits text between two times and appends its pieces, the first perhaps to the last atom.
fn split(text: &str, start_s: f64, end_s: f64, atoms: &mut Vec<Atom>) {
    // Line ends and tabs have another meaning in these formats.
    let text = text.replace(char::is_control, " ");
    let start = milliseconds(start_s).min(LATEST_MS);
    let end = milliseconds(end_s).min(LATEST_MS);
    let length = end.saturating_sub(start);
    let time_at =
        |byte: usize| start + (length as f64 * byte as f64 / text.len().max(1) as f64) as u64;
    let mut byte = 0;
    for token in tokens(&text) {
        let (from, until) = (time_at(byte), time_at(byte + token.len()));
        byte += token.len();
        let token = if token.starts_with(char::is_whitespace) {
            " "
        } else {
            token
        };
        match atoms
            .last_mut()
            .filter(|last| !begins_atom(&last.text, token))
        {
            Some(last) => {
                last.text.push_str(token);
                last.end_ms = until.max(last.end_ms);
            }
            None => atoms.push(Atom {
                text: token.to_owned(),
                start_ms: from,
                end_ms: until,
            }),
        }
    }
    // A space at the end is none between words.
    if let Some(last) = atoms.last()
        && last.text.trim().is_empty()
    {
        atoms.pop();
    }
}

/// Whether a line may break before a token that follows the text of an atom.
fn begins_atom(text: &str, token: &str) -> bool {
    if text.trim_start().is_empty()
        || text.ends_with(|c| OPENING.contains(c)) && is_after_space(text)
    {
        return false;
    }
    let opens = |c: char| OPENING.contains(c);
    token.starts_with(char::is_whitespace)
        || is_ideographic(token)
        || is_word(token) && text.ends_with(|c: char| !c.is_whitespace()) && ends_ideographic(text)
        || ends_ideographic(text)
            && token.starts_with(opens)
            && !token.starts_with(['"', '\'', '’'])
}

/// Whether the last sign of the text opens something: it follows a space, or a script that has none.
fn is_after_space(text: &str) -> bool {
    let mut before = text.chars().rev().skip(1);
    before
        .next()
        .is_none_or(|c| c.is_whitespace() || OPENING.contains(c) || !c.is_ascii())
}

fn is_ideographic(token: &str) -> bool {
    token.starts_with(is_without_spaces)
}

/// Whether the last word of a text is of a script that is written without spaces.
fn ends_ideographic(text: &str) -> bool {
    text.chars()
        .rev()
        .find(|c| c.is_alphanumeric())
        .is_some_and(is_without_spaces)
}

/// Whether a character is of a script that is written without spaces: Thai, Lao, Myanmar, Khmer,
/// Kana and Han.
fn is_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}
