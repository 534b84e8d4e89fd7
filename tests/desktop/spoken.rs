//! From the sound to the field: speech is played into a sound server, and the model's text stands in
//! the terminal, as `--file` writes it.

use crate::session::{IDLE, LISTENING, Session, wait_for};
use crate::support::{data, model, wav16, words};
use crate::sway;

/// Starts sound server, daemon and agent.
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
    session.configure("[text]\nlanguage = \"en\"\n");
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

/// What `--file` writes.
fn expected(session: &Session, recording: &str) -> Vec<String> {
    let mut hearken = session.hearken();
    hearken.args(["--language", "en", "--file", recording]);
    let output = hearken.output().expect("the program");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.trim().is_empty(), "no text");
    words(&text)
}

#[test]
#[ignore = "needs sway, a sound server and the model"]
fn speech_reaches_a_terminal_of_wayland() {
    let mut session = sway::session();
    start(&mut session);
    let typed = session.terminal("foot", &[]);
    sway::focused(&session, "foot");
    let recording = data("jfk.flac");
    let recording = recording.to_str().expect("UTF-8");
    session.ask("Start");
    session.wait_for_state(LISTENING);
    session
        .output("paplay", &["--latency-msec=50", recording])
        .expect("sound");
    session.ask("Stop");
    session.wait_for_state(IDLE);
    session.output("wtype", &["-k", "Return"]).expect("a key");
    let text = expected(&session, recording);
    wait_for("the text in the terminal", || {
        (words(&std::fs::read_to_string(&typed).ok()?) == text).then_some(())
    });
}
