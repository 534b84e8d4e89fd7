//! English numbers: "one hundred and five", "twenty-first".

use super::grammar::{Context, Grammar, Part, literal};

/// English.
pub(super) const ENGLISH: Grammar = Grammar {
    belongs,
    part,
    digit,
    point: ("point", '.'),
    inside: &["and", "point"],
    minus: &["minus", "negative"],
    between: &["between"],
    units: &[
        "degrees",
        "degree",
        "kilometres",
        "kilometers",
        "kilometre",
        "kilometer",
        "metres",
        "meters",
        "metre",
        "meter",
        "centimetres",
        "centimeters",
        "millimetres",
        "millimeters",
        "kilograms",
        "kilos",
        "grams",
        "litres",
        "liters",
        "millilitres",
        "milliliters",
        "miles",
        "volts",
        "watts",
        "kilowatts",
        "megawatts",
        "amps",
        "hertz",
        "kilohertz",
        "megahertz",
        "gigahertz",
        "kilobytes",
        "megabytes",
        "gigabytes",
        "terabytes",
        "cents",
        "am",
        "pm",
        "a.m",
        "p.m",
    ],
    units_of_one: &["am", "pm", "a.m", "p.m"],
    signs: &[
        (&["percent"], "", "%"),
        (&["dollars", "dollar"], "$", ""),
        (&["euros", "euro"], "€", ""),
    ],
    of_day: &["am", "pm", "a.m", "p.m"],
    counted: &[
        "seconds", "minutes", "hours", "days", "weeks", "months", "years", "people", "times",
        "pages",
    ],
    ordinal,
};

/// Word of a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// 0 to 9.
    Digit(u64),
    /// 10 to 19.
    Teen(u64),
    /// 20 to 90.
    Tens(u64),
    Hundred,
    /// A power of 1000.
    Scale(u64),
    /// A number below 1000 in digits.
    Literal(u64),
    A,
    And,
    /// Decimal point or minus sign, which no part includes.
    Sign,
}

/// Word, and whether it is an ordinal: "five", "fifth".
fn word(text: &str) -> Option<(Word, bool)> {
    let cardinal = |text: &str| {
        Some(match text {
            "zero" | "oh" | "o" => Word::Digit(0),
            "one" => Word::Digit(1),
            "two" => Word::Digit(2),
            "three" => Word::Digit(3),
            "four" => Word::Digit(4),
            "five" => Word::Digit(5),
            "six" => Word::Digit(6),
            "seven" => Word::Digit(7),
            "eight" => Word::Digit(8),
            "nine" => Word::Digit(9),
            "ten" => Word::Teen(10),
            "eleven" => Word::Teen(11),
            "twelve" => Word::Teen(12),
            "thirteen" => Word::Teen(13),
            "fourteen" => Word::Teen(14),
            "fifteen" => Word::Teen(15),
            "sixteen" => Word::Teen(16),
            "seventeen" => Word::Teen(17),
            "eighteen" => Word::Teen(18),
            "nineteen" => Word::Teen(19),
            "twenty" => Word::Tens(20),
            "thirty" => Word::Tens(30),
            "forty" | "fourty" => Word::Tens(40),
            "fifty" => Word::Tens(50),
            "sixty" => Word::Tens(60),
            "seventy" => Word::Tens(70),
            "eighty" => Word::Tens(80),
            "ninety" => Word::Tens(90),
            "hundred" => Word::Hundred,
            "thousand" => Word::Scale(1_000),
            "million" => Word::Scale(1_000_000),
            "billion" => Word::Scale(1_000_000_000),
            "trillion" => Word::Scale(1_000_000_000_000),
            _ => return None,
        })
    };
    let ordinal = match text {
        "first" => Some("one".to_owned()),
        "second" => Some("two".to_owned()),
        "third" => Some("three".to_owned()),
        "fifth" => Some("five".to_owned()),
        "eighth" => Some("eight".to_owned()),
        "ninth" => Some("nine".to_owned()),
        "twelfth" => Some("twelve".to_owned()),
        _ => match text.strip_suffix("ieth") {
            Some(stem) => Some(format!("{stem}y")),
            None => text.strip_suffix("th").map(str::to_owned),
        },
    };
    match text {
        "a" => Some((Word::A, false)),
        "and" => Some((Word::And, false)),
        "point" | "minus" | "negative" => Some((Word::Sign, false)),
        _ => match (cardinal(text), literal(text)) {
            (Some(word), _) => Some((word, false)),
            (None, Some(value)) => Some((Word::Literal(value), false)),
            (None, None) => Some((cardinal(&ordinal?)?, true)),
        },
    }
}

fn belongs(text: &str) -> bool {
    !text.is_empty() && text.split('-').all(|part| word(part).is_some())
}

fn digit(text: &str) -> Option<u64> {
    match word(text) {
        Some((Word::Digit(value), false)) => Some(value),
        Some((Word::Literal(value), false)) if value < 10 => Some(value),
        _ => None,
    }
}

fn part(texts: &[&str], context: &Context<'_>) -> Option<Part> {
    let mut words = Vec::new();
    'texts: for (i, text) in texts.iter().enumerate() {
        for (n, part) in text.split('-').enumerate() {
            let (word, is_ordinal) = word(part)?;
            let is_joined = n > 0;
            // "a twenty second pause", "the twenty second of May"
            let is_unit = part == "second" && !is_joined && !is_date(context, texts.get(i + 1));
            if is_unit {
                break 'texts;
            }
            words.push(Spoken {
                word,
                is_ordinal,
                is_joined,
                text: i,
            });
        }
    }
    let mut parser = Parser {
        words: &words,
        at: 0,
        is_ordinal: false,
        takes_and: !ENGLISH.between.contains(&context.before),
    };
    let value = parser.number()?;
    let read = words.get(..parser.at)?;
    let splits_a_word = words.get(parser.at).is_some_and(|word| word.is_joined);
    if splits_a_word || parser.is_ordinal && value < 10 {
        return None;
    }
    Some(Part {
        value,
        len: read.last()?.text + 1,
        is_ordinal: parser.is_ordinal,
        is_spelled: read
            .iter()
            .any(|word| !matches!(word.word, Word::Literal(_))),
        is_vague: read.len() == 2 && read.first()?.word == Word::A,
    })
}

/// Whether "second" after tens belongs to a date.
fn is_date(context: &Context<'_>, next: Option<&&str>) -> bool {
    const BEFORE: [&str; 13] = [
        "the",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    BEFORE.contains(&context.before) || next.is_none() && context.after == "of"
}

/// Word, and where it stands.
struct Spoken {
    word: Word,
    is_ordinal: bool,
    /// Whether a hyphen joins it to the word before it.
    is_joined: bool,
    /// Index of the text that it is part of.
    text: usize,
}

/// Reader of one number. An ordinal word ends it.
struct Parser<'w> {
    words: &'w [Spoken],
    at: usize,
    is_ordinal: bool,
    /// Whether "and" may be part of it, and not stand between two numbers.
    takes_and: bool,
}

impl Parser<'_> {
    /// Reads groups before falling powers of 1000.
    fn number(&mut self) -> Option<u64> {
        let mut total = 0;
        let mut least = u64::MAX;
        loop {
            let begin = self.at;
            let after_and = begin > 0 && self.peek() == Some(Word::And) && self.takes_and;
            if after_and {
                self.at += 1;
            }
            let Some((value, scale)) = self.group(least, after_and) else {
                self.at = begin;
                break;
            };
            total += value.checked_mul(scale)?;
            least = scale;
            if scale == 1 || self.is_ordinal {
                break;
            }
        }
        (self.at > 0).then_some(total)
    }

    /// Reads a number below 1000 and the power of 1000 after it, which is below `least`. After
    /// "and", only a number below 100 without one.
    fn group(&mut self, least: u64, after_and: bool) -> Option<(u64, u64)> {
        let begin = self.at;
        let mut value = match self.peek()? {
            Word::A => {
                self.at += 1;
                let follows = matches!(self.peek(), Some(Word::Hundred | Word::Scale(_)));
                if begin > 0 || !follows {
                    self.at = begin;
                    return None;
                }
                1
            }
            Word::Literal(value) if value < 1000 || begin == 0 => {
                self.at += 1;
                value
            }
            _ => self.below_100()?,
        };
        if value > 0 && value < 100 && self.peek() == Some(Word::Hundred) && !self.is_ordinal {
            self.take();
            value *= 100;
            value += self.after_hundred().unwrap_or(0);
        }
        if value == 0 && begin > 0 {
            self.at = begin;
            return None;
        }
        let scale = match self.peek() {
            Some(Word::Scale(scale))
                if scale < least && !self.is_ordinal && (1..10_000).contains(&value) =>
            {
                self.take();
                scale
            }
            _ => 1,
        };
        // "one thousand and two hundred" are two numbers, and so are "one thousand two thousand".
        let is_other = after_and && (value >= 100 || scale > 1)
            || value >= least
            || begin > 0
                && scale == 1
                && matches!(self.peek(), Some(Word::Hundred | Word::Scale(_)));
        if is_other {
            self.at = begin;
            return None;
        }
        Some((value, scale))
    }

    fn after_hundred(&mut self) -> Option<u64> {
        if self.is_ordinal {
            return None;
        }
        let begin = self.at;
        if self.peek() == Some(Word::And) && self.takes_and {
            self.at += 1;
        }
        let was_ordinal = self.is_ordinal;
        let value = self.below_100().filter(|value| *value > 0);
        // "one hundred and two hundred"
        if value.is_none() || self.peek() == Some(Word::Hundred) && !self.is_ordinal {
            self.at = begin;
            self.is_ordinal = was_ordinal;
            return None;
        }
        value
    }

    fn below_100(&mut self) -> Option<u64> {
        match self.peek()? {
            Word::Digit(value) | Word::Teen(value) => {
                self.take();
                Some(value)
            }
            Word::Tens(tens) => {
                self.take();
                match self.peek() {
                    Some(Word::Digit(value @ 1..)) if !self.is_ordinal => {
                        self.take();
                        Some(tens + value)
                    }
                    _ => Some(tens),
                }
            }
            _ => None,
        }
    }

    fn peek(&self) -> Option<Word> {
        self.words.get(self.at).map(|word| word.word)
    }

    fn take(&mut self) {
        self.is_ordinal = self.words.get(self.at).is_some_and(|word| word.is_ordinal);
        self.at += 1;
    }
}

fn ordinal(value: u64) -> String {
    let suffix = match (value % 10, value % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{value}{suffix}")
}
