//! Names, numbers and types that daemon and clients share. Both import this file and nothing of
//! each other.

use std::fmt;

/// Well-known name of the daemon.
pub const NAME: &str = "org.hearken.Hearken1";
/// Path of the main object; sessions and jobs are below it.
pub const PATH: &str = "/org/hearken/Hearken1";

/// Names of the signals that carry results.
pub mod signal {
    /// Text of an utterance that is still being spoken (Session, Captions).
    pub const PARTIAL: &str = "Partial";
    /// Text of a finished utterance (Session, Captions).
    pub const FINAL: &str = "Final";
    /// Result of a job.
    pub const FINISHED: &str = "Finished";
}

/// Names of the properties that clients follow.
pub mod property {
    /// Number of a [`super::SessionState`] or [`super::ManagerState`].
    pub const STATE: &str = "State";
    /// Why there is no text; empty if all is well.
    pub const STATUS_MESSAGE: &str = "StatusMessage";
    /// Id of a session's input device.
    pub const DEVICE: &str = "Device";
}

/// Features of this version, for clients that support several.
pub const CAPABILITIES: [&str; 14] = [
    "partials",
    "captions",
    "file-jobs",
    "language-detection",
    "translate",
    "hotwords",
    "replacements",
    "spoken-punctuation",
    "fillers",
    "numbers",
    "pre-capture",
    "context",
    "levels",
    "reach-back",
];

/// A word (`(sddd)`): text, start and end in seconds, confidence from 0 to 1.
pub type WordTuple = (String, f64, f64, f64);

/// A segment of a job's result (`(dds)`): start and end in seconds, text.
pub type SegmentTuple = (f64, f64, String);

/// Path of a session.
pub fn session_path(number: u64) -> String {
    format!("{PATH}/Session/{number}")
}

/// Path of a job.
pub fn job_path(number: u64) -> String {
    format!("{PATH}/Job/{number}")
}

/// Number of the session whose path this is.
pub fn session_number(path: &str) -> Option<u64> {
    let number = path.strip_prefix(PATH)?.strip_prefix("/Session/")?;
    number.parse().ok()
}

/// An enumeration that is a number on the bus and a word for people.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])* $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $number:literal $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant = $number ),+
        }

        impl TryFrom<u32> for $name {
            /// The number, to which a later version of the daemon may have given a meaning.
            type Error = u32;

            fn try_from(number: u32) -> Result<Self, u32> {
                match number {
                    $( $number => Ok(Self::$variant), )+
                    other => Err(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $( Self::$variant => $word ),+
                })
            }
        }
    };
}

wire_enum! {
    /// Whether the daemon can transcribe (`Manager.State`).
    ManagerState {
        /// The model is being loaded.
        Loading = 1 "loading",
        /// The daemon can transcribe.
        Ready = 2 "ready",
        /// The model is not installed; the daemon looks for it until it is.
        Missing = 3 "missing",
        /// The model cannot be used.
        Failed = 4 "failed",
    }
}

wire_enum! {
    /// What a session is doing (`Session.State`).
    SessionState {
        /// The microphone is closed.
        Idle = 1 "idle",
        /// The microphone is being opened.
        Starting = 2 "starting",
        /// The microphone is open.
        Listening = 3 "listening",
        /// There is no sound: the device is lost or suspended, and the session waits for it.
        DeviceLost = 4 "device-lost",
        /// The microphone is closed; the last words are still being transcribed.
        Finishing = 5 "finishing",
    }
}

wire_enum! {
    /// How a job ended (`Job.Finished`).
    JobStatus {
        /// The whole recording was transcribed.
        Done = 1 "done",
        /// The job's owner cancelled it.
        Cancelled = 2 "cancelled",
        /// The job failed.
        Failed = 3 "failed",
    }
}

/// The word for a number on the bus; `unknown` for a number that this version does not know.
pub fn word_for<T: TryFrom<u32> + fmt::Display>(number: u32) -> String {
    T::try_from(number).map_or_else(|_| "unknown".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_stand_for_the_same() {
        assert_eq!(SessionState::try_from(4), Ok(SessionState::DeviceLost));
        assert_eq!(SessionState::DeviceLost as u32, 4);
        assert_eq!(word_for::<SessionState>(4), "device-lost");
        assert_eq!(word_for::<ManagerState>(2), "ready");
        assert_eq!(word_for::<JobStatus>(9), "unknown");
        assert_eq!(JobStatus::try_from(0), Err(0));
    }

    #[test]
    fn paths_lead_back_to_their_numbers() {
        assert_eq!(session_number(&session_path(12)), Some(12));
        assert_eq!(session_number(&job_path(12)), None);
    }
}
