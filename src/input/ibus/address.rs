//! Where IBus's bus is.

use std::env;
use std::fs;
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// Variable that overrides the files.
const VARIABLE: &str = "IBUS_ADDRESS";

/// Returns the addresses to try, the likeliest first. The daemon writes a file for each display.
pub fn candidates() -> Vec<String> {
    if let Ok(address) = env::var(VARIABLE) {
        return vec![address];
    }
    let names = ["WAYLAND_DISPLAY", "DISPLAY"].map(|variable| env::var(variable).ok());
    let suffixes = names.iter().flatten().filter_map(|display| suffix(display));
    let (Some(directory), Some(machine)) = (directory(), machine_id()) else {
        return Vec::new();
    };
    let files = suffixes.map(|suffix| directory.join(format!("{machine}-{suffix}")));
    files
        .filter_map(|file| address_in(&fs::read_to_string(file).ok()?))
        .collect()
}

fn directory() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("ibus/bus"))
}

fn machine_id() -> Option<String> {
    let files = ["/var/lib/dbus/machine-id", "/etc/machine-id"];
    let id = files
        .iter()
        .find_map(|file| fs::read_to_string(file).ok())?;
    Some(id.trim().to_owned())
}

/// Returns host and number of a display as they stand in the file's name: `unix-0` for `:0.0`.
fn suffix(display: &str) -> Option<String> {
    let Some((host, number)) = display.rsplit_once(':') else {
        return Some(format!("unix-{display}"));
    };
    let host = if host.is_empty() { "unix" } else { host };
    let number = number.split('.').next()?;
    Some(format!("{host}-{number}"))
}

fn address_in(file: &str) -> Option<String> {
    let mut lines = file.lines();
    let address = lines.find_map(|line| line.strip_prefix("IBUS_ADDRESS="))?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_name_their_files() {
        assert_eq!(suffix(":0").as_deref(), Some("unix-0"));
        assert_eq!(suffix(":10.0").as_deref(), Some("unix-10"));
        assert_eq!(suffix("localhost:11.0").as_deref(), Some("localhost-11"));
        assert_eq!(suffix("wayland-0").as_deref(), Some("unix-wayland-0"));
    }

    #[test]
    fn the_file_holds_the_address() {
        let file = "# comment\nIBUS_ADDRESS=unix:path=/run/ibus,guid=1\nIBUS_DAEMON_PID=7\n";
        assert_eq!(
            address_in(file).as_deref(),
            Some("unix:path=/run/ibus,guid=1")
        );
        assert_eq!(address_in(""), None);
    }
}
