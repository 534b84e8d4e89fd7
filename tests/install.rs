//! What `make install` puts in place: the bus starts the daemon from it, and systemd understands the unit.

mod common;

use common::desktop::Desktop;
use std::path::Path;
use std::process::Command;

fn install(prefix: &Path) {
    let make = Command::new("make")
        .args(["--no-print-directory", "install"])
        .arg(format!("PREFIX={}", prefix.display()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("make");
    assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
}

#[test]
fn the_bus_starts_the_installed_daemon_on_demand() {
    let prefix = tempfile::tempdir().expect("a directory");
    install(prefix.path());
    let share = prefix.path().join("share");
    let desktop = Desktop::with_data_dir(&share);
    let status = desktop.output_of(desktop.hearken().arg("status"));
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let pid = desktop.output(
        "busctl",
        &[
            "--user",
            "call",
            "org.freedesktop.DBus",
            "/",
            "org.freedesktop.DBus",
            "GetConnectionUnixProcessID",
            "s",
            "org.hearken.Hearken1",
        ],
    );
    let pid = String::from_utf8_lossy(&pid.stdout).trim().trim_start_matches("u ").to_owned();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).expect("a process");
    assert_eq!(program, prefix.path().join("bin/hearken").canonicalize().expect("installed"));
    assert!(Command::new("kill").arg(&pid).status().expect("kill").success());
    for interface in ["Manager", "Session", "Job", "Captions"] {
        assert!(share.join(format!("dbus-1/interfaces/org.hearken.Hearken1.{interface}.xml")).is_file());
    }
}

#[test]
fn systemd_understands_the_unit_and_finds_it_well_closed() {
    let prefix = tempfile::tempdir().expect("a directory");
    install(prefix.path());
    let unit = prefix.path().join("lib/systemd/user/hearken.service");
    let analyze = |args: &[&str]| {
        let mut analyze = Command::new("systemd-analyze");
        analyze.env("XDG_RUNTIME_DIR", prefix.path()).args(args).arg(&unit).output().expect("systemd-analyze")
    };
    let verified = analyze(&["--user", "--man=no", "verify"]);
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!complaints.contains("hearken.service"), "{complaints}");
    let security = analyze(&["security", "--offline=yes", "--threshold=15"]);
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}
