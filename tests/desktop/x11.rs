//! X11 without an input method: typed keys, pastes with their receipts, the clipboard.

use crate::session::{Session, wait_for, wait_for_file};
use std::process::Stdio;

const TEXT: &str = "Hällo wörld, the quick brown fox (jumps) over the lazy dog: 漢字 Жук €uro – “quoted” ñ @ # zy Zß?";

/// With a German keyboard.
pub fn session() -> Session {
    let mut session = Session::x11();
    session.set("GTK_IM_MODULE", "gtk-im-context-simple");
    session.output("setxkbmap", &["de"]).expect("a layout");
    session
}

/// Copies a text as another program would.
pub fn copy(session: &mut Session, text: &str) {
    let mut xclip = session.command("xclip");
    xclip
        .args(["-quiet", "-selection", "clipboard", "-i"])
        .stdin(Stdio::piped());
    let mut child = xclip
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xclip");
    let stdin = child.stdin.as_mut().expect("piped");
    std::io::Write::write_all(stdin, text.as_bytes()).expect("xclip");
    drop(child.stdin.take());
    session.keep(child);
    wait_for("the clipboard", || {
        (pasted(session).as_deref() == Some(text)).then_some(())
    });
}

pub fn pasted(session: &Session) -> Option<String> {
    session.output("timeout", &["5", "xclip", "-selection", "clipboard", "-o"])
}

fn modifiers_are_released_first(session: &Session, method: &str) {
    session
        .output("xdotool", &["keydown", "shift"])
        .expect("a key");
    let (code, message) = session.type_text("never", &["--method", method]);
    session
        .output("xdotool", &["keyup", "shift"])
        .expect("a key");
    assert_eq!(code, Some(12), "{message}");
    assert!(message.contains("a modifier key is held down"), "{message}");
}

#[test]
#[ignore = "needs an X server"]
fn keys_write_any_text_in_any_layout() {
    let mut session = session();
    let mut window = session.window("gtk3.py");
    for _ in 0..3 {
        window.set("");
        let (code, message) = session.type_text(TEXT, &["--method", "xtest"]);
        assert_eq!(code, Some(0), "{message}");
        window.wait_for_text("view", TEXT);
    }
    let (code, _) = session.type_text("x", &["--method", "xtest", "--verify"]);
    assert_eq!(code, Some(13), "keys have no receipt");
    modifiers_are_released_first(&session, "xtest");
    assert_eq!(window.text("view"), format!("{TEXT}x"));
    window.close();
    let typed = session.terminal("xterm", &["-u8", "-e"]);
    wait_for("the terminal", || {
        session.output("xdotool", &["search", "--class", "xterm", "windowfocus"])
    });
    let (code, message) = session.type_text(&format!("{TEXT}\n\n"), &["--method", "xtest"]);
    assert_eq!(code, Some(0), "{message}");
    session
        .output("xdotool", &["key", "Return"])
        .expect("a key");
    wait_for_file(&typed, &format!("{TEXT} \n"));
}

#[test]
#[ignore = "needs an X server"]
fn a_paste_is_read_by_the_focused_program_and_the_clipboard_is_given_back() {
    let mut session = session();
    let mut window = session.window("gtk3.py");
    copy(&mut session, "what was copied before");
    let (code, message) = session.type_text(TEXT, &["--method", "paste", "--verify"]);
    assert_eq!(code, Some(0), "{message}");
    window.wait_for_text("view", TEXT);
    assert_eq!(pasted(&session).as_deref(), Some("what was copied before"));
    let (code, message) = session.type_text(" Again.", &["--method", "paste", "--verify"]);
    assert_eq!(code, Some(0), "{message}");
    window.wait_for_text("view", &format!("{TEXT} Again."));
    assert_eq!(pasted(&session).as_deref(), Some("what was copied before"));
    modifiers_are_released_first(&session, "paste");
    window.close();
    let typed = session.terminal("xterm", &["-u8", "-e"]);
    wait_for("the terminal", || {
        session.output("xdotool", &["search", "--class", "xterm", "windowfocus"])
    });
    let (code, message) = session.type_text(TEXT, &["--method", "paste", "--verify"]);
    assert_eq!(code, Some(0), "{message}");
    session
        .output("xdotool", &["key", "Return"])
        .expect("a key");
    wait_for_file(&typed, &format!("{TEXT}\n"));
}

#[test]
#[ignore = "needs an X server"]
fn a_window_that_reads_nothing_is_reported() {
    let mut session = session();
    let (code, message) = session.type_text("never", &["--method", "paste"]);
    assert_eq!(code, Some(12), "{message}");
    assert!(message.contains("no text field has the focus"), "{message}");
    let mut window = session.window("gtk3.py");
    window.focus("button");
    let (code, message) = session.type_text("never", &["--method", "paste"]);
    assert_eq!(code, Some(12), "{message}");
    assert!(message.contains("has not read the clipboard"), "{message}");
}

#[test]
#[ignore = "needs an X server"]
fn a_copied_text_outlives_the_command() {
    let mut session = session();
    copy(&mut session, "before");
    let (code, message) = session.type_text(TEXT, &["--method", "clipboard"]);
    assert_eq!(code, Some(0), "{message}");
    assert_eq!(pasted(&session).as_deref(), Some(TEXT));
    copy(&mut session, "after");
    assert_eq!(pasted(&session).as_deref(), Some("after"));
}
