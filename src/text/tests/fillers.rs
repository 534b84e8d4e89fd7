//! Text without fillers, and with numbers in digits, while it grows.

use super::*;

fn without_fillers() -> Rules {
    let options = RuleOptions {
        drop_fillers: true,
        ..RuleOptions::default()
    };
    Rules::new(&BTreeMap::new(), options).expect("no replacements")
}

#[test]
fn fillers_go_with_the_marks_and_capitals_around_them() {
    for (code, text, wanted) in [
        ("en", " Um, well, I think so.", " Well, I think so."),
        ("en", " So, um, I think, uh, yes.", " So, I think, yes."),
        (
            "en",
            " I, um, think the, uh, house is, er, old.",
            " I think the house is old.",
        ),
        ("en", " I um think", " I think"),
        ("en", " I think um, yes", " I think yes"),
        ("en", " So, um I think", " So, I think"),
        ("en", " I think, um.", " I think."),
        ("en", " I think, um", " I think"),
        ("en", " I think. Um. Yes.", " I think. Yes."),
        ("en", " I think. Um... yes.", " I think. Yes."),
        ("en", " I think um... yes.", " I think yes."),
        ("en", " I think, um... Yes.", " I think... Yes."),
        ("en", " Really, um? Yes.", " Really? Yes."),
        ("en", " Um, uh, uhm, yes", " Yes"),
        ("en", " um yes", " yes"),
        ("en", " He said, \"Um, yes.\"", " He said, \"Yes.\""),
        (
            "en",
            " The uh-huh, uh-oh, UM and ER.",
            " The uh-huh, uh-oh, UM and ER.",
        ),
        ("en", " um's", " um's"),
        ("en", " Um.", ""),
        ("en", " Um, uh...", ""),
        (
            "de",
            " Ähm, er will um acht, äh, gehen.",
            " Er will um acht, gehen.",
        ),
        ("de", " Das, äh, Haus", " Das Haus"),
        (
            "fr",
            " Euh, eh bien, je, euh, pense.",
            " Eh bien, je pense.",
        ),
        ("es", " Este, em, eh, sí.", " Este, eh, sí."),
        ("pt", " É um, ahn, dia.", " É um, dia."),
        ("nl", " Eh, hij is er, uhm, niet.", " Hij is er, niet."),
        ("ru", " Э-э, да, эм, нет.", " Да, нет."),
        ("ja", "えーと、今日はえっと、いい", "今日はえっと、いい"),
        ("ja", "今日は、えーと、いい", "今日は、いい"),
        ("zh", "呃，我想，呃，去。打呃了", "我想，去。打呃了"),
        ("ko", " 음, 네", " 네"),
        ("is", " Um, uh", " Um, uh"),
    ] {
        let rules = without_fillers();
        let written = match rules.rewriter(language(code)) {
            Some(_) => rewrite(&rules, text, code),
            None => text.to_owned(),
        };
        assert_eq!(written, wanted, "{text}");
    }
}

#[test]
fn a_segment_of_fillers_goes() {
    let mut segments = vec![
        segment_of_words(" I, um, do.", &[" I,", " um,", " do."]),
        segment_of_words(" Um, uh.", &[" Um,", " uh."]),
        segment_of_words(" think. Er, yes.", &[" think.", " Er,", " yes."]),
    ];
    without_fillers().segments(&mut segments, Language::ENGLISH);
    let texts: Vec<&str> = segments
        .iter()
        .map(|segment| segment.text.as_str())
        .collect();
    assert_eq!(texts, [" I do.", " Think. Yes."]);
    let words = segments.iter().flat_map(|segment| &segment.words);
    let words: Vec<&str> = words.map(|word| word.text.as_str()).collect();
    assert_eq!(words, [" I", " do.", " Think.", " Yes."]);
}

#[test]
fn fillers_and_numbers_wait_for_what_decides_about_them() {
    let options = RuleOptions {
        drop_fillers: true,
        numbers: Numbers::Digits,
        ..RuleOptions::default()
    };
    let rules = Rules::new(&BTreeMap::new(), options).expect("no replacements");
    let open = |pieces: &[&str]| joined(&entries(&rules, pieces, "en", true));
    assert_eq!(open(&[" So,"]), " So", "the comma may be a filler's");
    assert_eq!(open(&[" So,", " um,"]), " So");
    assert_eq!(open(&[" So,", " um,", " yes"]), " So, yes");
    assert_eq!(open(&[" I", " have", " twenty"]), " I have");
    assert_eq!(open(&[" I", " have", " twenty", " one"]), " I have");
    assert_eq!(
        open(&[" I", " have", " twenty", " one", " cats"]),
        " I have 21 cats"
    );
    assert_eq!(open(&[" I", " have", " one", " cat"]), " I have one cat");
}
