//! `hearken desktop` with a daemon that hears what the test says: dictation that goes on whatever
//! happens to focus, input method and display, and the agent on the bus.

use crate::ibus::{self, ENGINE, engine};
use crate::session::{IDLE, LISTENING, Program, Session, wait_for};
use crate::sway;

/// A word that stands nowhere else.
const WORD: &str = "Quetzalcoatlus";

fn dictating(session: &mut Session) -> Program {
    let daemon = session.program("daemon.py", &[]);
    session.agent();
    start(session);
    daemon
}

fn start(session: &Session) {
    session.ask("Start");
    session.wait_for_state(LISTENING);
}

fn stop(session: &Session) {
    session.ask("Stop");
    session.wait_for_state(IDLE);
}

fn wait_for_method(session: &Session, method: &str) {
    wait_for(&format!("the method {method}"), || {
        (session.property("Method")? == format!("s \"{method}\"")).then_some(())
    });
}

#[test]
#[ignore = "needs an X server and IBus"]
fn words_arrive_as_they_are_spoken_and_are_deleted_again() {
    let mut session = ibus::session(true);
    let mut window = session.window("gtk3.py");
    let mut daemon = dictating(&mut session);
    daemon.hear(1, "Hello", " wörl");
    window.wait_for_interim("view", " wörl");
    daemon.say(1, "Hello world.");
    window.wait_for_text("view", "Hello world.");
    daemon.say(2, "And more.");
    window.wait_for_text("view", "Hello world. And more.");
    session.ask("Undo");
    window.wait_for_text("view", "Hello world.");
    stop(&session);
    assert_eq!(engine(&session), ENGINE);
}

/// As GNOME does in a password field, or the user.
#[test]
#[ignore = "needs an X server and IBus"]
fn an_engine_that_was_taken_away_is_taken_back_in_the_next_field() {
    const OTHER: &str = "xkb:us:intl:eng";
    let mut session = ibus::session(true);
    let mut window = session.window("gtk4.py");
    let mut daemon = dictating(&mut session);
    daemon.say(1, "One.");
    window.wait_for_text("view", "One.");
    window.focus("secret");
    session
        .output("ibus", &["engine", OTHER])
        .expect("an engine");
    daemon.say(2, "Never.");
    window.focus("second");
    wait_for("our engine", || {
        (engine(&session) == "hearken").then_some(())
    });
    daemon.say(3, "Two.");
    window.wait_for_text("second", "Two.");
    assert_eq!(window.text("secret"), "");
    stop(&session);
    assert_eq!(engine(&session), OTHER);
}

#[test]
#[ignore = "needs an X server and IBus"]
fn dictation_goes_on_after_ibus_has_been_restarted() {
    let mut session = ibus::session(true);
    let mut daemon = dictating(&mut session);
    session.kill_program("ibus-daemon", "-KILL");
    ibus::start_daemon(&mut session);
    let mut window = session.window("gtk3.py");
    stop(&session);
    start(&session);
    wait_for_method(&session, "ibus-engine");
    daemon.say(1, "Here again.");
    window.wait_for_text("view", "Here again.");
}

#[test]
#[ignore = "needs sway"]
fn dictation_goes_on_after_the_compositor_has_been_restarted() {
    let mut session = sway::session();
    let mut daemon = dictating(&mut session);
    session.kill_program("sway", "-TERM");
    sway::start(&mut session);
    let mut window = session.window("gtk3.py");
    sway::focused(&session, "hearken-target");
    stop(&session);
    start(&session);
    daemon.say(1, "Here again.");
    window.wait_for_text("view", "Here again.");
}

#[test]
#[ignore = "needs an X server"]
fn dictation_goes_on_after_the_x_server_has_been_restarted() {
    let mut session = Session::x11();
    session.set("GTK_IM_MODULE", "gtk-im-context-simple");
    let mut daemon = dictating(&mut session);
    session.restart_x11();
    let mut window = session.window("gtk3.py");
    stop(&session);
    start(&session);
    daemon.say(1, "Here again.");
    window.wait_for_text("view", "Here again.");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn the_recogniser_knows_what_stands_before_the_cursor_except_in_passwords() {
    let mut session = ibus::session(true);
    let mut window = session.window("gtk4.py");
    window.set("Dear Ms Łukasik,");
    let mut daemon = dictating(&mut session);
    let told = |daemon: &mut Program, text: &str| {
        daemon.wait_for(&format!("the context {text:?}"), |event| {
            (event["event"] == "set" && event["value"] == text).then_some(())
        });
    };
    told(&mut daemon, "Dear Ms Łukasik,");
    window.focus("secret");
    told(&mut daemon, "");
    window.focus("view");
    told(&mut daemon, "Dear Ms Łukasik,");
    daemon.say(1, "Hello.");
    told(&mut daemon, "Dear Ms Łukasik, Hello.");
}

#[test]
#[ignore = "needs an X server and IBus"]
fn no_dictated_word_is_logged() {
    let mut session = ibus::session(true);
    let mut window = session.window("gtk4.py");
    let mut daemon = dictating(&mut session);
    daemon.say(1, &format!("{WORD} one."));
    window.wait_for_text("view", &format!("{WORD} one."));
    // Text that waits for its field, is kept, and is refused.
    daemon.hear(2, &format!("{WORD} two"), &format!(" {WORD}"));
    window.focus("button");
    daemon.say(2, &format!("{WORD} two."));
    window.focus("secret");
    daemon.say(3, &format!("{WORD} three."));
    session.ask("Undo");
    stop(&session);
    session.ask_with("Again", &["u", "0"]);
    window.focus("button");
    let (_, message) = session.type_text(WORD, &["--method", "paste"]);
    let logs = session.logs() + &message;
    assert!(logs.contains("kept"), "the agent logs: {logs}");
    assert!(!logs.contains(WORD), "{logs}");
    assert!(!logs.to_lowercase().contains(" two"), "{logs}");
}

#[test]
#[ignore = "needs a message bus"]
fn the_published_interface_is_that_of_the_agent() {
    let mut session = Session::new();
    let _daemon = session.program("daemon.py", &[]);
    session.agent();
    let place = [
        "introspect",
        "org.hearken.Desktop1",
        "/org/hearken/Desktop1",
    ];
    let xml = session
        .output(
            "busctl",
            &[&["--user", "--xml-interface"][..], &place].concat(),
        )
        .expect("an object");
    let begin = xml.find("<interface name=\"org.hearken.Desktop1.Dictation\"");
    let rest = &xml[begin.unwrap_or_else(|| panic!("{xml}"))..];
    let live = &rest[..rest.find("</interface>").expect("an end")];
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/dbus/org.hearken.Desktop1.Dictation.xml"
    );
    let published = std::fs::read_to_string(file).expect("a file");
    assert!(
        bare(&published).contains(&bare(live)),
        "{file} should hold:\n{live}"
    );
}

/// The lines without indentation.
fn bare(xml: &str) -> String {
    let lines = xml.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}
