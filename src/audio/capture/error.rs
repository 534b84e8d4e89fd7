//! Why there is no sound from a microphone, each told in one line: thing, reason, remedy.

use thiserror::Error;

/// Why a device cannot be listed or opened.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// Neither PulseAudio nor PipeWire can be reached.
    #[error(
        "the sound server cannot be reached: {reason}; start PipeWire (with pipewire-pulse) or PulseAudio"
    )]
    NoServer {
        /// What the connection said.
        reason: String,
    },
    /// There is no sound server, and ALSA has no device to take its place.
    #[error(
        "there is no input device: the sound server cannot be reached ({reason}), and ALSA has none; start PipeWire \
         (with pipewire-pulse) or PulseAudio, or plug in a microphone"
    )]
    NoServerNorDevice {
        /// What the connection to the sound server said.
        reason: String,
    },
    /// `PULSE_SERVER` names no socket of this machine.
    #[error(
        "PULSE_SERVER names '{servers}', which is no socket on this machine; set it to unix:PATH, or unset it"
    )]
    ForeignServer {
        /// The variable's value.
        servers: String,
    },
    /// The sound server refuses.
    #[error(
        "the sound server refuses to {what}: {reason}; check the device with `hearken devices`"
    )]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        reason: String,
    },
    /// The sound server does not answer.
    #[error("the sound server does not answer; restart it")]
    Silent,
    /// There is no device of that name.
    #[error("there is no input device '{wanted}', only {available}; see `hearken devices`")]
    NoSuchDevice {
        /// The name as the user gave it.
        wanted: String,
        /// The names that there are.
        available: String,
    },
    /// There is no input device at all.
    #[error("there is no input device; plug in a microphone")]
    NoDevice,
    /// ALSA cannot open the device.
    #[error(
        "{device} cannot be opened: {reason}; close what uses it, or choose another of `hearken devices`"
    )]
    Alsa {
        /// The device's name.
        device: String,
        /// What ALSA said.
        reason: String,
    },
}
