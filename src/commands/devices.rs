//! `hearken devices`: lists the input devices. This needs no daemon.

use super::error::{Error, exit};
use crate::audio::capture::{self, Device};
use crate::output::print;
use serde_json::json;

/// Lists the input devices. Returns the exit code.
///
/// # Errors
/// Returns an error if there is neither a sound server nor a device, or if standard output cannot be
/// written.
pub fn devices(as_json: bool) -> Result<u8, Error> {
    let devices = capture::devices()?;
    let lines = devices.iter().map(if as_json { to_json } else { to_line });
    print(&lines.collect::<String>())?;
    Ok(exit::SUCCESS)
}

fn to_line(device: &Device) -> String {
    let mark = if device.is_default { '*' } else { ' ' };
    format!(
        "{mark} {}  {} ({} Hz, {} channels)\n",
        device.id, device.description, device.rate, device.channels
    )
}

fn to_json(device: &Device) -> String {
    let Device {
        id,
        description,
        is_default,
        is_monitor,
        rate,
        channels,
    } = device;
    let object = json!({
        "id": id,
        "description": description,
        "default": is_default,
        "monitor": is_monitor,
        "rate": rate,
        "channels": channels,
    });
    format!("{object}\n")
}
