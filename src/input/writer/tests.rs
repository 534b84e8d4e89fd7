//! The writer against a small desktop: fields, one of which has the focus.

use super::*;
use crate::input::sink::next_focus;
use crate::settings::desktop::{Case, Purpose};
use proptest::prelude::*;

/// Fields by number; 0 is a password, 3 a terminal.
#[derive(Default)]
struct World {
    fields: [String; 4],
    shown: [String; 4],
    focused: Option<usize>,
    focus: u64,
    kept: Vec<String>,
    reports: bool,
    is_nameless: bool,
}

impl World {
    fn target(&self) -> Option<Target> {
        let field = self.focused?;
        Some(Target {
            focus: self.focus,
            field: (!self.is_nameless).then(|| format!("field {field}")),
            purpose: [
                Purpose::Secret,
                Purpose::Text,
                Purpose::Text,
                Purpose::Terminal,
            ][field],
            before: self.reports.then(|| self.fields[field].clone()),
            shows: true,
            erases: self.reports,
            ..Target::default()
        })
    }

    fn move_focus(&mut self, to: Option<usize>) {
        self.shown = Default::default();
        self.focused = to;
        self.focus = next_focus();
    }

    fn apply(&mut self, edits: Vec<Edit>, writer: &mut Writer) {
        for edit in edits {
            match edit {
                Edit::Keep(text) => self.kept.push(text),
                Edit::Stop => {}
                Edit::Undo => {
                    if let Ok(edit) = writer.undo() {
                        self.apply(vec![edit], writer);
                    }
                }
                Edit::Show(text) => self.shown[self.focused.expect("a field")] = text,
                Edit::Commit(text) => {
                    let field = self.focused.expect("a field");
                    self.shown[field].clear();
                    self.fields[field] += &text;
                    // The field reports its text.
                    let edits = writer.focus(self.target());
                    assert!(edits.is_empty(), "{edits:?}");
                }
                Edit::Erase(text) => {
                    let field = &mut self.fields[self.focused.expect("a field")];
                    *field = field.strip_suffix(&text).expect("it ends so").to_owned();
                    writer.focus(self.target());
                }
            }
        }
    }
}

fn writer(change: impl FnOnce(&mut TypeSettings)) -> Writer {
    let mut style = TypeSettings::default();
    change(&mut style);
    Writer::new(style, Vec::new(), Vec::new())
}

fn plain(style: &mut TypeSettings) {
    style.space = Space::None;
    style.case = Case::Keep;
}

/// Says `text` to the end.
fn say(world: &mut World, writer: &mut Writer, utterance: u64, text: &str) {
    let edits = writer.hear(heard(utterance, text, "", true));
    world.apply(edits, writer);
}

fn heard<'a>(utterance: u64, committed: &'a str, interim: &'a str, is_final: bool) -> Heard<'a> {
    Heard {
        utterance,
        committed,
        interim,
        language: "en",
        is_final,
    }
}

fn focus(world: &mut World, writer: &mut Writer, to: Option<usize>) {
    world.move_focus(to);
    let edits = writer.focus(world.target());
    world.apply(edits, writer);
}

fn begun(change: impl FnOnce(&mut TypeSettings)) -> (World, Writer) {
    let mut world = World {
        reports: true,
        ..World::default()
    };
    let mut writer = writer(change);
    focus(&mut world, &mut writer, Some(1));
    (world, writer)
}

#[test]
fn words_go_in_as_they_are_committed_and_the_rest_is_shown() {
    let (mut world, mut writer) = begun(|_| {});
    let edits = writer.hear(heard(1, "", "And so", false));
    assert_eq!(edits, [Edit::Show("And so".into())]);
    world.apply(edits, &mut writer);
    let edits = writer.hear(heard(1, "And so", " my fell", false));
    assert_eq!(
        edits,
        [Edit::Commit("And so".into()), Edit::Show(" my fell".into())]
    );
    world.apply(edits, &mut writer);
    let edits = writer.hear(heard(1, "And so my fellow.", "", true));
    assert_eq!(edits, [Edit::Commit(" my fellow.".into())]);
    world.apply(edits, &mut writer);
    say(&mut world, &mut writer, 2, "Then more");
    say(&mut world, &mut writer, 3, "We left.");
    assert_eq!(world.fields[1], "And so my fellow. Then more we left.");
}

#[test]
fn a_style_may_wait_for_the_end_of_the_utterance() {
    let (_, mut writer) = begun(|style| style.live = Live::Preedit);
    let edits = writer.hear(heard(1, "And so", " my", false));
    assert_eq!(edits, [Edit::Show("And so my".into())]);
    let (_, mut writer) = begun(|style| style.live = Live::Final);
    assert_eq!(writer.hear(heard(1, "And so", " my", false)), []);
    let edits = writer.hear(heard(1, "And so my", "", true));
    assert_eq!(edits, [Edit::Commit("And so my".into())]);
}

#[test]
fn the_rest_waits_for_its_field_and_is_kept_if_that_does_not_come_back() {
    let (mut world, mut writer) = begun(plain);
    let edits = writer.hear(heard(1, "one", " two", false));
    world.apply(edits, &mut writer);
    focus(&mut world, &mut writer, Some(2));
    say(&mut world, &mut writer, 1, "one two");
    say(&mut world, &mut writer, 2, "three");
    assert_eq!(
        (world.fields[1].as_str(), world.fields[2].as_str()),
        ("one", "three")
    );
    focus(&mut world, &mut writer, Some(1));
    assert_eq!(world.fields[1], "one two");
    let edits = writer.hear(heard(3, "four", " five", false));
    world.apply(edits, &mut writer);
    focus(&mut world, &mut writer, Some(2));
    say(&mut world, &mut writer, 3, "four five");
    let edits = writer.end();
    world.apply(edits, &mut writer);
    assert_eq!(world.kept, ["five"]);
}

#[test]
fn the_rest_may_follow_the_focus_but_never_into_a_password() {
    let (mut world, mut writer) = begun(|style| {
        plain(style);
        style.focus_change = FocusChange::Follow;
    });
    let edits = writer.hear(heard(1, "one", "", false));
    world.apply(edits, &mut writer);
    focus(&mut world, &mut writer, Some(0));
    let edits = writer.hear(heard(1, "one two", "", false));
    assert_eq!(edits, []);
    focus(&mut world, &mut writer, Some(2));
    say(&mut world, &mut writer, 1, "one two three");
    assert_eq!(world.fields, ["", "one", " two three", ""]);
}

#[test]
fn dictation_may_stop_at_a_focus_change() {
    let (mut world, mut writer) = begun(|style| style.focus_change = FocusChange::Stop);
    let edits = writer.hear(heard(1, "one", "", false));
    world.apply(edits, &mut writer);
    world.move_focus(Some(2));
    assert_eq!(writer.focus(world.target()), [Edit::Stop]);
}

/// Chromium and Firefox do that.
#[test]
fn interim_text_that_a_program_has_kept_is_deleted() {
    let (mut world, mut writer) = begun(plain);
    let edits = writer.hear(heard(1, "one", " too", false));
    world.apply(edits, &mut writer);
    world.fields[1] += " too";
    focus(&mut world, &mut writer, Some(2));
    focus(&mut world, &mut writer, Some(1));
    say(&mut world, &mut writer, 1, "one two");
    assert_eq!(world.fields[1], "one two");
}

#[test]
fn passwords_get_nothing_and_nothing_of_them_is_kept() {
    let (mut world, mut writer) = begun(|_| {});
    focus(&mut world, &mut writer, Some(0));
    assert_eq!(writer.hear(heard(1, "my", " secret", false)), []);
    focus(&mut world, &mut writer, Some(1));
    say(&mut world, &mut writer, 1, "my secret is out");
    let edits = writer.end();
    world.apply(edits, &mut writer);
    assert_eq!(world.fields[1], "");
    assert!(world.kept.is_empty());
}

#[test]
fn a_request_deletes_the_last_utterance_of_the_field() {
    let (mut world, mut writer) = begun(|_| {});
    say(&mut world, &mut writer, 1, "One.");
    say(&mut world, &mut writer, 2, "Two.");
    let edits = writer.hear(heard(3, "Scratch", "", false));
    assert_eq!(edits, [Edit::Show(" Scratch".into())]);
    world.apply(edits, &mut writer);
    say(&mut world, &mut writer, 3, "Scratch that.");
    assert_eq!(world.fields[1], "One.");
    say(&mut world, &mut writer, 4, "Scratch that.");
    assert_eq!(world.fields[1], "");
    assert_eq!(writer.undo(), Err(Refusal::Nothing));
    say(&mut world, &mut writer, 5, "Three.");
    world.fields[1] += "x";
    writer.focus(world.target());
    assert_eq!(writer.undo(), Err(Refusal::Moved));
}

/// Each dictation numbers the fields anew; not all have a name.
#[test]
fn an_utterance_of_an_earlier_dictation_is_deleted_in_its_field_only() {
    for has_name in [true, false] {
        let mut world = World {
            reports: true,
            is_nameless: !has_name,
            ..World::default()
        };
        let mut writer = writer(|_| {});
        focus(&mut world, &mut writer, Some(1));
        say(&mut world, &mut writer, 1, "One.");
        say(&mut world, &mut writer, 2, "Two.");
        assert_eq!(writer.end(), []);
        for (field, text) in [(2, "Other. Two."), (1, "One. Two, or three.")] {
            let before = std::mem::replace(&mut world.fields[field], text.to_owned());
            world.move_focus(Some(field));
            writer.focus(world.target());
            let refusal = writer.undo().expect_err("another text");
            assert!(matches!(refusal, Refusal::Nothing | Refusal::Moved));
            world.fields[field] = before;
        }
        world.move_focus(Some(1));
        writer.focus(world.target());
        for (deleted, left) in [(" Two.", "One."), ("One.", "")] {
            assert_eq!(writer.undo(), Ok(Edit::Erase(deleted.to_owned())));
            world.fields[1] = left.to_owned();
            writer.focus(world.target());
        }
    }
}

#[test]
fn a_field_without_focus_keeps_the_text_for_later() {
    let mut world = World::default();
    let mut writer = writer(|_| {});
    say(&mut world, &mut writer, 1, "Nobody is there.");
    assert_eq!(world.kept, ["Nobody is there."]);
}

#[derive(Debug, Clone)]
enum Step {
    Words(usize),
    End,
    Focus(Option<usize>),
    Undo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1usize..4).prop_map(Step::Words),
        3 => Just(Step::End),
        3 => prop_oneof![Just(None), (0usize..4).prop_map(Some)].prop_map(Step::Focus),
        1 => Just(Step::Undo),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the focus does: each utterance arrives once, in order, in the field in which it
    /// began or among what is kept; passwords get nothing; an undo deletes one utterance whole.
    #[test]
    fn nothing_is_lost_doubled_or_misplaced(
        steps in steps(), live in prop_oneof![Just(Live::Words), Just(Live::Preedit), Just(Live::Final)],
        reports in any::<bool>(),
    ) {
        let mut world = World { reports, ..World::default() };
        let mut writer = writer(|style| { plain(style); style.live = live; });
        let (mut utterance, mut n_words) = (1u64, 0u64);
        let mut text = String::new();
        let mut began_in = None;
        let mut said: Vec<(Option<usize>, String)> = Vec::new();
        for step in steps {
            match step {
                Step::Words(n) => {
                    if text.is_empty() {
                        began_in = world.focused;
                    }
                    for _ in 0..n {
                        n_words += 1;
                        text += &format!("<{n_words}>");
                    }
                    let edits = writer.hear(heard(utterance, &text, "<interim>", false));
                    world.apply(edits, &mut writer);
                }
                Step::End if !text.is_empty() => {
                    say(&mut world, &mut writer, utterance, &text);
                    said.push((began_in, std::mem::take(&mut text)));
                    utterance += 1;
                }
                Step::End => {}
                Step::Focus(to) => focus(&mut world, &mut writer, to),
                Step::Undo => {
                    let before = world.fields.clone();
                    if text.is_empty() && let Ok(edit) = writer.undo() {
                        world.apply(vec![edit], &mut writer);
                        let field = world.focused.expect("a field");
                        let gone = before[field].strip_prefix(world.fields[field].as_str());
                        let gone = gone.expect("only its end is deleted").to_owned();
                        let whole = said.iter().rposition(|(home, text)| *home == Some(field) && text.ends_with(&gone));
                        let whole = whole.expect("an utterance, or what of it waited for the field");
                        let left = said[whole].1.strip_suffix(gone.as_str()).expect("its end").to_owned();
                        said[whole].1 = left;
                    }
                }
            }
        }
        if !text.is_empty() {
            say(&mut world, &mut writer, utterance, &text);
            said.push((began_in, text));
        }
        let edits = writer.end();
        world.apply(edits, &mut writer);
        prop_assert_eq!(&world.fields[0], "");
        prop_assert!(world.shown.iter().all(String::is_empty));
        let everything = world.fields.concat() + &world.kept.concat();
        prop_assert!(!everything.contains("interim"));
        for (home, text) in &said {
            match home {
                Some(0) => prop_assert!(!everything.contains(text.as_str()) || text.is_empty()),
                None => prop_assert!(world.kept.contains(text) || text.is_empty()),
                Some(field) => {
                    for word in text.split_inclusive('>') {
                        prop_assert_eq!(everything.matches(word).count(), 1);
                        let is_there = world.fields[*field].contains(word);
                        prop_assert!(is_there || world.kept.iter().any(|kept| kept.contains(word)));
                    }
                }
            }
        }
        for text in world.fields.iter().chain(&world.kept) {
            let numbers: Vec<u64> = text.split(['<', '>']).filter_map(|n| n.parse().ok()).collect();
            prop_assert!(numbers.is_sorted(), "{text}");
        }
    }
}
