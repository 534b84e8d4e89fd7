//! Which voice in a window has no words: what the decoder may have passed over.
//!
//! In: the aligned words of a window and its audio. Out: the holes in the text.
//!
//! Alignment gives every moment to a word, so a passage that the decoder skipped shows up as a word
//! that lasts too long, or as voice before the first word or after the last.

use super::WindowAudio;
use crate::whisper::TimedWord;
use crate::whisper::decoding::thresholds::{
    MIN_HOLE_S, MIN_HOLE_S_WITHOUT_WORDS, WORD_S, WORD_S_PER_LETTER,
};
use std::ops::Range;

/// Voice without words.
#[derive(Debug, Clone, PartialEq)]
pub struct Hole {
    /// The words that last too long; empty for a place between two words.
    pub words: Range<usize>,
    /// Seconds of voice beyond what the word may take.
    pub unheard_s: f64,
}

/// Returns the holes with at least [`MIN_HOLE_S`] of voice in the text of a window, up to `end`
/// seconds from its start; without any words at least [`MIN_HOLE_S_WITHOUT_WORDS`].
pub fn holes(words: &[TimedWord], audio: &WindowAudio, end: f64) -> Vec<Hole> {
    let mut holes: Vec<Hole> = Vec::new();
    let least_s = if words.is_empty() {
        MIN_HOLE_S_WITHOUT_WORDS
    } else {
        MIN_HOLE_S
    };
    let mut add = |words: Range<usize>, from: f64, to: f64, spoken_s: f64| {
        // The voice detector is asked only about stretches that are long enough.
        if to - from - spoken_s >= least_s {
            let unheard_s = audio.voice().seconds(from..to) - spoken_s;
            if unheard_s >= least_s {
                match holes.last_mut() {
                    // A gap next to a word that lasts too long is the same hole.
                    Some(Hole {
                        words: last,
                        unheard_s: sum,
                    }) if last.end == words.start => {
                        last.end = words.end;
                        *sum += unheard_s;
                    }
                    _ => holes.push(Hole { words, unheard_s }),
                }
            }
        }
    };
    let mut at = 0.0;
    for (i, word) in words.iter().enumerate() {
        add(i..i, at, word.start, 0.0);
        add(i..i + 1, word.start, word.end, most_s(word));
        at = word.end;
    }
    add(words.len()..words.len(), at, end, 0.0);
    holes
}

/// Longest time that a word may take, in seconds.
fn most_s(word: &TimedWord) -> f64 {
    let n = |is: fn(char) -> bool| word.text.chars().filter(|c| is(*c)).count() as f64;
    // A digit is said in as many sounds as three letters are.
    let letters = n(char::is_alphabetic) + 3.0 * n(char::is_numeric);
    WORD_S + WORD_S_PER_LETTER * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio() -> WindowAudio {
        WindowAudio::of_samples(crate::audio::sample())
    }

    fn words(times: &[(f64, f64)]) -> Vec<TimedWord> {
        let word = |&(start, end): &(f64, f64)| TimedWord {
            text: " country".into(),
            tokens: 1,
            start,
            end,
            probability: 1.0,
        };
        times.iter().map(word).collect()
    }

    #[test]
    fn voice_without_words_is_a_hole_at_both_ends_in_between_and_under_a_stretched_word() {
        let audio = audio();
        let holes = |times: &[(f64, f64)]| holes(&words(times), &audio, audio.seconds());
        let spoken: Vec<(f64, f64)> = (0..11).map(|i| (i as f64, i as f64 + 1.0)).collect();
        assert_eq!(holes(&spoken), [], "each second has a word");
        let place = |times: &[(f64, f64)]| {
            let found = holes(times);
            assert_eq!(found.len(), 1);
            found[0].words.clone()
        };
        assert_eq!(place(&spoken[..5]), 5..5);
        assert_eq!(place(&spoken[8..]), 0..0);
        assert_eq!(place(&[&spoken[..3], &spoken[8..]].concat()), 3..3);
        assert_eq!(
            place(&[&spoken[..3], &[(3.0, 8.0)], &spoken[8..]].concat()),
            3..4
        );
        let nothing = holes(&[]);
        assert!(
            nothing.len() == 1 && nothing[0].unheard_s > 5.0,
            "{nothing:?}"
        );
    }

    #[test]
    fn silence_without_words_is_none() {
        let audio = WindowAudio::of_samples(vec![0.0; 160_000]);
        assert_eq!(holes(&[], &audio, 10.0), []);
    }

    #[test]
    fn numbers_take_longer_than_their_digits() {
        let most = |text: &str| {
            most_s(&TimedWord {
                text: text.into(),
                ..words(&[(0.0, 1.0)]).remove(0)
            })
        };
        assert!(most(" 1999") > most(" nine") && most(" a") >= WORD_S);
    }
}
