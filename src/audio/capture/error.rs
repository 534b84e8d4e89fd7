//! Why there is no sound from a microphone, each told in one line: thing, reason, remedy.

use thiserror::Error;

/// Why a device cannot be listed or opened.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// Neither PulseAudio nor PipeWire can be reached.
    #[error("the sound server cannot be reached: {reason}; start PipeWire (with pipewire-pulse) or PulseAudio")]
    NoServer {
        /// What the connection said.
        reason: String,
    },
    /// The sound server refuses.
    #[error("the sound server refuses to {what}: {reason}; check the device with `hearken devices`")]
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
    #[error("{device} cannot be opened: {reason}; another program may be using it")]
    Alsa {
        /// The device's name.
        device: String,
        /// What ALSA said.
        reason: String,
    },
}
