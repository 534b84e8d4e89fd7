//! Fcitx 5 with our addon: text into GTK 3.

use crate::session::{LISTENING, Program, Session, wait_for};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TEXT: &str = "Hällo wörld 漢字.";

/// A session with Fcitx, which has our addon.
fn session() -> Session {
    let mut session = Session::x11();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("make")
        .args(["-s", "fcitx5"])
        .current_dir(root)
        .status();
    assert!(built.expect("make").success());
    let (addons, descriptions) = (session.path("addons"), session.path("share/fcitx5/addon"));
    std::fs::create_dir_all(&descriptions).expect("a directory");
    std::fs::create_dir_all(&addons).expect("a directory");
    let copy = |from: &str, to: &Path| {
        std::fs::copy(root.join(from), to).unwrap_or_else(|e| panic!("{from}: {e}"));
    };
    copy("target/fcitx5/libhearken.so", &addons.join("libhearken.so"));
    copy(
        "packaging/fcitx5/hearken.conf",
        &descriptions.join("hearken.conf"),
    );
    let own = Command::new("pkg-config")
        .args(["--variable=libdir", "Fcitx5Core"])
        .output();
    let own = String::from_utf8(own.expect("pkg-config").stdout).expect("UTF-8");
    let addons = format!("{}:{}/fcitx5", addons.display(), own.trim());
    session.set("FCITX_ADDON_DIRS", &addons);
    session.set("GTK_IM_MODULE", "fcitx");
    session.set("XMODIFIERS", "@im=fcitx");
    start_fcitx(&mut session);
    session
}

fn start_fcitx(session: &mut Session) {
    let mut fcitx = session.command("fcitx5");
    session.start(&mut fcitx);
    for name in ["org.hearken.Fcitx1", "org.freedesktop.portal.Fcitx"] {
        wait_for(name, || {
            session.output("busctl", &["--user", "status", name])
        });
    }
}

/// Opens a window that Fcitx serves. On a busy machine GTK may give up before Fcitx answers, and does not
/// ask again.
fn window_with_fcitx(session: &mut Session) -> Program {
    for _ in 0..5 {
        let window = session.window("gtk3.py");
        // GTK connects to Fcitx some time after its window is there.
        for _ in 0..50 {
            if session.type_text("", &["--method", "fcitx"]).0 == Some(0) {
                return window;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        window.close();
    }
    panic!("GTK does not connect to Fcitx");
}

fn types(session: &Session, text: &str, more: &[&str]) {
    let (code, message) = session.type_text(text, &[&["--method", "fcitx"], more].concat());
    assert_eq!(code, Some(0), "{message}");
}

#[test]
#[ignore = "needs an X server and Fcitx 5"]
fn text_reaches_gtk_3_and_no_password() {
    let mut session = session();
    let mut window = window_with_fcitx(&mut session);
    types(&session, TEXT, &["--verify"]);
    window.wait_for_text("view", TEXT);
    window.focus("second");
    types(&session, "Second.", &["--verify"]);
    window.wait_for_text("second", "Second.");
    window.focus("secret");
    let (code, message) = session.type_text("never", &[]);
    assert_eq!(code, Some(12), "{message}");
    assert_eq!(window.text("secret"), "");
}

#[test]
#[ignore = "needs an X server and Fcitx 5"]
fn interim_text_is_shown_and_goes_with_the_focus_or_the_agent() {
    let mut session = session();
    let mut window = window_with_fcitx(&mut session);
    let mut daemon = session.program("daemon.py", &[]);
    let agent = session.agent();
    session.ask("Start");
    session.wait_for_state(LISTENING);
    daemon.hear(1, "One", " two");
    window.wait_for_interim("view", " two");
    window.focus("second");
    window.wait_for_interim("view", "");
    window.focus("view");
    daemon.say(1, "One two three.");
    window.wait_for_text("view", "One two three.");
    session.ask("Undo");
    window.wait_for_text("view", "");
    daemon.hear(2, "", "interim");
    window.wait_for_interim("view", "interim");
    session.kill(agent, "-KILL");
    window.wait_for_interim("view", "");
    window.close();
    // The addon serves others again, also after Fcitx has been restarted.
    session.agent();
    session.kill_program("fcitx5", "-TERM");
    start_fcitx(&mut session);
    session.ask("Start");
    session.wait_for_state(LISTENING);
    let mut window = session.window("gtk3.py");
    wait_for("the input method", || {
        (session.property("Method")? == "s \"fcitx\"").then_some(())
    });
    daemon.say(3, "Here again.");
    window.wait_for_text("view", "Here again.");
}
