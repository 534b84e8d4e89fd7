//! Cuts the text of a window into segments: at the ends of sentences and at pauses.
//!
//! In: the timed words of a window and their tokens. Out: [`Segment`]s, which together have all
//! words and all tokens. Their times are those of their words.

use crate::whisper::alignment::ends_sentence;
use crate::whisper::{Segment, TimedWord};

/// Pause between two words that ends a segment even within a sentence, in seconds.
const PAUSE_S: f64 = 1.5;
/// Pause after a full stop that shows the end of a sentence whatever the word, in seconds. Nobody
/// pauses after a title or an initial.
const FULL_STOP_PAUSE_S: f64 = 0.3;
/// Words that end with a full stop within a sentence, in lower case.
const ABBREVIATIONS: [&str; 25] = [
    "mr.", "mrs.", "ms.", "dr.", "st.", "prof.", "jr.", "sr.", "gen.", "col.", "capt.", "lt.",
    "sgt.", "rev.", "hon.", "mt.", "ft.", "no.", "vs.", "e.g.", "i.e.", "etc.", "hr.", "fr.",
    "sra.",
];

/// Cuts `words`, whose tokens are `tokens` in this order, into segments.
pub fn segments(words: Vec<TimedWord>, tokens: &[u32]) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut rest = tokens;
    let mut begins = true;
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let (own, later) = rest.split_at(word.tokens.min(rest.len()));
        rest = later;
        let n_before = segments
            .last()
            .filter(|_| !begins)
            .map_or(0, |s| s.words.len());
        let ends = words
            .peek()
            .is_some_and(|next| is_end(&word, next, n_before));
        match segments.last_mut().filter(|_| !begins) {
            Some(segment) => {
                segment.end = segment.end.max(word.end);
                segment.text += &word.text;
                segment.tokens.extend_from_slice(own);
                segment.words.push(word);
            }
            None => segments.push(Segment {
                start: word.start,
                end: word.end,
                text: word.text.clone(),
                tokens: own.to_vec(),
                words: vec![word],
            }),
        }
        begins = ends;
    }
    segments
}

/// Whether a sentence ends after the first `n` words.
pub fn ends_sentence_after(words: &[TimedWord], n: usize) -> bool {
    let Some(word) = n.checked_sub(1).and_then(|last| words.get(last)) else {
        return false;
    };
    match words.get(n) {
        Some(next) => ends_between(word, next),
        None => ends_sentence(&word.text) && !is_abbreviation(word.text.trim()),
    }
}

/// Whether a segment with `n_before` words before `word` ends between two words.
fn is_end(word: &TimedWord, next: &TimedWord, n_before: usize) -> bool {
    let pause_s = next.start - word.end;
    // A single word before a pause mostly belongs after it: alignment is least sure of the first.
    if pause_s >= PAUSE_S && n_before > 0 {
        return true;
    }
    ends_between(word, next)
}

/// Whether a sentence ends between two words.
fn ends_between(word: &TimedWord, next: &TimedWord) -> bool {
    let pause_s = next.start - word.end;
    let text = word.text.trim();
    if !ends_sentence(text) || text.ends_with([')', '"', '”', '’', '»']) && !has_stop(text) {
        return false;
    }
    pause_s >= FULL_STOP_PAUSE_S || !(is_abbreviation(text) || continues(&next.text))
}

/// Whether the mark before closing quotes or brackets ends a sentence.
fn has_stop(text: &str) -> bool {
    ends_sentence(text.trim_end_matches([')', '"', '”', '’', '»']))
}

/// Whether a word with a full stop may stand within a sentence: a title, an initial, a number.
fn is_abbreviation(text: &str) -> bool {
    let Some(stem) = text.strip_suffix('.') else {
        return false;
    };
    let mut letters = stem.chars().filter(|c| c.is_alphanumeric());
    let is_initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    let is_dotted = stem.contains('.');
    let is_number = stem.chars().all(|c| c.is_ascii_digit());
    is_initial || is_dotted || is_number || ABBREVIATIONS.contains(&text.to_lowercase().as_str())
}

/// Whether a word continues the sentence before it: it begins with a small letter.
fn continues(text: &str) -> bool {
    text.trim_start()
        .chars()
        .next()
        .is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts of the segments of words of 0.3 s each; a number is a pause of so many
    /// tenths of a second.
    fn cut(text: &str) -> Vec<String> {
        let mut at = 0.0;
        let mut words = Vec::new();
        for word in text.split(' ') {
            if let Some(pause) = word.strip_prefix('_') {
                at += pause.parse::<f64>().expect("a pause") / 10.0;
                continue;
            }
            words.push(TimedWord {
                text: format!(" {word}"),
                tokens: 2,
                start: at,
                end: at + 0.3,
                probability: 1.0,
            });
            at += 0.3;
        }
        let tokens: Vec<u32> = (0..2 * words.len() as u32).collect();
        let found = segments(words, &tokens);
        let all: Vec<u32> = found.iter().flat_map(|s| s.tokens.clone()).collect();
        assert_eq!(all, tokens, "no token is lost");
        assert!(found.iter().all(|s| {
            let (first, last) = (&s.words[0], &s.words[s.words.len() - 1]);
            s.start == first.start && s.end == last.end && s.tokens.len() == 2 * s.words.len()
        }));
        found
            .into_iter()
            .map(|s| s.text.trim().to_owned())
            .collect()
    }

    #[test]
    fn segments_end_with_sentences_and_at_pauses() {
        assert_eq!(
            cut("He came. She saw? No! _2 Yes, well"),
            ["He came.", "She saw?", "No!", "Yes, well"]
        );
        assert_eq!(cut("and then _16 he went"), ["and then", "he went"]);
        assert_eq!(cut("and then _12 he went"), ["and then he went"]);
        assert_eq!(cut("and _16 he went"), ["and he went"]);
        assert_eq!(cut("One"), ["One"]);
        assert!(segments(Vec::new(), &[]).is_empty());
    }

    #[test]
    fn titles_initials_numbers_and_quotations_do_not_end_a_sentence() {
        for whole in [
            "Mr. Quilter met Dr. No",
            "J. R. Hartley wrote it",
            "the U.S. Government said so",
            "on the 3. May",
            "he said \"Hello\" Again",
            "wait... and see",
        ] {
            assert_eq!(cut(whole), [whole]);
        }
        assert_eq!(cut("by J. _4 Then"), ["by J.", "Then"]);
        assert_eq!(cut("\"Go!\" He went"), ["\"Go!\"", "He went"]);
    }
}
