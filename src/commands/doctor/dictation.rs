//! What dictation needs besides transcription: a microphone, a session bus and the daemon.

use super::check::{Check, Status, ok};
use crate::advice::Advice;
use crate::audio::capture::{self, CaptureError, Device};
use crate::client::ClientError;
use crate::commands::status;
use serde_json::Value;
use std::borrow::Cow;

/// Checks microphone, bus and daemon. Does not start the daemon.
pub(super) fn checks() -> [Check; 2] {
    [microphone(), daemon()]
}

/// Checks the default microphone.
pub fn microphone() -> Check {
    microphone_of(capture::devices())
}

/// Checks the daemon. Does not start it.
pub fn daemon() -> Check {
    daemon_of(status::running())
}

/// Whether a daemon runs that can transcribe.
#[cfg(feature = "desktop")]
pub fn daemon_runs() -> bool {
    let status = status::running().ok().flatten();
    status.is_some_and(|status| status["state"] == "ready")
}

fn microphone_of(devices: Result<Vec<Device>, CaptureError>) -> Check {
    let name = "microphone";
    let devices = match devices {
        Ok(devices) => devices,
        Err(error) => return failed(name, &error),
    };
    match devices.iter().find(|device| device.is_default) {
        Some(device) if device.is_monitor => Check {
            status: Status::Warn,
            remedy: Some(
                "plug one in, or name it: --device, audio.device in config.toml".to_owned(),
            ),
            ..ok(
                name,
                format!(
                    "the default input only records what an output plays: {}",
                    device.description
                ),
            )
        },
        Some(device) => ok(name, format!("{} ({})", device.description, device.id)),
        None => Check {
            status: Status::Warn,
            remedy: Some(
                "name one: --device, audio.device in config.toml; hearken devices lists them"
                    .to_owned(),
            ),
            ..ok(
                name,
                format!("none of the {} inputs is the default", devices.len()),
            )
        },
    }
}

/// Checks the daemon. `status` is its status as in `hearken status --json`.
fn daemon_of(status: Result<Option<Value>, ClientError>) -> Check {
    let name = "daemon";
    let status = match status {
        Ok(Some(status)) => status,
        Ok(None) => {
            return Check {
                status: Status::Warn,
                remedy: Some("systemctl --user enable --now hearken, or hearken daemon".to_owned()),
                ..ok(
                    name,
                    "the session bus is available, but the daemon is not running",
                )
            };
        }
        Err(error) => return failed(name, &error),
    };
    let field = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
    let version = field("version");
    let message = field("status_message");
    let detail = format!(
        "running, version {version}, model {}: {}",
        field("model"),
        field("state")
    );
    let remedy = if version != env!("CARGO_PKG_VERSION") {
        Some("systemctl --user restart hearken: its version differs from this program's".to_owned())
    } else {
        Some(message.to_owned()).filter(|message| !message.is_empty())
    };
    let status = if remedy.is_some() {
        Status::Warn
    } else {
        Status::Ok
    };
    Check {
        status,
        remedy,
        ..ok(name, detail)
    }
}

/// Turns an error and its remedy into a warning.
fn failed(name: &'static str, error: &dyn Advice) -> Check {
    Check {
        status: Status::Warn,
        remedy: error.remedy().map(Cow::into_owned),
        ..ok(name, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_microphone_is_the_default_input_if_that_is_one() {
        let device = |is_default, is_monitor| Device {
            id: "mic".to_owned(),
            description: "Headset".to_owned(),
            is_default,
            is_monitor,
            rate: 48_000,
            channels: 1,
        };
        let check = |devices: &[Device]| microphone_of(Ok(devices.to_vec()));
        assert_eq!(
            check(&[device(true, false)]),
            ok("microphone", "Headset (mic)")
        );
        assert!(
            check(&[device(true, true)])
                .detail
                .contains("what an output plays")
        );
        assert_eq!(check(&[device(false, false)]).status, Status::Warn);
        let none = microphone_of(Err(CaptureError::NoDevice));
        assert_eq!(
            (none.detail.as_str(), none.remedy.as_deref()),
            ("no input device found", Some("plug in a microphone"))
        );
    }

    #[test]
    fn the_daemon_should_run_this_version_with_a_model() {
        let status = |version: &str, state: &str, message: &str| {
            daemon_of(Ok(Some(
                json!({"version": version, "state": state, "model": "base", "status_message": message}),
            )))
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            status(version, "ready", ""),
            ok(
                "daemon",
                format!("running, version {version}, model base: ready")
            )
        );
        assert_eq!(
            status(version, "missing", "fetch it").remedy.as_deref(),
            Some("fetch it")
        );
        assert!(
            status("0.0.0", "ready", "")
                .remedy
                .is_some_and(|remedy| remedy.contains("restart"))
        );
        assert!(
            daemon_of(Ok(None))
                .remedy
                .is_some_and(|remedy| remedy.contains("hearken daemon"))
        );
        assert_eq!(daemon_of(Err(ClientError::NoDaemon)).status, Status::Warn);
    }
}
