//! The accuracy gate: some clips with their references, read aloud in four languages, clean,
//! accented and noisy, longer than a window, and one in which nobody speaks. `benches/accuracy`
//! measures the same over any manifest.
//!
//! Needs the model `base`: `make test` fetches it.

use crate::support::{data, decode_all};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Word errors over the clips in which somebody speaks, of some 280 words; 7 when this was written.
const MOST_ERRORS: usize = 8;
/// Most errors of a single clip.
const MOST_ERRORS_OF_ONE: usize = 3;
/// Most errors where the clips are joined: words at the seams are harder.
const MOST_ERRORS_JOINED: usize = 8;

struct Clip {
    file: String,
    language: String,
    reference: Vec<String>,
}

/// The clips of the manifest.
fn clips() -> Vec<Clip> {
    let manifest = std::fs::read_to_string(data("accuracy/manifest.tsv")).expect("the manifest");
    let clip = |line: &str| match line.split('\t').collect::<Vec<_>>().as_slice() {
        [_, file, _, language, _, reference] => Clip {
            file: (*file).to_owned(),
            language: (*language).to_owned(),
            reference: words(reference),
        },
        _ => panic!("not six columns: {line}"),
    };
    manifest.lines().skip(1).map(clip).collect()
}

/// Lower-case words.
pub fn words(text: &str) -> Vec<String> {
    let plain = text
        .to_lowercase()
        .replace(['\'', '’'], "")
        .replace(|c: char| !c.is_alphanumeric(), " ");
    plain.split_whitespace().map(str::to_owned).collect()
}

/// What the program writes for each of some files, by their name.
pub fn transcribe(files: &[&Path], options: &[&str]) -> Vec<Vec<String>> {
    let texts = tempfile::tempdir().expect("a scratch directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    // The configuration of whoever runs the tests has no say in them.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
        .arg("--file")
        .args(files)
        .arg("--output-dir")
        .arg(texts.path())
        .arg("--quiet")
        .args(options);
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = |file: &&Path| {
        let path = texts
            .path()
            .join(file.file_stem().expect("a name"))
            .with_extension("txt");
        words(&std::fs::read_to_string(path).expect("a transcript"))
    };
    files.iter().map(text).collect()
}

#[test]
fn no_more_words_are_wrong_than_before() {
    let clips = clips();
    let mut by_language = BTreeMap::<&str, Vec<&Clip>>::new();
    for clip in clips.iter().filter(|clip| clip.language != "zxx") {
        by_language.entry(&clip.language).or_default().push(clip);
    }
    let mut errors = 0;
    for (language, clips) in by_language {
        let files: Vec<_> = clips
            .iter()
            .map(|clip| data("accuracy").join(&clip.file))
            .collect();
        let files: Vec<_> = files.iter().map(AsRef::as_ref).collect();
        for (clip, heard) in clips
            .iter()
            .zip(transcribe(&files, &["--language", language]))
        {
            let wrong = strsim::generic_levenshtein(&clip.reference, &heard);
            let Clip {
                file, reference, ..
            } = clip;
            println!(
                "{file}: {wrong} of {}: {}",
                reference.len(),
                heard.join(" ")
            );
            assert!(
                wrong <= MOST_ERRORS_OF_ONE,
                "{file}: {wrong} errors\n{reference:?}\n{heard:?}"
            );
            // "rainbow" for "rainbows" is an error, but not a word that was lost.
            let last = |words: &[String]| words.last().cloned().unwrap_or_default();
            let lost = strsim::levenshtein(&last(&heard), &last(reference)) > 2;
            assert!(!lost, "the last word of {file}: {heard:?}");
            errors += wrong;
        }
    }
    assert!(errors <= MOST_ERRORS, "{errors} words are wrong");
}

#[test]
fn nothing_is_written_where_nobody_speaks() {
    for clip in clips().iter().filter(|clip| clip.language == "zxx") {
        let file = data("accuracy").join(&clip.file);
        for options in [&["--language", "en"][..], &["--languages", "de,fr,es"], &[]] {
            assert_eq!(
                transcribe(&[&file], options),
                [Vec::<String>::new()],
                "{} {options:?}",
                clip.file
            );
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_where_windows_are_cut() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let english: Vec<Clip> = clips()
        .into_iter()
        .filter(|c| c.language == "en" && c.reference.len() < 40)
        .collect();
    let (mut samples, mut reference) = (Vec::new(), Vec::new());
    for clip in &english {
        samples.extend(decode_all(&data("accuracy").join(&clip.file)).samples);
        reference.extend(clip.reference.iter().cloned());
    }
    // Without pauses between them; every word once, in order.
    let path = scratch.path().join("joined.wav");
    std::fs::write(&path, crate::support::wav16(&samples)).expect("a scratch file");
    let heard = transcribe(&[&path], &["--language", "en"]).remove(0);
    let wrong = strsim::generic_levenshtein(&reference, &heard);
    assert!(
        wrong <= MOST_ERRORS_JOINED,
        "{wrong} errors\n{}\n{}",
        reference.join(" "),
        heard.join(" ")
    );
}
