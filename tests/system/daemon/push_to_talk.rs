//! A key is held while somebody speaks: start and stop follow closely, and text belongs at the cursor.

use super::{PYTHON, event, is};
use crate::desktop::{Desktop, Followed, words};
use crate::support::jfk;
use std::time::{Duration, Instant};

/// The first words of the sample up to their last sound: "And so, my fellow Americans".
fn first_words() -> Vec<f32> {
    jfk()[..36_800].to_vec()
}

/// Later ones: "what your country can do for you".
fn second_words() -> Vec<f32> {
    jfk()[84_000..122_400].to_vec()
}

/// Most time from the end of a key press to the final text: far more than it takes, since other tests
/// use the machine, too.
const MOST: Duration = Duration::from_secs(4);

fn standby(desktop: &Desktop) -> Followed {
    let listen = ["listen", "--standby", "--json", "--language", "en"];
    let session = desktop.follow(desktop.hearken().args(listen));
    desktop.wait_for("session", |desktop| {
        desktop.status()["sessions"][0].is_object().then_some(())
    });
    session
}

/// Runs a command on the newest session, which does not refuse it.
fn press(desktop: &Desktop, command: &str) {
    let output = desktop.output_of(desktop.hearken().arg(command));
    assert!(output.status.success(), "{command}: {output:?}");
}

fn wait_for_state(session: &mut Followed, state: u64) {
    session.wait_for("state", |line| {
        (event(line)["state"] == state).then_some(())
    });
}

/// Waits for the next final; returns its words.
fn next_final(session: &mut Followed) -> Vec<String> {
    session.wait_for("final", |line| {
        let event = event(line);
        is(&event, "final").then(|| words(event["text"].as_str().unwrap_or_default()))
    })
}

#[test]
fn the_last_word_is_there_soon_when_the_key_is_let_go_on_it() {
    let desktop = Desktop::new();
    let mut session = standby(&desktop);
    for (spoken, text) in [
        (first_words(), "and so my fellow americans"),
        (second_words(), "what your country can do for you"),
    ] {
        press(&desktop, "start");
        wait_for_state(&mut session, 3);
        let mut playing = desktop.play(&spoken);
        assert!(playing.0.wait().expect("paplay").success());
        let stopped = Instant::now();
        press(&desktop, "stop");
        assert_eq!(next_final(&mut session), words(text));
        assert!(stopped.elapsed() < MOST, "{:?}", stopped.elapsed());
        wait_for_state(&mut session, 1);
    }
}

#[test]
fn what_is_said_next_follows_while_earlier_speech_is_still_transcribed() {
    let desktop = Desktop::new();
    let mut session = standby(&desktop);
    press(&desktop, "toggle");
    wait_for_state(&mut session, 3);
    let mut playing = desktop.play(&first_words());
    assert!(playing.0.wait().expect("paplay").success());
    // Stopped, started, stopped and started again, as fast as the bus allows.
    for command in ["toggle", "toggle", "stop", "start"] {
        press(&desktop, command);
    }
    let mut playing = desktop.play(&second_words());
    assert!(playing.0.wait().expect("paplay").success());
    press(&desktop, "toggle");
    assert_eq!(
        next_final(&mut session),
        words("and so my fellow americans")
    );
    assert_eq!(
        next_final(&mut session),
        words("what your country can do for you")
    );
    wait_for_state(&mut session, 1);
    let states: Vec<u64> = session
        .seen
        .iter()
        .filter_map(|line| event(line)["state"].as_u64())
        .collect();
    assert_eq!(states.last(), Some(&1), "{states:?}");
}

#[test]
fn with_pre_capture_words_before_the_start_are_heard_too_and_none_twice() {
    let mut desktop = Desktop::with_model();
    desktop.configure("[audio]\npre_capture = 20\nreach_back = 3\n");
    desktop.start_daemon();
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    let mut session = standby(&desktop);
    let mut playing = desktop.play(&first_words());
    std::thread::sleep(Duration::from_millis(900));
    press(&desktop, "start");
    assert!(playing.0.wait().expect("paplay").success());
    for command in ["stop", "start"] {
        press(&desktop, command);
    }
    let mut playing = desktop.play(&second_words());
    assert!(playing.0.wait().expect("paplay").success());
    press(&desktop, "stop");
    for text in [
        "and so my fellow americans",
        "what your country can do for you",
    ] {
        assert_eq!(next_final(&mut session), words(text));
    }
}

/// Listens with levels and a text before the cursor, as a client in Python. Prints what others get to
/// see of the text, then levels, then the final text.
const CLIENT: &str = r#"
import os
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
other = Gio.DBusConnection.new_for_address_sync(os.environ["DBUS_SESSION_BUS_ADDRESS"],
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
SESSION, PROPERTIES = NAME + ".Session", "org.freedesktop.DBus.Properties"
def call(path, interface, method, args=None, bus=bus):
    try:
        return bus.call_sync(NAME, path, interface, method, args, None, 0, 10000, None).unpack()
    except GLib.Error as error:
        return Gio.DBusError.get_remote_error(error).removeprefix(NAME + ".")
v = GLib.Variant
path, = call(ROOT, NAME + ".Manager", "CreateSession", v("(a{sv})", ({"language": v("s", "en"), "levels": v("b", True)},)))
text = "And so, my fellow Americans, ask not"
heard = []
for connection in bus, other:
    connection.signal_subscribe(NAME, None, None, path, None, 0, lambda c, s, p, i, name, a: heard.append((c is bus, name, a.unpack())))
print(call(path, PROPERTIES, "Set", v("(ssv)", (SESSION, "Context", v("s", text)))) == (), flush=True)
print(call(path, PROPERTIES, "Get", v("(ss)", (SESSION, "Context"))) == (text,), flush=True)
print(call(path, PROPERTIES, "Set", v("(ssv)", (SESSION, "Context", v("s", "x"))), other), flush=True)
print(call(path, PROPERTIES, "Get", v("(ss)", (SESSION, "Context")), other), flush=True)
print("Context" in call(path, PROPERTIES, "GetAll", v("(s)", (SESSION,)))[0], flush=True)
print("Context" in call(path, PROPERTIES, "GetAll", v("(s)", (SESSION,)), other)[0], flush=True)
call(path, SESSION, "Start")
loop = GLib.MainLoop()
def look():
    finals = [a[2] for own, name, a in heard if own and name == "Final"]
    if finals:
        levels = [a for own, name, a in heard if own and name == "Level"]
        seconds = call(path, PROPERTIES, "Get", v("(ss)", (SESSION, "Metrics")))[0]["audio"]
        print("levels", 12 < len(levels) / seconds < 18, any(s for _, s in levels), not all(s for _, s in levels),
            max(l for l, _ in levels) > -30, min(l for l, _ in levels) < -45, flush=True)
        print("others", any(not own and name in ("Level", "Partial", "Final") for own, name, _ in heard),
            any(text in str(a) for own, name, a in heard if name == "PropertiesChanged"), flush=True)
        print(finals[0], flush=True)
        loop.quit()
    return True
GLib.timeout_add(100, look)
loop.run()
"#;

#[test]
fn the_owner_alone_sees_levels_and_sets_the_text_that_speech_continues() {
    let desktop = Desktop::new();
    let mut client = desktop.follow(desktop.command(PYTHON).args(["-u", "-c", CLIENT]));
    desktop.wait_for("the microphone", |desktop| {
        desktop.is_recording().then_some(())
    });
    let mut spoken = second_words();
    spoken.extend(vec![0.0; 32_000]);
    let _playing = desktop.play(&spoken);
    client.wait_for("levels", |line| line.starts_with("levels").then_some(()));
    client.wait_for("the text", |line| {
        (words(line) == words("what your country can do for you")).then_some(())
    });
    let expected = [
        "True",
        "True",
        "Error.NotOwner",
        "Error.NotOwner",
        "True",
        "False",
        "levels True True True True True",
        "others False False",
    ];
    assert_eq!(client.seen[..expected.len()], expected);
    let text = client.seen.last().expect("a text");
    assert!(text.starts_with("what"), "the sentence continues: {text}");
}
