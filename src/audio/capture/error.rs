//! Why there is no sound from a microphone, each told in one line: thing, reason, remedy.

use crate::advice::Advice;
use std::borrow::Cow;
use thiserror::Error;

/// Why a device cannot be listed or opened.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// Neither PulseAudio nor PipeWire can be reached.
    #[error("the sound server cannot be reached: {reason}")]
    NoServer {
        /// What the connection said.
        reason: String,
    },
    /// There is no sound server, and ALSA has no device to take its place.
    #[error(
        "there is no input device: the sound server cannot be reached ({reason}), and ALSA has none"
    )]
    NoServerNorDevice {
        /// What the connection to the sound server said.
        reason: String,
    },
    /// `PULSE_SERVER` names no socket of this machine.
    #[error("PULSE_SERVER names '{servers}', which is no socket on this machine")]
    ForeignServer {
        /// The variable's value.
        servers: String,
    },
    /// The sound server refuses.
    #[error("the sound server refuses to {what}: {reason}")]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        reason: String,
    },
    /// The sound server does not answer.
    #[error("the sound server does not answer")]
    Silent,
    /// There is no device of that name.
    #[error("there is no input device '{wanted}', only {available}")]
    NoSuchDevice {
        /// The name as the user gave it.
        wanted: String,
        /// The names that there are.
        available: String,
    },
    /// There is no input device at all.
    #[error("there is no input device")]
    NoDevice,
    /// ALSA cannot open the device.
    #[error("{device} cannot be opened: {reason}")]
    Alsa {
        /// The device's name.
        device: String,
        /// What ALSA said.
        reason: String,
    },
}

impl Advice for CaptureError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NoServer { .. } => "start PipeWire (with pipewire-pulse) or PulseAudio".into(),
            Self::NoServerNorDevice { .. } => {
                "start PipeWire (with pipewire-pulse) or PulseAudio, or plug in a microphone".into()
            }
            Self::ForeignServer { .. } => "set it to unix:PATH, or unset it".into(),
            Self::Refused { .. } => "check the device with `hearken devices`".into(),
            Self::Silent => "restart it".into(),
            Self::NoSuchDevice { .. } => "see `hearken devices`".into(),
            Self::NoDevice => "plug in a microphone".into(),
            Self::Alsa { .. } => {
                "close what uses it, or choose another of `hearken devices`".into()
            }
        })
    }
}
