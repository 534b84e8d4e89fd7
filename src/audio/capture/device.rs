//! Input devices and how users name them.

use super::error::CaptureError;

/// Name of the device that records what the default output plays, as PulseAudio's own programs take
/// it.
pub const DEFAULT_MONITOR: &str = "@DEFAULT_MONITOR@";

/// An input device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name in the audio system, the same in every session.
    pub id: String,
    /// Name for users.
    pub description: String,
    /// Whether this device is used if none is named.
    pub is_default: bool,
    /// Whether it records the sound of an output, not a microphone.
    pub is_monitor: bool,
    /// Sample rate in Hz.
    pub rate: u32,
    /// Number of channels.
    pub channels: u16,
}

/// Returns the device that `wanted` names by its id, or else by a part of its description.
pub(super) fn find<'a>(devices: &'a [Device], wanted: &str) -> Result<&'a Device, CaptureError> {
    let lower = wanted.to_lowercase();
    let by_id = devices.iter().find(|device| device.id == wanted);
    let described = || {
        devices
            .iter()
            .find(|device| device.description.to_lowercase().contains(&lower))
    };
    by_id.or_else(described).ok_or_else(|| {
        let names: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        if names.is_empty() {
            CaptureError::NoDevice
        } else {
            CaptureError::NoSuchDevice {
                wanted: wanted.to_owned(),
                available: names.join(", "),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_id_first_then_by_description() {
        let device = |id: &str, description: &str| Device {
            id: id.to_owned(),
            description: description.to_owned(),
            is_default: false,
            is_monitor: false,
            rate: 48_000,
            channels: 2,
        };
        let devices = [
            device("a.monitor", "Monitor of usb"),
            device("usb", "Blue Yeti"),
        ];
        let found = |wanted| find(&devices, wanted).map(|device| device.id.as_str());
        assert_eq!(found("usb").ok(), Some("usb"));
        assert_eq!(found("yeti").ok(), Some("usb"));
        let error = found("sennheiser").expect_err("no such device").to_string();
        assert!(error.contains("a.monitor, usb"), "{error}");
        assert!(matches!(find(&[], "usb"), Err(CaptureError::NoDevice)));
    }
}
