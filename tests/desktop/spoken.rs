//! From the sound to the field: speech is played into a sound server while a key is held, and the
//! model's text stands in the window, as `--file` writes it.

use crate::session::{IDLE, LISTENING, Program, Session, wait_for};
use crate::support::{jfk, model, wav16, words};
use crate::{ibus, sway};
use std::path::{Path, PathBuf};

/// "And so, my fellow Americans".
const FIRST: std::ops::Range<usize> = 0..36_800;
/// "what your country can do for you".
const SECOND: std::ops::Range<usize> = 84_000..122_400;

/// Starts sound server, daemon and agent. The key is F9.
fn start(session: &mut Session) {
    let base = model("base");
    let from = base.path();
    let to = session
        .path("models")
        .join(from.file_name().expect("a name"));
    std::fs::create_dir(session.path("models")).expect("a directory");
    if std::fs::hard_link(from, &to).is_err() {
        std::fs::copy(from, &to).expect("a copy");
    }
    let models = session.path("models");
    session.set("HEARKEN_MODELS_DIR", models.to_str().expect("UTF-8"));
    session.configure(
        "[text]\nlanguage = \"en\"\n[hotkey]\nvia = \"x11\"\nkeys = \"F9\"\nmode = \"hold\"\n",
    );
    let mut sound = session.command("pulseaudio");
    sound.args([
        "-n",
        "--daemonize=no",
        "--exit-idle-time=-1",
        "--use-pid-file=no",
    ]);
    sound.args(["-L", "module-native-protocol-unix"]);
    sound.args(["-L", "module-null-sink sink_name=speaker rate=48000"]);
    session.start(&mut sound);
    wait_for("the sound server", || session.output("pactl", &["info"]));
    // A microphone gives sound all the time; the speaker's monitor does while something is played.
    let quiet = session.path("quiet.wav");
    std::fs::write(&quiet, wav16(&vec![0.0; 300 * 16_000])).expect("a file");
    let mut playing = session.command("paplay");
    session.start(playing.arg("--latency-msec=50").arg(quiet));
    let mut daemon = session.hearken();
    session.start(daemon.arg("daemon"));
    wait_for("the daemon", || {
        let output = session.hearken().args(["status", "--json"]).output();
        let status: serde_json::Value = serde_json::from_slice(&output.ok()?.stdout).ok()?;
        (status["state"] == "ready").then_some(())
    });
    session.agent();
}

/// A part of the sample as a file.
fn recording(session: &Session, part: std::ops::Range<usize>) -> PathBuf {
    let path = session.path(&format!("speech{}.wav", part.start));
    std::fs::write(&path, wav16(&jfk()[part])).expect("a file");
    path
}

/// What `--file` writes.
fn expected(session: &Session, recording: &Path) -> Vec<String> {
    let mut hearken = session.hearken();
    let output = hearken
        .arg("--file")
        .arg(recording)
        .args(["--language", "en"])
        .output();
    let text = String::from_utf8(output.expect("the program").stdout).expect("UTF-8");
    assert!(!text.trim().is_empty(), "no text");
    words(&text)
}

/// Speaks while the microphone is open; `begin` opens it, `end` closes it.
fn speak(session: &Session, recording: &Path, begin: impl Fn(), end: impl Fn()) {
    begin();
    session.wait_for_state(LISTENING);
    let path = recording.to_str().expect("UTF-8");
    session
        .output("paplay", &["--latency-msec=50", path])
        .expect("sound");
    end();
    session.wait_for_state(IDLE);
}

fn speak_by_key(session: &Session, recording: &Path) {
    let key = |action: &str| drop(session.output("xdotool", &[action, "F9"]).expect("a key"));
    speak(session, recording, || key("keydown"), || key("keyup"));
}

fn wait_for_words(window: &mut Program, expected: &[String]) {
    wait_for(&format!("{expected:?}"), || {
        (words(&window.text("view")) == expected).then_some(())
    });
}

#[test]
#[ignore = "needs an X server, IBus, a sound server and the model"]
fn a_held_key_dictates_into_gtk_qt_and_a_terminal() {
    let mut session = ibus::session(true);
    session.set("QT_IM_MODULE", "ibus");
    start(&mut session);
    let (first, second) = (recording(&session, FIRST), recording(&session, SECOND));
    for program in ["gtk3.py", "qt5.py"] {
        let mut window = session.window(program);
        speak_by_key(&session, &first);
        let mut text = expected(&session, &first);
        wait_for_words(&mut window, &text);
        speak_by_key(&session, &second);
        text.extend(expected(&session, &second));
        wait_for_words(&mut window, &text);
        window.close();
    }
    let typed = session.terminal("xterm", &["-u8", "-e"]);
    wait_for("the terminal", || {
        session.output("xdotool", &["search", "--class", "xterm", "windowfocus"])
    });
    speak_by_key(&session, &first);
    session
        .output("xdotool", &["key", "Return"])
        .expect("a key");
    let text = expected(&session, &first);
    wait_for("the text in the terminal", || {
        (words(&std::fs::read_to_string(&typed).ok()?) == text).then_some(())
    });
    assert_eq!(ibus::engine(&session), ibus::ENGINE);
}

#[test]
#[ignore = "needs sway, a sound server and the model"]
fn speech_reaches_a_terminal_of_wayland() {
    let mut session = sway::session();
    start(&mut session);
    let typed = session.terminal("foot", &[]);
    sway::focused(&session, "foot");
    let whole = recording(&session, 0..jfk().len());
    speak(
        &session,
        &whole,
        || session.ask("Start"),
        || session.ask("Stop"),
    );
    session.output("wtype", &["-k", "Return"]).expect("a key");
    let text = expected(&session, &whole);
    wait_for("the text in the terminal", || {
        (words(&std::fs::read_to_string(&typed).ok()?) == text).then_some(())
    });
}
