//! German numbers: "einhundertfünf", "zwei Millionen dreihunderttausend", "einundzwanzigste".

use super::grammar::{Context, Grammar, Part, literal};

/// German.
pub(super) const GERMAN: Grammar = Grammar {
    belongs,
    part,
    digit,
    point: ("komma", ','),
    inside: &["und", "komma"],
    minus: &["minus"],
    between: &["zwischen"],
    units: &[
        "grad",
        "euro",
        "cent",
        "kilometer",
        "kilometern",
        "meter",
        "metern",
        "zentimeter",
        "millimeter",
        "kilogramm",
        "kilo",
        "gramm",
        "liter",
        "litern",
        "milliliter",
        "tonnen",
        "volt",
        "watt",
        "kilowatt",
        "megawatt",
        "ampere",
        "hertz",
        "kilohertz",
        "megahertz",
        "gigahertz",
        "kilobyte",
        "megabyte",
        "gigabyte",
        "terabyte",
        "uhr",
    ],
    units_of_one: &["uhr"],
    signs: &[(&["prozent"], "", " %")],
    of_day: &[],
    counted: &[
        "sekunden", "minuten", "stunden", "tage", "tagen", "wochen", "monate", "monaten", "jahre",
        "jahren", "leute", "menschen", "mal", "seiten",
    ],
    ordinal: |value| format!("{value}."),
};

const UNITS: [&str; 20] = [
    "null",
    "ein",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
];

const TENS: [&str; 8] = [
    "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig",
];

/// Words that make a hundred or a thousand vague: "ein paar hundert".
const VAGUE: [&str; 7] = [
    "paar", "mehrere", "mehreren", "einige", "einigen", "viele", "vielen",
];

fn belongs(word: &str) -> bool {
    matches!(word, "und" | "komma" | "minus" | "eine")
        || scale(word).is_some()
        || literal(word).is_some()
        || number(word).is_some()
}

fn digit(word: &str) -> Option<u64> {
    literal(word)
        .or_else(|| cardinal(word))
        .filter(|value| *value < 10)
}

fn part(words: &[&str], context: &Context<'_>) -> Option<Part> {
    let (value, len, is_ordinal) = millions(words).or_else(|| below_a_million(words, context))?;
    let read = words.get(..len)?;
    let first = *read.first()?;
    // Articles, and "der achte".
    let is_word = len == 1 && (matches!(first, "ein" | "eine") || is_ordinal && value < 10);
    if is_word && !(first == "ein" && is_counted(words, context)) {
        return None;
    }
    let is_round = len == 1 && matches!(first, "hundert" | "tausend");
    Some(Part {
        value,
        len,
        is_ordinal,
        is_spelled: read.iter().any(|word| literal(word).is_none()),
        is_vague: is_round && (VAGUE.contains(&context.before) || context.after == "dank"),
    })
}

/// Whether "ein" alone is the number 1: "ein Prozent", "ein Uhr", "ein Komma fünf".
fn is_counted(words: &[&str], context: &Context<'_>) -> bool {
    match words.get(1) {
        Some(next) => *next == "komma",
        None => matches!(context.after, "prozent" | "uhr"),
    }
}

/// Reads millions and what follows them. Returns value, number of words, whether it is an ordinal.
fn millions(words: &[&str]) -> Option<(u64, usize, bool)> {
    let mut total = 0;
    let mut at = 0;
    let mut least = u64::MAX;
    while let [count, name, ..] = words.get(at..).unwrap_or_default()
        && let Some(scale) = scale(name).filter(|scale| *scale < least)
        && let Some(value) = literal(count)
            .or_else(|| cardinal(count))
            .filter(|value| (1..1000).contains(value))
    {
        total += value * scale;
        least = scale;
        at += 2;
    }
    if at == 0 {
        return None;
    }
    let skipped = usize::from(words.get(at) == Some(&"und"));
    let none = Context {
        before: "",
        after: "",
    };
    let rest = below_a_million(words.get(at + skipped..).unwrap_or_default(), &none)
        // "eine Million und zweihunderttausend" are two numbers.
        .filter(|(value, ..)| *value > 0 && (skipped == 0 || *value < 100));
    match rest {
        Some((value, len, is_ordinal)) => Some((total + value, at + skipped + len, is_ordinal)),
        None => Some((total, at, false)),
    }
}

/// Reads the longest number that the words give if they are written as one: "zwei tausend", "hundert
/// und fünf".
fn below_a_million(words: &[&str], context: &Context<'_>) -> Option<(u64, usize, bool)> {
    let mut found = None;
    let mut joined = String::new();
    for (i, word) in words.iter().enumerate() {
        let is_round = joined.ends_with("hundert") || joined.ends_with("tausend");
        let is_and = *word == "und";
        let continues = match literal(word) {
            Some(_) => i == 0,
            None => {
                i == 0
                    || joined.ends_with("und")
                    || is_round
                    || word.starts_with("hundert")
                    || word.starts_with("tausend")
            }
        };
        if !continues || is_and && (i == 0 || GERMAN.between.contains(&context.before)) {
            break;
        }
        joined.push_str(word);
        if is_and {
            continue;
        }
        if let Some((value, is_ordinal)) = number(&joined) {
            found = Some((value, i + 1, is_ordinal));
            if is_ordinal {
                break;
            }
        } else {
            break;
        }
    }
    found
}

fn scale(word: &str) -> Option<u64> {
    match word {
        "million" | "millionen" => Some(1_000_000),
        "milliarde" | "milliarden" => Some(1_000_000_000),
        "billion" | "billionen" => Some(1_000_000_000_000),
        _ => None,
    }
}

/// Returns the value of a number in one word, and whether it is an ordinal.
fn number(word: &str) -> Option<(u64, bool)> {
    cardinal(word)
        .map(|value| (value, false))
        .or_else(|| Some((ordinal(word)?, true)))
}

fn ordinal(word: &str) -> Option<u64> {
    let stem = ["e", "er", "es", "en", "em"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.ends_with('t')))?;
    for (irregular, value) in [
        ("erst", "ein"),
        ("dritt", "drei"),
        ("siebt", "sieben"),
        ("acht", "acht"),
    ] {
        if let Some(before) = stem.strip_suffix(irregular) {
            return cardinal(&format!("{before}{value}"));
        }
    }
    let value = match stem.strip_suffix("st") {
        Some(number) => cardinal(number).filter(|value| is_of_20(*value))?,
        None => cardinal(stem.strip_suffix('t')?).filter(|value| !is_of_20(*value))?,
    };
    (value > 0).then_some(value)
}

/// Whether the ordinal ends in -ste: twenty and more, hundreds, thousands.
fn is_of_20(value: u64) -> bool {
    value > 0 && !(1..20).contains(&(value % 100))
}

fn cardinal(word: &str) -> Option<u64> {
    if let Some(value) = literal_prefix(word) {
        return Some(value);
    }
    for (name, value) in [("millionen", 1_000_000), ("million", 1_000_000)] {
        if let Some((count, rest)) = word.split_once(name).filter(|(count, _)| !count.is_empty()) {
            let count = if count == "eine" {
                1
            } else {
                below_1000(count)?
            };
            return Some(count * value + below_a_million_in_one(rest)?);
        }
    }
    match word {
        "eine" | "eins" => Some(1),
        "null" => Some(0),
        "" => None,
        _ => below_a_million_in_one(word),
    }
}

/// Returns the value of digits before a round word: "5tausend", as "5 tausend" is joined.
fn literal_prefix(word: &str) -> Option<u64> {
    let end = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let (digits, rest) = word.split_at(end);
    let count = literal(digits)?;
    match rest {
        "" => Some(count),
        _ if !(1..1000).contains(&count) => None,
        _ => {
            let (factor, rest) = match rest.strip_prefix("tausend") {
                Some(rest) => (1000, rest),
                None => (100, rest.strip_prefix("hundert")?),
            };
            let rest = rest_of(rest, below_1000)?;
            (rest < factor).then_some(count * factor + rest)
        }
    }
}

fn below_a_million_in_one(word: &str) -> Option<u64> {
    match word.split_once("tausend") {
        _ if word.is_empty() => Some(0),
        None => below_1000(word),
        Some((count, rest)) => {
            let count = if count.is_empty() {
                1
            } else {
                below_1000(count)?
            };
            let rest = rest_of(rest, below_1000)?;
            (count < 1000 && rest < 1000).then_some(count * 1000 + rest)
        }
    }
}

/// Also reads hundreds of years: "neunzehnhundert".
fn below_1000(word: &str) -> Option<u64> {
    let Some((count, rest)) = word.split_once("hundert") else {
        return below_100(word);
    };
    let count = if count.is_empty() {
        1
    } else {
        below_100(count)?
    };
    let rest = rest_of(rest, below_100)?;
    (count > 0).then_some(count * 100 + rest)
}

/// Reads what follows a hundred or thousand, perhaps nothing.
fn rest_of(rest: &str, read: fn(&str) -> Option<u64>) -> Option<u64> {
    match rest {
        "" => Some(0),
        rest => read(rest.strip_prefix("und").unwrap_or(rest)),
    }
}

fn below_100(word: &str) -> Option<u64> {
    if let Some((unit, tens)) = word.split_once("und") {
        let unit = below_20(unit).filter(|unit| *unit < 10)?;
        return Some(unit + of_tens(tens)?);
    }
    below_20(word).or_else(|| of_tens(word))
}

fn below_20(word: &str) -> Option<u64> {
    let word = match word {
        "eins" => "ein",
        "zwo" => "zwei",
        "fuenf" => "fünf",
        "zwoelf" => "zwölf",
        word => word,
    };
    let value = UNITS.iter().position(|unit| *unit == word)?;
    (value > 0).then_some(value as u64)
}

fn of_tens(word: &str) -> Option<u64> {
    let word = if word == "dreissig" { "dreißig" } else { word };
    let place = TENS.iter().position(|tens| *tens == word)?;
    Some(place as u64 * 10 + 20)
}
