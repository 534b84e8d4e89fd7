//! Spoken numbers against digits.

use crate::text::Numbers;
use crate::text::{RuleOptions, Rules, split};
use crate::tokenizer::Language;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn digits(text: &str, code: &str) -> String {
    let options = RuleOptions {
        numbers: Numbers::Digits,
        ..RuleOptions::default()
    };
    let rules = Rules::new(&BTreeMap::new(), options).expect("no replacements");
    let language: Language = code.parse().expect("a language");
    let rewritten = rules.words(&split(text, language), language);
    rewritten.expect("there are rules").text
}

#[test]
fn english_numbers_become_digits() {
    for (text, wanted) in [
        ("I have twenty one cats.", "I have 21 cats."),
        ("Twenty-one cats", "21 cats"),
        ("one hundred and five", "105"),
        ("nineteen eighty four", "1984"),
        ("nineteen eighty-four, then", "1984, then"),
        ("nineteen oh five", "1905"),
        ("nineteen hundred", "1900"),
        ("twenty twenty six", "2026"),
        ("ten sixty six", "1066"),
        ("two thousand and twenty six", "2026"),
        ("five million two hundred thousand and one", "5200001"),
        ("a hundred and five", "105"),
        ("a thousand two hundred", "1200"),
        ("three point one four", "3.14"),
        ("three point fourteen", "3.14"),
        ("zero point oh five", "0.05"),
        ("the twenty first of May", "the 21st of May"),
        ("the twenty-second", "the 22nd"),
        ("May twenty second", "May 22nd"),
        ("one hundred and thirteenth", "113th"),
        ("the two thousandth time", "the 2000th time"),
        ("minus five degrees", "-5 degrees"),
        ("negative twelve", "-12"),
        ("five five five one two", "55512"),
        ("nine one one", "911"),
        ("five five five twelve thirty four", "5551234"),
        ("oh four four two", "0442"),
        ("five percent of it", "5% of it"),
        ("twenty one percent.", "21%."),
        ("three point five percent", "3.5%"),
        ("one percent", "1%"),
        ("five dollars, fifty euros", "$5, €50"),
        ("six kilometres", "6 kilometres"),
        ("at five thirty pm", "at 5:30 pm"),
        ("5 thousand people", "5000 people"),
        ("2 million", "2000000"),
        ("5 percent", "5%"),
        ("between one hundred and two hundred", "between 100 and 200"),
        (
            "between one hundred and two thousand",
            "between 100 and 2000",
        ),
        ("one hundred and two thousand", "102000"),
        ("one thousand and two hundred", "1000 and 200"),
        ("twelve, thirteen and fourteen", "12, 13 and 14"),
        ("twenty\nthirty", "20\n30"),
    ] {
        assert_eq!(digits(text, "en"), wanted, "{text}");
    }
}

#[test]
fn english_words_that_are_no_clear_number_stay() {
    for text in [
        "one of them, no one, this one and another one",
        "a second, second to none, the first of all",
        "five people, six or seven",
        "a hundred times, thanks a million, hundreds of thousands",
        "a couple hundred, several thousand",
        "at one point five people left",
        "the point is, and a point",
        "five thirty, twenty four seven",
        "fifty-fifty, twenty-one-year-old",
        "two and a half, three quarters, one third, one tenth",
        "one's own, the twenty's",
        "twenty thirty people and fifteen twenty minutes",
        "I have 5 cats and 3.5 dogs, 19 84",
        "minus the rest, and negative",
    ] {
        assert_eq!(digits(text, "en"), text);
    }
    assert_eq!(digits("a twenty second pause", "en"), "a 20 second pause");
}

#[test]
fn german_numbers_become_digits() {
    for (text, wanted) in [
        ("Ich habe einundzwanzig Katzen.", "Ich habe 21 Katzen."),
        ("Einundzwanzig", "21"),
        (
            "hundertfünf, einhundertundfünf, hundert und fünf",
            "105, 105, 105",
        ),
        ("neunzehnhundertvierundachtzig", "1984"),
        ("zweitausendsechsundzwanzig", "2026"),
        ("zwanzig sechsundzwanzig", "2026"),
        ("zwei tausend fünf", "2005"),
        ("eine Million zweihunderttausend", "1200000"),
        ("siebenmillionenvierhunderttausend", "7400000"),
        ("zwei Millionen dreihunderttausend und fünf", "2300005"),
        ("drei Komma fünf", "3,5"),
        ("zweiundzwanzig Komma null fünf Meter", "22,05 Meter"),
        ("ein Komma fünf", "1,5"),
        ("am einundzwanzigsten Mai", "am 21. Mai"),
        ("Heute ist der einundzwanzigste.", "Heute ist der 21."),
        ("im zwanzigsten Jahrhundert", "im 20. Jahrhundert"),
        (
            "das hundertste, tausendste, hundertdritte Mal",
            "das 100., 1000., 103. Mal",
        ),
        ("minus fünf Grad", "-5 Grad"),
        ("fünf fünf fünf eins zwei", "55512"),
        ("null vier vier zwo", "0442"),
        ("dreizehn Prozent, ein Prozent", "13 %, 1 %"),
        ("fünf Euro um sechs Uhr", "5 Euro um 6 Uhr"),
        ("5 tausend Leute und 2 Millionen", "5000 Leute und 2000000"),
        ("zwischen hundert und zweihundert", "zwischen 100 und 200"),
        ("zwölf, dreizehn und vierzehn", "12, 13 und 14"),
        ("dreissig", "30"),
    ] {
        assert_eq!(digits(text, "de"), wanted, "{text}");
    }
}

#[test]
fn german_words_that_are_no_clear_number_stay() {
    for text in [
        "ein Mann, eine Frau und einer von ihnen, eins",
        "ein Meter, ein Euro",
        "der erste, die zweite, das dritte, am achten",
        "achten auf sieben Leute",
        "ein paar hundert, mehrere tausend, tausend Dank, Hunderte, Tausende",
        "und so weiter, Komma, minus dem Rest",
        "zwischen fünf und zehnjährigen",
        "fünf und zwanzigjährige",
    ] {
        assert_eq!(digits(text, "de"), text);
    }
    assert_eq!(digits("zehn und zwanzig", "de"), "10 und 20");
}

#[test]
fn other_languages_keep_their_words() {
    let options = RuleOptions {
        numbers: Numbers::Digits,
        ..RuleOptions::default()
    };
    let rules = Rules::new(&BTreeMap::new(), options).expect("no replacements");
    let french: Language = "fr".parse().expect("a language");
    assert_eq!(rules.words(&split("vingt et un", french), french), None);
}

const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const EINER: [&str; 20] = [
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
const ZEHNER: [&str; 10] = [
    "", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig",
];

/// How a number below ten million is said in English.
fn english(n: usize, and: bool, hyphen: bool) -> String {
    let below_100 = |n: usize| match (n, n % 10) {
        (0..20, _) => UNITS[n].to_owned(),
        (_, 0) => TENS[n / 10].to_owned(),
        (_, unit) if hyphen => format!("{}-{}", TENS[n / 10], UNITS[unit]),
        (_, unit) => format!("{} {}", TENS[n / 10], UNITS[unit]),
    };
    let link = if and { "and " } else { "" };
    let below_1000 = |n: usize| match (n / 100, n % 100) {
        (0, rest) => below_100(rest),
        (hundreds, 0) => format!("{} hundred", UNITS[hundreds]),
        (hundreds, rest) => format!("{} hundred {link}{}", UNITS[hundreds], below_100(rest)),
    };
    let mut parts = Vec::new();
    if n >= 1_000_000 {
        parts.push(format!("{} million", below_1000(n / 1_000_000)));
    }
    let thousands = n / 1000 % 1000;
    if thousands > 0 {
        parts.push(format!("{} thousand", below_1000(thousands)));
    }
    match n % 1000 {
        0 if !parts.is_empty() => {}
        rest @ 1..100 if !parts.is_empty() => parts.push(format!("{link}{}", below_100(rest))),
        rest => parts.push(below_1000(rest)),
    }
    parts.join(" ")
}

/// How a number below ten million is said in German.
fn german(n: usize, apart: bool) -> String {
    let below_100 = |n: usize| match (n, n % 10) {
        (0..20, _) => EINER[n].to_owned(),
        (_, 0) => ZEHNER[n / 10].to_owned(),
        (_, unit) => format!("{}und{}", EINER[unit], ZEHNER[n / 10]),
    };
    let below_1000 = |n: usize| match (n / 100, n % 100) {
        (0, rest) => below_100(rest),
        (hundreds, 0) => format!("{}hundert", EINER[hundreds]),
        (hundreds, rest) => format!("{}hundert{}", EINER[hundreds], below_100(rest)),
    };
    let space = if apart { " " } else { "" };
    let thousands = match n / 1000 % 1000 {
        0 => String::new(),
        count => format!("{}{space}tausend{space}", below_1000(count)),
    };
    let rest = match n % 1000 {
        0 if n > 0 => String::new(),
        1 => "eins".to_owned(),
        rest if rest > 100 && rest % 100 == 1 => format!("{}eins", below_1000(rest - 1)),
        rest => below_1000(rest),
    };
    let millions = match n / 1_000_000 {
        0 => String::new(),
        1 => "eine Million ".to_owned(),
        count => format!("{} Millionen ", below_1000(count)),
    };
    format!("{millions}{thousands}{rest}").trim().to_owned()
}

fn check(n: usize) {
    // Below ten, only a unit makes it digits.
    let forms = [(true, true), (true, false), (false, true), (false, false)];
    for (and, hyphen) in forms {
        let said = english(n, and, hyphen);
        assert_eq!(
            digits(&format!("{said} percent"), "en"),
            format!("{n}%"),
            "{said}"
        );
        if n >= 10 {
            assert_eq!(
                digits(&format!("So {said}, yes"), "en"),
                format!("So {n}, yes"),
                "{said}"
            );
        }
    }
    for apart in [true, false] {
        let said = german(n, apart);
        assert_eq!(
            digits(&format!("{said} Prozent"), "de"),
            format!("{n} %"),
            "{said}"
        );
        if n >= 10 {
            assert_eq!(
                digits(&format!("So {said}, ja"), "de"),
                format!("So {n}, ja"),
                "{said}"
            );
        }
    }
}

#[test]
fn numbers_up_to_two_thousand_come_back() {
    (0..2000).for_each(check);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn numbers_up_to_ten_million_come_back(n in 0..10_000_000usize) {
        check(n);
    }
}
