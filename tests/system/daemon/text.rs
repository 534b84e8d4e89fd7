//! Text reaches clients while it is spoken, and is the wanted one.

use super::jobs::FILE_JOB;
use super::{
    PYTHON, SPEECH, documented, event, follow_with_hearken, is, listen, short_speech,
    timed_words_make_the_text,
};
use crate::desktop::{Desktop, signal, words};
use crate::support::{data, decode_all, jfk};
use serde_json::Value;

#[test]
fn speech_reaches_foreign_clients_while_it_is_spoken() {
    let desktop = Desktop::new();
    let python = documented("docs/dbus.md", "python", "CreateSession");
    assert!(python.lines().count() <= 30, "a client is short");
    let mut python = desktop.follow(desktop.command(PYTHON).args(["-u", "-c", &python]));
    let shell = documented("docs/dbus.md", "sh", "gdbus monitor");
    let mut shell = follow_with_hearken(&desktop, "sh", &["-c", &shell]);
    let mut spy = desktop.follow(desktop.command("gdbus").args([
        "monitor",
        "--session",
        "--dest",
        "org.hearken.Hearken1",
    ]));
    let mut own = listen(&desktop, &[]);
    desktop.wait_for("three sessions that listen", |desktop| {
        let status = desktop.status();
        let sessions = status["sessions"].as_array().expect("a list");
        (sessions.len() == 3 && sessions.iter().all(|s| s["state"] == "listening")).then_some(())
    });
    let mut spoken = jfk();
    spoken.extend(vec![0.0; 32_000]);
    let _playing = desktop.play(&spoken);
    let end = |line: &str| {
        words(line)
            .ends_with(&words("for your country"))
            .then_some(())
    };
    own.wait_for("final of what was said last", |line| {
        let event = event(line);
        is(&event, "final")
            .then(|| end(event["text"].as_str().unwrap_or_default()))
            .flatten()
    });
    let last = own
        .seen
        .iter()
        .map(|line| event(line))
        .rfind(|event| is(event, "final"))
        .expect("a final");
    timed_words_make_the_text(&last);
    python.wait_for("text in Python", end);
    shell.wait_for("text in the shell", end);
    spy.wait_for("caption", |line| {
        line.contains("Captions.Final").then_some(())
    });
    assert!(
        !spy.seen
            .iter()
            .any(|line| line.contains("Session.Partial") || line.contains("Session.Final")),
        "{:?}",
        spy.seen
    );
    assert_eq!(words(&python.seen.join(" ")), words(SPEECH));
    assert_eq!(words(&shell.seen.join(" ")), words(SPEECH));
    check_events(&own.seen);
    check_figures(&desktop.status());
    signal(&own.child.0, "INT");
    assert_eq!(own.finish().0, Some(0));
    let log = desktop.log();
    assert!(
        words(SPEECH)
            .iter()
            .filter(|word| word.len() > 6)
            .all(|word| !log.to_lowercase().contains(word.as_str())),
        "{log}"
    );
}

#[test]
fn the_readmes_program_prints_what_is_said() {
    let desktop = Desktop::new();
    let program = documented("README.md", "python", "json.loads");
    assert!(program.lines().count() <= 8, "it is a few lines");
    let mut program = follow_with_hearken(&desktop, PYTHON, &["-u", "-c", &program]);
    desktop.wait_for("a session that listens", |desktop| {
        let status = desktop.status();
        (status["sessions"][0]["state"] == "listening").then_some(())
    });
    let _playing = desktop.play(&short_speech());
    program.wait_for("the text", |line| {
        (words(line) == words("and so my fellow americans")).then_some(())
    });
}

/// What the interface promises of the events of a session.
fn check_events(lines: &[String]) {
    let events: Vec<Value> = lines.iter().map(|line| event(line)).collect();
    let (mut utterance, mut revision, mut committed) = (1, 0, String::new());
    let mut finals = Vec::new();
    for event in events.iter().filter(|e| is(e, "partial") || is(e, "final")) {
        let text = event[if is(event, "final") {
            "text"
        } else {
            "committed"
        }]
        .as_str()
        .expect("text");
        assert_eq!(event["utterance"], utterance, "{event}");
        assert!(
            event["revision"].as_u64().expect("a number") > revision,
            "{event}"
        );
        assert!(text.starts_with(&committed), "{text:?} after {committed:?}");
        (revision, committed) = (event["revision"].as_u64().unwrap_or(0), text.to_owned());
        if is(event, "final") {
            finals.push(committed.clone());
            (utterance, revision, committed) = (utterance + 1, 0, String::new());
        }
    }
    assert_eq!(words(&finals.join(" ")), words(SPEECH));
    let partials = events.iter().filter(|e| is(e, "partial")).count();
    assert!(partials >= 4, "{partials} partials: {lines:#?}");
}

/// What the figures of sessions that have heard the sample are bound to be.
fn check_figures(status: &Value) {
    assert_eq!(status["backend"], "cpu");
    for session in status["sessions"].as_array().expect("a list") {
        let figure = |name: &str| {
            session["metrics"][name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name} is missing: {session}"))
        };
        assert!(
            figure("audio") > 10.0 && figure("real_time_factor") > 0.0,
            "{session}"
        );
        assert!(
            figure("final_p50") <= figure("final_p95") && figure("final_p95") < 10.0,
            "{session}"
        );
        // A word is committed after its end, and before all of the sample is over.
        assert!(
            figure("committed_p50") > 0.0 && figure("committed_p50") <= figure("committed_p95"),
            "{session}"
        );
        assert!(figure("committed_p95") < 11.0, "{session}");
        assert!(
            figure("step") >= 0.3 && (0.0..10.0).contains(&figure("backlog")),
            "{session}"
        );
        assert_eq!(
            (figure("overruns"), figure("dropped_samples")),
            (0.0, 0.0),
            "{session}"
        );
    }
}

#[test]
fn the_text_is_the_wanted_one_while_it_is_spoken() {
    let mut desktop = Desktop::with_model();
    desktop.configure("[replacements]\n\"my fellow americans\" = \"compatriots\"\n");
    desktop.start_daemon();
    let mut own = listen(&desktop, &["--spoken-punctuation", "--language", "en"]);
    let mut spoken = short_speech();
    spoken.extend(decode_all(&data("spoken.flac")).samples);
    spoken.extend(vec![0.0; 32_000]);
    let _playing = desktop.play(&spoken);
    own.wait_for("end of what is said", |line| {
        let event = event(line);
        (is(&event, "final")
            && words(event["text"].as_str().unwrap_or_default()).ends_with(&words("best regards")))
        .then_some(())
    });
    let events: Vec<Value> = own.seen.iter().map(|line| event(line)).collect();
    let mut committed = String::new();
    for event in events.iter().filter(|e| is(e, "partial") || is(e, "final")) {
        let text = event[if is(event, "final") {
            "text"
        } else {
            "committed"
        }]
        .as_str()
        .expect("text");
        assert!(text.starts_with(&committed), "{text:?} after {committed:?}");
        assert!(!words(text).contains(&"fellow".to_owned()), "{event}");
        committed = if is(event, "final") {
            String::new()
        } else {
            text.to_owned()
        };
    }
    let finals: Vec<&Value> = events.iter().filter(|e| is(e, "final")).collect();
    assert_eq!(
        words(finals[0]["text"].as_str().expect("text")),
        words("and so compatriots")
    );
    timed_words_make_the_text(finals[0]);
    let letter: Vec<&str> = finals[1..]
        .iter()
        .filter_map(|done| done["text"].as_str())
        .collect();
    let lines: Vec<Vec<String>> = letter.join(" ").split('\n').map(words).collect();
    assert_eq!(lines.last(), Some(&words("best regards")), "{letter:?}");
    assert!(lines.contains(&words("how are you")), "{letter:?}");

    let job = desktop.output_of(
        desktop
            .command(PYTHON)
            .args(["-c", FILE_JOB])
            .arg(data("jfk.flac")),
    );
    let told = String::from_utf8_lossy(&job.stdout).into_owned();
    assert!(
        told.starts_with("1 en True True And so compatriots"),
        "{told}"
    );
}
