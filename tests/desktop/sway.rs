//! Wayland: the input method protocol and pastes under sway, without a screen.

use crate::session::{Program, Session, wait_for, wait_for_file};

const TEXT: &str = "Hällo wörld 漢字.";

/// A session with sway and a keyboard that stays plugged in, as a real one.
pub fn session() -> Session {
    let mut session = Session::new();
    start(&mut session);
    session
}

/// Starts sway and plugs the keyboard in.
pub fn start(session: &mut Session) {
    for (variable, value) in [
        ("XDG_CURRENT_DESKTOP", "sway"),
        ("XDG_SESSION_TYPE", "wayland"),
        ("GDK_BACKEND", "wayland"),
        ("WLR_BACKENDS", "headless"),
        ("WLR_RENDERER", "pixman"),
        ("WLR_LIBINPUT_NO_DEVICES", "1"),
    ] {
        session.set(variable, value);
    }
    let config = session.path("sway.config");
    let lines = "xwayland disable\noutput HEADLESS-1 resolution 800x600\nfocus_follows_mouse no\n";
    std::fs::write(&config, lines).expect("a file");
    let mut sway = session.command("sway");
    session.start(sway.arg("-c").arg(&config));
    let runtime = session.path("run");
    let socket = |prefix: &str| {
        wait_for("sway", || {
            let entries = std::fs::read_dir(&runtime).expect("a directory");
            let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.find(|name| name.starts_with(prefix) && !name.ends_with(".lock"))
        })
    };
    let display = socket("wayland-");
    let control = runtime.join(socket("sway-ipc."));
    session.set("WAYLAND_DISPLAY", &display);
    session.set("SWAYSOCK", control.to_str().expect("UTF-8"));
    wait_for("sway", || session.output("swaymsg", &["-t", "get_version"]));
    let mut keyboard = session.command("wtype");
    session.start(keyboard.args(["-s", "600000", "-k", "Shift_L"]));
    wait_for("a keyboard", || {
        let inputs = session.output("swaymsg", &["-t", "get_inputs"])?;
        inputs.contains("keyboard").then_some(())
    });
}

fn types(session: &Session, method: &str, text: &str, more: &[&str]) {
    let (code, message) = session.type_text(text, &[&["--method", method], more].concat());
    assert_eq!(code, Some(0), "{message}");
}

fn a_password_gets_nothing(session: &Session, window: &mut Program) {
    window.focus("secret");
    let (code, message) = session.type_text("never", &["--method", "wayland"]);
    assert_eq!(code, Some(12), "{message}");
    assert!(message.contains("password"), "{message}");
    assert_eq!(window.text("secret"), "");
}

/// Waits until sway has given the focus to a window.
pub fn focused(session: &Session, name: &str) {
    wait_for("the focus", || {
        let tree = session.output("swaymsg", &["-t", "get_tree"])?;
        let tree: serde_json::Value = serde_json::from_str(&tree).ok()?;
        has_focus(&tree, name).then_some(())
    });
}

fn has_focus(node: &serde_json::Value, name: &str) -> bool {
    let is_it = node["focused"] == true
        && ["name", "app_id"].iter().any(|key| {
            node[*key]
                .as_str()
                .is_some_and(|found| found.contains(name))
        });
    let nodes = ["nodes", "floating_nodes"]
        .iter()
        .filter_map(|key| node[*key].as_array());
    is_it || nodes.flatten().any(|node| has_focus(node, name))
}

fn text_arrives_in(program: &str) {
    let mut session = session();
    let mut window = session.window(program);
    focused(&session, "hearken-target");
    types(&session, "wayland", TEXT, &["--verify"]);
    window.wait_for_text("view", TEXT);
    window.focus("second");
    types(&session, "wayland", "Second.", &["--verify"]);
    window.wait_for_text("second", "Second.");
    a_password_gets_nothing(&session, &mut window);
    window.focus("view");
    types(&session, "wayland", " Again.", &["--verify"]);
    window.wait_for_text("view", &format!("{TEXT} Again."));
}

fn pastes_arrive_in(program: &str) {
    let mut session = session();
    let mut window = session.window(program);
    focused(&session, "hearken-target");
    let mut copy = session.command("wl-copy");
    session.start(copy.args(["--foreground", "what was copied before"]));
    let copied = |session: &Session| {
        wait_for("the clipboard", || {
            let text = session.output("timeout", &["5", "wl-paste", "--no-newline"])?;
            (text == "what was copied before").then_some(())
        });
    };
    copied(&session);
    types(&session, "paste", TEXT, &["--verify"]);
    window.wait_for_text("view", TEXT);
    copied(&session);
    types(&session, "paste", " Again.", &["--verify"]);
    window.wait_for_text("view", &format!("{TEXT} Again."));
    copied(&session);
    window.focus("button");
    let (code, message) = session.type_text("never", &["--method", "paste"]);
    assert_eq!(code, Some(12), "{message}");
    assert!(message.contains("has not read the clipboard"), "{message}");
}

#[test]
#[ignore = "needs sway"]
fn the_input_method_reaches_gtk_3() {
    text_arrives_in("gtk3.py");
}

#[test]
#[ignore = "needs sway"]
fn the_input_method_reaches_gtk_4() {
    text_arrives_in("gtk4.py");
}

#[test]
#[ignore = "needs sway"]
fn pastes_are_read_by_gtk_3_and_the_clipboard_is_given_back() {
    pastes_arrive_in("gtk3.py");
}

#[test]
#[ignore = "needs sway"]
fn pastes_are_read_by_gtk_4_and_the_clipboard_is_given_back() {
    pastes_arrive_in("gtk4.py");
}

#[test]
#[ignore = "needs sway"]
fn a_terminal_gets_text_without_returns_and_pastes() {
    let mut session = session();
    let typed = session.terminal("foot", &[]);
    focused(&session, "foot");
    types(&session, "wayland", &format!("{TEXT}\n\nrm"), &[]);
    types(&session, "paste", " Pasted.", &["--verify"]);
    session.output("wtype", &["-k", "Return"]).expect("a key");
    wait_for_file(&typed, &format!("{TEXT} rm Pasted.\n"));
}
