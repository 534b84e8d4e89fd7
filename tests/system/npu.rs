//! Whisper base on the NPU emulator, without an NPU. The program gives the
//! text that it gives on the CPU, says what encodes, and loses no word when the device goes away.
//!
//! Needs the model `base`: `make test` fetches it.

use crate::desktop::{Desktop, words};
use crate::support::{data, jfk, model};
use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use xrt_sys::emulator::write_overlays;

/// Shapes, \[m, k, n\], of the int8 products of Whisper base's encoder, in runs of 256 and 512 rows.
const BASE_SHAPES: [[usize; 3]; 10] = [
    [256, 512, 512],
    [256, 512, 1536],
    [256, 512, 2048],
    [256, 1536, 512],
    [256, 2048, 512],
    [512, 512, 512],
    [512, 512, 1536],
    [512, 512, 2048],
    [512, 1536, 512],
    [512, 2048, 512],
];

/// Whether an XDNA2 NPU is on the PCI bus.
fn has_npu() -> bool {
    let devices = fs::read_dir("/sys/bus/pci/devices").into_iter().flatten();
    devices.flatten().any(|device| {
        fs::read_to_string(device.path().join("device")).is_ok_and(|id| id.trim() == "0x17f0")
    })
}

const FAULTS: &str = "HEARKEN_NPU_EMULATOR_FAULTS";

/// A directory with the model, where packed weights stay for the next test: not the user's.
fn models() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npu-models");
    fs::create_dir_all(&directory).expect("a directory");
    link_model(&directory);
    directory
}

fn link_model(directory: &Path) {
    let linked = symlink(model("base").path(), directory.join("base.safetensors"));
    // Another test may be faster.
    linked
        .or_else(|e| {
            if e.kind() == ErrorKind::AlreadyExists {
                Ok(())
            } else {
                Err(e)
            }
        })
        .expect("a link");
}

fn hearken(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    // The configuration of whoever runs the tests has no say in them.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove(FAULTS)
        .env_remove("HEARKEN_NPU_OVERLAYS");
    command.env("HEARKEN_MODELS_DIR", models());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn transcribe(device: &str, compute: &str, faults: &str) -> Output {
    let file = data("jfk.flac");
    let file = file.to_str().expect("UTF-8");
    let mut command = hearken(&[
        "--file",
        file,
        "--device",
        device,
        "--compute",
        compute,
        "--format",
        "json",
    ]);
    if !faults.is_empty() {
        command.env(FAULTS, faults);
    }
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output
}

/// The words of a transcript in JSON.
fn said(output: &Output) -> Vec<String> {
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    words(json["text"].as_str().expect("a text"))
}

#[test]
fn a_recording_says_the_same_whatever_encodes_it() {
    let cpu = transcribe("cpu", "auto", "");
    assert!(!text(&cpu.stderr).contains("emulator"));
    // 8-bit products are the CPU's: so is every digit of the transcript.
    let npu = transcribe("npu-emulator", "auto", "");
    assert!(
        text(&npu.stderr).contains("NPU emulator, without an NPU"),
        "{}",
        text(&npu.stderr)
    );
    assert_eq!(text(&npu.stdout), text(&cpu.stdout));
    let bf16 = transcribe("npu-emulator", "bf16", "");
    assert_eq!(said(&bf16), said(&cpu));
    assert!(said(&bf16).ends_with(&words("what you can do for your country")));
}

#[test]
fn arithmetic_that_a_device_does_not_have_is_refused() {
    let file = data("jfk.flac");
    for (device, compute, want) in [
        (
            "npu-emulator",
            "f32",
            "an NPU has no f32: with device npu-emulator give compute bf16, its nearest, or int8",
        ),
        (
            "cpu",
            "bf16",
            "compute bf16 needs an NPU: with device cpu give int8 or f32",
        ),
    ] {
        let arguments = [
            "--file",
            file.to_str().expect("UTF-8"),
            "--device",
            device,
            "--compute",
            compute,
        ];
        let output = hearken(&arguments).output().expect("it runs");
        assert_eq!(
            (output.status.code(), text(&output.stderr)),
            (Some(2), format!("hearken: {want}\n"))
        );
    }
}

#[test]
fn a_device_that_goes_away_costs_a_recording_nothing() {
    let cpu = transcribe("cpu", "int8", "");
    for fault in [
        "run_start:40:vanish",
        "buffer_sync:120:error",
        "run_wait:5:error",
        "device_open:1:error",
    ] {
        let output = transcribe("npu-emulator", "int8", fault);
        assert_eq!(text(&output.stdout), text(&cpu.stdout), "{fault}");
        assert!(
            text(&output.stderr).contains("the encoder runs on the CPU: the NPU failed in "),
            "{fault}"
        );
    }
}

#[test]
fn only_who_uses_an_npu_has_packed_weights_beside_the_model() {
    let directory = tempfile::tempdir().expect("a directory");
    link_model(directory.path());
    let file = data("jfk.flac");
    let run = |device: &str| {
        let mut command = hearken(&["--file", file.to_str().expect("UTF-8"), "--device", device]);
        let output = command
            .env("HEARKEN_MODELS_DIR", directory.path())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (text(&output.stdout), names(directory.path()))
    };
    assert_eq!(run("cpu").1, ["base.safetensors"]);
    let (first, names) = run("npu-emulator");
    assert_eq!(names, ["base.npu-int8", "base.safetensors"]);
    assert_eq!(run("npu-emulator"), (first, names));
}

/// The models in a directory and what is kept beside them.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory)
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name());
    let mut names: Vec<String> = entries
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn a_model_is_packed_when_it_is_installed_where_overlays_are() {
    let (directory, overlays) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    link_model(directory.path());
    write_overlays(overlays.path(), &BASE_SHAPES).expect("overlays");
    let fetch = |overlays: Option<&Path>| {
        let mut command = hearken(&["models", "fetch", "base"]);
        command
            .env("HEARKEN_MODELS_DIR", directory.path())
            .env("HEARKEN_OFFLINE", "1");
        overlays.map(|overlays| command.env("HEARKEN_NPU_OVERLAYS", overlays));
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (
            text(&output.stdout),
            text(&output.stderr),
            names(directory.path()),
        )
    };
    assert_eq!(fetch(None).2, ["base.safetensors"]);
    let (_, complaint, left) = fetch(Some(Path::new("/nonexistent")));
    assert!(
        complaint.starts_with("hearken: the model is installed, but not packed for the NPU: "),
        "{complaint}"
    );
    assert_eq!(left, ["base.safetensors"]);
    let (said, complaint, left) = fetch(Some(overlays.path()));
    assert!(
        said.contains("weights packed for the NPU: ") && complaint.is_empty(),
        "{said}{complaint}"
    );
    assert_eq!(left, ["base.npu-int8", "base.safetensors"]);
}

#[test]
fn what_an_npu_lacks_is_one_clear_error() {
    let file = data("jfk.flac");
    let run = |device: &str, variable: &str, value: &str| {
        let mut command = hearken(&["--file", file.to_str().expect("UTF-8"), "--device", device]);
        command.env(variable, value).output().expect("it runs")
    };
    let hardware = if has_npu() {
        "/nonexistent/manifest.json: cannot be read"
    } else {
        "no AMD XDNA2 NPU on this machine; use the CPU, which is the default; see `hearken doctor`"
    };
    for (device, variable, value, want) in [
        ("npu", "HEARKEN_NPU_OVERLAYS", "/nonexistent", hardware),
        (
            "npu-emulator",
            "HEARKEN_NPU_OVERLAYS",
            "/nonexistent",
            "/nonexistent/manifest.json: cannot be read",
        ),
        (
            "npu-emulator",
            FAULTS,
            "run_strat:1:error",
            "run_strat:1:error",
        ),
    ] {
        let output = run(device, variable, value);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(11), "{stderr}");
        assert!(
            stderr.starts_with("hearken: ") && stderr.contains(want) && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

#[test]
fn the_bench_says_what_it_measures_and_splits_the_time() {
    let run = |more: &[&str]| {
        let mut command = hearken(&[
            "bench",
            "encoder",
            "--device",
            "npu-emulator",
            "--window",
            "5.12",
            "--iterations",
            "1",
        ]);
        command.args(more).output().expect("it runs")
    };
    let table = text(&run(&["--run-list", "--compute", "bf16"]).stdout);
    assert!(
        table.starts_with("encoder of base (real weights), npu-emulator (no NPU: "),
        "{table}"
    );
    assert!(
        ["submit", "wait", "sync", "CPU work"]
            .iter()
            .all(|row| table.contains(row)),
        "{table}"
    );
    assert!(
        !table.contains("roofline"),
        "the CPU's limits say nothing of an NPU: {table}"
    );
    let json: Value =
        serde_json::from_slice(&run(&["--json", "--compute", "bf16"]).stdout).expect("JSON");
    assert_eq!(
        (&json["device"], &json["compute"]),
        (&"npu-emulator".into(), &"bf16".into())
    );
    // The bench's window is a sweep, on which blocks of 8 bits do worse than on speech.
    assert!(
        json["cosine_to_f32"]
            .as_f64()
            .is_some_and(|cosine| cosine >= 0.996),
        "{json}"
    );
    // 24 products of 256 rows, and two convolutions, of which the first has 512 rows.
    assert_eq!(json["split"]["runs"], 27, "{json}");
    assert!(
        json["roofline_percent"].is_null() && json["peak_linear"].is_null(),
        "{json}"
    );
    let json: Value = serde_json::from_slice(&run(&["--json"]).stdout).expect("JSON");
    assert_eq!(json["compute"], "int8");
}

#[test]
fn a_device_that_dies_in_the_middle_of_dictation_costs_no_word() {
    let mut desktop = Desktop::with_models(&models());
    desktop.configure("[model]\ndevice = \"npu-emulator\"\n[live]\nstep = 1.0\n");
    // Each window is 26 runs or more: this is in the middle of the third.
    desktop.start_daemon_with(&[(FAULTS, "run_start:60:vanish")]);
    desktop.wait_for("the emulator", |d| {
        (d.status()["backend"] == "npu-emulator").then_some(())
    });
    let mut monitor = desktop.follow(desktop.command("gdbus").args([
        "monitor",
        "--session",
        "--dest",
        "org.hearken.Hearken1",
    ]));
    let mut listen = desktop.follow(desktop.hearken().args(["listen", "--json"]));
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_default();
    listen.wait_for("open microphone", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    let mut spoken = jfk();
    spoken.extend(vec![0.0; 32_000]);
    let _playing = desktop.play(&spoken);
    monitor.wait_for("BackendChanged", |line| {
        (line.contains("Manager.BackendChanged ('cpu', 'the NPU failed in ")).then_some(())
    });
    listen.wait_for("the last words", |line| {
        let event = event(line);
        let is_last =
            words(event["text"].as_str().unwrap_or_default()).ends_with(&words("for your country"));
        (event["event"] == "final" && is_last).then_some(())
    });
    let finals = listen
        .seen
        .iter()
        .map(|line| event(line))
        .filter(|event| event["event"] == "final");
    let said: Vec<String> = finals
        .flat_map(|event| words(event["text"].as_str().expect("a text")))
        .collect();
    let whole = "and so my fellow americans ask not what your country can do for you ask what you can do for your country";
    assert_eq!(said, words(whole));
    assert_eq!(desktop.status()["backend"], "cpu");
    assert!(
        desktop
            .log()
            .contains("the encoder runs on the CPU: the NPU failed in "),
        "{}",
        desktop.log()
    );
}
