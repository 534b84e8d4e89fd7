//! What can go wrong on the way from a file to samples, each told in one line: thing, reason,
//! remedy.

use crate::advice::Advice;
use std::borrow::Cow;
use std::io;

use thiserror::Error;

/// Why audio could not be read, or not to its end.
#[derive(Debug, Error)]
pub enum AudioError {
    /// No such file.
    #[error("{name}: no such file")]
    NotFound {
        /// The file as the user named it.
        name: String,
    },
    /// A directory where a file was expected.
    #[error("{name}: is a directory, not an audio file")]
    IsDirectory {
        /// The file as the user named it.
        name: String,
    },
    /// The file may not be read by this user.
    #[error("{name}: permission denied")]
    PermissionDenied {
        /// The file as the user named it.
        name: String,
    },
    /// The operating system failed to read.
    #[error("{name}: cannot be read: {source}")]
    Read {
        /// The file as the user named it.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Not a single byte.
    #[error("{name}: is empty (0 bytes)")]
    Empty {
        /// The file as the user named it.
        name: String,
    },
    /// An audio file whose audio is zero samples long.
    #[error("{name}: holds no audio samples")]
    NoSamples {
        /// The file as the user named it.
        name: String,
    },
    /// No known container or stream.
    #[error(
        "{name}: is not audio in a known format (wav, aiff, caf, flac, mp3, aac, ogg, opus, m4a/mp4, mkv/webm)"
    )]
    NotAudio {
        /// The file as the user named it.
        name: String,
    },
    /// A container without an audio track.
    #[error("{name}: has no audio track")]
    NoAudioTrack {
        /// The file as the user named it.
        name: String,
    },
    /// An audio track that no decoder here takes.
    #[error("{name}: its audio codec ({codec}) is not supported")]
    UnsupportedCodec {
        /// The file as the user named it.
        name: String,
        /// The codec's name or number.
        codec: String,
    },
    /// A sample rate that no recording has.
    #[error("{name}: its sample rate of {rate} Hz is outside 1000 to 768000 Hz")]
    UnsupportedRate {
        /// The file as the user named it.
        name: String,
        /// Sample rate in Hz.
        rate: u32,
    },
    /// The stream breaks off or turns to garbage. Everything before was yielded.
    #[error("{name}: damaged at {seconds:.2} s: {reason}")]
    Damaged {
        /// The file as the user named it.
        name: String,
        /// Where the good audio ends, in seconds.
        seconds: f64,
        /// What is wrong there.
        reason: String,
    },
    /// Input that can only be read from disk came through a pipe, and could not be put on disk.
    #[error("{name}: mp4 from a pipe needs a temporary file, which failed: {source}")]
    Spool {
        /// The file as the user named it.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The resampler failed.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

impl Advice for AudioError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::NotFound { .. } => "check the path".into(),
            Self::IsDirectory { .. } => "give the files in it".into(),
            Self::PermissionDenied { .. } => {
                "make it readable (chmod u+r) or run as its owner".into()
            }
            Self::Read { .. } => "check the disk or the pipe it comes from".into(),
            Self::Empty { .. } => "check that the recording or download was completed".into(),
            Self::NoSamples { .. } => "check that the recording was stopped properly".into(),
            Self::NotAudio { .. } => "convert it, for example with ffmpeg -i FILE out.flac".into(),
            Self::NoAudioTrack { .. } => "choose a file with sound".into(),
            Self::UnsupportedCodec { .. } => {
                "convert it, for example with ffmpeg -i FILE out.flac".into()
            }
            Self::UnsupportedRate { .. } => "check how the file was made".into(),
            Self::Damaged { .. } => {
                "what came before was used, fetch or record the file again for the rest".into()
            }
            Self::Spool { .. } => "free some space or give the file by its path".into(),
            Self::Resample(error) => return error.remedy(),
        })
    }
}

/// Why audio could not be brought to 16 kHz.
#[derive(Debug, Error)]
pub enum ResampleError {
    /// The input has no sensible rate.
    #[error("audio at {rate} Hz cannot be resampled to 16 kHz: {source}")]
    Rate {
        /// Sample rate of the input in Hz.
        rate: u32,
        /// What the resampler said.
        source: rubato::ResamplerConstructionError,
    },
    /// A block could not be converted; the text is the resampler's.
    #[error("a block of audio could not be resampled: {0}")]
    Block(String),
}

impl Advice for ResampleError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Rate { .. } => "use a rate between 1 and 768 kHz".into(),
            Self::Block(..) => "please report this".into(),
        })
    }
}

impl AudioError {
    /// The error for `name` that the operating system's `source` stands for.
    pub(super) fn from_io(name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { name },
            io::ErrorKind::IsADirectory => Self::IsDirectory { name },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { name },
            _ => Self::Read { name, source },
        }
    }
}

/// What was amiss in audio that was nevertheless read to its end.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AudioWarning {
    /// Samples that are no numbers, or far beyond any full scale.
    #[error(
        "{name}: {count} samples are not valid numbers, the first at {first_seconds:.2} s; they were replaced by silence"
    )]
    InvalidSamples {
        /// The file as the user named it.
        name: String,
        /// How many.
        count: u64,
        /// Where the first one lies, in seconds.
        first_seconds: f64,
    },
    /// Stretches that could not be decoded.
    #[error(
        "{name}: {count} damaged stretches, the first at {first_seconds:.2} s, could not be decoded; they were replaced by silence"
    )]
    DamagedStretches {
        /// The file as the user named it.
        name: String,
        /// How many.
        count: u64,
        /// Where the first one lies, in seconds.
        first_seconds: f64,
    },
    /// A stream that lacks the mark its format puts at the end.
    #[error(
        "{name}: the stream stops at {seconds:.2} s without its end mark; it may have been cut off there"
    )]
    NoEndMark {
        /// The file as the user named it.
        name: String,
        /// Where it stops, in seconds.
        seconds: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_the_system_are_told_apart() {
        let line = |kind: io::ErrorKind| AudioError::from_io("a.wav", kind.into()).explain();
        assert!(line(io::ErrorKind::NotFound).starts_with("a.wav: no such file; "));
        assert!(line(io::ErrorKind::IsADirectory).starts_with("a.wav: is a directory"));
        assert!(line(io::ErrorKind::PermissionDenied).starts_with("a.wav: permission denied; "));
        assert!(line(io::ErrorKind::TimedOut).starts_with("a.wav: cannot be read: "));
    }
}
