//! Errors of microphone capture.

use crate::advice::Advice;
use std::borrow::Cow;
use thiserror::Error;

/// Error while listing or opening a device.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// Neither PulseAudio nor PipeWire can be reached.
    #[error("the sound server cannot be reached: {reason}")]
    NoServer {
        /// Error of the connection.
        reason: String,
    },
    /// There is no sound server, and ALSA has no device.
    #[error("no input device: the sound server cannot be reached ({reason}), and ALSA has none")]
    NoServerNorDevice {
        /// Error of the connection to the sound server.
        reason: String,
    },
    /// `PULSE_SERVER` does not name a socket of this machine.
    #[error("PULSE_SERVER is '{servers}', which is not a socket on this machine")]
    ForeignServer {
        /// Value of the variable.
        servers: String,
    },
    /// The sound server refuses a request.
    #[error("the sound server refuses to {what}: {reason}")]
    Refused {
        /// The request.
        what: &'static str,
        /// Reason given by the server.
        reason: String,
    },
    /// The sound server does not answer.
    #[error("the sound server does not answer")]
    Silent,
    /// No device has that name.
    #[error("no input device is named '{wanted}', only {available}")]
    NoSuchDevice {
        /// Name given by the user.
        wanted: String,
        /// Names of the available devices.
        available: String,
    },
    /// There is no input device at all.
    #[error("no input device found")]
    NoDevice,
    /// ALSA cannot open the device.
    #[error("{device} cannot be opened: {reason}")]
    Alsa {
        /// Name of the device.
        device: String,
        /// Reason given by ALSA.
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
                "close the program that uses it, or choose another device from `hearken devices`"
                    .into()
            }
        })
    }
}
