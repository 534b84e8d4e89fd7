//! The real binary on real weights: what it writes for speech, and what it says about input that is
//! none.
//!
//! Needs the model `base`: `make test` fetches it.

use crate::support::{data, jfk};
use hearken::commands::error::exit;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SENTENCE: &str = "And so my fellow Americans, ask not what your country can do for you, \
                        ask what you can do for your country.";

fn hearken(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    // The configuration of whoever runs the tests has no say in them.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    hearken(arguments).output().expect("it runs")
}

fn transcribe(file: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["--file", file.to_str().expect("UTF-8")];
    all.extend(arguments);
    run(&all)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// 32-bit float wav at 16 kHz, mono.
fn wav(dir: &Path, name: &str, samples: &[f32]) -> PathBuf {
    interleaved_wav(dir, name, samples, 1)
}

/// 32-bit float wav at 16 kHz.
fn interleaved_wav(dir: &Path, name: &str, samples: &[f32], channels: u8) -> PathBuf {
    let path = dir.join(name);
    let n = samples.len() as u32 * 4;
    let mut bytes = Vec::new();
    bytes.extend(
        b"RIFF"
            .iter()
            .chain(&(36 + n).to_le_bytes())
            .chain(b"WAVEfmt "),
    );
    for word in [
        16u32.to_le_bytes(),
        [3, 0, channels, 0],
        16_000u32.to_le_bytes(),
        (64_000 * u32::from(channels)).to_le_bytes(),
        [4 * channels, 0, 32, 0],
    ] {
        bytes.extend(word);
    }
    bytes.extend(b"data".iter().chain(&n.to_le_bytes()));
    bytes.extend(samples.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(&path, bytes).expect("a scratch file");
    path
}

/// Lower-case words.
fn words(text: &str) -> Vec<String> {
    let plain = text
        .to_lowercase()
        .replace(|c: char| !c.is_alphanumeric(), " ");
    plain.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_sample_is_transcribed_in_every_mode() {
    for mode in [
        &[][..],
        &["--compute", "f32"],
        &["--window", "30"],
        &["--beam-size", "5"],
    ] {
        let output = transcribe(&data("jfk.flac"), mode);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert_eq!(words(&text(&output.stdout)), words(SENTENCE), "{mode:?}");
    }
    let output = transcribe(&data("jfk.flac"), &["--window", "30"]);
    assert_eq!(text(&output.stdout), SENTENCE);
    assert!(
        text(&output.stderr).contains("real-time factor"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn stereo_with_an_inverted_channel_gives_the_same_words() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let speech = jfk();
    for gain in [-1.0, -0.98] {
        let stereo: Vec<f32> = speech.iter().flat_map(|x| [*x, gain * x]).collect();
        let file = interleaved_wav(dir.path(), "inverted.wav", &stereo, 2);
        let output = transcribe(&file, &[]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert_eq!(words(&text(&output.stdout)), words(SENTENCE), "{gain}");
    }
}

#[test]
fn the_configurations_replacements_are_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = |text: &str| {
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).expect("a scratch file");
        path.display().to_string()
    };
    let replacing = config(
        "[replacements]\n\"my fellow americans\" = \"Mitbürger\"\n\"your country\" = \"Ihr Land\"",
    );
    let output = transcribe(
        &data("jfk.flac"),
        &["--window", "30", "--config", &replacing],
    );
    let wanted = SENTENCE
        .replace("my fellow Americans", "Mitbürger")
        .replace("your country", "Ihr Land");
    assert_eq!(text(&output.stdout), wanted, "{}", text(&output.stderr));

    let with_times = |config: &str| {
        let json = ["--format", "json", "--word-timestamps", "--config", config];
        let output = transcribe(&data("jfk.flac"), &json);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document["segments"][0]["words"]
            .as_array()
            .expect("words")
            .clone()
    };
    let (heard, made) = (with_times("/dev/null"), with_times(&replacing));
    let phrase = &heard[2..5];
    let spoken: Option<String> = phrase.iter().map(|word| word["word"].as_str()).collect();
    assert_eq!(words(&spoken.expect("text")), words("my fellow americans"));
    let least = phrase
        .iter()
        .filter_map(|word| word["probability"].as_f64())
        .fold(1.0, f64::min);
    assert_eq!(
        words(made[2]["word"].as_str().expect("text")),
        words("Mitbürger")
    );
    assert_eq!(
        (&made[2]["start"], &made[2]["end"]),
        (&phrase[0]["start"], &phrase[2]["end"])
    );
    assert_eq!(made[2]["probability"].as_f64(), Some(least));
    assert_eq!(made[3..6], heard[5..8], "the rest is as it was");

    let wrong = config("[replacements]\nnode.js = \"Node.js\"");
    let bad = transcribe(&data("jfk.flac"), &["--config", &wrong]);
    assert_eq!(code(&bad), i32::from(exit::CONFIG));
    let fault = format!("hearken: {wrong}: replacements.'node' is of type table");
    assert!(
        text(&bad.stderr).starts_with(&fault),
        "{}",
        text(&bad.stderr)
    );
    let missing = transcribe(&data("jfk.flac"), &["--config", "/nonexistent/config.toml"]);
    assert_eq!(code(&missing), i32::from(exit::CONFIG));
    assert!(
        text(&missing.stderr).contains("/nonexistent/config.toml: cannot be read"),
        "{}",
        text(&missing.stderr)
    );
}

#[test]
fn punctuation_is_spoken_where_that_is_asked_for() {
    let plain = transcribe(&data("spoken.flac"), &[]);
    assert!(
        text(&plain.stdout).to_lowercase().contains("new line"),
        "{}",
        text(&plain.stdout)
    );
    let marked = transcribe(&data("spoken.flac"), &["--spoken-punctuation"]);
    // Whisper's own marks beside the spoken ones are not this test's matter.
    let marked = text(&marked.stdout);
    let lines: Vec<Vec<String>> = marked.lines().map(words).collect();
    assert_eq!(
        lines,
        ["Hello", "How are you", "Best regards"].map(words),
        "{}",
        text(&plain.stdout)
    );
    assert!(
        marked
            .lines()
            .all(|line| line.starts_with(char::is_uppercase)),
        "{marked}"
    );
}

#[test]
fn standard_input_is_transcribed() {
    let mut child = hearken(&["--file", "-", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let flac = std::fs::read(data("jfk.flac")).expect("the sample");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(&flac)
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (code(&output), words(&text(&output.stdout))),
        (0, words(SENTENCE))
    );
    assert_eq!(text(&output.stderr), "", "--quiet prints nothing else");
}

/// Whether the process handles SIGINT (signal 2) by now, by its line `SigCgt` in `/proc/PID/status`
/// (proc(5)).
fn catches_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .expect("a line of every process");
    u64::from_str_radix(mask.trim(), 16).expect("a mask") & 0b10 != 0
}

#[test]
fn an_interrupt_ends_the_wait_for_standard_input() {
    let flac = std::fs::read(data("jfk.flac")).expect("the sample");
    for sent in [0, 50_000] {
        let mut child = hearken(&["--file", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(&flac[..sent]).expect("it reads");
        while !catches_interrupts(child.id()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill = Command::new("sh")
            .args(["-c", &format!("kill -INT {}", child.id())])
            .status();
        assert!(kill.is_ok_and(|status| status.success()));
        let begun = Instant::now();
        while child.try_wait().expect("a child").is_none()
            && begun.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended = child.try_wait().expect("a child");
        assert_eq!(
            ended.and_then(|status| status.code()),
            Some(i32::from(exit::INTERRUPTED)),
            "{sent} bytes sent"
        );
        drop(pipe);
        assert_eq!(
            text(&child.wait_with_output().expect("it has ended").stderr),
            ""
        );
    }
}

#[test]
fn a_second_interrupt_ends_at_once_and_leaves_no_file() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let out = dir.path().to_str().expect("UTF-8");
    let flac = std::fs::read(data("jfk.flac")).expect("the sample");
    let mut child = hearken(&["--file", "-", "--output-dir", out])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(&flac[..50_000]).expect("it reads");
    let files = || std::fs::read_dir(dir.path()).expect("a directory").count();
    while files() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Both arrive before it can do anything about the first.
    let kill = format!(
        "kill -STOP {0} && kill -INT {0} && kill -TERM {0} && kill -CONT {0}",
        child.id()
    );
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .is_ok_and(|status| status.success())
    );
    assert_eq!(
        child.wait().expect("it ends").code(),
        Some(i32::from(exit::INTERRUPTED))
    );
    assert_eq!(files(), 0);
}

#[test]
fn several_texts_on_standard_output_are_told_apart() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let files =
        ["a.wav", "b.wav"].map(|name| wav(dir.path(), name, &[0.0; 8000]).display().to_string());
    let arguments = ["--file", &files[0], &files[1]];
    let output = run(&arguments);
    assert_eq!(
        text(&output.stdout),
        format!("==> {} <==\n\n==> {} <==", files[0], files[1])
    );
    assert_eq!(
        text(&run(&[&arguments[..], &["--quiet"]].concat()).stderr),
        ""
    );
    assert_eq!(
        text(&run(&arguments[..2]).stdout),
        "",
        "a single one needs no heading"
    );
    let json = run(&[&arguments[..], &["--format", "json"]].concat());
    assert!(
        text(&json.stdout).starts_with('{'),
        "JSON names its file itself"
    );
    let threads = run(&["--file", &files[0], "--threads", "1000"]);
    assert!(
        text(&threads.stderr).contains("1000 threads are more than"),
        "{}",
        text(&threads.stderr)
    );
}

#[test]
fn no_word_is_lost_or_doubled_where_long_audio_is_cut() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let speech = jfk();
    // Repetitions close to each other: cuts fall where the segmenter finds the best place.
    let mut samples = Vec::new();
    for _ in 0..4 {
        samples.extend(&speech[..165_600]);
    }
    let output = transcribe(
        &wav(dir.path(), "long.wav", &samples),
        &["--language", "en"],
    );
    let expected: Vec<_> = std::iter::repeat_n(words(SENTENCE), 4).flatten().collect();
    assert_eq!(words(&text(&output.stdout)), expected);
}

#[test]
fn every_format_is_written_with_times_that_ascend() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let out = dir.path().to_str().expect("UTF-8");
    let output = transcribe(
        &data("jfk.flac"),
        &["--format", "txt,srt,vtt,json,tsv,lrc", "--output-dir", out],
    );
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    for extension in ["txt", "srt", "vtt", "json", "tsv", "lrc"] {
        let written =
            std::fs::read_to_string(dir.path().join(format!("jfk.{extension}"))).expect(extension);
        assert!(written.contains("country"), "{extension}: {written}");
    }
    let json = std::fs::read_to_string(dir.path().join("jfk.json")).expect("json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
    assert_eq!(json["language"], "en");
    let segments = json["segments"].as_array().expect("segments");
    let mut last = 0.0;
    for segment in segments {
        let (start, end) = (
            segment["start"].as_f64().expect("start"),
            segment["end"].as_f64().expect("end"),
        );
        assert!(last <= start && start < end && end <= 11.01, "{segment}");
        last = end;
    }
}

#[test]
fn speech_in_another_language_is_detected_and_translated() {
    let german = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tail/07-fleurs-de.flac");
    let json = |arguments: &[&str]| {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        let output = transcribe(&german, &all);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("valid JSON")
    };
    assert_eq!(json(&[])["language"], "de");
    assert_eq!(
        json(&["--languages", "en,fr"])["language"]
            .as_str()
            .map(|l| l == "en" || l == "fr"),
        Some(true)
    );
    let english = json(&["--task", "translate"])["text"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    assert!(english.contains(" the "), "{english}");
}

#[test]
fn bad_input_gets_one_clear_line_and_its_exit_code() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = |name: &str| dir.path().join(name);
    let speech = jfk();
    std::fs::write(path("notes.wav"), "not audio at all").expect("a scratch file");
    std::fs::write(path("empty.flac"), "").expect("a scratch file");
    std::fs::create_dir(path("folder")).expect("a scratch folder");
    let flac = std::fs::read(data("jfk.flac")).expect("the sample");
    std::fs::write(path("cut.flac"), &flac[..flac.len() / 2]).expect("a scratch file");
    wav(dir.path(), "silence.wav", &[0.0; 48_000]);
    let mut broken = speech.clone();
    broken[80_000..80_100].fill(f32::NAN);
    wav(dir.path(), "nan.wav", &broken);
    for (file, expected, named) in [
        ("notes.wav", exit::INPUT, "notes.wav"),
        ("empty.flac", exit::INPUT, "empty.flac"),
        ("absent.wav", exit::INPUT, "absent.wav"),
        ("folder", exit::INPUT, "no recordings in this folder"),
        ("cut.flac", exit::INPUT, "cut.flac"),
        ("nan.wav", exit::INPUT, "nan.wav"),
        ("silence.wav", exit::SUCCESS, "silence.wav"),
    ] {
        let output = transcribe(&path(file), &[]);
        let complaint = text(&output.stderr);
        assert_eq!(code(&output), i32::from(expected), "{file}: {complaint}");
        let about: Vec<_> = complaint
            .lines()
            .filter(|line| line.starts_with("hearken: "))
            .collect();
        assert!(
            about.len() == 1 && about[0].matches(named).count() == 1,
            "{file}: {complaint}"
        );
        let written = text(&output.stdout);
        match file {
            "cut.flac" => assert!(
                written.contains("fellow Americans"),
                "what came before the damage: {written}"
            ),
            "nan.wav" => assert!(
                written.contains("your country"),
                "the rest of it: {written}"
            ),
            _ => assert_eq!(written, "", "{file}"),
        }
    }
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let sample = data("jfk.flac");
    let sample = sample.to_str().expect("UTF-8");
    let output = run(&["--file", "absent.wav", sample, "--quiet"]);
    assert_eq!(code(&output), i32::from(exit::SOME_FAILED));
    assert_eq!(
        text(&output.stdout).lines().next(),
        Some(&*format!("==> {sample} <=="))
    );
    assert!(words(&text(&output.stdout)).ends_with(&words(SENTENCE)));
    assert!(text(&output.stderr).contains("absent.wav"));
}

#[test]
fn models_that_are_unknown_or_damaged_are_named_with_the_remedy() {
    let unknown = transcribe(&data("jfk.flac"), &["--model", "bsae"]);
    assert_eq!(code(&unknown), i32::from(exit::MODEL));
    assert!(
        text(&unknown.stderr).contains("base"),
        "{}",
        text(&unknown.stderr)
    );
    let dir = tempfile::tempdir().expect("a scratch directory");
    std::fs::write(dir.path().join("base.safetensors"), [0xff; 4096]).expect("a scratch file");
    let in_dir = |offline: &str, arguments: &[&str]| {
        let mut command = hearken(arguments);
        command
            .env("HEARKEN_MODELS_DIR", dir.path())
            .env("HEARKEN_OFFLINE", offline);
        command.output().expect("it runs")
    };
    let sample = data("jfk.flac");
    let damaged = in_dir("", &["--file", sample.to_str().expect("UTF-8")]);
    assert_eq!(code(&damaged), i32::from(exit::MODEL));
    assert!(
        text(&damaged.stderr).contains("base.safetensors"),
        "{}",
        text(&damaged.stderr)
    );
    let offline = in_dir("1", &["models", "fetch", "tiny"]);
    assert_eq!(code(&offline), i32::from(exit::FETCH));
    assert!(
        text(&offline.stderr).contains("HEARKEN_OFFLINE"),
        "{}",
        text(&offline.stderr)
    );
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let sample = data("jfk.flac");
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = hearken(&["--file", sample.to_str().expect("UTF-8")])
        .stdout(full)
        .output()
        .expect("it runs");
    assert_eq!(code(&output), i32::from(exit::OUTPUT));
    assert!(
        text(&output.stderr).contains("standard output"),
        "{}",
        text(&output.stderr)
    );
    let output = transcribe(&sample, &["--output-dir", "/proc/no/such/place"]);
    assert_eq!(code(&output), i32::from(exit::OUTPUT));
}

#[test]
fn the_decoder_bench_reports_its_figures() {
    let output = run(&["bench", "decoder", "--iterations", "3", "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
    let passes = report["passes"].as_array().expect("passes");
    let shapes: Vec<_> = passes
        .iter()
        .map(|pass| (pass["windows"].as_u64(), pass["tokens"].as_u64()))
        .collect();
    assert_eq!(
        shapes,
        [(1, 1), (8, 1), (1, 8), (1, 64)].map(|(windows, tokens)| (Some(windows), Some(tokens)))
    );
    for pass in passes {
        let [minimum, median, maximum] =
            ["minimum_ms", "median_ms", "maximum_ms"].map(|key| pass[key].as_f64());
        assert!(
            Some(0.0) < minimum && minimum <= median && median <= maximum,
            "{pass}"
        );
        // Base: 48.6 MB of weights, 3.6 MB of keys and values with their scales for each window.
        let windows = pass["windows"].as_f64().expect("a number");
        assert!(
            pass["read_mb"]
                .as_f64()
                .is_some_and(|mb| (mb - 48.6 - 3.6 * windows).abs() < 1.0),
            "{pass}"
        );
    }
}

#[test]
fn the_encoder_bench_reports_its_figures() {
    for extra in [&[][..], &["--random-weights"]] {
        let mut arguments = vec!["bench", "encoder", "--iterations", "3", "--json"];
        arguments.extend(extra);
        let output = run(&arguments);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
        assert_eq!(
            (report["iterations"].as_u64(), report["non_finite"].as_u64()),
            (Some(3), Some(0))
        );
        assert!(
            report["cosine_to_f32"].as_f64().is_some_and(|c| c >= 0.99),
            "{report}"
        );
        assert!(
            report["minimum_ms"].as_f64() <= report["average_ms"].as_f64(),
            "{report}"
        );
    }
}
