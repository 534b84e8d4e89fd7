//! Text as words that can be compared: hypotheses of the same speech differ in case and punctuation
//! from one moment to the next.

use crate::text::{is_word, tokens};
use crate::whisper::TimedWord;
use crate::whisper::tokenizer::Language;
use std::iter;

/// A word, or a character of a language without spaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it is written, with the space before it and the punctuation after it.
    pub text: String,
    /// When it begins, in seconds.
    pub start_s: f64,
    /// When it ends, in seconds.
    pub end_s: f64,
    /// How sure the model is of it, 0 to 1.
    pub confidence: f32,
    /// The latest moment that the decoder attended to most while it wrote a part of it, in seconds.
    pub attended_s: f64,
    /// What it is compared by: its letters and digits in lower case, and apostrophes, which tell
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
            attended_s: 0.0,
            key,
        }
    }

    /// The same word, its times later by so many seconds.
    pub fn later(mut self, by_s: f64) -> Self {
        self.start_s += by_s;
        self.end_s += by_s;
        self.attended_s += by_s;
        self
    }

    /// The same word, what lies before 0 s of it cut off.
    pub fn from_zero(mut self) -> Self {
        self.start_s = self.start_s.max(0.0);
        self.end_s = self.end_s.max(0.0);
        self
    }

    /// Words as one, written as `text`: from the start of the first to the end of the last, as sure
    /// as the least sure. `None` where there are no words.
    pub fn joined(words: &[Self], text: String) -> Option<Self> {
        let (first, last) = (words.first()?, words.last()?);
        Some(Self {
            start_s: first.start_s,
            end_s: last.end_s,
            confidence: words
                .iter()
                .map(|word| word.confidence)
                .fold(f32::INFINITY, f32::min),
            attended_s: words.iter().map(|word| word.attended_s).fold(0.0, f64::max),
            ..Self::new(text)
        })
    }

    /// Takes over the times and the confidence of another guess at the same word.
    pub fn retime(&mut self, other: &Self) {
        (self.start_s, self.end_s, self.attended_s) =
            (other.start_s, other.end_s, other.attended_s);
        self.confidence = other.confidence;
    }

    /// Whether it is the same word but for case and punctuation, apostrophes aside.
    pub fn is_like(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// The words of timed text, which may be cut differently: a part of a timed word has its share of
/// the time.
pub fn timed(words: &[TimedWord], language: Language) -> Vec<Word> {
    let text: String = words.iter().map(|word| word.text.as_str()).collect();
    let mut split = split(&text, language);
    let (mut begin, mut rest) = (0, words);
    // Where the first of `rest` begins, in bytes.
    let mut at = 0;
    for word in &mut split {
        let end = begin + word.text.len();
        let (mut first, mut n, mut sum) = (true, 0.0, 0.0);
        while let Some(timed) = rest.first() {
            let len = timed.text.len();
            let time = |byte: usize| {
                let share = byte.saturating_sub(at).min(len) as f64 / len.max(1) as f64;
                timed.start + share * (timed.end - timed.start)
            };
            if at >= end {
                break;
            }
            if at + len > begin {
                if first {
                    (word.start_s, word.attended_s, first) = (time(begin), timed.attended, false);
                }
                word.end_s = time(end);
                word.attended_s = word.attended_s.max(timed.attended);
                (n, sum) = (n + 1.0, sum + timed.probability);
            }
            if at + len > end {
                break;
            }
            at += len;
            rest = rest.get(1..).unwrap_or_default();
        }
        word.confidence = sum / f32::max(n, 1.0);
        begin = end;
    }
    split
}

/// Splits `text`; the words' texts put together are the text again. Their times are not known.
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

/// How many words the two begin with in common.
pub fn common_prefix(a: &[Word], b: &[Word]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a.is_like(b)).count()
}

/// What a second is worth in finding where two texts part, in words.
const SECOND: f64 = 0.5;

/// Similarity of their letters from which two words may be the same one, one of them cut short.
const ALIKE: f64 = 0.5;

/// How many words of `heard` say what `settled` says, if in other words: those with the smallest
/// edit distance to it, and the distance in time between the ends of both added. A word for another
/// costs what their letters differ by, at most as much as a word left out.
pub fn continuation(settled: &[Word], heard: &[Word]) -> usize {
    let agreed = common_prefix(settled, heard);
    let Some(last) = settled.get(agreed..).and_then(<[Word]>::last) else {
        return agreed;
    };
    // Levenshtein's distances of the settled words to the first 0, 1, ... of those heard.
    let mut distances: Vec<f64> = (0..=heard.len()).map(|n| n as f64).collect();
    for word in settled {
        let mut row = vec![distances.first().map_or(0.0, |distance| distance + 1.0)];
        for (other, above) in heard.iter().zip(distances.windows(2)) {
            let &[diagonal, above] = above else { continue };
            let replaced = diagonal + 1.0 - strsim::normalized_levenshtein(&word.key, &other.key);
            let left = row.last().copied().unwrap_or(f64::INFINITY);
            row.push(replaced.min(above + 1.0).min(left + 1.0));
        }
        distances = row;
    }
    let ends = heard
        .first()
        .map(|word| word.start_s)
        .into_iter()
        .chain(heard.iter().map(|word| word.end_s));
    // Another word whose middle lies behind all that is settled says more than that.
    let is_more = |word: &Word| {
        let middle_s = (word.start_s + word.end_s) / 2.0;
        middle_s > last.end_s && strsim::normalized_levenshtein(&word.key, &last.key) < ALIKE
    };
    let lost = iter::once(0.0).chain(
        heard
            .iter()
            .map(|word| if is_more(word) { 1.0 } else { 0.0 }),
    );
    let costs = distances.iter().zip(ends).zip(lost);
    let costs =
        costs.map(|((words, end_s), lost)| words + lost + SECOND * (end_s - last.end_s).abs());
    costs
        .enumerate()
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or(0, |(n, _)| n)
}

/// The words' text.
pub fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_punctuation_do_not_matter() {
        let (a, b) = (
            split(" And so, my", Language::ENGLISH),
            split(" and So my fellow", Language::ENGLISH),
        );
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

    /// Words of 0.3 s each.
    fn spoken(text: &str) -> Vec<Word> {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            (word.start_s, word.end_s) = (0.3 * i as f64, 0.3 * (i + 1) as f64);
        }
        words
    }

    #[test]
    fn what_follows_settled_words_is_found_behind_others() {
        let rest = |settled: &str, heard: &str| {
            let heard = spoken(heard);
            join(&heard[continuation(&spoken(settled), &heard)..])
        };
        assert_eq!(rest("", " and so"), " and so");
        assert_eq!(rest(" And so", " and, so my fellow"), " my fellow");
        assert_eq!(
            rest(" some song out", " Some sung out, tear down, tear down"),
            " tear down, tear down"
        );
        assert_eq!(
            rest(" that there are arrangement", " that their arrangement on"),
            " on"
        );
        assert_eq!(rest(" and so my", ""), "");
        let (mut settled, heard) = (
            spoken(" please enter agent"),
            spoken(" please enter your agent number"),
        );
        settled[2].end_s = heard[3].end_s;
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " number",
            "a word was left out"
        );
        let (mut settled, mut heard) = (spoken(" Mistress Fitz"), spoken(" Mistress Fitz-Ooth to"));
        (settled[1].end_s, heard[1].end_s) = (0.5, 0.8);
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " to",
            "a part of a word is that word"
        );
        settled[1] = split(" um", Language::ENGLISH).remove(0).later(0.3);
        (heard[1].start_s, heard[1].end_s) = (1.2, 1.5);
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " Fitz-Ooth to",
            "it is said much later"
        );
    }

    #[test]
    fn a_word_behind_all_that_is_settled_is_not_lost() {
        let mut settled = spoken(" and so my and so my");
        settled[5].end_s = 2.32;
        let mut heard = spoken(" And so my fellow Americans");
        for (word, (start_s, end_s)) in
            heard[2..]
                .iter_mut()
                .zip([(1.37, 2.2), (2.2, 2.56), (2.56, 3.12)])
        {
            (word.start_s, word.end_s) = (start_s, end_s);
        }
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " fellow Americans"
        );
    }

    fn timed_word(text: &str, start: f64, end: f64, probability: f32) -> TimedWord {
        TimedWord {
            text: text.to_owned(),
            tokens: 1,
            start,
            end,
            probability,
            attended: end - 0.1,
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
        let summary = |w: &Word| {
            (
                w.text.clone(),
                w.start_s,
                w.end_s,
                w.confidence,
                w.attended_s,
            )
        };
        assert_eq!(
            words.iter().map(summary).collect::<Vec<_>>(),
            [
                (" well-known".to_owned(), 1.0, 2.0, 0.7, 1.9),
                (" to".to_owned(), 2.25, 2.5, 1.0, 2.4)
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
