//! What the user has is as before, even if Hearken is killed while it has taken something.

use crate::ibus::{self, ENGINE, engine};
use crate::session::{LISTENING, Session, wait_for};
use crate::{sway, x11};
use std::process::Stdio;

/// Long enough to be killed while it is typed.
fn long() -> String {
    "the quick brown fox jumps over the lazy dog, ".repeat(200)
}

fn keymap(session: &Session) -> String {
    let display = session.variable("DISPLAY");
    session
        .output("xkbcomp", &[&display, "-"])
        .expect("a keymap")
}

/// Starts `hearken type --text TEXT`.
fn typing(session: &mut Session, text: &str, method: &str) -> u32 {
    let mut command = session.hearken();
    command.args(["type", "--text", text, "--method", method]);
    session.start(command.stderr(Stdio::null()))
}

#[test]
#[ignore = "needs an X server and IBus"]
fn engine_and_layout_are_given_back() {
    let mut session = ibus::session(true);
    session.output("setxkbmap", &["de"]).expect("a layout");
    let mut window = session.window("gtk3.py");
    let mut daemon = session.program("daemon.py", &[]);
    for text in ["", "yz"] {
        let agent = session.agent();
        let before = keymap(&session);
        session.ask("Start");
        session.wait_for_state(LISTENING);
        daemon.hear(1, "", "interim");
        window.wait_for_interim("view", "interim");
        assert_eq!(engine(&session), "hearken");
        session.kill(agent, "-KILL");
        wait_for("the user's engine", || {
            (engine(&session) == ENGINE).then_some(())
        });
        assert_eq!(keymap(&session), before);
        session.output("xdotool", &["key", "y", "z"]).expect("keys");
        window.wait_for_text("view", &format!("{text}yz"));
    }
}

#[test]
#[ignore = "needs an X server"]
fn keymap_and_keys_are_given_back() {
    let mut session = x11::session();
    let mut window = session.window("gtk3.py");
    let before = keymap(&session);
    let id = typing(&mut session, &long(), "xtest");
    wait_for("another keymap", || {
        (keymap(&session) != before).then_some(())
    });
    session.kill(id, "-KILL");
    wait_for("the user's keymap", || {
        (keymap(&session) == before).then_some(())
    });
    window.set("");
    session.output("xdotool", &["type", "ab"]).expect("keys");
    window.wait_for_text("view", "ab");
}

#[test]
#[ignore = "needs an X server"]
fn the_clipboard_of_x11_is_given_back() {
    let mut session = x11::session();
    let mut window = session.window("gtk3.py");
    x11::copy(&mut session, "what was copied before");
    let before = |session: &Session| {
        wait_for("the user's clipboard", || {
            (x11::pasted(session)? == "what was copied before").then_some(())
        });
    };
    // Nobody reads, so it waits.
    window.focus("button");
    let id = typing(&mut session, "never", "paste");
    wait_for("our clipboard", || {
        (x11::pasted(&session)? == "never").then_some(())
    });
    session.kill(id, "-KILL");
    before(&session);
    let mut daemon = session.program("daemon.py", &[]);
    let agent = session.agent();
    window.focus("view");
    session.ask("Start");
    session.wait_for_state(LISTENING);
    daemon.say(1, "Pasted.");
    window.wait_for_text("view", "Pasted.");
    before(&session);
    session.kill(agent, "-KILL");
    before(&session);
    // What is copied later stays.
    x11::copy(&mut session, "later");
}

#[test]
#[ignore = "needs sway"]
fn clipboard_and_input_method_of_wayland_are_given_back() {
    let mut session = sway::session();
    let mut window = session.window("gtk3.py");
    sway::focused(&session, "hearken-target");
    let mut copy = session.command("wl-copy");
    session.start(copy.args(["--foreground", "what was copied before"]));
    let copied = |session: &Session, text: &str| {
        wait_for(&format!("the clipboard {text:?}"), || {
            let found = session.output("timeout", &["5", "wl-paste", "--no-newline"])?;
            (found == text).then_some(())
        });
    };
    copied(&session, "what was copied before");
    window.focus("button");
    let id = typing(&mut session, "never", "paste");
    copied(&session, "never");
    session.kill(id, "-KILL");
    copied(&session, "what was copied before");
    let mut daemon = session.program("daemon.py", &[]);
    let agent = session.agent();
    window.focus("view");
    session.ask("Start");
    session.wait_for_state(LISTENING);
    daemon.hear(1, "", "interim");
    window.wait_for_interim("view", "interim");
    session.kill(agent, "-KILL");
    let (code, message) = session.type_text("Here.", &["--method", "wayland"]);
    assert_eq!(code, Some(0), "{message}");
    window.wait_for_text("view", "Here.");
    copied(&session, "what was copied before");
}

#[test]
#[ignore = "needs sway and an X server"]
fn a_process_that_keeps_the_clipboard_ends_with_the_display() {
    let has_guard = |session: &Session| {
        let pattern = format!("{} type --guard", session.path("hearken").display());
        session.output("pgrep", &["-f", &pattern]).is_some()
    };
    let mut session = sway::session();
    let (code, message) = session.type_text("kept", &["--method", "clipboard"]);
    assert_eq!(code, Some(0), "{message}");
    assert!(has_guard(&session));
    session.end_all();
    wait_for("the end of the guard", || {
        (!has_guard(&session)).then_some(())
    });
    let mut session = x11::session();
    let (code, message) = session.type_text("kept", &["--method", "clipboard"]);
    assert_eq!(code, Some(0), "{message}");
    assert!(has_guard(&session));
    session.end_all();
    wait_for("the end of the guard", || {
        (!has_guard(&session)).then_some(())
    });
}
