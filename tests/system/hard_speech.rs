//! Speech on which words used to be lost: without pauses, near and far, after clicks, in several
//! languages, repeated; and that all formats have the same words. `benches/accuracy` has larger sets.
//!
//! Needs the model `base`: `make test` fetches it.

use super::accuracy::{transcribe, words};
use crate::support::{data, decode_all, wav16};
use std::path::PathBuf;
use std::process::Command;

const RATE: usize = 16_000;

/// Samples of a clip of `tests/data/accuracy`.
fn clip(name: &str) -> Vec<f32> {
    decode_all(&data("accuracy").join(name)).samples
}

fn at(samples: &[f32], decibels: f32) -> Vec<f32> {
    let gain = 10f32.powf(decibels / 20.0);
    samples.iter().map(|x| x * gain).collect()
}

fn silence(seconds: f32) -> Vec<f32> {
    vec![0.0; (seconds * RATE as f32) as usize]
}

/// Speech whose pauses are cut to 80 ms: frames of 10 ms that are 30 dB below the loud ones.
fn without_pauses(samples: &[f32]) -> Vec<f32> {
    let power = |frame: &[f32]| frame.iter().map(|x| x * x).sum::<f32>();
    let mut sorted: Vec<f32> = samples.chunks_exact(160).map(power).collect();
    sorted.sort_by(f32::total_cmp);
    let loud = sorted[sorted.len() * 19 / 20];
    let mut kept = Vec::new();
    let mut quiet = 0;
    for frame in samples.chunks_exact(160) {
        quiet = if power(frame) < loud * 1e-3 {
            quiet + 1
        } else {
            0
        };
        if quiet <= 8 {
            kept.extend_from_slice(frame);
        }
    }
    kept
}

/// A file in a scratch directory.
struct Scene {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn scene(parts: &[Vec<f32>]) -> Scene {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("scene.wav");
    std::fs::write(&path, wav16(&parts.concat())).expect("a scratch file");
    Scene {
        _directory: directory,
        path,
    }
}

fn heard(scene: &Scene, options: &[&str]) -> Vec<String> {
    transcribe(&[&scene.path], options).remove(0)
}

/// Share of the reference's words that are missing or wrong.
fn errors(reference: &[String], heard: &[String]) -> f64 {
    strsim::generic_levenshtein(&reference.to_vec(), &heard.to_vec()) as f64
        / reference.len() as f64
}

fn reference(file: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(data("accuracy/manifest.tsv")).expect("the manifest");
    let line = manifest
        .lines()
        .find(|line| line.contains(file))
        .expect("a clip");
    words(line.split('\t').next_back().expect("a reference"))
}

const TWO_CITIES: &str = "librivox-two-cities.flac";
const CHAPTER: &str = "librispeech-89-218-0000.flac";

#[test]
fn speech_without_pauses_loses_no_window() {
    let scene = scene(&[
        without_pauses(&clip(TWO_CITIES)),
        without_pauses(&clip(CHAPTER)),
    ]);
    let said = [reference(TWO_CITIES), reference(CHAPTER)].concat();
    for window in ["10.24", "15.36", "30"] {
        let heard = heard(&scene, &["--language", "en", "--window", window]);
        let wrong = errors(&said, &heard);
        assert!(wrong < 0.08, "window {window}: {wrong}\n{heard:?}");
    }
}

#[test]
fn a_far_voice_between_near_ones_is_heard() {
    let near = clip("ljspeech-LJ001-0009.flac");
    let far = at(&clip("voicebank-p232_019.flac"), -22.0);
    let said = |file| reference(file);
    let reference = [
        said("ljspeech-LJ001-0009.flac"),
        said("voicebank-p232_019.flac"),
        said("ljspeech-LJ001-0009.flac"),
    ]
    .concat();
    for gap in [0.2, 1.0] {
        let scene = scene(&[
            near.clone(),
            silence(gap),
            far.clone(),
            silence(gap),
            near.clone(),
        ]);
        let heard = heard(&scene, &["--language", "en"]);
        let wrong = errors(&reference, &heard);
        assert!(wrong < 0.15, "{gap} s: {wrong}\n{heard:?}");
    }
}

/// As a file is that begins in the middle of a sentence.
#[test]
fn speech_that_begins_in_mid_sentence_is_heard_whatever_its_language_seems() {
    let whole = without_pauses(&clip(CHAPTER));
    let said = reference(CHAPTER);
    for from_s in [1.3, 2.1, 3.4] {
        let from = (from_s * RATE as f32) as usize;
        let scene = scene(&[whole[from..].to_vec()]);
        let heard = heard(&scene, &[]);
        let n_lost = said.len() as f64 * from as f64 / whole.len() as f64;
        let least = 0.9 * (said.len() as f64 - n_lost);
        assert!(heard.len() as f64 >= least, "from {from_s} s: {heard:?}");
    }
}

#[test]
fn a_short_clip_is_heard_in_the_language_given() {
    for (file, language) in [
        ("ljspeech-LJ001-0002.flac", "en"),
        ("thorsten-sample03.flac", "de"),
        ("fleurs-fr-7710081235851472968.mp3", "fr"),
        ("fleurs-es-003.ogg", "es"),
    ] {
        // From its first loud sound up to a pause, which is searched 1 to 2.5 s later.
        let sound = clip(file);
        let frame = RATE / 20;
        let power = |at: usize| sound[at..at + frame].iter().map(|x| x * x).sum::<f32>();
        let starts =
            |from: usize, to: usize| (from..to.min(sound.len() - frame)).step_by(RATE / 100);
        let loudest = starts(0, sound.len()).map(power).fold(0.0, f32::max);
        let onset = starts(0, sound.len())
            .find(|at| power(*at) > 0.02 * loudest)
            .expect("a loud sound");
        let end = starts(onset + RATE, onset + 5 * RATE / 2)
            .min_by(|a, b| power(*a).total_cmp(&power(*b)))
            .unwrap_or(sound.len());
        for decibels in [0.0, -25.0] {
            let scene = scene(&[silence(0.3), at(&sound[onset..end], decibels), silence(0.3)]);
            let heard = heard(&scene, &["--language", language]);
            assert!(!heard.is_empty(), "{file} at {decibels} dB");
        }
    }
}

#[test]
fn clicks_do_not_hide_quiet_speech() {
    let quiet = at(&clip("ljspeech-LJ001-0009.flac"), -25.0);
    let click = vec![0.9; RATE / 10];
    let scene = scene(&[silence(0.1), click, silence(0.4), quiet]);
    let heard = heard(&scene, &["--language", "en"]);
    let wrong = errors(&reference("ljspeech-LJ001-0009.flac"), &heard);
    assert!(wrong < 0.15, "{wrong}\n{heard:?}");
}

#[test]
fn what_is_said_again_and_again_is_written_as_often() {
    for (file, language) in [
        ("ljspeech-LJ001-0002.flac", "en"),
        ("thorsten-sample03.flac", "de"),
    ] {
        let phrase = clip(file);
        let n_words = reference(file).len();
        for (times, pause) in [(4, 0.3), (8, 0.6), (12, 1.0)] {
            let sound: Vec<_> = (0..times)
                .flat_map(|_| [phrase.clone(), silence(pause)])
                .collect();
            let heard = heard(&scene(&sound), &["--language", language]);
            let share = heard.len() as f64 / (times * n_words) as f64;
            assert!(
                (0.75..1.25).contains(&share),
                "{file} {times} times: {heard:?}"
            );
        }
    }
}

/// Says a text with a synthetic voice of `espeak-ng`.
fn synthetic(voice: &str, words_per_minute: &str, text: &str) -> Scene {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let path = directory.path().join("spoken.wav");
    let status = Command::new("espeak-ng")
        .args(["-v", voice, "-s", words_per_minute, "-w"])
        .arg(&path)
        .arg(text)
        .status();
    assert!(status.expect("espeak-ng").success(), "{voice}");
    Scene {
        _directory: directory,
        path,
    }
}

#[test]
fn counting_loses_no_number_where_a_window_ends() {
    let numbers: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    let mut missing = Vec::new();
    for voice in ["en-us", "en-gb"] {
        for speed in ["120", "160", "200"] {
            let heard = heard(
                &synthetic(voice, speed, &numbers.join(", ")),
                &["--language", "en"],
            );
            let is_missing = |number: &&String| !heard.contains(*number);
            let here: Vec<String> = numbers.iter().filter(is_missing).cloned().collect();
            missing.push((voice, speed, here));
        }
    }
    // The model takes a synthetic number for another now and then.
    let n: usize = missing.iter().map(|(.., here)| here.len()).sum();
    assert!(n <= 6, "{n} of 240: {missing:?}");
}

#[test]
fn each_language_of_a_recording_is_written() {
    let parts = [
        "ljspeech-LJ001-0009.flac",
        "thorsten-sample03.flac",
        "fleurs-fr-7710081235851472968.mp3",
    ];
    let mut sound = Vec::new();
    for part in parts {
        sound.extend([clip(part), silence(1.5)]);
    }
    let said = parts.map(reference).concat();
    let heard = heard(&scene(&sound), &[]);
    let wrong = errors(&said, &heard);
    assert!(wrong < 0.2, "{wrong}\n{heard:?}");
}

#[test]
fn all_formats_have_the_same_words() {
    let scene = scene(&[
        without_pauses(&clip(TWO_CITIES)),
        clip("vctk-p232_003.flac"),
    ]);
    let texts = tempfile::tempdir().expect("a scratch directory");
    let mut all = Vec::new();
    for options in [&[][..], &["--word-timestamps"]] {
        let done = Command::new(env!("CARGO_BIN_EXE_hearken"))
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .args([
                "--quiet",
                "--language",
                "en",
                "--format",
                "txt,json,srt,vtt,tsv,lrc",
                "--file",
            ])
            .arg(&scene.path)
            .arg("--output-dir")
            .arg(texts.path())
            .args(options)
            .status()
            .expect("it runs");
        assert!(done.success());
        for format in ["txt", "json", "srt", "vtt", "tsv", "lrc"] {
            let path = texts.path().join("scene").with_extension(format);
            let text = std::fs::read_to_string(&path).expect("a transcript");
            std::fs::remove_file(path).expect("it is there");
            all.push((format, only_words(format, &text)));
        }
    }
    let (_, first) = &all[0];
    assert!(first.len() > 100);
    for (format, found) in &all {
        assert_eq!(found, first, "{format}");
    }
}

/// The words of a transcript without what its format adds.
fn only_words(format: &str, text: &str) -> Vec<String> {
    let lines = text.lines();
    let spoken: Vec<&str> = match format {
        "json" => {
            let json: serde_json::Value = serde_json::from_str(text).expect("json");
            return words(json["text"].as_str().expect("a text"));
        }
        "srt" | "vtt" => lines
            .filter(|line| {
                let is_number = line.chars().all(|c| c.is_ascii_digit());
                !line.contains("-->") && !is_number && *line != "WEBVTT"
            })
            .collect(),
        "tsv" => lines
            .skip(1)
            .filter_map(|line| line.split('\t').nth(2))
            .collect(),
        "lrc" => lines
            .skip(1)
            .filter_map(|line| line.split_once(']'))
            .map(|(_, text)| text)
            .collect(),
        _ => lines.collect(),
    };
    words(&spoken.join(" "))
}
