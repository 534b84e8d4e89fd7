//! What becomes of the microphone: moved, suspended, held by a server that hangs; and what it heard
//! before anybody asked.

use crate::desktop::{Desktop, signal, words};
use crate::support::jfk;
use serde_json::Value;
use std::time::Duration;

/// The second sentence of the sample: "Ask not what your country can do for you".
fn sentence() -> Vec<f32> {
    let mut samples = jfk().split_off(52_000);
    samples.truncate(76_000);
    samples.extend(vec![0.0; 16_000]);
    samples
}

fn event(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

fn pactl(desktop: &Desktop, args: &[&str]) -> String {
    let output = desktop.output("pactl", args);
    assert!(output.status.success(), "pactl {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_recording_that_is_moved_or_suspended_goes_on_and_says_so() {
    let desktop = Desktop::new();
    pactl(
        &desktop,
        &["load-module", "module-null-sink", "sink_name=other"],
    );
    let mut listen =
        desktop.follow(
            desktop
                .hearken()
                .args(["listen", "--json", "--device", "speaker.monitor"]),
        );
    listen.wait_for("device", |line| {
        (event(line)["id"] == "speaker.monitor").then_some(())
    });
    let recordings = pactl(&desktop, &["list", "short", "source-outputs"]);
    let recording = recordings
        .split_whitespace()
        .next()
        .expect("a recording")
        .to_owned();
    pactl(
        &desktop,
        &["move-source-output", &recording, "other.monitor"],
    );
    listen.wait_for("other device", |line| {
        (event(line)["id"] == "other.monitor").then_some(())
    });
    assert_eq!(desktop.status()["sessions"][0]["device"], "other.monitor");
    pactl(&desktop, &["suspend-sink", "other", "1"]);
    listen.wait_for("silence of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    let message = desktop.status()["sessions"][0]["status_message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(message, "other.monitor gives no sound; it may be suspended");
    pactl(&desktop, &["suspend-sink", "other", "0"]);
    listen.wait_for("sound again", |line| {
        (event(line)["state"] == 3).then_some(())
    });
}

#[test]
fn a_sound_server_that_hangs_is_waited_for_with_no_thread_more_at_each_retry() {
    let mut desktop = Desktop::new();
    let mut listen = desktop.follow(desktop.hearken().args(["listen", "--json"]));
    listen.wait_for("open microphone", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    let threads = |desktop: &mut Desktop| {
        let tasks = format!("/proc/{}/task", desktop.daemon().id());
        std::fs::read_dir(tasks).expect("a running daemon").count()
    };
    signal(desktop.sound(), "STOP");
    listen.wait_for("loss of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    desktop.wait_for("the reason", |desktop| {
        desktop.status()["sessions"][0]["status_message"]
            .as_str()?
            .contains("does not answer")
            .then_some(())
    });
    let before = threads(&mut desktop);
    // Several retries, each of which gives up after two seconds.
    std::thread::sleep(Duration::from_secs(12));
    let after = threads(&mut desktop);
    assert!(after <= before + 1, "{before} threads became {after}");
    signal(desktop.sound(), "CONT");
    listen.wait_for("open microphone", |line| {
        (event(line)["state"] == 3).then_some(())
    });
}

#[test]
fn what_was_just_said_is_transcribed_after_the_fact() {
    let mut desktop = Desktop::with_model();
    desktop.configure("[audio]\npre_capture = 20\n");
    desktop.start_daemon();
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    let mut playing = desktop.play(&sentence());
    assert!(playing.0.wait().expect("paplay").success());
    let last = |desktop: &Desktop, seconds: &str| {
        let output =
            desktop.output_of(
                desktop
                    .hearken()
                    .args(["last", seconds, "--language", "en"]),
            );
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, text, complaint) = last(&desktop, "20");
    assert_eq!(code, Some(0), "{complaint}");
    assert_eq!(
        words(&text),
        words("ask not what your country can do for you")
    );
    assert_eq!(last(&desktop, "0").0, Some(2));
    assert_eq!(desktop.status()["pre_capture"], 20.0);
    desktop.configure("");
    signal(desktop.daemon(), "HUP");
    desktop.wait_for("the end of recording", |desktop| {
        (!desktop.is_recording()).then_some(())
    });
    let (code, text, complaint) = last(&desktop, "20");
    assert_eq!((code, text.as_str()), (Some(8), ""));
    assert!(
        complaint.contains("pre-capture is off") && complaint.contains("audio.pre_capture"),
        "{complaint}"
    );
}
