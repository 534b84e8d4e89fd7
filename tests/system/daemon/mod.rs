//! The daemon with real parts: a message bus, PulseAudio with a null sink, the program, and clients
//! that are none of ours. Speech is played into the sink in real time.

mod clients;
mod faults;
mod interface;
mod jobs;
mod push_to_talk;
mod text;

use crate::desktop::{Desktop, Followed};
use crate::support::jfk;
use serde_json::Value;
use std::path::Path;

const SPEECH: &str = "and so my fellow americans ask not what your country can do for you ask what you can do for your country";

/// A Python with PyGObject: the distribution's, whatever is first on the PATH.
const PYTHON: &str = "/usr/bin/python3";

/// The first sentence of the sample: "And so, my fellow Americans".
fn short_speech() -> Vec<f32> {
    let mut samples = jfk();
    samples.truncate(36_000);
    samples.extend(vec![0.0; 24_000]);
    samples
}

fn event(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

fn is(event: &Value, kind: &str) -> bool {
    event["event"] == kind
}

fn listen(desktop: &Desktop, more: &[&str]) -> Followed {
    let mut listen = desktop.follow(desktop.hearken().args(["listen", "--json"]).args(more));
    listen.wait_for("open microphone", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    listen
}

/// The block of a language on a page of the documentation that contains `part`.
fn documented(page: &str, language: &str, part: &str) -> String {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("a page");
    let begin = format!("```{language}\n");
    let mut blocks = text
        .split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let block = blocks.find(|block| block.contains(part));
    block
        .unwrap_or_else(|| panic!("{page} has no block in {language} with {part}"))
        .to_owned()
}

/// Starts a program with `arguments` that finds `hearken` on its path.
fn follow_with_hearken(desktop: &Desktop, program: &str, arguments: &[&str]) -> Followed {
    let built = Path::new(env!("CARGO_BIN_EXE_hearken"));
    let built = built.parent().expect("a directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = desktop.command(program);
    command.env("PATH", format!("{built}:{path}"));
    desktop.follow(command.args(arguments))
}

/// Its words are its text, one after another within the utterance, each with a probability.
fn timed_words_make_the_text(event: &serde_json::Value) {
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let spoken = event["words"].as_array().expect("words");
    let texts: Vec<_> = spoken
        .iter()
        .filter_map(|word| word["word"].as_str())
        .collect();
    assert_eq!(Some(texts.join(" ").as_str()), event["text"].as_str());
    let mut at = number(&event["start"]);
    for word in spoken {
        assert!(
            at <= number(&word["start"]) && number(&word["start"]) <= number(&word["end"]),
            "{event}"
        );
        assert!(
            (0.0..=1.0).contains(&number(&word["confidence"])),
            "{event}"
        );
        at = number(&word["end"]);
    }
    assert!(at <= number(&event["end"]), "{event}");
}
