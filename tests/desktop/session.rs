//! A desktop session of its own for a test, and a window that reports what arrives in it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// States of the agent.
pub const IDLE: u32 = 1;
pub const LISTENING: u32 = 2;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// A Python with PyGObject: the distribution's, whatever is first on the PATH.
const PYTHON: &str = "/usr/bin/python3";
/// An ordinary user, since compositors refuse root: the first one that every system has.
const NOBODY: u32 = 65_534;

/// A program that is killed when it is dropped, with what it has started.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; its group may not.
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill")
            .args(["-TERM", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Directories, environment and programs of a session. Programs end in reverse order.
pub struct Session {
    running: Vec<Running>,
    environment: Vec<(String, String)>,
    dir: TempDir,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end_all();
        if std::thread::panicking() {
            let entries = std::fs::read_dir(self.dir.path())
                .into_iter()
                .flatten()
                .flatten();
            for path in entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "log"))
            {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                eprintln!("{}:\n{log}", path.display());
            }
        }
    }
}

impl Session {
    /// A session with a message bus.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut session = Self {
            running: Vec::new(),
            environment: Vec::new(),
            dir,
        };
        for (variable, name) in [
            ("HOME", ""),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "share"),
        ] {
            let path = session.path(name);
            std::fs::create_dir_all(&path).expect("a directory");
            let mode = if name == "run" { 0o700 } else { 0o755 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                .expect("permissions");
            session.set(variable, path.to_str().expect("UTF-8"));
            if is_root() {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).expect("root");
            }
        }
        session.set("NO_AT_BRIDGE", "1");
        session.set("GSETTINGS_BACKEND", "memory");
        session.set("LANG", "C.UTF-8");
        let address = session.start_with_line(
            "dbus-daemon",
            &["--session", "--nofork", "--nopidfile", "--print-address=1"],
        );
        session.set("DBUS_SESSION_BUS_ADDRESS", &address);
        session
    }

    /// A session with an X server.
    pub fn x11() -> Self {
        // Two servers that look for a free number at once may find the same.
        static STARTING: Mutex<()> = Mutex::new(());
        let mut session = Self::new();
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        session.start_x11(&[]);
        session.set("GDK_BACKEND", "x11");
        session
    }

    fn start_x11(&mut self, display: &[&str]) {
        let screen = [
            "-displayfd",
            "1",
            "-screen",
            "0",
            "800x600x24",
            "-nolisten",
            "tcp",
        ];
        let display = self.start_with_line("Xvfb", &[display, &screen].concat());
        self.set("DISPLAY", &format!(":{display}"));
    }

    /// Kills the X server and starts one with the same number.
    pub fn restart_x11(&mut self) {
        let display = self.variable("DISPLAY");
        self.kill_program("Xvfb", "-TERM");
        self.start_x11(&[&display]);
    }

    /// Sends a signal to the program of this name, and waits until it has ended.
    pub fn kill_program(&mut self, name: &str, signal: &str) {
        let mut running = self.running.iter();
        let found = running.find(|running| is_program(&running.0, name));
        let id = found.unwrap_or_else(|| panic!("no {name}")).0.id();
        self.kill(id, signal);
    }

    /// Ends all programs, the last one first.
    pub fn end_all(&mut self) {
        while self.running.pop().is_some() {}
    }

    /// A path in the session's home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a variable for all programs that are started later.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.environment.retain(|(name, _)| name != variable);
        self.environment
            .push((variable.to_owned(), value.to_owned()));
    }

    /// The value of a variable that was set.
    pub fn variable(&self, variable: &str) -> String {
        let mut known = self.environment.iter();
        let found = known.find(|(name, _)| name == variable);
        found.expect("it is set").1.clone()
    }

    /// A command in the session's environment, as an ordinary user.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(self.environment.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stderr(self.log(program))
            .process_group(0);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn log(&self, program: &str) -> std::fs::File {
        let name = Path::new(program).file_name().expect("a name");
        let path = self.path(&format!("{}.log", name.to_string_lossy()));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.expect("a log")
    }

    /// The program under test, where an ordinary user may run it.
    pub fn hearken(&self) -> Command {
        let copy = self.path("hearken");
        if !copy.exists() {
            // The build directory may be closed to others. A copy by this process would be busy as long as
            // another test starts a program.
            let copied = Command::new("cp")
                .arg(env!("CARGO_BIN_EXE_hearken"))
                .arg(&copy)
                .status();
            assert!(copied.expect("cp").success());
        }
        self.command(copy.to_str().expect("UTF-8"))
    }

    /// `hearken type --text TEXT` with more arguments: exit code and messages.
    pub fn type_text(&self, text: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut command = self.hearken();
        command
            .args(["type", "--text", text])
            .args(more)
            .stderr(Stdio::piped());
        let output = command.output().expect("the program");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) {
        let dir = self.path("config/hearken");
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("config.toml"), text).expect("a file");
    }

    /// Starts a program that runs as long as the session.
    pub fn start(&mut self, command: &mut Command) -> u32 {
        let child = command.stdout(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let id = child.id();
        self.running.push(Running(child));
        id
    }

    /// Lets a program run as long as the session.
    pub fn keep(&mut self, child: Child) {
        self.running.push(Running(child));
    }

    /// Starts a program that runs as long as the session and prints a line first.
    pub fn start_with_line(&mut self, program: &str, args: &[&str]) -> String {
        let mut command = self.command(program);
        let child = command.args(args).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        self.running.push(Running(child));
        line.trim().to_owned()
    }

    /// Runs a command to its end; its standard output if it succeeds.
    pub fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        let Output { status, stdout, .. } = self
            .command(program)
            .args(args)
            .output()
            .expect("a program");
        let text = String::from_utf8_lossy(&stdout).trim_end().to_owned();
        status.success().then_some(text)
    }

    /// Opens a window of `programs/NAME.py` and gives it the focus.
    pub fn window(&mut self, name: &str) -> Program {
        let window = self.program(name, &[]);
        if self.environment.iter().any(|(name, _)| name == "DISPLAY") {
            wait_for("the window", || {
                self.output(
                    "xdotool",
                    &["search", "--name", "hearken-target", "windowfocus"],
                )
            });
        }
        window
    }

    /// Starts `programs/NAME.py`, and waits until it is ready.
    pub fn program(&mut self, name: &str, args: &[&str]) -> Program {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/desktop/programs")
            .join(name);
        let copy = self.path(name);
        std::fs::copy(&program, &copy).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let mut command = self.command(PYTHON);
        command
            .arg("-u")
            .arg(copy)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python");
        let stdout = child.stdout.take().expect("piped");
        let stdin = child.stdin.take().expect("piped");
        let (sender, events) = crossbeam_channel::unbounded();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            for line in lines {
                let event: Value = serde_json::from_str(&line).expect("JSON");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let mut started = Program {
            running: Some(Running(child)),
            stdin,
            events,
            seen: Vec::new(),
        };
        started.wait_for("a sign of life", |event| {
            (event["event"] == "ready").then_some(())
        });
        started
    }

    /// Starts the agent and waits until it serves a session of the daemon. Returns its process.
    pub fn agent(&mut self) -> u32 {
        let mut command = self.hearken();
        let id = self.start(command.arg("desktop"));
        self.wait_for_state(IDLE);
        id
    }

    /// Calls a method of the agent.
    pub fn ask(&self, method: &str) {
        self.ask_with(method, &[]);
    }

    /// Calls a method of the agent with arguments as D-Bus writes them.
    pub fn ask_with(&self, method: &str, arguments: &[&str]) {
        let agent = [
            "--user",
            "call",
            "org.hearken.Desktop1",
            "/org/hearken/Desktop1",
        ];
        let method = ["org.hearken.Desktop1.Dictation", method];
        self.output("busctl", &[&agent[..], &method, arguments].concat())
            .unwrap_or_else(|| panic!("{method:?} fails"));
    }

    /// A property of the agent as D-Bus writes it; nothing without an agent.
    pub fn property(&self, name: &str) -> Option<String> {
        let path = ["org.hearken.Desktop1", "/org/hearken/Desktop1"];
        let property = ["org.hearken.Desktop1.Dictation", name];
        let arguments = [&["--user", "get-property"][..], &path, &property].concat();
        self.output("busctl", &arguments)
    }

    /// Waits until the agent is in a state.
    pub fn wait_for_state(&self, state: u32) {
        wait_for(&format!("the agent's state {state}"), || {
            (self.property("State")? == format!("u {state}")).then_some(())
        });
    }

    /// Sends a signal to a process alone, and waits until it has ended.
    pub fn kill(&mut self, id: u32, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(sent.expect("kill").success());
        let at = self.running.iter().position(|running| running.0.id() == id);
        let mut killed = self.running.remove(at.expect("a program"));
        killed.0.wait().expect("it ends");
        // The rest of its group goes on.
        std::mem::forget(killed);
    }

    /// What all programs have written to their logs.
    pub fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.dir.path()).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let logs = paths.filter(|path| path.extension().is_some_and(|e| e == "log"));
        logs.map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("a log")).into_owned())
            .collect()
    }

    /// Opens a terminal whose lines go to a file, and waits until it is there.
    pub fn terminal(&mut self, program: &str, args: &[&str]) -> PathBuf {
        let (lines, ready) = (self.path("typed"), self.path("ready"));
        let script = format!("touch {}; exec cat > {}", ready.display(), lines.display());
        let mut command = self.command(program);
        command.args(args).args(["sh", "-c", &script]);
        self.start(&mut command);
        wait_for("the terminal", || ready.exists().then_some(()));
        lines
    }
}

/// A program that obeys lines and tells what happens. A window has a text view `view`, an entry
/// `second`, a password `secret` and a `button`.
pub struct Program {
    running: Option<Running>,
    stdin: std::process::ChildStdin,
    events: crossbeam_channel::Receiver<Value>,
    pub seen: Vec<Value>,
}

impl Program {
    /// Gives a field the focus, and waits until it has it.
    pub fn focus(&mut self, field: &str) {
        self.tell(&format!("focus {field}"));
    }

    /// Replaces the text of the view.
    pub fn set(&mut self, text: &str) {
        self.tell(&format!("set {text}"));
    }

    /// Has a line obeyed.
    pub fn tell(&mut self, line: &str) {
        // At once: programs read what is there.
        let sent = self.stdin.write_all(format!("{line}\n").as_bytes());
        sent.expect("the program");
        self.wait_for(line, |event| {
            (event["event"] == "done" && event["text"] == line).then_some(())
        });
    }

    /// Waits until a field has exactly this text.
    pub fn wait_for_text(&mut self, field: &str, text: &str) {
        if self.text(field) == text {
            return;
        }
        self.wait_for(&format!("{text:?} in {field}"), |event| {
            (event["event"] == "text" && event["field"] == field && event["text"] == text)
                .then_some(())
        });
    }

    /// Waits until a field shows this interim text.
    pub fn wait_for_interim(&mut self, field: &str, text: &str) {
        self.seen.extend(self.events.try_iter());
        let is_interim = |event: &&Value| event["event"] == "preedit" && event["field"] == field;
        let last = self.seen.iter().rfind(is_interim);
        if last.is_some_and(|event| event["text"] == text) {
            return;
        }
        self.wait_for(&format!("interim text {text:?}"), |event| {
            (is_interim(&event) && event["text"] == text).then_some(())
        });
    }

    /// The last text that a field reported.
    pub fn text(&mut self, field: &str) -> String {
        self.seen.extend(self.events.try_iter());
        let mut texts = self.seen.iter().rev();
        let event = texts.find(|event| event["event"] == "text" && event["field"] == field);
        event
            .and_then(|event| event["text"].as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits for an event that `wanted` gives something for.
    pub fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_deadline(until);
            let event = event.unwrap_or_else(|e| panic!("no {what} ({e}) after {:#?}", self.seen));
            let found = wanted(&event);
            self.seen.push(event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Says what is being spoken, as a daemon.
    pub fn hear(&mut self, utterance: u64, committed: &str, interim: &str) {
        self.tell(&serde_json::json!({"partial": [utterance, committed, interim]}).to_string());
    }

    /// Says an utterance to its end, as a daemon.
    pub fn say(&mut self, utterance: u64, text: &str) {
        self.hear(utterance, "", text);
        self.tell(&serde_json::json!({"final": [utterance, text]}).to_string());
    }

    /// Ends the program.
    pub fn close(mut self) {
        self.running = None;
    }
}

/// Waits until `done` gives something.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = done() {
            return result;
        }
        assert!(begun.elapsed() < PATIENCE, "no sign of {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a file holds this text.
pub fn wait_for_file(path: &Path, text: &str) {
    let mut last = String::new();
    let begun = Instant::now();
    while last != text {
        assert!(
            begun.elapsed() < PATIENCE,
            "{}: {last:?} instead of {text:?}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
        last = std::fs::read_to_string(path).unwrap_or_default();
    }
}

fn is_program(child: &Child, name: &str) -> bool {
    let command = std::fs::read(format!("/proc/{}/comm", child.id()));
    command.is_ok_and(|command| command.trim_ascii() == name.as_bytes())
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}
