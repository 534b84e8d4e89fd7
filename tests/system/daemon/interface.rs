//! The interfaces: what is published, and what wrong calls are answered.

use super::{PYTHON, event};
use crate::desktop::Desktop;
use crate::support::data;

/// Calls every method wrongly, as a client in Python, and prints the names of the errors.
const WRONG_CALLS: &str = r#"
import os, sys
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
other = Gio.DBusConnection.new_for_address_sync(os.environ["DBUS_SESSION_BUS_ADDRESS"],
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
def call(path, interface, method, args=None, fds=None, bus=bus):
    try:
        reply, _ = bus.call_with_unix_fd_list_sync(NAME, path, f"{NAME}.{interface}", method, args, None, 0, 10000, fds)
        print(method, "ok", flush=True)
        return reply.unpack()
    except GLib.Error as error:
        print(method, Gio.DBusError.get_remote_error(error).removeprefix(NAME + "."), flush=True)
s, v = GLib.Variant, lambda **options: GLib.Variant("(a{sv})", (options,))
call(ROOT, "Manager", "CreateSession", v(langauge=s("s", "de")))
call(ROOT, "Manager", "CreateSession", v(language=s("s", "Klingon")))
call(ROOT, "Manager", "CreateSession", s("(s)", ("x",)))
call(ROOT + "/Nothing", "Manager", "ListDevices")
call(ROOT, "Nothing", "ListModels")
call(ROOT, "Manager", "TranscribeFile", s("(ha{sv})", (0, {"step": s("s", "x")})), Gio.UnixFDList.new_from_array([os.open("/dev/null", 0)]))
open(os.path.join(os.environ["XDG_CONFIG_HOME"], "hearken/config.toml"), "w").write("[audoi]\n")
call(ROOT, "Manager", "Reload")
call(ROOT, "Manager", "Nonsense")
call(ROOT, "Manager", "TranscribeLast", s("(da{sv})", (0, {})))
call(ROOT, "Manager", "TranscribeLast", s("(da{sv})", (9, {})))
for method in "Start", "Stop", "Cancel", "Toggle":
    call(ROOT + "/Session/99", "Session", method)
path, = call(ROOT, "Manager", "CreateSession", v())
call(path, "Session", "Start")
call(path, "Session", "Stop")
call(path, "Session", "Start")
call(path, "Session", "Toggle")
call(path, "Session", "Toggle")
call(path, "Session", "Close", bus=other)
call(path, "Session", "Close")
GLib.timeout_add(500, lambda: (call(path, "Session", "Start"), loop.quit())[1])
loop = GLib.MainLoop(); loop.run()
fd = os.open(sys.argv[1], 0)
job, = call(ROOT, "Manager", "TranscribeFile", s("(ha{sv})", (0, {})), Gio.UnixFDList.new_from_array([fd]))
call(job, "Job", "Cancel", bus=other)
call(job, "Job", "Cancel")
"#;

#[test]
fn wrong_calls_are_answered_with_named_errors() {
    let desktop = Desktop::new();
    std::fs::create_dir_all(desktop.dir.path().join("config/hearken")).expect("a directory");
    let output = desktop.output_of(
        desktop
            .command(PYTHON)
            .args(["-c", WRONG_CALLS])
            .arg(data("jfk.flac")),
    );
    let expected = "\
        CreateSession Error.InvalidOption\nCreateSession Error.InvalidOption\n\
        CreateSession org.freedesktop.DBus.Error.InvalidArgs\nListDevices org.freedesktop.DBus.Error.UnknownObject\n\
        ListModels org.freedesktop.DBus.Error.UnknownInterface\nTranscribeFile Error.InvalidOption\n\
        Reload Error.InvalidConfig\nNonsense org.freedesktop.DBus.Error.UnknownMethod\n\
        TranscribeLast Error.InvalidOption\nTranscribeLast Error.NotEnabled\n\
        Start org.freedesktop.DBus.Error.UnknownObject\nStop org.freedesktop.DBus.Error.UnknownObject\n\
        Cancel org.freedesktop.DBus.Error.UnknownObject\nToggle org.freedesktop.DBus.Error.UnknownObject\n\
        CreateSession ok\nStart ok\nStop ok\nStart ok\nToggle ok\nToggle ok\n\
        Close Error.NotOwner\nClose ok\nStart org.freedesktop.DBus.Error.UnknownObject\nTranscribeFile ok\n\
        Cancel Error.NotOwner\nCancel ok\n";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(desktop.status()["state"] == "ready", "the daemon goes on");
}

/// Prints how a job describes itself while its recording, a pipe, is still to come.
const JOB_XML: &str = r#"
import os
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SESSION)
NAME, ROOT = "org.hearken.Hearken1", "/org/hearken/Hearken1"
reader, writer = os.pipe()
fds = Gio.UnixFDList.new_from_array([reader])
args = GLib.Variant("(ha{sv})", (0, {}))
job, _ = bus.call_with_unix_fd_list_sync(NAME, ROOT, NAME + ".Manager", "TranscribeFile", args, None, 0, -1, fds)
introspectable = "org.freedesktop.DBus.Introspectable"
print(bus.call_sync(NAME, job.unpack()[0], introspectable, "Introspect", None, None, 0, -1, None).unpack()[0])
"#;

#[test]
fn the_published_interfaces_are_those_of_the_daemon() {
    let desktop = Desktop::new();
    let idle = desktop.follow(desktop.hearken().args(["listen", "--standby"]));
    let session = desktop.wait_for("session", |d| {
        d.status()["sessions"][0]["path"]
            .as_str()
            .map(str::to_owned)
    });
    let root = introspect(&desktop, "/org/hearken/Hearken1");
    let session = introspect(&desktop, &session);
    let job = desktop
        .output_of(desktop.command(PYTHON).args(["-c", JOB_XML]))
        .stdout;
    let job = String::from_utf8(job).expect("text");
    for (xml, interface) in [
        (&root, "Manager"),
        (&root, "Captions"),
        (&session, "Session"),
        (&job, "Job"),
    ] {
        let live = interface_in(xml, interface);
        let file = format!(
            "{}/packaging/dbus/org.hearken.Hearken1.{interface}.xml",
            env!("CARGO_MANIFEST_DIR")
        );
        let published = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(
            bare(&published).contains(&bare(live)),
            "{file} should hold:\n{live}"
        );
    }
    drop(idle);
}

/// How an object describes itself.
fn introspect(desktop: &Desktop, path: &str) -> String {
    let args = [
        "--user",
        "--xml-interface",
        "introspect",
        "org.hearken.Hearken1",
        path,
    ];
    String::from_utf8(desktop.output("busctl", &args).stdout).expect("text")
}

/// The part that describes an interface.
fn interface_in<'a>(xml: &'a str, interface: &str) -> &'a str {
    let begin = xml.find(&format!(
        "<interface name=\"org.hearken.Hearken1.{interface}\""
    ));
    let rest = &xml[begin.unwrap_or_else(|| panic!("{xml}"))..];
    &rest[..rest.find("</interface>").expect("an end") + "</interface>".len()]
}

/// The lines without indentation.
fn bare(xml: &str) -> String {
    xml.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn devices_are_listed_without_a_daemon() {
    let desktop = Desktop::without_daemon();
    let output = desktop.output_of(desktop.hearken().args(["devices", "--json"]));
    let device = event(String::from_utf8_lossy(&output.stdout).trim());
    assert_eq!(
        (&device["id"], &device["default"], &device["monitor"]),
        (&"speaker.monitor".into(), &true.into(), &true.into())
    );
    let status = desktop.output_of(desktop.hearken().arg("status"));
    assert_eq!(status.status.code(), Some(8));
    assert!(String::from_utf8_lossy(&status.stderr).contains("systemctl --user start hearken"));
}
