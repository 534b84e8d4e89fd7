//! Where transcripts go: files appear whole under their names, and what cannot work is refused
//! before any work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hearken::advice::Advice;
use hearken::commands::error::{Error, exit};
use hearken::output::{
    Destination, Footer, Format, FormatOptions, Header, Input, OutputError, Place, Segment,
};

fn header() -> Header {
    Header {
        file: "a.wav".to_owned(),
        model: "base".to_owned(),
        task: "transcribe".to_owned(),
        has_speakers: false,
    }
}

fn footer() -> Footer {
    Footer {
        language: Some("en".to_owned()),
        duration_s: 1.5,
    }
}

fn segment() -> Segment {
    Segment {
        speaker: None,
        id: 0,
        start_s: 0.0,
        end_s: 1.5,
        text: " Hello.".to_owned(),
        tokens: vec![2425, 13],
        temperature: 0.0,
        avg_logprob: -0.5,
        compression_ratio: 0.5,
        no_speech_prob: 0.0,
        words: None,
    }
}

fn inputs(names: &[&str]) -> Vec<Input> {
    names.iter().map(Input::new).collect()
}

fn destination(
    inputs: &[Input],
    formats: &[Format],
    directory: Option<&Path>,
) -> Result<Destination, OutputError> {
    let place = match directory {
        Some(directory) => Place::Directory(directory.to_owned()),
        None => Place::StandardOutput,
    };
    Destination::new(inputs, formats, FormatOptions::default(), place)
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn exit_code(error: OutputError) -> u8 {
    Error::from(error).exit_code()
}

#[test]
fn each_input_and_format_has_a_file_that_appears_when_it_is_complete() {
    let directory = tempfile::tempdir().expect("a directory");
    let texts = directory.path().join("new/texts");
    let inputs = inputs(&["talks/a.b.wav", "-"]);
    let formats = [Format::Srt, Format::Txt, Format::Srt];
    let destination = destination(&inputs, &formats, Some(&texts)).expect("a good destination");

    let mut output = destination.open(&inputs[0], &header()).expect("an output");
    output.segment(&segment()).expect("written");
    assert!(
        names_in(&texts)
            .iter()
            .all(|name| name.starts_with(".hearken-")),
        "{:?}",
        names_in(&texts)
    );
    let files = output.finish(&footer()).expect("named");
    assert_eq!(files, [texts.join("a.b.txt"), texts.join("a.b.srt")]);
    assert_eq!(names_in(&texts), ["a.b.srt", "a.b.txt"]);
    assert_eq!(fs::read_to_string(&files[0]).expect("text"), "Hello.\n");

    let silent = destination.open(&inputs[1], &header()).expect("an output");
    silent.finish(&footer()).expect("named");
    assert_eq!(
        names_in(&texts),
        ["a.b.srt", "a.b.txt", "stdin.srt", "stdin.txt"]
    );
}

#[test]
fn a_transcript_that_is_given_up_leaves_no_file_and_spares_the_old_one() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("a.txt"), "old").expect("a file");
    let inputs = inputs(&["a.wav"]);
    let destination = destination(&inputs, &[Format::Txt], Some(directory.path())).expect("good");
    let mut output = destination.open(&inputs[0], &header()).expect("an output");
    output.segment(&segment()).expect("written");
    drop(output);
    assert_eq!(names_in(directory.path()), ["a.txt"]);
    assert_eq!(
        fs::read_to_string(directory.path().join("a.txt")).expect("text"),
        "old"
    );
}

#[test]
fn a_transcript_may_be_read_by_whom_any_new_file_may_be() {
    let directory = tempfile::tempdir().expect("a directory");
    let inputs = inputs(&["a.wav"]);
    let destination = destination(&inputs, &[Format::Txt], Some(directory.path())).expect("good");
    let files = destination
        .open(&inputs[0], &header())
        .expect("an output")
        .finish(&footer())
        .expect("named");
    fs::write(directory.path().join("other"), "").expect("a file");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode(&files[0]), mode(&directory.path().join("other")));
}

#[test]
fn inputs_that_would_share_a_file_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let texts = directory.path().join("texts");
    let inputs = inputs(&["monday/talk.wav", "b.wav", "tuesday/talk.flac"]);
    let error = destination(&inputs, &[Format::Txt], Some(&texts)).expect_err("one file for two");
    let message = error.to_string();
    assert!(matches!(error, OutputError::SameTarget { .. }), "{message}");
    assert!(
        message.contains("monday/talk.wav and tuesday/talk.flac"),
        "{message}"
    );
    assert_eq!(exit_code(error), exit::USAGE);
    assert!(!texts.exists());
}

#[test]
fn standard_output_takes_one_timeline() {
    let (one, two) = (inputs(&["a.wav"]), inputs(&["a.wav", "b.wav"]));
    let accepts = |inputs: &[Input], formats: &[Format]| destination(inputs, formats, None);
    assert!(accepts(&one, &[Format::Vtt]).is_ok());
    assert!(accepts(&two, &[Format::Txt]).is_ok());
    assert!(accepts(&two, &[Format::Json, Format::Json]).is_ok());
    for error in [
        accepts(&two, &[Format::Srt]).expect_err("two timelines"),
        accepts(&one, &[Format::Txt, Format::Srt]).expect_err("two formats"),
    ] {
        assert!(error.explain().contains("--output-dir DIR"), "{error}");
        assert_eq!(exit_code(error), exit::USAGE);
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_told_with_path_reason_and_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    for impossible in [
        file.clone(),
        file.join("below"),
        PathBuf::from("/proc/hearken"),
    ] {
        let error = destination(&inputs(&["a.wav"]), &[Format::Txt], Some(&impossible))
            .expect_err("impossible");
        let message = error.explain();
        assert!(
            message.starts_with(&impossible.display().to_string()),
            "{message}"
        );
        assert!(message.contains("--output-dir"), "{message}");
        assert_eq!(exit_code(error), exit::OUTPUT, "{message}");
    }
}

#[test]
fn a_name_taken_by_a_directory_is_told_when_the_file_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("a.txt")).expect("a directory");
    let inputs = inputs(&["a.wav"]);
    let destination = destination(&inputs, &[Format::Txt], Some(directory.path())).expect("good");
    let output = destination.open(&inputs[0], &header()).expect("an output");
    let error = output
        .finish(&footer())
        .expect_err("a directory is in the way");
    assert!(error.to_string().contains("a.txt: cannot write"), "{error}");
    assert_eq!(exit_code(error), exit::OUTPUT);
    assert_eq!(names_in(directory.path()), ["a.txt"]);
}
