//! The real binary: what it prints where, and its exit codes.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Output, Stdio};

use hearken::commands::error::exit;

fn hearken(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    // The configuration of whoever runs the tests has no say in them.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(arguments).stdin(Stdio::null());
    command
}

fn code_of(output: &Output) -> Option<u8> {
    output
        .status
        .code()
        .and_then(|code| u8::try_from(code).ok())
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arguments, expected) in [
        (["--help"], "Exit codes:"),
        (["-h"], "--output-dir"),
        (["--version"], "hearken "),
    ] {
        let output = hearken(&arguments).output().expect("it runs");
        assert_eq!(code_of(&output), Some(exit::SUCCESS));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(expected),
            "{arguments:?}"
        );
        assert_eq!(stderr_of(&output), "");
    }
}

#[test]
fn a_wrong_command_line_is_told_on_standard_error() {
    for arguments in [
        &["--file", "a.wav", "--window", "99"][..],
        &["--fil"],
        &[],
        &["completions", "tcsh"],
    ] {
        let output = hearken(arguments).output().expect("it runs");
        assert_eq!(code_of(&output), Some(exit::USAGE), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_file_without_the_option_gets_the_command_that_transcribes_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jfk.flac");
    let output = hearken(&[file]).output().expect("it runs");
    assert_eq!(code_of(&output), Some(exit::USAGE));
    assert!(
        stderr_of(&output).contains(&format!("hearken --file {file}")),
        "{}",
        stderr_of(&output)
    );
    for (arguments, is_told) in [
        (&["no-such-file.wav"][..], true),
        (&["no-such-file.wav", "another.wav"], true),
        (&["docter"], false),
        (&["models", "a.wav"], false),
    ] {
        let output = hearken(arguments).output().expect("it runs");
        assert_eq!(code_of(&output), Some(exit::USAGE));
        let told = stderr_of(&output);
        assert_eq!(
            told.contains("Put recordings after --file"),
            is_told,
            "{told}"
        );
    }
}

#[test]
fn an_option_of_an_earlier_version_is_explained() {
    let output = hearken(&["--file", "a.wav", "--timestamps"])
        .output()
        .expect("it runs");
    assert_eq!(code_of(&output), Some(exit::USAGE));
    let told = stderr_of(&output);
    assert!(
        told.contains("--timestamps was removed") && !told.contains("--word-timestamps"),
        "{told}"
    );
}

#[test]
fn a_file_that_is_no_model_is_answered_with_what_can_be_imported() {
    let directory = tempfile::tempdir().expect("a directory");
    let notes = directory.path().join("notes.txt");
    std::fs::write(&notes, "Buy milk").expect("a file");
    let output = hearken(&["models", "import", &notes.to_string_lossy()])
        .env("HEARKEN_MODELS_DIR", directory.path())
        .output()
        .expect("it runs");
    assert_eq!(code_of(&output), Some(exit::MODEL));
    let told = stderr_of(&output);
    for part in [
        "notes.txt is not a model that Hearken knows",
        ".pt",
        ".bin",
        "model.safetensors",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn completions_are_shell_scripts() {
    let output = hearken(&["completions", "bash"]).output().expect("it runs");
    assert_eq!(code_of(&output), Some(exit::SUCCESS));
    let script = String::from_utf8_lossy(&output.stdout);
    assert!(
        script.contains("complete -F _hearken") && script.contains("--output-dir"),
        "{script}"
    );
}

#[test]
fn doctor_says_what_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = hearken(&["doctor"])
        .env("HEARKEN_MODELS_DIR", directory.path())
        .output()
        .expect("it runs");
    assert_eq!(code_of(&output), Some(exit::MODEL));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("hearken models fetch base"), "{report}");
    for subject in ["CPU", "memory", "fetching", "microphone", "daemon", "NPU"] {
        assert!(report.contains(subject), "{report}");
    }
}

#[test]
fn a_machine_without_sound_is_told_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut devices = hearken(&["devices"]);
    devices
        .env("XDG_RUNTIME_DIR", directory.path())
        .env("HOME", directory.path());
    let output = devices
        .env("PULSE_SERVER", "unix:/nonexistent")
        .output()
        .expect("it runs");
    let listed = String::from_utf8_lossy(&output.stdout);
    // ALSA's devices are there all the same where the machine has a sound card.
    assert!(
        listed
            .lines()
            .all(|line| line.contains("alsa:default") || line.contains(":CARD=")),
        "{listed}"
    );
    let told = stderr_of(&output);
    if listed.is_empty() {
        assert!(
            told.lines().count() == 1 && told.starts_with("hearken: "),
            "{told}"
        )
    } else {
        assert_eq!(told, "")
    }
}

#[test]
fn a_configuration_that_makes_no_sense_is_an_error_wherever_it_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hearken/config.toml");
    std::fs::create_dir(directory.path().join("hearken")).expect("a directory");
    std::fs::write(&file, "[live]\nstpe = 1\n").expect("a file");
    let run = |arguments: &[&str]| {
        hearken(arguments)
            .env("XDG_CONFIG_HOME", directory.path())
            .output()
            .expect("it runs")
    };
    let doctor = String::from_utf8_lossy(&run(&["doctor"]).stdout).into_owned();
    let fault = format!(
        "error    configuration     {}: unknown key 'live.stpe'",
        file.display()
    );
    assert!(doctor.contains(&fault), "{doctor}");
    for command in [&["--file", "a.wav"][..], &["daemon"]] {
        let output = run(command);
        assert_eq!(
            code_of(&output),
            Some(exit::CONFIG),
            "{}",
            stderr_of(&output)
        );
        assert!(
            stderr_of(&output).contains("live.stpe"),
            "{}",
            stderr_of(&output)
        );
    }
}

#[test]
fn a_model_that_does_not_stand_the_check_is_explained_once() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("mine.safetensors"), "no tensors").expect("a file");
    let verify = ["models", "verify", "mine"];
    let output = hearken(&verify)
        .env("HEARKEN_MODELS_DIR", directory.path())
        .output()
        .expect("it runs");
    assert_eq!(code_of(&output), Some(exit::MODEL));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mine: unusable\n");
    let explained = stderr_of(&output);
    assert_eq!(
        explained.matches("mine.safetensors is damaged").count(),
        1,
        "{explained}"
    );
    assert!(
        explained.contains("hearken models import PATH --name NAME"),
        "{explained}"
    );
}

#[test]
fn a_full_disk_is_a_failure_with_its_own_code() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has /dev/full");
    let output = hearken(&["completions", "bash"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!(code_of(&output), Some(exit::OUTPUT));
    let message = stderr_of(&output);
    assert!(
        message.starts_with("hearken: standard output: cannot write: No space left"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    // The reader closes while the program is still starting, so that it finds the pipe broken.
    let mut child = hearken(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut message = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut message)
        .expect("text");
    let status = child.wait().expect("it ends");
    assert_eq!((status.code(), message.as_str()), (Some(0), ""));
}

#[test]
fn a_closed_standard_error_does_not_panic() {
    let mut child = hearken(&["--window", "99"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stderr.take());
    assert_eq!(
        child.wait().expect("it ends").code(),
        Some(i32::from(exit::USAGE))
    );
}
