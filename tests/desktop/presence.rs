//! What `hearken desktop` shows and does besides writing, with services of the desktop that a test
//! program plays: no word of a dictation in a notification, no player that stays paused, no
//! microphone that stays open.

use crate::session::{Program, Running, Session, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

/// Time in which something that must not happen would have happened.
const A_WHILE: Duration = Duration::from_millis(700);

/// The agent, and the services that it sees.
pub struct Desk {
    services: Program,
    /// Events before this one have been dealt with.
    n_read: usize,
    pub session: Session,
}

impl Desk {
    /// Services without an agent.
    fn services(config: &str, names: &[&str]) -> Self {
        Self::on(Session::new(), config, names)
    }

    /// Services on the bus of a session.
    pub fn on(mut session: Session, config: &str, names: &[&str]) -> Self {
        session.configure(config);
        let bus = session.variable("DBUS_SESSION_BUS_ADDRESS");
        // The services of both buses are on one.
        session.set("DBUS_SYSTEM_BUS_ADDRESS", &bus);
        let services = session.program("services.py", names);
        Self {
            services,
            n_read: 0,
            session,
        }
    }

    /// With an agent that is ready.
    fn new(config: &str, names: &[&str]) -> Self {
        let mut desk = Self::services(config, names);
        desk.start_agent();
        desk.expect_call("CreateSession");
        wait_for("the agent", || {
            let status = desk.agent("get-property", "State")?;
            (status.trim() == "u 1").then_some(())
        });
        desk
    }

    /// Starts the agent. Returns its id.
    pub fn start_agent(&mut self) -> u32 {
        let mut agent = self.session.hearken();
        self.session.start(agent.arg("desktop"))
    }

    /// Calls the agent as any program can.
    pub fn agent(&self, what: &str, member: &str) -> Option<String> {
        let (name, path) = ("org.hearken.Desktop1", "/org/hearken/Desktop1");
        let interface = "org.hearken.Desktop1.Dictation";
        self.session
            .output("busctl", &["--user", what, name, path, interface, member])
    }

    /// `hearken start`, `stop` or `toggle`.
    fn control(&self, word: &str) {
        let status = self.session.hearken().arg(word).status();
        assert!(status.expect("the program").success(), "{word}");
    }

    /// Waits until the daemon has been started: the command does not.
    fn start_dictation(&mut self) {
        self.control("start");
        self.expect_call("Start");
    }

    /// Sends a line to the services.
    pub fn tell(&mut self, line: &str) {
        self.services.tell(line);
    }

    /// Waits for an event that is not dealt with yet; events before it stay.
    fn expect(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let seen = &self.services.seen;
        let known = seen.iter().skip(self.n_read).position(&wanted);
        if let Some(i) = known {
            self.n_read += i + 1;
            return self.services.seen[self.n_read - 1].clone();
        }
        let found = self
            .services
            .wait_for(what, |event| wanted(event).then(|| event.clone()));
        self.n_read = self.services.seen.len();
        found
    }

    /// Waits for a call of a service, and returns its arguments.
    pub fn expect_call(&mut self, method: &str) -> Value {
        let call = self.expect(method, |event| event["method"] == method);
        call["arguments"].clone()
    }

    /// Waits until a service has been left alone for a while.
    fn expect_no_call(&mut self, methods: &[&str]) {
        std::thread::sleep(A_WHILE);
        // What has been sent by now has arrived with the answer.
        self.tell("nothing");
        let later = self.services.seen.iter().skip(self.n_read);
        let calls: Vec<&Value> = later
            .filter(|event| methods.iter().any(|method| event["method"] == *method))
            .collect();
        assert!(calls.is_empty(), "{calls:#?}");
    }

    /// Forgets what has happened so far.
    fn forget(&mut self) {
        self.tell("nothing");
        self.n_read = self.services.seen.len();
    }
}

const QUIET: &str = "[desktop]\nnotifications = false\ntray = false\nstop_on_lock = false\n";

#[test]
#[ignore = "needs a message bus"]
fn kept_text_is_told_without_its_words() {
    let mut desk = Desk::new("", &["daemon", "notifications"]);
    desk.start_dictation();
    desk.tell("partial Purple elephants| dance");
    desk.tell("final Purple elephants dance.");
    desk.control("stop");
    let notice = desk.expect_call("Notify");
    assert_eq!(notice[0], "Hearken");
    let text = notice.to_string();
    assert!(text.contains("hearken type --again"), "{text}");
    assert!(!text.contains("lephants"), "{text}");
    assert!(text.contains("\"again\""), "a button: {text}");
    // There is no field here, so the button's second try fails, which is told in place of the first.
    desk.forget();
    desk.tell("press again");
    let notice = desk.expect_call("Notify");
    assert_eq!(notice[1], 1, "it replaces the first: {notice}");
    assert!(notice.to_string().contains("no text field"), "{notice}");
}

#[test]
#[ignore = "needs a message bus"]
fn words_of_kept_text_are_quoted_if_asked_for() {
    let config = "[desktop]\nnotification_text = true\n";
    let mut desk = Desk::new(config, &["daemon", "notifications"]);
    desk.start_dictation();
    desk.tell("final Salt & pepper <b>.");
    desk.control("stop");
    let notice = desk.expect_call("Notify");
    let body = notice[4].as_str().expect("a body");
    assert!(body.contains("“Salt &amp; pepper &lt;b&gt;.”"), "{body}");
}

#[test]
#[ignore = "needs a message bus"]
fn a_missing_daemon_is_told_once_and_taken_back() {
    let mut desk = Desk::services("", &["notifications"]);
    desk.start_agent();
    let notice = desk.expect_call("Notify");
    assert!(
        notice
            .to_string()
            .contains("systemctl --user start hearken"),
        "{notice}"
    );
    desk.forget();
    // Longer than the agent waits before it tries again.
    std::thread::sleep(Duration::from_secs(5));
    desk.expect_no_call(&["Notify"]);
    desk.tell("own daemon");
    desk.expect_call("CloseNotification");
}

#[test]
#[ignore = "needs a message bus"]
fn a_microphone_without_sound_is_told() {
    let mut desk = Desk::new("", &["daemon", "notifications"]);
    desk.start_dictation();
    desk.tell("lost the microphone is gone");
    let notice = desk.expect_call("Notify");
    assert_eq!(notice[3], "No sound from the microphone");
    assert_eq!(notice[4], "the microphone is gone");
}

#[test]
#[ignore = "needs a message bus"]
fn players_that_play_pause_and_only_those_resume() {
    let config = format!("{QUIET}pause_media = true\n");
    let mut desk = Desk::new(&config, &["daemon"]);
    for player in ["music Playing", "film Paused", "radio Playing"] {
        desk.tell(&format!("player {player}"));
    }
    desk.control("start");
    for _ in 0..2 {
        let paused = desk.expect("a pause", |event| event["event"] == "player");
        assert_eq!(paused["status"], "Paused");
        assert!(["music", "radio"].contains(&paused["name"].as_str().expect("a name")));
    }
    // The user stops one of them meanwhile.
    desk.tell("player radio Stopped");
    desk.forget();
    desk.control("stop");
    let resumed = desk.expect("a resumed player", |event| event["event"] == "player");
    assert_eq!(
        (&resumed["name"], &resumed["status"]),
        (&"music".into(), &"Playing".into())
    );
    desk.expect_no_call(&["Play", "Pause"]);
}

#[test]
#[ignore = "needs a message bus"]
fn players_resume_when_the_agent_or_the_daemon_ends() {
    let config = format!("{QUIET}pause_media = true\n");
    for ending in ["agent", "daemon"] {
        let mut desk = Desk::services(&config, &["daemon"]);
        desk.tell("player music Playing");
        let agent = desk.start_agent();
        desk.expect_call("CreateSession");
        wait_for("the agent", || desk.agent("call", "Start"));
        desk.expect_call("Pause");
        if ending == "agent" {
            desk.session
                .output("kill", &[&agent.to_string()])
                .expect("a signal");
        } else {
            desk.tell("release daemon");
        }
        desk.expect_call("Play");
    }
}

#[test]
#[ignore = "needs a message bus"]
fn locks_and_suspends_close_the_microphone() {
    let mut desk = Desk::new("", &["daemon", "logind"]);
    for leave in ["lock", "locked-hint", "screensaver on", "sleep begin"] {
        desk.control("start");
        let inhibited = desk.expect_call("Inhibit");
        assert_eq!(
            (&inhibited[0], &inhibited[3]),
            (&"sleep".into(), &"delay".into())
        );
        desk.tell(leave);
        desk.expect(&format!("a stop after {leave}"), |event| {
            event["service"] == "Session" && event["method"] == "Stop"
        });
        desk.expect("the end of the delay", |event| event["event"] == "released");
    }
    // The end of a sleep or of a screen saver stops nothing.
    desk.control("start");
    desk.expect_call("Inhibit");
    desk.tell("sleep end");
    desk.tell("screensaver off");
    desk.expect_no_call(&["Stop"]);
}

#[test]
#[ignore = "needs a message bus"]
fn the_tray_shows_the_state_and_obeys() {
    let mut desk = Desk::new("", &["daemon", "watcher"]);
    desk.expect_call("RegisterStatusNotifierItem");
    let item = |desk: &mut Desk, status: &str| {
        wait_for("the icon", || {
            desk.forget();
            desk.tell("item");
            let item = desk
                .services
                .seen
                .iter()
                .rev()
                .find(|event| event["event"] == "item");
            item.filter(|item| item["status"] == status).cloned()
        })
    };
    let idle = item(&mut desk, "Passive");
    assert_eq!(idle["tooltip"], "Ready");
    assert_eq!(idle["menu"][1][1], "Start dictation");
    desk.tell("activate");
    desk.expect("a start", |event| {
        event["service"] == "Session" && event["method"] == "Start"
    });
    let listening = item(&mut desk, "Active");
    assert_eq!(listening["menu"][1][1], "Stop dictation");
    assert_ne!(listening["icons"][0][2], idle["icons"][0][2]);
    let size = listening["icons"][0][0].as_u64().expect("a size") as usize;
    let pixels = listening["icons"][0][2].as_str().expect("pixels");
    assert_eq!(pixels.len(), size * size * 4 * 2);
    let stop = listening["menu"][1][0].as_i64().expect("an id");
    desk.tell(&format!("choose {stop}"));
    desk.expect("a stop", |event| {
        event["service"] == "Session" && event["method"] == "Stop"
    });
    item(&mut desk, "Passive");
    // A panel that is started anew.
    desk.tell("release watcher");
    desk.tell("own watcher");
    desk.expect_call("RegisterStatusNotifierItem");
    let quit = idle["menu"]
        .as_array()
        .and_then(|menu| menu.last())
        .expect("an entry");
    assert_eq!(quit[1], "Quit");
    desk.tell(&format!("choose {}", quit[0]));
    wait_for("the end", || {
        desk.agent("get-property", "State").is_none().then_some(())
    });
}

#[test]
#[ignore = "needs a message bus"]
fn nothing_is_called_that_is_switched_off() {
    let mut desk = Desk::new(QUIET, &["daemon", "notifications", "logind", "watcher"]);
    desk.tell("player music Playing");
    desk.start_dictation();
    desk.tell("final Nobody is to know.");
    desk.tell("lock");
    desk.tell("screensaver on");
    desk.expect_no_call(&[
        "Notify",
        "Inhibit",
        "RegisterStatusNotifierItem",
        "Pause",
        "Stop",
    ]);
}

#[test]
#[ignore = "needs a message bus"]
fn a_service_that_hangs_delays_no_command() {
    let mut desk = Desk::new(
        "[desktop]\npause_media = true\n",
        &["daemon", "notifications"],
    );
    // It owns its name, and answers nothing more.
    desk.tell("player music Playing");
    desk.control("start");
    desk.expect_call("Pause");
    desk.tell("hang 3");
    let begun = std::time::Instant::now();
    assert!(desk.agent("call", "Cancel").is_some());
    assert!(begun.elapsed() < Duration::from_secs(2));
}

/// A status bar.
struct Bar {
    lines: std::io::Lines<BufReader<ChildStdout>>,
    running: Running,
}

impl Bar {
    fn new(desk: &Desk, format: &str) -> Self {
        let mut command = desk.session.hearken();
        let child = command
            .args(["status", "--follow", "--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("the program");
        let stdout = child.stdout.take().expect("piped");
        Self {
            lines: BufReader::new(stdout).lines(),
            running: Running(child),
        }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("UTF-8")
    }

    fn expect(&mut self, state: &str) {
        loop {
            let line = self.line();
            let text = line.trim_start_matches('[').trim_end_matches("],");
            let item: Value = serde_json::from_str(text).expect("JSON");
            let shown = item["class"].as_str().or(item["full_text"].as_str());
            if shown.expect("a text").ends_with(state) {
                return;
            }
        }
    }

    /// Closes the pipe, and waits for the end of the program.
    fn close(self) {
        let Self { lines, mut running } = self;
        drop(lines);
        let status = wait_for("the end", || running.0.try_wait().expect("a child"));
        assert!(status.success(), "{status}");
    }
}

#[test]
#[ignore = "needs a message bus"]
fn status_bars_follow_the_daemon_and_end_with_their_pipe() {
    let mut desk = Desk::services("", &[]);
    let mut waybar = Bar::new(&desk, "waybar");
    waybar.expect("off");
    desk.tell("own daemon");
    waybar.expect("idle");
    let mut i3bar = Bar::new(&desk, "i3bar");
    assert!(i3bar.line().contains("\"click_events\":true"));
    assert_eq!(i3bar.line(), "[");
    i3bar.expect("idle");
    for state in ["listening", "device-lost", "finishing", "idle"] {
        desk.tell(&format!("state {state}"));
        waybar.expect(state);
        i3bar.expect(state);
    }
    let stdin = i3bar.running.0.stdin.as_mut().expect("piped");
    std::io::Write::write_all(stdin, b"[\n{\"name\":\"hearken\",\"button\":1}\n").expect("the bar");
    desk.expect_call("Toggle");
    i3bar.expect("listening");
    desk.tell("release daemon");
    waybar.expect("off");
    waybar.close();
    i3bar.close();
}

/// Starts a sound server whose only device is an output, and what records that output.
fn sound(desk: &mut Desk) -> std::path::PathBuf {
    let mut server = desk.session.command("pulseaudio");
    server.args([
        "-n",
        "--daemonize=no",
        "--exit-idle-time=-1",
        "--use-pid-file=no",
    ]);
    server.args(["-L", "module-native-protocol-unix"]);
    server.args(["-L", "module-null-sink sink_name=speaker rate=48000"]);
    desk.session.start(&mut server);
    wait_for("the sound server", || {
        desk.session.output("pactl", &["info"])
    });
    let recorded = desk.session.path("recorded");
    let mut recorder = desk.session.command("parec");
    recorder.args([
        "--device=speaker.monitor",
        "--format=float32le",
        "--rate=48000",
    ]);
    recorder
        .args(["--channels=1", "--latency-msec=20"])
        .arg(&recorded);
    desk.session.start(&mut recorder);
    wait_for("a recording", || {
        let file = std::fs::metadata(&recorded).ok()?;
        (file.len() > 0).then_some(())
    });
    recorded
}

/// Number of sounds in a recording: times at which it is not silent, half a second apart.
fn n_sounds(recorded: &std::path::Path) -> usize {
    let bytes = std::fs::read(recorded).expect("a file");
    let samples = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    let loud = samples
        .enumerate()
        .filter(|(_, x)| x.abs() > 0.02)
        .map(|(i, _)| i);
    let mut n = 0;
    let mut last = None;
    for i in loud {
        if last.is_none_or(|last| i - last > 24_000) {
            n += 1;
        }
        last = Some(i);
    }
    n
}

#[test]
#[ignore = "needs a sound server"]
fn sounds_are_over_before_the_microphone_opens() {
    let config = format!("{QUIET}cues = true\n");
    let mut desk = Desk::services(&config, &["daemon"]);
    let recorded = sound(&mut desk);
    desk.start_agent();
    let options = desk.expect_call("CreateSession");
    assert_eq!(options[0]["reach_back"], 0.0, "{options}");
    wait_for("the agent", || desk.agent("call", "Start"));
    let start = desk.expect("a start", |event| event["method"] == "Start");
    assert_eq!(start["playing"], "", "no sound is played any more");
    wait_for("the first sound", || {
        (n_sounds(&recorded) == 1).then_some(())
    });
    std::thread::sleep(A_WHILE);
    desk.control("stop");
    wait_for("the second sound", || {
        (n_sounds(&recorded) == 2).then_some(())
    });
    // A start that somebody else asks for goes the same way.
    std::thread::sleep(A_WHILE);
    desk.forget();
    desk.control("toggle");
    let start = desk.expect("a start", |event| event["method"] == "Start");
    assert_eq!(start["playing"], "");
    wait_for("the third sound", || {
        (n_sounds(&recorded) == 3).then_some(())
    });
}

#[test]
#[ignore = "needs a message bus"]
fn a_missing_sound_server_keeps_no_microphone_closed() {
    let config = format!("{QUIET}cues = true\n");
    let mut desk = Desk::new(&config, &["daemon"]);
    let begun = std::time::Instant::now();
    desk.control("start");
    desk.expect_call("Start");
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}
