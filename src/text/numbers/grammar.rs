//! What the numbers of all languages have in common: which words may be a number, and how numbers are
//! written.
//!
//! In: tokens, and a language's grammar. Out: [`Found`].

use crate::text::phrases::Token;
use crate::text::token::{is_space, is_word};

/// Numbers of a language.
pub struct Grammar {
    /// Whether a word may be part of a number.
    pub belongs: fn(&str) -> bool,
    /// Finds the number at the first of the words.
    pub part: fn(&[&str], &Context<'_>) -> Option<Part>,
    /// Digit that a word names.
    pub digit: fn(&str) -> Option<u64>,
    /// Spoken decimal sign, and the sign.
    pub point: (&'static str, char),
    /// Words that no number begins with.
    pub inside: &'static [&'static str],
    /// Words of the minus sign.
    pub minus: &'static [&'static str],
    /// Words before a number that is followed by "and" and another number.
    pub between: &'static [&'static str],
    /// Units before which all numbers are written in digits.
    pub units: &'static [&'static str],
    /// Those before which a 1 is, too. Before others it may be an article.
    pub units_of_one: &'static [&'static str],
    /// Words that a sign replaces: the words, text before the number, text after it.
    pub signs: &'static [(&'static [&'static str], &'static str, &'static str)],
    /// Words that show that two numbers before them are a time of the day.
    pub of_day: &'static [&'static str],
    /// Words of time, which are not counted in years ("fifteen twenty minutes").
    pub counted: &'static [&'static str],
    /// Writes an ordinal number.
    pub ordinal: fn(u64) -> String,
}

/// Words around a stretch.
pub struct Context<'a> {
    pub before: &'a str,
    pub after: &'a str,
}

/// One spoken number, such as "two hundred and five" or "twenty first".
pub struct Part {
    pub value: u64,
    /// Number of words.
    pub len: usize,
    pub is_ordinal: bool,
    /// Whether it is spelled, at least in part.
    pub is_spelled: bool,
    /// Whether it may be an expression: "a hundred".
    pub is_vague: bool,
}

/// Result of a search.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No number begins here.
    Nothing,
    /// More words are needed to decide.
    Undecided,
    /// This number of tokens stays as it is.
    Words(usize),
    /// Number in digits, and its number of tokens.
    Digits(String, usize),
}

impl Grammar {
    /// Finds the number that begins at the first token, which is not a space. If `is_open`, more
    /// tokens may follow. `before` is the word before it, or empty.
    pub fn find(&self, tokens: &[Token<'_>], before: &str, is_open: bool) -> Found {
        let stretch = self.stretch(tokens);
        let Some(&end) = stretch.ends.last() else {
            return Found::Nothing;
        };
        if stretch
            .words
            .first()
            .is_some_and(|word| self.inside.contains(word))
        {
            return Found::Nothing;
        }
        let next = tokens.get(end);
        // What follows decides: a mark, or the word after a space or hyphen.
        let n_needed = match next {
            Some(token) if is_space(token.text) || matches!(token.text, "-" | "'" | "’") => {
                end + 2
            }
            _ => end + 1,
        };
        if is_open && tokens.len() < n_needed {
            return Found::Undecided;
        }
        if let Some(mark) = next.filter(|token| !is_space(token.text))
            && (is_word(mark.text)
                || matches!(mark.key.as_str(), "'" | "-")
                    && tokens.get(end + 1).is_some_and(|token| is_word(token.text)))
        {
            return Found::Words(end);
        }
        let after = next
            .filter(|token| is_space(token.text))
            .and_then(|_| tokens.get(end + 1))
            .map_or("", |token| token.key.as_str());
        let mut found = self.number(&stretch.words, &Context { before, after });
        let tokens_of = |n_words: usize| match n_words {
            0 => 0,
            n => stretch.ends.get(n - 1).copied().unwrap_or(end),
        };
        match &mut found {
            Found::Words(n) => *n = tokens_of(*n),
            Found::Digits(text, n) => {
                let takes_sign = *n > stretch.words.len();
                *n = tokens_of((*n).min(stretch.words.len()));
                if takes_sign {
                    *n += 2;
                }
                // An ordinal at the end of a sentence has one full stop: "am 21."
                let behind = tokens.get(*n);
                if text.ends_with('.') && behind.is_some_and(|token| token.text == ".") {
                    text.pop();
                }
            }
            Found::Nothing | Found::Undecided => {}
        }
        found
    }

    /// Collects the words from the first token on that may belong to a number.
    fn stretch<'t>(&self, tokens: &'t [Token<'_>]) -> Stretch<'t> {
        let mut stretch = Stretch {
            words: Vec::new(),
            ends: Vec::new(),
        };
        let mut rest = tokens.iter().enumerate();
        while let Some((i, token)) = rest.next() {
            if !(self.belongs)(&token.key) {
                break;
            }
            stretch.words.push(token.key.as_str());
            stretch.ends.push(i + 1);
            // Words of a number are separated by spaces, but not by line ends.
            match rest.next() {
                Some((_, space)) if is_space(space.text) && !space.text.contains('\n') => {}
                _ => break,
            }
        }
        stretch
    }

    /// Finds the number at the first word. The numbers of words in the result count words; one more
    /// than there are is the word behind them.
    fn number(&self, words: &[&str], context: &Context<'_>) -> Found {
        let is_negative = words.first().is_some_and(|word| self.minus.contains(word));
        if is_negative {
            let follows_number = (self.belongs)(context.before);
            let rest = words.get(1..).unwrap_or_default();
            return match self.run(rest, context).as_slice() {
                [part] if !part.is_ordinal && !follows_number => {
                    match self.single(part, rest, context, true) {
                        Found::Digits(text, n) => Found::Digits(format!("-{text}"), n + 1),
                        other => other,
                    }
                }
                _ => Found::Nothing,
            };
        }
        match self.run(words, context).as_slice() {
            [] => Found::Nothing,
            [part] => self.single(part, words, context, false),
            parts => self.several(parts, words.len(), context),
        }
    }

    /// Returns the numbers that follow one another without another word.
    fn run(&self, words: &[&str], context: &Context<'_>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = words;
        while let Some(part) = (self.part)(rest, context) {
            rest = rest.get(part.len..).unwrap_or_default();
            parts.push(part);
        }
        parts
    }

    /// Writes a number that stands by itself.
    fn single(&self, part: &Part, words: &[&str], context: &Context<'_>, is_signed: bool) -> Found {
        if part.is_ordinal {
            return Found::Digits((self.ordinal)(part.value), part.len);
        }
        let fraction = self.fraction(words.get(part.len..).unwrap_or_default(), context);
        // "At one point five people left."
        let fraction = fraction.filter(|_| !(part.value == 1 && context.before == "at"));
        let (text, n) = match &fraction {
            Some((digits, n)) => (
                format!("{}{}{digits}", part.value, self.point.1),
                part.len + n,
            ),
            None => (part.value.to_string(), part.len),
        };
        let unit = if n == words.len() { context.after } else { "" };
        let sign = self.signs.iter().find(|(names, ..)| names.contains(&unit));
        if let Some((_, before, after)) = sign {
            return Found::Digits(format!("{before}{text}{after}"), n + 1);
        }
        let counts = |units: &[&str]| units.contains(&unit);
        let is_measured = match part.value {
            1 => counts(self.units_of_one),
            _ => counts(self.units),
        };
        let is_clear = fraction.is_some()
            || is_signed
            || is_measured
            || part.is_spelled && part.value >= 10 && !part.is_vague;
        if is_clear {
            Found::Digits(text, n)
        } else {
            Found::Words(n)
        }
    }

    /// Returns the digits after a decimal sign, and the number of words with it.
    fn fraction(&self, words: &[&str], context: &Context<'_>) -> Option<(String, usize)> {
        let (first, rest) = words.split_first()?;
        if *first != self.point.0 {
            return None;
        }
        let digits: String = rest
            .iter()
            .map_while(|word| (self.digit)(word))
            .map(|digit| digit.to_string())
            .collect();
        if !digits.is_empty() {
            let n = digits.len() + 1;
            return Some((digits, n));
        }
        let part = (self.part)(rest, context)?;
        let is_plain = (10..100).contains(&part.value) && !part.is_ordinal;
        is_plain.then(|| (part.value.to_string(), part.len + 1))
    }

    /// Writes numbers that follow one another: digits, a year or a time. Others stay words, since
    /// they may mean anything.
    fn several(&self, parts: &[Part], n_words: usize, context: &Context<'_>) -> Found {
        let len = parts.iter().map(|part| part.len).sum();
        let unit = if len == n_words { context.after } else { "" };
        let is_spelled = parts.iter().any(|part| part.is_spelled);
        let is_whole = parts.iter().all(|part| !part.is_ordinal && !part.is_vague);
        let joined: String = parts.iter().map(|part| part.value.to_string()).collect();
        let is_digits = parts.len() >= 3 && parts.iter().all(|part| part.value < 10);
        let is_dialled = joined.len() >= 6 && parts.iter().all(|part| part.value < 100);
        let text = match parts {
            _ if !is_spelled || !is_whole => None,
            _ if is_digits || is_dialled => Some(joined),
            [hours, minutes] if self.of_day.contains(&unit) && is_time(hours, minutes) => {
                Some(format!("{}:{:02}", hours.value, minutes.value))
            }
            [century, year] if is_year(century.value, year.value) && !self.counts(unit) => {
                Some(format!("{}{}", century.value, year.value))
            }
            [century, zero, year]
                if (13..=20).contains(&century.value)
                    && zero.value == 0
                    && (1..10).contains(&year.value) =>
            {
                Some(format!("{}0{}", century.value, year.value))
            }
            _ => None,
        };
        match text {
            Some(text) => Found::Digits(text, len),
            None => Found::Words(len),
        }
    }

    /// Whether a word is counted by the number before it.
    fn counts(&self, unit: &str) -> bool {
        self.units.contains(&unit)
            || self.counted.contains(&unit)
            || self.signs.iter().any(|(names, ..)| names.contains(&unit))
    }
}

/// Whether two numbers are the halves of a year. Ten to twelve are hours unless the second number is
/// no minute.
fn is_year(century: u64, year: u64) -> bool {
    (13..=20).contains(&century) && (10..100).contains(&year)
        || (10..=12).contains(&century) && (60..100).contains(&year)
}

fn is_time(hours: &Part, minutes: &Part) -> bool {
    (1..=12).contains(&hours.value) && (10..60).contains(&minutes.value)
}

/// Consecutive words that may belong to a number.
struct Stretch<'t> {
    words: Vec<&'t str>,
    /// For each word, the number of tokens up to its end.
    ends: Vec<usize>,
}

/// Returns the value of a number that is written in digits already.
pub fn literal(word: &str) -> Option<u64> {
    let is_plain = word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| word.parse().ok()).flatten()
}
