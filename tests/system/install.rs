//! What `make install` puts in place: the bus starts the daemon from it, and systemd understands
//! the unit.

use crate::desktop::{Desktop, Running, signal};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn install(prefix: &Path) {
    let make = Command::new("make")
        .args(["--no-print-directory", "install"])
        .arg(format!("PREFIX={}", prefix.display()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("make");
    assert!(
        make.status.success(),
        "{}",
        String::from_utf8_lossy(&make.stderr)
    );
}

#[test]
fn the_bus_starts_the_installed_daemon_on_demand() {
    let prefix = tempfile::tempdir().expect("a directory");
    install(prefix.path());
    let share = prefix.path().join("share");
    links_hold(&share.join("doc/hearken"));
    let desktop = Desktop::with_data_dir(&share);
    let status = desktop.output_of(desktop.hearken().arg("status"));
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
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
    let pid = String::from_utf8_lossy(&pid.stdout)
        .trim()
        .trim_start_matches("u ")
        .to_owned();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).expect("a process");
    assert_eq!(
        program,
        prefix
            .path()
            .join("bin/hearken")
            .canonicalize()
            .expect("installed")
    );
    assert!(
        Command::new("kill")
            .arg(&pid)
            .status()
            .expect("kill")
            .success()
    );
    for interface in ["Manager", "Session", "Job", "Captions"] {
        assert!(
            share
                .join(format!(
                    "dbus-1/interfaces/org.hearken.Hearken1.{interface}.xml"
                ))
                .is_file()
        );
    }
}

/// Checks that what the installed README and the documents beside it link to is installed, too.
fn links_hold(documentation: &Path) {
    let mut pages = vec![documentation.join("README.md")];
    pages.extend(
        std::fs::read_dir(documentation.join("docs"))
            .expect("a directory")
            .map(|e| e.expect("a file").path()),
    );
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("text");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        let dead: Vec<&str> = targets
            .filter(|target| !target.is_empty() && !target.contains("://"))
            .filter(|target| !page.with_file_name(target).exists())
            .collect();
        assert!(dead.is_empty(), "{}: {dead:?}", page.display());
    }
}

#[test]
fn systemd_understands_the_units_and_finds_them_as_closed_as_documented() {
    let prefix = tempfile::tempdir().expect("a directory");
    install(prefix.path());
    for (unit, page) in [
        ("hearken.service", "docs/dbus.md"),
        ("app-org.hearken.Hearken.service", "docs/desktop.md"),
    ] {
        is_as_closed_as_documented(prefix.path(), unit, page);
    }
}

fn is_as_closed_as_documented(prefix: &Path, unit: &str, page: &str) {
    let path = prefix.join("lib/systemd/user").join(unit);
    let analyze = |args: &[&str]| {
        let mut analyze = Command::new("systemd-analyze");
        analyze
            .env("XDG_RUNTIME_DIR", prefix)
            .args(args)
            .arg(&path)
            .output()
            .expect("systemd-analyze")
    };
    let verified = analyze(&["--user", "--man=no", "verify"]);
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!complaints.contains(unit), "{complaints}");
    let security = analyze(&["security", "--offline=yes"]);
    let report = String::from_utf8_lossy(&security.stdout).into_owned();
    let score = report
        .lines()
        .rev()
        .find_map(|line| line.split(&format!("exposure level for {unit}: ")).nth(1));
    let score = score
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_else(|| panic!("{report}"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(
        page.contains(&format!("(`systemd-analyze security`: {score})")),
        "{unit}: the score is {score}"
    );
}

#[test]
fn the_debian_package_installs_starts_and_removes_cleanly() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    for part in ["updates", "info", "triggers"] {
        std::fs::create_dir_all(root.join("var/lib/dpkg").join(part)).expect("a directory");
    }
    for file in ["status", "available"] {
        std::fs::write(root.join("var/lib/dpkg").join(file), "").expect("a file");
    }
    let built = Command::new("packaging/deb")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("sh");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(
        String::from_utf8_lossy(&built.stdout)
            .lines()
            .last()
            .expect("the package's name"),
    );
    let dpkg = |args: &[&str]| {
        let mut dpkg = Command::new("dpkg");
        // A root of its own, without the system's libraries and without the rights to change
        // owners.
        dpkg.arg(format!("--root={}", root.display()))
            .args(["--force-not-root", "--force-depends"]);
        let output = dpkg.args(args).output().expect("dpkg");
        assert!(
            output.status.success(),
            "dpkg {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    dpkg(&["--install", &package.display().to_string()]);
    assert!(dpkg(&["--status", "hearken"]).contains("Status: install ok installed"));
    let unit =
        std::fs::read_to_string(root.join("usr/lib/systemd/user/hearken.service")).expect("a unit");
    assert!(unit.contains("ExecStart=/usr/bin/hearken daemon"), "{unit}");
    links_hold(&root.join("usr/share/doc/hearken"));

    let desktop = Desktop::without_daemon();
    let program = root.join("usr/bin/hearken").display().to_string();
    let _daemon = Running(
        desktop
            .command(&program)
            .arg("daemon")
            .spawn()
            .expect("it starts"),
    );
    desktop.wait_for("the installed daemon", |desktop| {
        desktop
            .output(&program, &["status"])
            .status
            .success()
            .then_some(())
    });

    dpkg(&["--purge", "hearken"]);
    assert!(!root.join("usr").exists(), "something is left in /usr");
}

#[test]
fn the_service_manager_is_told_of_the_start_the_end_and_life_between() {
    let desktop = Desktop::without_daemon();
    let address = desktop.dir.path().join("notify");
    let socket = UnixDatagram::bind(&address).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a limit");
    let mut daemon = desktop.hearken();
    daemon
        .arg("daemon")
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", "600000")
        .env_remove("WATCHDOG_PID");
    let daemon = Running(daemon.spawn().expect("it starts"));
    let told = || {
        let mut buffer = [0; 256];
        let n = socket.recv(&mut buffer).expect("a sign of life in time");
        String::from_utf8_lossy(&buffer[..n]).trim().to_owned()
    };
    // The watchdog may be fed before the daemon is on the bus.
    let ready = std::iter::repeat_with(told)
        .take(10)
        .any(|message| message == "READY=1");
    assert!(ready);
    assert_eq!([told(), told(), told()], ["WATCHDOG=1"; 3]);
    signal(&daemon.0, "TERM");
    assert!(
        std::iter::repeat_with(told)
            .take(10)
            .any(|message| message == "STOPPING=1")
    );
}
