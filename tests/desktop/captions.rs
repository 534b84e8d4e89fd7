//! Captions are seen, and neither the focus nor clicks go to them: under Xvfb and headless sway.

use crate::presence::Desk;
use crate::session::{Program, Session, wait_for};
use crate::sway;
use std::process::{Command, Stdio};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat};

const CONFIG: &str = "[captions]\ncolour = \"#00ff00\"\ninterim_colour = \"#ff0000\"\nbackground = \"#0000ff\"\n\
    width = 600\n";
const WIDTH: usize = 800;
const HEIGHT: usize = 600;

/// A screen of 800 by 600 pixels: red, green and blue of each.
struct Screenshot(Vec<[u8; 3]>);

impl Screenshot {
    /// Number of pixels of a colour, in the rows of the caption and elsewhere.
    fn count(&self, colour: [u8; 3]) -> (usize, usize) {
        let lower = HEIGHT * 3 / 4 * WIDTH;
        let count = |pixels: &[[u8; 3]]| pixels.iter().filter(|pixel| **pixel == colour).count();
        (count(&self.0[lower..]), count(&self.0[..lower]))
    }

    /// Committed text, interim text and their ground, where they belong and nowhere else.
    fn has(&self, n_committed: usize, n_interim: usize) -> bool {
        let (green, stray) = self.count([0, 255, 0]);
        let (red, _) = self.count([255, 0, 0]);
        let (blue, _) = self.count([0, 0, 255]);
        green >= n_committed && red >= n_interim && blue > 10_000 && stray == 0
    }

    fn is_clear(&self) -> bool {
        self.count([0, 0, 255]) == (0, 0)
    }
}

fn of_x11(session: &Session) -> Screenshot {
    let display = session.variable("DISPLAY");
    let (connection, number) = x11rb::connect(Some(&display)).expect("the X server");
    let root = connection.setup().roots[number].root;
    let (width, height) = (WIDTH as u16, HEIGHT as u16);
    let image = connection
        .get_image(ImageFormat::Z_PIXMAP, root, 0, 0, width, height, !0)
        .expect("a request")
        .reply()
        .expect("a picture");
    let pixels = image.data.chunks_exact(4);
    Screenshot(pixels.map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect())
}

fn of_sway(session: &Session) -> Screenshot {
    let mut grim = session.command("grim");
    let output = grim.args(["-t", "ppm", "-"]).output().expect("grim");
    assert!(output.status.success());
    let n_bytes = WIDTH * HEIGHT * 3;
    // The header is three short lines.
    let pixels = &output.stdout[output.stdout.len() - n_bytes..];
    Screenshot(
        pixels
            .chunks_exact(3)
            .map(|pixel| [pixel[0], pixel[1], pixel[2]])
            .collect(),
    )
}

fn waits_until(
    what: &str,
    session: &Session,
    shot: fn(&Session) -> Screenshot,
    done: impl Fn(&Screenshot) -> bool,
) {
    wait_for(what, || done(&shot(session)).then_some(()));
}

/// Shows captions over a window that has the focus, and types meanwhile.
fn shows_words_and_leaves_the_focus(
    mut desk: Desk,
    mut window: Program,
    shot: fn(&Session) -> Screenshot,
    type_keys: &[&str],
) {
    let mut command = desk.session.hearken();
    let mut captions = command
        .arg("captions")
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    let options = desk.expect_call("CreateSession");
    assert_eq!(options[0]["device"], "@DEFAULT_MONITOR@", "{options}");
    desk.expect_call("Start");
    waits_until("an empty screen", &desk.session, shot, Screenshot::is_clear);
    desk.tell("partial Ask not what your country| can do for you");
    waits_until("the caption", &desk.session, shot, |shot| {
        shot.has(300, 200)
    });
    let (program, arguments) = type_keys.split_first().expect("a program");
    desk.session.output(program, arguments).expect("keys");
    window.wait_for_text("view", "typed meanwhile");
    desk.tell("final Ask not what your country can do for you.");
    waits_until("committed words alone", &desk.session, shot, |shot| {
        shot.has(600, 0) && shot.count([255, 0, 0]).0 == 0
    });
    Command::new("kill")
        .args(["-INT", &captions.id().to_string()])
        .status()
        .expect("a signal");
    assert!(captions.wait().expect("the program").success());
    waits_until("a clear screen", &desk.session, shot, Screenshot::is_clear);
}

#[test]
#[ignore = "needs an X server"]
fn captions_on_x11_leave_the_focus() {
    let mut session = Session::x11();
    session.set("GTK_IM_MODULE", "gtk-im-context-simple");
    let mut desk = Desk::on(session, CONFIG, &["daemon"]);
    let window = desk.session.window("gtk3.py");
    let keys = ["xdotool", "type", "--delay", "30", "typed meanwhile"];
    shows_words_and_leaves_the_focus(desk, window, of_x11, &keys);
}

#[test]
#[ignore = "needs sway"]
fn captions_on_a_layer_leave_the_focus() {
    let mut desk = Desk::on(sway::session(), CONFIG, &["daemon"]);
    let window = desk.session.window("gtk3.py");
    sway::focused(&desk.session, "hearken-target");
    let keys = ["wtype", "typed meanwhile"];
    shows_words_and_leaves_the_focus(desk, window, of_sway, &keys);
}

#[test]
#[ignore = "needs a message bus"]
fn captions_without_a_screen_say_what_is_missing() {
    let session = Session::new();
    let output = session
        .hearken()
        .arg("captions")
        .stderr(Stdio::piped())
        .output();
    let output = output.expect("the program");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(12), "{message}");
    assert!(message.contains("WAYLAND_DISPLAY"), "{message}");
}
