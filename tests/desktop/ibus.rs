//! IBus: text into GTK 3, GTK 4 and a terminal, as engine and as guest.

use crate::session::{Program, Session, wait_for, wait_for_file};

const TEXT: &str = "Hällo wörld 漢字.";
/// The user's engine.
pub const ENGINE: &str = "xkb:us::eng";

/// A session with ibus-daemon, which knows our engine or does not.
pub fn session(knows_engine: bool) -> Session {
    let mut session = Session::x11();
    session.set("GTK_IM_MODULE", "ibus");
    session.set("XMODIFIERS", "@im=ibus");
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/ibus");
    let copy = session.path("component");
    std::fs::create_dir(&copy).expect("a directory");
    std::fs::copy(format!("{own}/hearken.xml"), copy.join("hearken.xml")).expect("a copy");
    let own = if knows_engine {
        format!("{}:", copy.display())
    } else {
        String::new()
    };
    session.set(
        "IBUS_COMPONENT_PATH",
        &format!("{own}/usr/share/ibus/component"),
    );
    start_daemon(&mut session);
    session
}

/// Starts ibus-daemon with the user's engine.
pub fn start_daemon(session: &mut Session) {
    let mut daemon = session.command("ibus-daemon");
    session.start(daemon.args(["--panel", "disable", "--xim"]));
    wait_for("ibus-daemon", || {
        session.output("ibus", &["engine", ENGINE])
    });
}

pub fn engine(session: &Session) -> String {
    session.output("ibus", &["engine"]).unwrap_or_default()
}

fn types(session: &Session, text: &str, more: &[&str]) {
    let (code, message) = session.type_text(text, &[&["--method", "ibus"], more].concat());
    assert_eq!(code, Some(0), "{message}");
    assert_eq!(engine(session), ENGINE);
}

fn a_password_gets_nothing(session: &Session, window: &mut Program) {
    window.focus("secret");
    let (code, message) = session.type_text("never", &[]);
    assert_eq!(code, Some(12), "{message}");
    assert_eq!(window.text("secret"), "");
}

fn text_arrives_in(program: &str) {
    let mut session = session(true);
    let mut window = session.window(program);
    types(&session, TEXT, &["--verify"]);
    window.wait_for_text("view", TEXT);
    window.focus("second");
    types(&session, "Second.", &["--verify"]);
    window.wait_for_text("second", "Second.");
    a_password_gets_nothing(&session, &mut window);
    window.focus("view");
    types(&session, " Again.", &["--verify"]);
    window.wait_for_text("view", &format!("{TEXT} Again."));
}

#[test]
#[ignore = "needs an X server and IBus"]
fn an_engine_reaches_gtk_3() {
    text_arrives_in("gtk3.py");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn an_engine_reaches_gtk_4() {
    text_arrives_in("gtk4.py");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn a_guest_needs_no_engine() {
    let mut session = session(false);
    let mut window = session.window("gtk3.py");
    types(&session, TEXT, &[]);
    window.wait_for_text("view", TEXT);
    let (code, _) = session.type_text("x", &["--method", "ibus", "--verify"]);
    assert_eq!(code, Some(13), "a guest has no receipt");
    window.wait_for_text("view", &format!("{TEXT}x"));
    window.focus("second");
    types(&session, "Second.", &[]);
    window.wait_for_text("second", "Second.");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn a_guest_writes_into_no_password() {
    let mut session = session(false);
    let mut window = session.window("gtk4.py");
    types(&session, TEXT, &[]);
    window.wait_for_text("view", TEXT);
    window.focus("secret");
    let (code, message) = session.type_text("never", &["--method", "ibus"]);
    assert_eq!(code, Some(12), "{message}");
    assert_eq!(window.text("secret"), "");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn a_terminal_gets_text_by_xim() {
    for knows_engine in [true, false] {
        let mut session = session(knows_engine);
        wait_for("IBus's server for XIM", || {
            let servers = session.output("xprop", &["-root", "XIM_SERVERS"])?;
            servers.contains("ibus").then_some(())
        });
        let typed = session.terminal("xterm", &["-u8", "-e"]);
        wait_for("the terminal", || {
            session.output("xdotool", &["search", "--class", "xterm", "windowfocus"])
        });
        types(&session, TEXT, &[]);
        session
            .output("xdotool", &["key", "Return"])
            .expect("a key");
        wait_for_file(&typed, &format!("{TEXT}\n"));
    }
}
