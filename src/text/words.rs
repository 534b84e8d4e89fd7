//! Words that can be compared, since hypotheses of the same speech differ in case and punctuation.
//!
//! In: text, or words with times as the aligner finds them. Out: [`Word`]s.

use super::token::{is_word, tokens};
use crate::tokenizer::Language;
use crate::whisper::TimedWord;

/// Word, or character of a language that is written without spaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Text, with the space before it and the punctuation after it.
    pub text: String,
    /// Start in seconds.
    pub start_s: f64,
    /// End in seconds.
    pub end_s: f64,
    /// How sure the model is of it, 0 to 1.
    pub confidence: f32,
    /// Key of comparisons: letters and digits in lower case, and apostrophes, which distinguish
    /// "Quilter's" from "Quilters'".
    key: String,
}

impl Word {
    fn new(text: String) -> Self {
        let letters = text.chars().map(|c| if c == '’' { '\'' } else { c });
        let key = letters
            .filter(|c| c.is_alphanumeric() || *c == '\'')
            .flat_map(char::to_lowercase)
            .collect();
        Self {
            text,
            start_s: 0.0,
            end_s: 0.0,
            confidence: 0.0,
            key,
        }
    }

    /// Returns the word with its times moved `by_s` seconds later.
    pub fn later(mut self, by_s: f64) -> Self {
        self.start_s += by_s;
        self.end_s += by_s;
        self
    }

    /// Returns the word with the part before 0 s cut off.
    pub fn from_zero(mut self) -> Self {
        self.start_s = self.start_s.max(0.0);
        self.end_s = self.end_s.max(0.0);
        self
    }

    /// Joins words to one with the text `text`, from the start of the first to the end of the last,
    /// as sure as the least sure of them. Returns `None` if there are no words.
    pub fn joined(words: &[Self], text: String) -> Option<Self> {
        let (first, last) = (words.first()?, words.last()?);
        Some(Self {
            start_s: first.start_s,
            end_s: last.end_s,
            confidence: words
                .iter()
                .map(|word| word.confidence)
                .fold(f32::INFINITY, f32::min),
            ..Self::new(text)
        })
    }

    /// Takes the times and the confidence of another hypothesis of the same word.
    pub fn retime(&mut self, other: &Self) {
        self.start_s = other.start_s;
        self.end_s = other.end_s;
        self.confidence = other.confidence;
    }

    /// Returns the similarity of the letters of two words, 0 to 1 (normalised Levenshtein
    /// distance).
    pub fn similarity(&self, other: &Self) -> f64 {
        strsim::normalized_levenshtein(&self.key, &other.key)
    }

    /// Whether two words are the same except for case and punctuation. Apostrophes count.
    pub fn is_like(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// Splits timed text into words. Timed words may be split differently: a part of one has its share
/// of the time.
pub fn timed(words: &[TimedWord], language: Language) -> Vec<Word> {
    let text: String = words.iter().map(|word| word.text.as_str()).collect();
    let mut split = split(&text, language);
    let mut rest = words;
    // Byte at which the first of `rest` begins.
    let mut at = 0;
    let mut begin = 0;
    for word in &mut split {
        let end = begin + word.text.len();
        let mut n_parts = 0.0;
        let mut sum = 0.0;
        while let Some(timed) = rest.first()
            && at < end
        {
            let len = timed.text.len();
            if at + len > begin {
                if n_parts == 0.0 {
                    word.start_s = time_at(timed, begin.saturating_sub(at));
                }
                word.end_s = time_at(timed, end.saturating_sub(at));
                n_parts += 1.0;
                sum += timed.probability;
            }
            if at + len > end {
                break;
            }
            at += len;
            rest = rest.get(1..).unwrap_or_default();
        }
        word.confidence = sum / f32::max(n_parts, 1.0);
        begin = end;
    }
    split
}

/// Returns the time of a byte of a timed word in seconds, as if all bytes took the same time.
fn time_at(word: &TimedWord, byte: usize) -> f64 {
    let len = word.text.len();
    let share = byte.min(len) as f64 / len.max(1) as f64;
    word.start + share * (word.end - word.start)
}

/// Splits `text` into words without times. Joined, their texts are `text` again.
pub fn split(text: &str, language: Language) -> Vec<Word> {
    let by_character = language.is_written_without_spaces();
    let mut words: Vec<String> = Vec::new();
    let mut after_space = true;
    for token in tokens(text) {
        let space = token.starts_with(char::is_whitespace);
        let opens = if by_character {
            is_word(token)
        } else {
            space && !after_space
        };
        match words.last_mut() {
            Some(word) if !opens => word.push_str(token),
            _ => words.push(token.to_owned()),
        }
        after_space = space;
    }
    words.into_iter().map(Word::new).collect()
}

/// Returns the number of words that both begin with.
pub fn common_prefix(a: &[Word], b: &[Word]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a.is_like(b)).count()
}

/// Joins the texts of words.
pub fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_punctuation_do_not_matter() {
        let a = split(" And so, my", Language::ENGLISH);
        let b = split(" and So my fellow", Language::ENGLISH);
        assert_eq!(
            a.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(),
            [" And", " so,", " my"]
        );
        assert_eq!(common_prefix(&a, &b), 3);
        let same =
            |a, b| common_prefix(&split(a, Language::ENGLISH), &split(b, Language::ENGLISH)) == 1;
        assert!(
            same(" It's", " it’s,") && !same(" Quilter's", " Quilters'"),
            "apostrophes do"
        );
    }

    #[test]
    fn languages_without_spaces_go_by_character() -> Result<(), Box<dyn std::error::Error>> {
        let words = split("你好，世界。", "zh".parse()?);
        assert_eq!(
            words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(),
            ["你", "好，", "世", "界。"]
        );
        let words = split("用GitHub吧", "zh".parse()?);
        assert_eq!(
            words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(),
            ["用", "GitHub", "吧"]
        );
        Ok(())
    }

    fn timed_word(text: &str, start: f64, end: f64, probability: f32) -> TimedWord {
        TimedWord {
            text: text.to_owned(),
            tokens: 1,
            start,
            end,
            probability,
        }
    }

    #[test]
    fn words_have_the_times_of_their_parts() -> Result<(), Box<dyn std::error::Error>> {
        let parts = [
            timed_word(" well", 1.0, 1.5, 0.9),
            timed_word("-known", 1.5, 2.0, 0.5),
            timed_word(" to", 2.25, 2.5, 1.0),
        ];
        let words = timed(&parts, Language::ENGLISH);
        let summary = |w: &Word| (w.text.clone(), w.start_s, w.end_s, w.confidence);
        assert_eq!(
            words.iter().map(summary).collect::<Vec<_>>(),
            [
                (" well-known".to_owned(), 1.0, 2.0, 0.7),
                (" to".to_owned(), 2.25, 2.5, 1.0)
            ]
        );
        let words = timed(
            &[
                timed_word("世界", 1.0, 2.0, 0.5),
                timed_word("你", 2.0, 3.0, 0.25),
            ],
            "zh".parse()?,
        );
        let summary = |w: &Word| (w.text.clone(), w.start_s, w.end_s, w.confidence);
        assert_eq!(
            words.iter().map(summary).collect::<Vec<_>>(),
            [
                ("世".to_owned(), 1.0, 1.5, 0.5),
                ("界".to_owned(), 1.5, 2.0, 0.5),
                ("你".to_owned(), 2.0, 3.0, 0.25)
            ]
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in ".{0,80}") {
            prop_assert_eq!(join(&split(&text, Language::ENGLISH)), text);
        }
    }
}
