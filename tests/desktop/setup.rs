//! `hearken setup` and `hearken doctor` on desktops with and without things missing.

use crate::presence::Desk;
use crate::session::{Session, wait_for};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// A systemctl of the user that knows these units and variables, and logs what it is told.
fn systemctl(session: &mut Session, is_enabled: &str, variables: &str) -> PathBuf {
    let (bin, log) = (session.path("bin"), session.path("told"));
    std::fs::create_dir_all(&bin).expect("a directory");
    let script = format!(
        "#!/bin/sh\ncase \"$2\" in\nshow-environment) printf '{variables}' ;;\n\
         is-enabled) echo {is_enabled} ;;\n*) echo \"$*\" >> {} ;;\nesac\n",
        log.display()
    );
    let program = bin.join("systemctl");
    std::fs::write(&program, script).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a file");
    // Written by others than the owner, too.
    std::fs::write(&log, "").expect("a file");
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o666)).expect("a file");
    session.set(
        "PATH",
        &format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    log
}

/// Without models, network and sound.
fn bare(mut session: Session) -> Session {
    let models = session.path("no-models");
    session.set("HEARKEN_MODELS_DIR", models.to_str().expect("UTF-8"));
    session.set("HEARKEN_OFFLINE", "1");
    session
}

/// Runs `hearken` with these arguments without a terminal: exit code and standard output.
fn run(session: &Session, arguments: &[&str]) -> (Option<i32>, String) {
    let output = session
        .hearken()
        .args(arguments)
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

/// `hearken setup` on a terminal of its own.
struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    fn new(session: &Session, arguments: &str) -> Self {
        session.hearken();
        let line = format!("{} setup {arguments}", session.path("hearken").display());
        let mut script = session.command("script");
        script
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                &line,
                "/dev/null",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self {
            child: script.spawn().expect("script"),
            shown: String::new(),
        }
    }

    /// Reads until a text is shown.
    fn wait_for(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut bytes = [0; 4096];
        while !self.shown.contains(text) {
            let n = stdout.read(&mut bytes).expect("the terminal");
            assert!(n > 0, "no {text:?} in\n{}", self.shown);
            self.shown += &String::from_utf8_lossy(&bytes[..n]);
        }
        let end = self.shown.find(text).expect("it is there") + text.len();
        self.shown.drain(..end);
    }

    fn answer(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(line.as_bytes()).expect("the terminal");
        stdin.flush().expect("the terminal");
    }

    /// Waits for the end. Returns the exit code and what was shown last.
    fn end(mut self) -> (Option<i32>, String) {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).expect("the terminal");
        let status = self.child.wait().expect("script");
        (status.code(), self.shown + &String::from_utf8_lossy(&rest))
    }
}

#[test]
#[ignore = "needs a message bus"]
fn without_a_terminal_setup_says_what_to_do_and_does_nothing() {
    let mut session = bare(Session::new());
    let told = systemctl(&mut session, "disabled", "");
    let (code, text) = run(&session, &["setup"]);
    assert_eq!(code, Some(14), "{text}");
    assert!(
        text.contains("To mend it: $ hearken models fetch base"),
        "{text}"
    );
    assert!(
        text.contains("To mend it: $ systemctl --user enable --now hearken"),
        "{text}"
    );
    assert!(text.contains("DISPLAY or WAYLAND_DISPLAY"), "{text}");
    assert!(!text.contains("[y/N]"), "{text}");
    assert_eq!(std::fs::read_to_string(told).expect("a file"), "");
}

#[test]
#[ignore = "needs an X server"]
fn setup_asks_before_it_mends() {
    let mut session = bare(Session::x11());
    let told = systemctl(&mut session, "disabled", "HOME=/");
    let mut terminal = Terminal::new(&session, "");
    terminal.wait_for("hearken models fetch base");
    terminal.wait_for("[y/N] ");
    terminal.answer("n\n");
    terminal.wait_for("$ systemctl --user enable --now hearken\r\n");
    terminal.wait_for("[y/N] ");
    terminal.answer("y\n");
    terminal.wait_for("systemctl --user import-environment DISPLAY");
    terminal.wait_for("[y/N] ");
    terminal.answer("\n");
    terminal.wait_for("$ ibus-daemon");
    terminal.wait_for("[y/N] ");
    terminal.answer("n\n");
    terminal.wait_for("by the X server");
    terminal.wait_for("enable --now app-org.hearken.Hearken");
    terminal.wait_for("[y/N] ");
    terminal.answer("yes\n");
    let (code, text) = terminal.end();
    assert_eq!(code, Some(14), "{text}");
    let told = std::fs::read_to_string(told).expect("a file");
    assert_eq!(
        told,
        "--user enable --now hearken\n--user enable --now app-org.hearken.Hearken\n"
    );
}

#[test]
#[ignore = "needs an X server"]
fn setup_adds_the_hotkey_to_a_configuration_once() {
    let mut session = bare(Session::x11());
    session.set("XDG_CURRENT_DESKTOP", "sway");
    session.set("WAYLAND_DISPLAY", "wayland-none");
    let config = session.path("config/sway/config");
    std::fs::create_dir_all(config.parent().expect("a directory")).expect("a directory");
    std::fs::write(&config, "# mine\n").expect("a file");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).expect("a file");
    systemctl(&mut session, "disabled", "");
    for _ in 0..2 {
        let (_, text) = run(&session, &["setup", "--yes"]);
        assert!(text.contains("bound in"), "{text}");
    }
    let text = std::fs::read_to_string(&config).expect("a file");
    assert!(text.starts_with("# mine\n"), "{text}");
    assert_eq!(text.matches("exec hearken start").count(), 1, "{text}");
}

#[test]
#[ignore = "needs an X server"]
fn doctor_knows_the_methods_of_a_desktop() {
    let mut session = bare(Session::x11());
    session.set("XDG_CURRENT_DESKTOP", "XFCE");
    let (_, text) = run(&session, &["doctor"]);
    let line = |name: &str| {
        let found = text.lines().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("no {name} in\n{text}"))
    };
    assert!(line("desktop").contains("XFCE on X11"), "{text}");
    assert!(line("type: ibus").starts_with("warning"), "{text}");
    assert!(
        text.contains("-> ibus-daemon --daemonize --xim --replace"),
        "{text}"
    );
    assert!(line("type: paste").starts_with("ok"), "{text}");
    assert!(line("type: wayland").starts_with("absent"), "{text}");
    assert!(line("hotkey").contains("by the X server"), "{text}");
    assert!(line("agent").starts_with("warning"), "{text}");
    assert!(
        line("captions").starts_with("ok") || !cfg!(feature = "captions"),
        "{text}"
    );
    let bare = bare(Session::new());
    let (_, text) = run(&bare, &["doctor"]);
    assert!(text.contains("no text can be put into windows"), "{text}");
}

/// The last step, in a terminal that has the focus.
#[test]
#[ignore = "needs an X server"]
fn setup_ends_with_a_sentence_in_its_own_terminal() {
    let mut desk = Desk::on(bare(Session::x11()), "", &["daemon"]);
    systemctl(&mut desk.session, "enabled", "");
    let shown = desk.session.path("shown");
    desk.session.hearken();
    let line = format!(
        "script --quiet --flush --command '{} setup --yes' {}",
        desk.session.path("hearken").display(),
        shown.display()
    );
    let mut xterm = desk.session.command("xterm");
    desk.session
        .start(xterm.args(["-e", "sh", "-c", &format!("{line}; sleep 60")]));
    wait_for("the terminal", || {
        let focus = ["search", "--class", "xterm", "windowfocus"];
        desk.session.output("xdotool", &focus)
    });
    let text = || std::fs::read_to_string(&shown).unwrap_or_default();
    wait_for("the last step", || {
        text().contains("Say a sentence").then_some(())
    });
    desk.expect_call("Start");
    desk.tell("partial This is| my first");
    desk.tell("final This is my first dictation.");
    wait_for("the verdict", || {
        text().contains("It works: the words came by").then_some(())
    });
}
