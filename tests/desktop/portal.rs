//! Hotkeys: the portal with the traps that desktops have, and the grab of the X server.

use crate::session::{IDLE, LISTENING, Program, Session, wait_for};
use std::time::{Duration, Instant};

/// Agent, daemon and portal. The portal answers BindShortcuts with `response`.
fn session(mode: &str, response: &str) -> (Session, Program, Program) {
    let mut session = Session::new();
    session.configure(&format!(
        "[hotkey]\nvia = \"portal\"\nmode = \"{mode}\"\nsilence = 2.0\n"
    ));
    session.set("RESPONSE", response);
    let mut portal = session.program("portal.py", &[]);
    let daemon = session.program("daemon.py", &[]);
    session.agent();
    bound(&mut portal);
    (session, portal, daemon)
}

/// Waits until the agent has bound its shortcuts; the application is registered before.
fn bound(portal: &mut Program) {
    let shortcuts = portal.wait_for("bound shortcuts", |event| {
        (event["name"] == "BindShortcuts").then(|| event["arguments"][1].clone())
    });
    let names: Vec<_> = shortcuts
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it[0])
        .collect();
    assert_eq!(names, ["dictate", "cancel", "undo"]);
    let calls: Vec<_> = portal
        .seen
        .iter()
        .filter(|event| event["event"] == "call")
        .collect();
    assert_eq!(calls[0]["name"], "Register");
    assert_eq!(calls[0]["arguments"][0], "org.hearken.Hearken");
}

#[test]
#[ignore = "needs a message bus"]
fn a_held_key_dictates_although_desktops_repeat_it_and_answer_that_it_failed() {
    for response in ["0", "2"] {
        let (session, mut portal, _daemon) = session("hold", response);
        portal.tell("press dictate");
        session.wait_for_state(LISTENING);
        for _ in 0..20 {
            portal.tell("press dictate");
        }
        session.wait_for_state(LISTENING);
        portal.tell("release dictate");
        session.wait_for_state(IDLE);
    }
}

#[test]
#[ignore = "needs a message bus"]
fn a_refusal_binds_nothing() {
    let (session, mut portal, _daemon) = session("hold", "1");
    wait_for("the refusal", || {
        session.logs().contains("not granted").then_some(())
    });
    portal.tell("press dictate");
    session.wait_for_state(IDLE);
}

#[test]
#[ignore = "needs a message bus"]
fn a_lost_release_leaves_no_microphone_open() {
    let (mut session, mut portal, mut daemon) = session("hold", "0");
    portal.tell("press dictate");
    session.wait_for_state(LISTENING);
    // Nobody speaks.
    session.wait_for_state(IDLE);
    portal.tell("press dictate");
    session.wait_for_state(LISTENING);
    daemon.hear(1, "", "speech");
    // The portal ends, and takes the release with it.
    portal.close();
    session.wait_for_state(IDLE);
    let mut portal = session.program("portal.py", &[]);
    bound(&mut portal);
    portal.tell("press dictate");
    session.wait_for_state(LISTENING);
    portal.tell("release dictate");
    session.wait_for_state(IDLE);
}

#[test]
#[ignore = "needs an X server"]
fn a_grabbed_key_dictates_while_it_is_held() {
    let mut session = Session::x11();
    session.configure("[hotkey]\nvia = \"x11\"\nkeys = \"CTRL+F9\"\nmode = \"hold\"\n");
    let _daemon = session.program("daemon.py", &[]);
    session.agent();
    for round in 0..2 {
        wait_for("dictation", || {
            session.output("xdotool", &["keydown", "ctrl", "keydown", "F9"])?;
            let pressed = Instant::now();
            while pressed.elapsed() < Duration::from_secs(2) {
                if session.property("State")? == format!("u {LISTENING}") {
                    return Some(());
                }
            }
            // The key is grabbed anew from some time on.
            session.output("xdotool", &["keyup", "F9", "keyup", "ctrl"])?;
            None
        });
        session
            .output("xdotool", &["keyup", "F9", "keyup", "ctrl"])
            .expect("keys");
        session.wait_for_state(IDLE);
        if round == 0 {
            session.restart_x11();
        }
    }
}
