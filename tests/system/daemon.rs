//! The daemon with real parts: a message bus, PulseAudio with a null sink, the program, and clients
//! that are none of ours. Speech is played into the sink in real time.

use crate::desktop::{Desktop, Followed, read_all, signal, words};
use crate::support::{data, decode_all, jfk};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

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
fn the_sound_server_and_the_device_may_vanish_during_speech() {
    let mut desktop = Desktop::new();
    let mut listen = listen(&desktop, &[]);
    let playing = desktop.play(&jfk());
    listen.wait_for("partial", |line| is(&event(line), "partial").then_some(()));
    desktop.kill_sound();
    drop(playing);
    listen.wait_for("loss of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    desktop.start_sound();
    listen.wait_for("device again", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    let unloaded = desktop.output("pactl", &["unload-module", "module-null-sink"]);
    assert!(unloaded.status.success());
    listen.wait_for("loss of the device", |line| {
        (event(line)["state"] == 4).then_some(())
    });
    assert!(
        desktop
            .output(
                "pactl",
                &["load-module", "module-null-sink", "sink_name=other"]
            )
            .status
            .success()
    );
    listen.wait_for("other device", |line| {
        (event(line)["state"] == 3).then_some(())
    });
    assert_eq!(desktop.status()["sessions"][0]["device"], "other.monitor");
    let _playing = desktop.play(&short_speech());
    listen.wait_for("text after all that", |line| {
        let event = event(line);
        (is(&event, "final")
            && event["text"]
                .as_str()
                .is_some_and(|text| text.contains("fellow")))
        .then_some(())
    });
}

/// Calls every method wrongly, as a client in Python, and prints the names of the errors.
const WRONG_CALLS: &str = r#"
import os, sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
other = Gio.DBusConnection.new_for_address_sync(os.environ["DBUS_SESSION_BUS_ADDRESS"],
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
def call(path, interface, method, args=None, fds=None, bus=bus):
    try:
        reply, _ = bus.call_with_unix_fd_list_sync(NAME, path, f"{NAME}.{interface}", method, args, None, 0, 10000, fds)
        print(method, "ok", flush=True)
        return reply.unpack()
    except GLib.Error as error:
        print(method, Gio.DBusError.get_remote_error(error).removeprefix(NAME + "."), flush=True)
s, v = GLib.Variant, lambda **options: GLib.Variant("(a{sv})", (options,))
call(ROOT, "Manager", "CreateSession", v(langauge=s("s", "de")))
call(ROOT, "Manager", "CreateSession", v(language=s("s", "Klingon")))
call(ROOT, "Manager", "CreateSession", s("(s)", ("x",)))
call(ROOT + "/Nothing", "Manager", "ListDevices")
call(ROOT, "Nothing", "ListModels")
call(ROOT, "Manager", "TranscribeFile", s("(ha{sv})", (0, {"step": s("s", "x")})), Gio.UnixFDList.new_from_array([os.open("/dev/null", 0)]))
open(os.path.join(os.environ["XDG_CONFIG_HOME"], "hearken/config.toml"), "w").write("[audoi]\n")
call(ROOT, "Manager", "Reload")
call(ROOT, "Manager", "Nonsense")
call(ROOT, "Manager", "TranscribeLast", s("(da{sv})", (0, {})))
call(ROOT, "Manager", "TranscribeLast", s("(da{sv})", (9, {})))
for method in "Start", "Stop", "Cancel", "Toggle":
    call(ROOT + "/Session/99", "Session", method)
path, = call(ROOT, "Manager", "CreateSession", v())
call(path, "Session", "Start")
call(path, "Session", "Stop")
call(path, "Session", "Start")
call(path, "Session", "Close", bus=other)
call(path, "Session", "Close")
GLib.timeout_add(500, lambda: (call(path, "Session", "Start"), loop.quit())[1])
loop = GLib.MainLoop(); loop.run()
fd = os.open(sys.argv[1], 0)
job, = call(ROOT, "Manager", "TranscribeFile", s("(ha{sv})", (0, {})), Gio.UnixFDList.new_from_array([fd]))
call(job, "Job", "Cancel", bus=other)
call(job, "Job", "Cancel")
"#;

#[test]
fn wrong_calls_are_answered_with_named_errors() {
    let desktop = Desktop::new();
    std::fs::create_dir_all(desktop.dir.path().join("config/hearken")).expect("a directory");
    let output = desktop.output_of(
        desktop
            .command(PYTHON)
            .args(["-c", WRONG_CALLS])
            .arg(data("jfk.flac")),
    );
    let expected = "\
        CreateSession Error.InvalidOption\nCreateSession Error.InvalidOption\n\
        CreateSession org.freedesktop.DBus.Error.InvalidArgs\nListDevices org.freedesktop.DBus.Error.UnknownObject\n\
        ListModels org.freedesktop.DBus.Error.UnknownInterface\nTranscribeFile Error.InvalidOption\n\
        Reload Error.InvalidConfig\nNonsense org.freedesktop.DBus.Error.UnknownMethod\n\
        TranscribeLast Error.InvalidOption\nTranscribeLast Error.NotEnabled\n\
        Start org.freedesktop.DBus.Error.UnknownObject\nStop org.freedesktop.DBus.Error.UnknownObject\n\
        Cancel org.freedesktop.DBus.Error.UnknownObject\nToggle org.freedesktop.DBus.Error.UnknownObject\n\
        CreateSession ok\nStart ok\nStop ok\nStart Error.Busy\n\
        Close Error.NotOwner\nClose ok\nStart org.freedesktop.DBus.Error.UnknownObject\nTranscribeFile ok\n\
        Cancel Error.NotOwner\nCancel ok\n";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(desktop.status()["state"] == "ready", "the daemon goes on");
}

/// Prints how a job describes itself while its recording, a pipe, is still to come.
const JOB_XML: &str = r#"
import os
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
reader, writer = os.pipe()
fds = Gio.UnixFDList.new_from_array([reader])
args = GLib.Variant("(ha{sv})", (0, {}))
job, _ = bus.call_with_unix_fd_list_sync(NAME, ROOT, NAME + ".Manager", "TranscribeFile", args, None, 0, -1, fds)
introspectable = "org.freedesktop.DBus.Introspectable"
print(bus.call_sync(NAME, job.unpack()[0], introspectable, "Introspect", None, None, 0, -1, None).unpack()[0])
"#;

/// Has a recording transcribed over the bus, and prints progress and result.
const FILE_JOB: &str = r#"
import os, sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
loop = GLib.MainLoop()
def finished(bus, sender, path, interface, name, args):
    status, text, details = args
    words = details["words"]
    is_timed = all(0 <= start <= end <= details["duration"] and 0 < sure <= 1 for _, start, end, sure in words)
    is_complete = text and " ".join(word for word, *_ in words) == text and details["segments"][0][2] in text
    print(status, *((details["language"], is_complete, is_timed, text) if text else (details["error"],)))
    loop.quit()
bus.signal_subscribe("org.hearken.Hearken1", "org.hearken.Hearken1.Job", "Finished", None, None, 0, finished)
reader, writer = os.pipe()
fds = Gio.UnixFDList.new_from_array([os.open(sys.argv[1], 0) if len(sys.argv) > 1 else reader])
job, _ = bus.call_with_unix_fd_list_sync("org.hearken.Hearken1", "/org/hearken/Hearken1", "org.hearken.Hearken1.Manager",
    "TranscribeFile", GLib.Variant("(ha{sv})", (0, {})), None, 0, -1, fds)
if len(sys.argv) == 1:
    def cancel():
        bus.call_sync("org.hearken.Hearken1", *job.unpack(), "org.hearken.Hearken1.Job", "Cancel", None, None, 0, -1, None)
    GLib.timeout_add(300, cancel)
loop.run()
"#;

#[test]
fn a_job_whose_pipe_stays_open_can_be_cancelled() {
    let desktop = Desktop::new();
    let job = desktop.output_of(desktop.command(PYTHON).args(["-c", FILE_JOB]));
    assert_eq!(
        String::from_utf8_lossy(&job.stdout).trim(),
        "2",
        "{}",
        String::from_utf8_lossy(&job.stderr)
    );
}

#[test]
fn a_job_that_fails_tells_why_in_words_of_its_client() {
    let desktop = Desktop::new();
    let run = |path: &str| {
        let job = desktop.output_of(desktop.command(PYTHON).args(["-c", FILE_JOB, path]));
        String::from_utf8_lossy(&job.stdout).trim().to_owned()
    };
    assert!(
        run("/dev/null").starts_with("3 the recording: is empty"),
        "{}",
        run("/dev/null")
    );
    assert_eq!(
        run("/"),
        "3 the recording: is a directory, not an audio file; pass the files in it"
    );
}

#[test]
fn without_a_model_there_is_nothing_to_wait_for() {
    let mut desktop = Desktop::without_daemon();
    desktop.configure("[audio]\npre_capture = 20\n");
    desktop.start_daemon();
    desktop.wait_for("the missing model", |d| {
        (d.status()["state"] == "missing").then_some(())
    });
    let program = env!("CARGO_BIN_EXE_hearken");
    for command in ["listen", "record"] {
        let both = format!("exec {program} {command} 2>&1");
        let mut client = desktop.follow(desktop.command("sh").args(["-c", &both]));
        client.wait_for("remedy", |line| {
            line.contains("hearken models fetch base").then_some(())
        });
        desktop.wait_for("the microphone", |desktop| {
            desktop.is_recording().then_some(())
        });
        signal(&client.child.0, "INT");
        let code = desktop.wait_for("its end", |_| {
            client
                .child
                .0
                .try_wait()
                .expect("a child")
                .map(|s| s.code())
        });
        assert_eq!(code, Some(0), "{command}");
    }
    let last = desktop.output_of(desktop.hearken().args(["last", "1000"]));
    assert_eq!(last.status.code(), Some(8));
    let told = String::from_utf8_lossy(&last.stderr).into_owned();
    assert!(
        told.contains("only the last 20 s are kept") && told.contains("hearken models fetch base"),
        "{told}"
    );
}

#[test]
fn a_lost_device_is_reported_once_and_so_is_its_return() {
    let mut desktop = Desktop::new();
    let both = format!("exec {} record 2>&1", env!("CARGO_BIN_EXE_hearken"));
    let mut record = desktop.follow(desktop.command("sh").args(["-c", &both]));
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    desktop.kill_sound();
    record.wait_for("loss", |line| {
        line.contains("cannot be reached").then_some(())
    });
    // The microphone is tried again several times meanwhile.
    std::thread::sleep(std::time::Duration::from_secs(2));
    desktop.start_sound();
    record.wait_for("sound", |line| {
        line.contains("the problem is resolved").then_some(())
    });
    signal(&record.child.0, "INT");
    let (code, lines) = record.finish();
    assert_eq!(code, Some(0));
    let distinct: std::collections::BTreeSet<&String> = lines.iter().collect();
    assert_eq!(distinct.len(), lines.len(), "{lines:#?}");
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

#[test]
fn a_file_over_the_bus_has_the_text_of_the_command() {
    let desktop = Desktop::new();
    let job = desktop.output_of(
        desktop
            .command(PYTHON)
            .args(["-c", FILE_JOB])
            .arg(data("jfk.flac")),
    );
    let command = desktop.output_of(desktop.hearken().arg("--file").arg(data("jfk.flac")));
    let text = String::from_utf8_lossy(&command.stdout)
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        String::from_utf8_lossy(&job.stdout).trim(),
        format!("1 en True True {text}")
    );
}

#[test]
fn the_daemon_waits_for_its_model_and_heeds_signals() {
    let installed = crate::support::model("base");
    let mut desktop = Desktop::without_daemon();
    desktop.configure("[endpoint]\npuase = 1\n");
    let refused = desktop.output_of(desktop.hearken().arg("daemon"));
    assert_eq!(refused.status.code(), Some(10));
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        reason.contains("unknown key 'endpoint.puase': did you mean 'pause'?"),
        "{reason}"
    );

    desktop.configure("");
    desktop.start_daemon();
    let status = desktop.wait_for("the missing model", |d| {
        Some(d.status()).filter(|status| status["state"] == "missing")
    });
    assert!(
        status["status_message"]
            .as_str()
            .is_some_and(|t| t.contains("hearken models fetch base")),
        "{status}"
    );
    let again = desktop.output_of(desktop.hearken().arg("daemon"));
    assert_eq!(
        again.status.code(),
        Some(8),
        "one daemon is enough: {}",
        String::from_utf8_lossy(&again.stderr)
    );
    let idle = desktop.follow(desktop.hearken().args(["listen", "--standby", "--json"]));
    desktop.wait_for("session", |desktop| {
        desktop.status()["sessions"][0].is_object().then_some(())
    });
    let model = desktop.dir.path().join("models/base.safetensors");
    let header = br#"{"__metadata__":{"format":"hearken-model","version":"1"}}"#;
    std::fs::write(
        &model,
        [&(header.len() as u64).to_le_bytes(), header.as_slice()].concat(),
    )
    .expect("a file");
    let is_told = |status: &Value| {
        status["status_message"]
            .as_str()
            .is_some_and(|t| t.contains("an earlier version of Hearken"))
    };
    desktop.wait_for("the outdated model", |desktop| {
        is_told(&desktop.status()).then_some(())
    });
    std::fs::remove_file(&model).expect("a file");
    std::os::unix::fs::symlink(installed.path(), model).expect("a link");
    desktop.wait_for("the model", |desktop| {
        (desktop.status()["state"] == "ready").then_some(())
    });

    desktop.configure("[model]\nname = \"nothing\"\n");
    signal(desktop.daemon(), "HUP");
    desktop.wait_for("the new configuration", |desktop| {
        (desktop.status()["model"] == "nothing").then_some(())
    });
    signal(desktop.daemon(), "TERM");
    assert_eq!(desktop.daemon().wait().expect("the daemon").code(), Some(0));
    assert_eq!(
        idle.finish().1,
        [] as [&str; 0],
        "nobody has started that session"
    );
    assert_eq!(
        desktop
            .output_of(desktop.hearken().arg("status"))
            .status
            .code(),
        Some(8)
    );
}

#[test]
fn the_published_interfaces_are_those_of_the_daemon() {
    let desktop = Desktop::new();
    let idle = desktop.follow(desktop.hearken().args(["listen", "--standby"]));
    let session = desktop.wait_for("session", |d| {
        d.status()["sessions"][0]["path"]
            .as_str()
            .map(str::to_owned)
    });
    let root = introspect(&desktop, "/org/hearken/Hearken1");
    let session = introspect(&desktop, &session);
    let job = desktop
        .output_of(desktop.command(PYTHON).args(["-c", JOB_XML]))
        .stdout;
    let job = String::from_utf8(job).expect("text");
    for (xml, interface) in [
        (&root, "Manager"),
        (&root, "Captions"),
        (&session, "Session"),
        (&job, "Job"),
    ] {
        let live = interface_in(xml, interface);
        let file = format!(
            "{}/packaging/dbus/org.hearken.Hearken1.{interface}.xml",
            env!("CARGO_MANIFEST_DIR")
        );
        let published = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(
            bare(&published).contains(&bare(live)),
            "{file} should hold:\n{live}"
        );
    }
    drop(idle);
}

/// How an object describes itself.
fn introspect(desktop: &Desktop, path: &str) -> String {
    let args = [
        "--user",
        "--xml-interface",
        "introspect",
        "org.hearken.Hearken1",
        path,
    ];
    String::from_utf8(desktop.output("busctl", &args).stdout).expect("text")
}

/// The part that describes an interface.
fn interface_in<'a>(xml: &'a str, interface: &str) -> &'a str {
    let begin = xml.find(&format!(
        "<interface name=\"org.hearken.Hearken1.{interface}\""
    ));
    let rest = &xml[begin.unwrap_or_else(|| panic!("{xml}"))..];
    &rest[..rest.find("</interface>").expect("an end") + "</interface>".len()]
}

/// The lines without indentation.
fn bare(xml: &str) -> String {
    xml.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn devices_are_listed_without_a_daemon() {
    let desktop = Desktop::without_daemon();
    let output = desktop.output_of(desktop.hearken().args(["devices", "--json"]));
    let device = event(String::from_utf8_lossy(&output.stdout).trim());
    assert_eq!(
        (&device["id"], &device["default"], &device["monitor"]),
        (&"speaker.monitor".into(), &true.into(), &true.into())
    );
    let status = desktop.output_of(desktop.hearken().arg("status"));
    assert_eq!(status.status.code(), Some(8));
    assert!(String::from_utf8_lossy(&status.stderr).contains("systemctl --user start hearken"));
}
