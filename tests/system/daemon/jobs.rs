//! Recordings over the bus.

use super::PYTHON;
use crate::desktop::Desktop;
use crate::support::data;

/// Has a recording transcribed over the bus, and prints progress and result.
pub const FILE_JOB: &str = r#"
import os, sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
loop = GLib.MainLoop()
def finished(bus, sender, path, interface, name, args):
    status, text, details = args
    words = details["words"]
    is_timed = all(0 <= start <= end <= details["duration"] and 0 < sure <= 1 for _, start, end, sure in words)
    is_complete = text and " ".join(word for word, *_ in words) == text and details["segments"][0][2] in text
    print(status, *((details["language"], is_complete, is_timed, text) if text else (details["error"],)))
    loop.quit()
bus.signal_subscribe("org.hearken.Hearken1", "org.hearken.Hearken1.Job", "Finished", None, None, 0, finished)
reader, writer = os.pipe()
fds = Gio.UnixFDList.new_from_array([os.open(sys.argv[1], 0) if len(sys.argv) > 1 else reader])
job, _ = bus.call_with_unix_fd_list_sync("org.hearken.Hearken1", "/org/hearken/Hearken1", "org.hearken.Hearken1.Manager",
    "TranscribeFile", GLib.Variant("(ha{sv})", (0, {})), None, 0, -1, fds)
if len(sys.argv) == 1:
    def cancel():
        bus.call_sync("org.hearken.Hearken1", *job.unpack(), "org.hearken.Hearken1.Job", "Cancel", None, None, 0, -1, None)
    GLib.timeout_add(300, cancel)
loop.run()
"#;

#[test]
fn a_job_whose_pipe_stays_open_can_be_cancelled() {
    let desktop = Desktop::new();
    let job = desktop.output_of(desktop.command(PYTHON).args(["-c", FILE_JOB]));
    assert_eq!(
        String::from_utf8_lossy(&job.stdout).trim(),
        "2",
        "{}",
        String::from_utf8_lossy(&job.stderr)
    );
}

#[test]
fn a_job_that_fails_tells_why_in_words_of_its_client() {
    let desktop = Desktop::new();
    let run = |path: &str| {
        let job = desktop.output_of(desktop.command(PYTHON).args(["-c", FILE_JOB, path]));
        String::from_utf8_lossy(&job.stdout).trim().to_owned()
    };
    assert!(
        run("/dev/null").starts_with("3 the recording: is empty"),
        "{}",
        run("/dev/null")
    );
    assert_eq!(
        run("/"),
        "3 the recording: is a directory, not an audio file; pass the files in it"
    );
}

#[test]
fn a_file_over_the_bus_has_the_text_of_the_command() {
    let desktop = Desktop::new();
    let job = desktop.output_of(
        desktop
            .command(PYTHON)
            .args(["-c", FILE_JOB])
            .arg(data("jfk.flac")),
    );
    let command = desktop.output_of(desktop.hearken().arg("--file").arg(data("jfk.flac")));
    let text = String::from_utf8_lossy(&command.stdout)
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        String::from_utf8_lossy(&job.stdout).trim(),
        format!("1 en True True {text}")
    );
}
