//! Text in, text out; text that grows; times.

mod fillers;

use super::rewrite::Entry;
use super::*;
use crate::whisper::{Segment, TimedWord};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn replacing(pairs: &[(&str, &str)]) -> Rules {
    rules(pairs, false)
}

fn rules(pairs: &[(&str, &str)], spoken: bool) -> Rules {
    let pairs = pairs
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect();
    let options = RuleOptions {
        spoken_punctuation: spoken,
        ..RuleOptions::default()
    };
    Rules::new(&pairs, options).expect("valid rules")
}

fn language(code: &str) -> Language {
    code.parse().expect("a language")
}

fn entries(rules: &Rules, pieces: &[&str], code: &str, is_open: bool) -> Vec<Entry> {
    let rewriter = rules.rewriter(language(code)).expect("there are rules");
    rewriter.rewrite(pieces.iter().copied(), is_open)
}

fn joined(entries: &[Entry]) -> String {
    entries.iter().map(|entry| entry.text.as_str()).collect()
}

/// An utterance as a whole, in words.
fn rewrite(rules: &Rules, text: &str, code: &str) -> String {
    let words = split(text, language(code));
    let pieces: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    joined(&entries(rules, &pieces, code, false))
}

#[test]
fn whole_words_and_phrases_are_replaced_in_any_case() {
    let rules = replacing(&[
        ("hear ken", "Hearken"),
        ("new york", "NY"),
        ("new york city", "NYC"),
        ("jon", "John"),
        ("e.g.", "for example"),
        ("well", "good"),
        ("Straße", "Str."),
        ("世界", "天下"),
        ("git", "Git"),
        ("привет", "Здравствуйте"),
    ]);
    for (code, text, wanted) in [
        (
            "en",
            " Hear Ken, and HEAR  KEN. Hearken!",
            " Hearken, and Hearken. Hearken!",
        ),
        ("en", " New York City, new York cit", " NYC, NY cit"),
        (
            "en",
            " Jon’s and Jon's, not Jonathan",
            " John’s and John's, not Jonathan",
        ),
        ("en", " e.g. this", " for example this"),
        (
            "en",
            " Well, a well-known digit",
            " good, a well-known digit",
        ),
        ("en", " hear, ken", " hear, ken"),
        ("de", " die straße", " die Str."),
        ("zh", "你好，世界。GitHub和git", "你好，天下。GitHub和Git"),
        ("ru", " Привет, мир", " Здравствуйте, мир"),
    ] {
        assert_eq!(rewrite(&rules, text, code), wanted);
    }
}

#[test]
fn what_was_replaced_is_not_replaced_again() {
    let swap = replacing(&[("cat", "dog"), ("dog", "cat"), ("hot dog", "hot cat")]);
    assert_eq!(
        rewrite(&swap, " a cat, a dog and a hot dog", "en"),
        " a dog, a cat and a hot cat"
    );
}

#[test]
fn the_right_side_may_be_empty_or_a_line_end() {
    let rules = replacing(&[("um", ""), ("next item", "\n- "), ("stop here", ".\n")]);
    assert_eq!(
        rewrite(&rules, " So, um, I think um yes", "en"),
        " So, I think yes"
    );
    assert_eq!(rewrite(&rules, " Um, well", "en"), " well");
    assert_eq!(
        rewrite(&rules, " Milk next item eggs", "en"),
        " Milk\n- eggs"
    );
    assert_eq!(
        rewrite(&rules, " Milk stop here eggs", "en"),
        " Milk .\neggs"
    );
}

#[test]
fn spoken_punctuation_takes_the_place_of_whispers_own() {
    let rules = rules(&[], true);
    for (code, text, wanted) in [
        (
            "en",
            " Hello, comma, how are you? Question mark.",
            " Hello, how are you?",
        ),
        (
            "en",
            " Hello comma how are you question mark",
            " Hello, how are you?",
        ),
        (
            "en",
            " Hello. New Line How are you? New Line best regards.",
            " Hello.\nHow are you?\nBest regards.",
        ),
        (
            "en",
            " Dear Mr Smith, Comma, new paragraph, thank you. Full stop. I will call, period.",
            " Dear Mr Smith,\n\nThank you. I will call.",
        ),
        (
            "en",
            " The house, open bracket, built in 1900, close bracket, is old full stop",
            " The house [built in 1900] is old.",
        ),
        (
            "en",
            " He said colon open quote I am here full stop close quote and left",
            " He said: \"I am here.\" And left",
        ),
        (
            "en",
            " Really question mark exclamation mark Yes exclamation point",
            " Really?! Yes!",
        ),
        (
            "en",
            " one semicolon two semi-colon three",
            " one; two; three",
        ),
        (
            "en",
            " comma-separated, the colon's place, so, comma, too",
            " comma-separated, the colon's place, so, too",
        ),
        (
            "en",
            " New line, new line. open parenthesis a close parenthesis",
            "\n\n(A)",
        ),
        ("en", " Comma", ","),
        (
            "de",
            " Sehr geehrte Frau Müller, Komma, neuer Absatz, vielen Dank. Punkt.",
            " Sehr geehrte Frau Müller,\n\nVielen Dank.",
        ),
        (
            "de",
            " Er kam Klammer auf gestern Klammer zu Doppelpunkt gut Fragezeichen",
            " Er kam (gestern): gut?",
        ),
        (
            "fr",
            " Bonjour virgule ça va ? Point d'interrogation.",
            " Bonjour, ça va ?",
        ),
        (
            "fr",
            " Il dit deux points ouvrez les guillemets oui fermez les guillemets point à la ligne merci",
            " Il dit : « oui ».\nMerci",
        ),
        (
            "fr",
            " Il vient point-virgule c’est bien point d’exclamation",
            " Il vient ; c’est bien !",
        ),
        (
            "es",
            " Hola, coma, abrir interrogación cómo estás cerrar interrogación",
            " Hola, ¿cómo estás?",
        ),
        (
            "es",
            " Uno punto y coma dos punto y aparte tres punto",
            " Uno; dos.\n\nTres.",
        ),
        ("it", " punto, virgola", " punto, virgola"),
        ("de", " period, comma", " period, comma"),
    ] {
        let written = match rules.rewriter(language(code)) {
            Some(_) => rewrite(&rules, text, code),
            None => text.to_owned(),
        };
        assert_eq!(written, wanted, "{text}");
    }
    assert_eq!(
        rewrite(&replacing(&[("x", "y")]), " Hello, comma, x", "en"),
        " Hello, comma, y",
        "it is off by default"
    );
}

#[test]
fn a_replacement_goes_before_spoken_punctuation() {
    let rules = rules(
        &[
            ("period", "era"),
            ("new line of work", "career"),
            ("slash pr", "/pr"),
        ],
        true,
    );
    assert_eq!(
        rewrite(&rules, " a new line of work, period. slash PR comma", "en"),
        " a career, era. /pr,"
    );
}

#[test]
fn text_waits_for_the_word_that_decides() {
    let rules = rules(&[("new york", "NY"), ("new york city", "NYC")], true);
    let open = |pieces: &[&str]| joined(&entries(&rules, pieces, "en", true));
    assert_eq!(open(&[" in", " New"]), " in");
    assert_eq!(open(&[" in", " New", " York"]), " in");
    assert_eq!(open(&[" in", " New", " York,", " but"]), " in NY, but");
    assert_eq!(
        open(&[" in", " New", " shoes,"]),
        " in New shoes",
        "a spoken mark might take the comma's place"
    );
    assert_eq!(
        open(&[" in", " New", " shoes,", " question"]),
        " in New shoes"
    );
    assert_eq!(
        open(&[" in", " New", " shoes,", " question", " mark"]),
        " in New shoes?"
    );
}

#[test]
fn an_entry_has_the_pieces_that_it_was_made_of() {
    let rules = rules(&[("hear ken", "Hearken")], true);
    let made = entries(
        &rules,
        &[
            " Hear", " Ken,", " comma", " open", " quote", " yes", " full", " stop",
        ],
        "en",
        false,
    );
    let made: Vec<_> = made
        .iter()
        .map(|entry| (entry.text.as_str(), entry.from.clone()))
        .collect();
    assert_eq!(made, [(" Hearken,", 0..2), (" \"yes.", 5..6)]);
    let made = entries(&rules, &[" Comma,", " yes"], "en", false);
    assert_eq!(
        made,
        [Entry {
            text: ", yes".to_owned(),
            from: 1..2
        }]
    );
}

fn timed(text: &str, start: f64, probability: f32) -> TimedWord {
    TimedWord {
        text: text.to_owned(),
        tokens: 1,
        start,
        end: start + 0.5,
        probability,
    }
}

#[test]
fn segments_keep_their_times_and_phrases_go_across_them() {
    let segment = |text: &str, start: f64, words: Vec<TimedWord>| Segment {
        start,
        end: start + 2.0,
        text: text.to_owned(),
        tokens: vec![7],
        words,
    };
    let rules = rules(&[("hear ken", "Hearken")], true);
    let mut plain = vec![
        segment(" I hear", 0.0, vec![]),
        segment(" Ken.", 2.0, vec![]),
        segment(" Comma", 4.0, vec![]),
    ];
    rules.segments(&mut plain, Language::ENGLISH);
    let texts: Vec<_> = plain
        .iter()
        .map(|segment| (segment.text.as_str(), segment.start, segment.end))
        .collect();
    assert_eq!(texts, [(" I Hearken,", 0.0, 2.0)]);
    let words = vec![
        timed(" hear", 1.0, 0.9),
        timed(" Ken", 1.5, 0.4),
        timed(" well", 2.5, 0.8),
        timed("-known.", 3.0, 0.7),
    ];
    let mut with_words = vec![segment(" hear Ken well-known.", 1.0, words)];
    rules.segments(&mut with_words, Language::ENGLISH);
    let [segment] = with_words.as_slice() else {
        panic!("{with_words:?}")
    };
    assert_eq!(segment.text, " Hearken well-known.");
    let summary = |w: &TimedWord| (w.text.clone(), w.tokens, w.start, w.end, w.probability);
    assert_eq!(
        segment.words.iter().map(summary).collect::<Vec<_>>(),
        [
            (" Hearken".to_owned(), 2, 1.0, 2.0, 0.4),
            (" well-known.".to_owned(), 2, 2.5, 3.5, 0.7)
        ]
    );
    let mut chinese = vec![segment_of_words("用GitHub", &["用", "Git", "Hub"])];
    replacing(&[("git", "Git"), ("hub", "x")]).segments(&mut chinese, language("zh"));
    assert_eq!(
        chinese[0].text, "用GitHub",
        "a word that the tokenizer cuts is one word"
    );
}

fn segment_of_words(text: &str, words: &[&str]) -> Segment {
    let words = words.iter().map(|word| timed(word, 0.0, 1.0)).collect();
    Segment {
        start: 0.0,
        end: 1.0,
        text: text.to_owned(),
        tokens: vec![],
        words,
    }
}

fn spoken_words(words: &[&str]) -> Vec<Word> {
    let of = |(i, text): (usize, &&str)| {
        // One by one: a word that continues the previous one stays a word, as after committed
        // words.
        super::timed(
            &[timed(text, i as f64, 1.0 - i as f32 / 100.0)],
            Language::ENGLISH,
        )
    };
    words.iter().enumerate().flat_map(of).collect()
}

/// Committed text, interim text and committed words of an utterance of which the first `n` words
/// are committed.
fn shown(rules: &Rules, words: &[&str], n: usize) -> (String, String, Vec<Word>) {
    let (committed, interim) = words.split_at(n);
    let committed = spoken_words(committed);
    let rewritten = rules.interim(&committed, &interim.concat(), Language::ENGLISH);
    let (settled, interim) = rewritten.expect("there are rules");
    (settled.text, interim, settled.words)
}

/// The text of a finished utterance.
fn last(rules: &Rules, words: &[&str]) -> String {
    let rewritten = rules.words(&spoken_words(words), Language::ENGLISH);
    trimmed(&rewritten.expect("there are rules").text).to_owned()
}

#[test]
fn an_utterance_that_goes_on_is_shown_as_it_will_be() {
    let rules = rules(&[("hear ken", "Hearken")], true);
    let words = [" So", " hear", " Ken,", " new", " line", " it", " is"];
    let shown = |n| shown(&rules, &words, n);
    assert_eq!(
        (shown(0).0, shown(0).1),
        (String::new(), "So Hearken\nIt is".to_owned())
    );
    assert_eq!(
        (shown(2).0, shown(2).1),
        ("So".to_owned(), " Hearken\nIt is".to_owned())
    );
    let (committed, tail, spoken) = shown(5);
    assert_eq!(
        (committed.as_str(), tail.as_str()),
        ("So Hearken\n", "It is")
    );
    let times: Vec<_> = spoken
        .iter()
        .map(|w| (w.text.trim(), w.start_s, w.end_s, w.confidence))
        .collect();
    assert_eq!(times, [("So", 0.0, 0.5, 1.0), ("Hearken", 1.0, 2.5, 0.98)]);
    assert_eq!(last(&rules, &words), "So Hearken\nIt is");
    assert_eq!(
        last(&rules, &[" New", " line"]),
        "\n",
        "a line end alone is text"
    );
    let words = spoken_words(&words);
    let unchanged = Rules::default().interim(&words, "", Language::ENGLISH);
    assert_eq!(unchanged, None, "there are no rules");
}

#[test]
fn a_language_without_a_table_keeps_its_words() {
    let words = spoken_words(&[" new", " line"]);
    let rules = rules(&[], true);
    assert_eq!(rules.interim(&words, " comma", language("it")), None);
    assert_eq!(rules.words(&words, language("it")), None);
}

#[test]
fn lines_are_joined_without_spaces() {
    let mut text = String::new();
    for more in [" Hello.", " How\n", " are", " \nyou"] {
        append(&mut text, more);
    }
    assert_eq!(text, " Hello. How\nare\nyou");
    assert_eq!(trimmed("\u{a0} Hello.\n "), "Hello.\n");
}

#[test]
fn a_translation_is_english() {
    assert_eq!(written(Task::Translate, language("de")), Language::ENGLISH);
    assert_eq!(written(Task::Transcribe, language("de")), language("de"));
}

/// Words in which phrases begin, continue and end. Some continue a word, as a hypothesis after
/// committed words may.
fn any_words() -> impl Strategy<Value = Vec<&'static str>> {
    let word = prop::sample::select(vec![
        " new",
        " New",
        " line",
        " Line.",
        " york",
        " york,",
        " city",
        " comma",
        " Comma,",
        " comma.",
        " full",
        " stop",
        " open",
        " quote",
        " close",
        " bracket",
        " um",
        " um,",
        " question",
        " mark?",
        " hello",
        " hello.",
        " so,",
        "s",
        "'s",
        ",",
        " ?",
        " -",
        " (a)",
        " I",
        " it",
        "\u{a0}!",
        " paragraph",
        " \"Yes\"",
        " wait…",
        " uh",
        " Uh,",
        " er...",
        " Hm.",
        " the,",
        " one",
        " twenty",
        " Twenty-one",
        " hundred",
        " and",
        " point",
        " minus",
        " five",
        " 5",
        " thousand,",
        " percent",
        " second",
        " third.",
        " a",
        "-five",
    ]);
    prop::collection::vec(word, 0..14)
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let pairs = [
        ("new york", "NY"),
        ("new york city", "NYC"),
        ("um", ""),
        ("it", "\nit "),
        ("so", "so, "),
        ("hello", "hello..."),
    ];
    let replacements = prop::sample::subsequence(pairs.to_vec(), 1..=pairs.len());
    (replacements, any::<(bool, bool, bool)>()).prop_map(|(pairs, (spoken, fillers, digits))| {
        let pairs = pairs
            .into_iter()
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .collect();
        let options = RuleOptions {
            spoken_punctuation: spoken,
            drop_fillers: fillers,
            numbers: if digits {
                Numbers::Digits
            } else {
                Numbers::Words
            },
        };
        Rules::new(&pairs, options).expect("valid rules")
    })
}

proptest! {
    #[test]
    fn committed_text_only_grows_and_the_final_continues_it(words in any_words(), rules in any_rules()) {
        let mut before = String::new();
        for n in 0..=words.len() {
            let (committed, tail, spoken) = shown(&rules, &words, n);
            prop_assert!(committed.starts_with(&before), "{committed:?} after {before:?}");
            if n == words.len() {
                let shown = format!("{committed}{tail}");
                prop_assert_eq!(trimmed(&shown).to_owned(), last(&rules, &words));
            }
            prop_assert!(spoken.windows(2).all(|pair| pair[0].start_s <= pair[1].start_s), "{spoken:?}");
            prop_assert!(spoken.iter().all(|word| word.start_s < word.end_s && word.confidence.is_finite()));
            before = committed;
        }
    }

    #[test]
    fn every_entry_has_pieces_and_all_text_is_in_one(words in any_words(), rules in any_rules(), is_open: bool) {
        let made = entries(&rules, &words, "en", is_open);
        prop_assert!(made.iter().all(|entry| !entry.from.is_empty() && entry.from.end <= words.len()), "{made:?}");
        prop_assert!(made.windows(2).all(|pair| pair[0].from.start <= pair[1].from.start), "{made:?}");
    }

    #[test]
    fn text_without_a_phrase_stays_as_it_is(text in "[a-z .,?!'’äß世界-]{0,40}") {
        // Digits: the phrases of no rule can be spelled with the letters above.
        let rules = replacing(&[("777", "x"), ("88 99", "y")]);
        prop_assert_eq!(rewrite(&rules, &text, "en"), text.clone());
        let words = split(&text, Language::ENGLISH);
        let pieces: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let made = entries(&rules, &pieces, "en", false);
        prop_assert_eq!(made.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(), pieces);
    }
}
