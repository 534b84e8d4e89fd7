//! Holds the source to the floors of docs/architecture.md: what each module may import, which files
//! may be `unsafe`, and where the crates and calls of the outer world may appear.
//!
//! In: the text of `src/`. Out: one sentence for each broken rule, with file, import and rule.

mod layers {
    pub mod graph;
    pub mod rules;
    pub mod source;
}

use layers::{graph, rules, source::Source};

#[test]
fn modules_import_only_what_stands_below_them() {
    assert_none(rules::broken_floors(&Source::read()));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none(graph::circles(&Source::read()));
}

#[test]
fn crates_calls_and_unsafe_code_stay_in_their_places() {
    assert_none(rules::misplaced_text(&Source::read()));
}

#[test]
fn every_module_has_a_floor() {
    assert_none(rules::modules_without_floor(&Source::read()));
}

/// The checks find what they are there for: a few files that break every rule.
#[test]
fn broken_rules_are_reported_with_file_import_and_rule() {
    let source = Source::of(&[
        ("text/apply.rs", "use crate::stream::{Live, words};"),
        (
            "stream/mod.rs",
            "pub mod live;\npub mod words;\npub use live::Live;",
        ),
        (
            "stream/live.rs",
            "use super::words::Word;\npub struct Live;",
        ),
        ("stream/words.rs", "pub struct Word(super::Live);"),
        (
            "cpu/pool.rs",
            "fn f() { crate::models::open(); }\n#[cfg(test)]\nmod tests { use crate::stream::Live; }",
        ),
        (
            "models/mod.rs",
            "fn g() { unsafe { std::process::exit(1) } }",
        ),
        (
            "session/mod.rs",
            "// zbus is only named here\nuse zbus::Connection;",
        ),
        (
            "client/mod.rs",
            "use crate::dbus::hub::Hub;\nuse crate::dbus::protocol::NAME;",
        ),
        ("elsewhere.rs", ""),
    ]);
    assert_eq!(
        rules::broken_floors(&source),
        [
            "src/client/mod.rs imports dbus::hub: client may import of dbus only protocol and options",
            "src/cpu/pool.rs imports models: cpu imports nothing of Hearken",
            "src/text/apply.rs imports stream: text (floor 4) stands below stream (floor 6)",
        ]
    );
    assert_eq!(
        graph::circles(&source),
        [
            "src/stream/live.rs and src/stream/words.rs import each other in a circle: move what both need below both"
        ]
    );
    assert_eq!(
        rules::misplaced_text(&source),
        [
            "src/models/mod.rs, line 1, has 'process::exit': only commands may end the process",
            "src/models/mod.rs, line 1, has 'unsafe': only the files listed in tests/layers/rules.rs may be unsafe",
            "src/session/mod.rs, line 2, has 'zbus': only client, commands, dbus, desktop and input know the bus",
        ]
    );
    assert_eq!(
        rules::modules_without_floor(&source),
        [
            "src/elsewhere.rs: the module elsewhere has no floor: give it one in tests/layers/rules.rs and docs/architecture.md"
        ]
    );
}

fn assert_none(broken: Vec<String>) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
