//! Clients start and stop sessions, and come and go.

use super::{event, is, listen, short_speech};
use crate::desktop::{Desktop, read_all, words};
use std::process::Stdio;

#[test]
fn a_client_killed_during_speech_leaves_the_other_alone() {
    let desktop = Desktop::new();
    let (mut killed, mut other) = (listen(&desktop, &[]), listen(&desktop, &[]));
    let _playing = desktop.play(&short_speech());
    killed.wait_for("partial", |line| is(&event(line), "partial").then_some(()));
    drop(killed);
    desktop.wait_for("the end of its session", |d| {
        (d.status()["sessions"].as_array()?.len() == 1).then_some(())
    });
    let text = other.wait_for("final", |line| {
        is(&event(line), "final").then(|| event(line)["text"].clone())
    });
    assert_eq!(
        words(text.as_str().expect("text")),
        words("and so my fellow americans")
    );
}

#[test]
fn a_recording_is_stopped_by_another_process() {
    let desktop = Desktop::new();
    assert!(!desktop.is_recording(), "nobody wants the microphone yet");
    let mut record = desktop
        .hearken()
        .arg("record")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    let mut playing = desktop.play(&short_speech());
    assert!(playing.0.wait().expect("paplay").success());
    assert_eq!(
        desktop
            .output_of(desktop.hearken().arg("stop"))
            .status
            .code(),
        Some(0)
    );
    let text = read_all(record.stdout.take().expect("piped"));
    assert_eq!(record.wait().expect("record").code(), Some(0));
    assert_eq!(words(&text), words("and so my fellow americans"));
    desktop.wait_for("the end of recording", |desktop| {
        (!desktop.is_recording()).then_some(())
    });
    assert_eq!(
        desktop
            .output_of(desktop.hearken().arg("stop"))
            .status
            .code(),
        Some(9),
        "there is no session any more"
    );
}

#[test]
fn sessions_are_toggled_and_a_killed_client_ends_its_own() {
    let desktop = Desktop::new();
    let standby = desktop.follow(desktop.hearken().args(["listen", "--json", "--standby"]));
    let state = |desktop: &Desktop, wanted: &str| {
        (desktop.status()["sessions"][0]["state"] == wanted).then_some(())
    };
    desktop.wait_for("session", |desktop| state(desktop, "idle"));
    assert!(!desktop.is_recording());
    for wanted in ["listening", "idle", "listening"] {
        assert!(
            desktop
                .output_of(desktop.hearken().arg("toggle"))
                .status
                .success()
        );
        desktop.wait_for(wanted, |desktop| state(desktop, wanted));
    }
    assert!(desktop.is_recording());
    drop(standby);
    desktop.wait_for("the end of the session", |d| {
        d.status()["sessions"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    });
    desktop.wait_for("the end of recording", |desktop| {
        (!desktop.is_recording()).then_some(())
    });
}

#[test]
fn everybody_ends_with_the_bus_and_keeps_what_was_said() {
    let mut desktop = Desktop::with_model();
    let mut own = desktop.follow(desktop.hearken().args(["listen", "--json"]));
    // It waits for a daemon that is being started.
    desktop.start_daemon();
    own.wait_for("open microphone", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    let record = desktop.follow(desktop.hearken().arg("record"));
    let mut status = desktop.follow(desktop.hearken().args(["status", "--follow"]));
    status.wait_for("session", |line| line.contains("listening").then_some(()));
    desktop.wait_for("two sessions that listen", |desktop| {
        let status = desktop.status();
        let sessions = status["sessions"].as_array().expect("a list");
        (sessions.len() == 2 && sessions.iter().all(|s| s["state"] == "listening")).then_some(())
    });
    let _playing = desktop.play(&short_speech());
    desktop.wait_for("a final in both", |desktop| {
        let status = desktop.status();
        let mut sessions = status["sessions"].as_array().expect("a list").iter();
        sessions
            .all(|s| {
                s["metrics"]["final_p50"]
                    .as_f64()
                    .is_some_and(|p50| p50 > 0.0)
            })
            .then_some(())
    });
    desktop.kill_bus();
    assert_eq!(own.finish().0, Some(8));
    assert_eq!(status.finish().0, Some(8));
    let (code, lines) = record.finish();
    assert_eq!(
        (code, words(&lines.join(" "))),
        (Some(8), words("and so my fellow americans"))
    );
    assert_eq!(desktop.daemon().wait().expect("the daemon").code(), Some(8));
}
