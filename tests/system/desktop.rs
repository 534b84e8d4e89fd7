//! A desktop session of its own for a test: message bus, sound server with a null sink, and the
//! daemon; all real.

use crate::support::model;
pub use crate::support::words;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session. What it started ends with it.
pub struct Desktop {
    pub dir: TempDir,
    bus: Running,
    address: String,
    sound: Option<Running>,
    daemon: Option<Running>,
    models: PathBuf,
}

/// A program that is killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Desktop {
    /// A session with everything in it and the real model.
    pub fn new() -> Self {
        let mut desktop = Self::with_model();
        desktop.start_daemon();
        desktop
    }

    /// A session with the real model, whose daemon is not started yet.
    pub fn with_model() -> Self {
        Self::with_models(model("base").path().parent().expect("a directory"))
    }

    /// A session with the models of a directory, whose daemon is not started yet.
    pub fn with_models(directory: &Path) -> Self {
        let mut desktop = Self::without_daemon();
        desktop.models = directory.to_owned();
        desktop
    }

    /// A session whose daemon is not started yet, with no model.
    pub fn without_daemon() -> Self {
        Self::with_data_dir(Path::new("/nonexistent"))
    }

    /// As [`Self::without_daemon`]; the bus finds services in the data directory `data`, too.
    pub fn with_data_dir(data: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .env("XDG_DATA_DIRS", data)
            .env("XDG_DATA_HOME", dir.path())
            .env("XDG_RUNTIME_DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut bus = Running(bus.spawn().expect("dbus-daemon is installed"));
        let mut address = String::new();
        BufReader::new(bus.0.stdout.take().expect("piped"))
            .read_line(&mut address)
            .expect("an address");
        let models = dir.path().join("models");
        std::fs::create_dir(&models).expect("a directory");
        let address = address.trim().to_owned();
        let mut desktop = Self {
            dir,
            bus,
            address,
            sound: None,
            daemon: None,
            models,
        };
        desktop.start_sound();
        desktop
    }

    /// A command in the session's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("HEARKEN_MODELS_DIR", &self.models)
            .env("HOME", self.dir.path())
            .env_remove("PULSE_SERVER")
            .env_remove("PULSE_RUNTIME_PATH")
            .env_remove("JOURNAL_STREAM")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    /// The program under test.
    pub fn hearken(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_hearken"))
    }

    /// Starts the sound server and waits for it.
    pub fn start_sound(&mut self) {
        let mut sound = self.command("pulseaudio");
        sound.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
        ]);
        sound.args(["-L", "module-native-protocol-unix"]);
        sound.args(["-L", "module-null-sink sink_name=speaker rate=48000"]);
        sound.stdout(Stdio::null()).stderr(Stdio::null());
        self.sound = Some(Running(sound.spawn().expect("pulseaudio is installed")));
        self.wait_for("the sound server", |desktop| {
            desktop
                .output("pactl", &["info"])
                .status
                .success()
                .then_some(())
        });
    }

    /// Writes the daemon's configuration.
    pub fn configure(&self, config: &str) {
        let file = self.dir.path().join("config/hearken/config.toml");
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        std::fs::write(&file, config).expect("a file");
    }

    /// The sound server.
    pub fn sound(&self) -> &Child {
        &self.sound.as_ref().expect("it was started").0
    }

    /// Kills the sound server.
    pub fn kill_sound(&mut self) {
        self.sound = None;
        // The socket of a killed server stays behind.
        let _ = std::fs::remove_file(self.dir.path().join("pulse/native"));
    }

    /// Kills the bus.
    pub fn kill_bus(&mut self) {
        self.bus.0.kill().expect("the bus");
    }

    /// Starts the daemon and waits for it.
    pub fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// The same with more in its environment.
    pub fn start_daemon_with(&mut self, environment: &[(&str, &str)]) {
        let log = std::fs::File::create(self.dir.path().join("daemon.log")).expect("a file");
        let daemon = self
            .hearken()
            .arg("daemon")
            .envs(environment.iter().copied())
            .stderr(log)
            .spawn()
            .expect("the program");
        self.daemon = Some(Running(daemon));
        self.wait_for("the daemon", |desktop| {
            desktop
                .output_of(desktop.hearken().arg("status"))
                .status
                .success()
                .then_some(())
        });
    }

    /// The daemon.
    pub fn daemon(&mut self) -> &mut Child {
        &mut self.daemon.as_mut().expect("it was started").0
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("daemon.log")).expect("a log")
    }

    /// Runs a command to its end.
    pub fn output(&self, program: &str, args: &[&str]) -> Output {
        self.output_of(self.command(program).args(args))
    }

    /// Runs a command to its end.
    pub fn output_of(&self, command: &mut Command) -> Output {
        command
            .output()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    /// `hearken status`.
    pub fn status(&self) -> Value {
        let output = self.output_of(self.hearken().args(["status", "--json"]));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// Whether any program records.
    pub fn is_recording(&self) -> bool {
        !self
            .output("pactl", &["list", "short", "source-outputs"])
            .stdout
            .is_empty()
    }

    /// Plays samples (16 kHz, mono) into the null sink, whose monitor is the microphone.
    pub fn play(&self, samples: &[f32]) -> Running {
        let path = tempfile::Builder::new()
            .suffix(".wav")
            .tempfile_in(self.dir.path())
            .expect("a file");
        let (_, path) = path.keep().expect("a file");
        write_wav(&path, samples);
        Running(
            self.command("paplay")
                .arg("--latency-msec=50")
                .arg(path)
                .spawn()
                .expect("paplay is installed"),
        )
    }

    /// Waits until `done` gives something.
    pub fn wait_for<T>(&self, what: &str, mut done: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(result) = done(self) {
                return result;
            }
            assert!(begun.elapsed() < PATIENCE, "no sign of {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts a command whose standard output is read line by line.
    pub fn follow(&self, command: &mut Command) -> Followed {
        let mut child = Running(
            command
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|e| panic!("{command:?}: {e}")),
        );
        let stdout = child.0.stdout.take().expect("piped");
        let (sender, lines) = crossbeam_channel::unbounded();
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|l| sender.send(l))
        });
        Followed {
            child,
            lines,
            seen: Vec::new(),
        }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("daemon.log"));
            eprintln!("What the daemon has logged:\n{}", log.unwrap_or_default());
        }
        // The daemon before its bus, so that it ends as it does every day.
        self.daemon = None;
        self.sound = None;
        let _ = self.bus.0.kill();
    }
}

/// A program and the lines it prints.
pub struct Followed {
    pub child: Running,
    lines: crossbeam_channel::Receiver<String>,
    pub seen: Vec<String>,
}

impl Followed {
    /// Waits for a line that `wanted` gives something for.
    pub fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_deadline(until);
            let line = line.unwrap_or_else(|e| panic!("no {what} ({e}) after {:#?}", self.seen));
            let found = wanted(&line);
            self.seen.push(line);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Waits until the program ends; gives its exit code and all lines.
    pub fn finish(mut self) -> (Option<i32>, Vec<String>) {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_deadline(until) {
            self.seen.push(line);
        }
        let status = self.child.0.wait().expect("it was started");
        (status.code(), std::mem::take(&mut self.seen))
    }
}

/// Sends a signal.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

/// The whole of a child's standard output.
pub fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("text");
    text
}

/// A 16-bit mono WAV file at 16 kHz (RIFF, format 1).
fn write_wav(path: &Path, samples: &[f32]) {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|x| ((x.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes())
        .collect();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend([1u16, 1].into_iter().flat_map(u16::to_le_bytes));
    file.extend([16_000u32, 32_000].into_iter().flat_map(u32::to_le_bytes));
    file.extend([2u16, 16].into_iter().flat_map(u16::to_le_bytes));
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).expect("a file");
}
