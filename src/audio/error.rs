//! Errors between a file and its samples.

use super::identify::BUILT_IN;
use crate::advice::Advice;
use std::borrow::Cow;
use std::io;

use thiserror::Error;

/// Error while reading audio.
#[derive(Debug, Error)]
pub enum AudioError {
    /// No such file.
    #[error("{name}: no such file")]
    NotFound {
        /// File, as the user named it.
        name: String,
    },
    /// A directory instead of a file.
    #[error("{name}: is a directory, not an audio file")]
    IsDirectory {
        /// File, as the user named it.
        name: String,
    },
    /// The user may not read the file.
    #[error("{name}: permission denied")]
    PermissionDenied {
        /// File, as the user named it.
        name: String,
    },
    /// The operating system failed to read the file.
    #[error("{name}: cannot be read: {source}")]
    Read {
        /// File, as the user named it.
        name: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file of zero bytes.
    #[error("{name}: is empty (0 bytes)")]
    Empty {
        /// File, as the user named it.
        name: String,
    },
    /// An audio file whose audio is zero samples long.
    #[error("{name}: holds no audio samples")]
    NoSamples {
        /// File, as the user named it.
        name: String,
    },
    /// Not a known container or stream.
    #[error("{name}: is not audio in a known format ({BUILT_IN}, and what ffmpeg reads)")]
    NotAudio {
        /// File, as the user named it.
        name: String,
    },
    /// A known format that is not audio.
    #[error("{name}: is {what}, not audio")]
    OtherFormat {
        /// File, as the user named it.
        name: String,
        /// Name of the format.
        what: &'static str,
    },
    /// Audio that only ffmpeg reads, which is not installed.
    #[error("{name}: reading {what} needs ffmpeg, which is not installed")]
    NeedsFfmpeg {
        /// File, as the user named it.
        name: String,
        /// Name of the format or codec.
        what: String,
    },
    /// A track that only its publisher's programs can play.
    #[error("{name}: its sound is encrypted")]
    Encrypted {
        /// File, as the user named it.
        name: String,
    },
    /// Audio that only ffmpeg reads, which failed.
    #[error("{name}: ffmpeg, which reads {what}, failed: {reason}")]
    Ffmpeg {
        /// File, as the user named it.
        name: String,
        /// Name of the format or codec.
        what: String,
        /// Its message.
        reason: String,
    },
    /// Bytes that are no sound, or sound in a format that is not the one stated.
    #[error("{name}: decodes to noise from end to end, as if its stated format were wrong")]
    Garbage {
        /// File, as the user named it.
        name: String,
    },
    /// A track that does not exist.
    #[error("{name}: has no track {wanted}, its last is {count}")]
    NoSuchTrack {
        /// File, as the user named it.
        name: String,
        /// Number asked for, from 1.
        wanted: usize,
        /// Number of tracks with sound.
        count: usize,
    },
    /// A container without an audio track.
    #[error("{name}: has no audio track")]
    NoAudioTrack {
        /// File, as the user named it.
        name: String,
    },
    /// A sample rate that no recording has.
    #[error("{name}: its sample rate of {rate} Hz is outside 1000 to 768000 Hz")]
    UnsupportedRate {
        /// File, as the user named it.
        name: String,
        /// Sample rate in Hz.
        rate: u32,
    },
    /// More channels than can be told apart.
    #[error("{name}: has {count} channels; at most {most} can be transcribed apart")]
    ManyChannels {
        /// File, as the user named it.
        name: String,
        /// Number of channels.
        count: usize,
        /// Most channels that can be told apart.
        most: usize,
    },
    /// Not as many channels as names.
    #[error("{name}: has {count} channels, not {wanted}")]
    ChannelCount {
        /// File, as the user named it.
        name: String,
        /// Number of channels.
        count: usize,
        /// Number of names.
        wanted: usize,
    },
    /// A recording whose number of channels changes, so that it is not known who is on which.
    #[error("{name}: has {to} instead of {from} channels from {seconds:.2} s on")]
    ChannelsChange {
        /// File, as the user named it.
        name: String,
        /// Where they change, in seconds.
        seconds: f64,
        /// Number of channels before.
        from: usize,
        /// Number of channels after.
        to: usize,
    },
    /// The stream is truncated or corrupt. Everything before that was delivered.
    #[error("{name}: damaged{}: {reason}", place(*.seconds))]
    Damaged {
        /// File, as the user named it.
        name: String,
        /// End of the good audio, in seconds.
        seconds: f64,
        /// What is wrong there.
        reason: String,
    },
    /// Piped input that can only be read from disk, and could not be written to disk.
    #[error("{name}: mp4 or caf from a pipe needs a temporary file, which failed: {source}")]
    Spool {
        /// File, as the user named it.
        name: String,
        /// Error of the operating system.
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
            Self::IsDirectory { .. } => "pass the files in it".into(),
            Self::PermissionDenied { .. } => {
                "make it readable (chmod u+r) or run as its owner".into()
            }
            Self::Read { .. } => "check the disk or the pipe".into(),
            Self::Empty { .. } => "check that the recording or download was completed".into(),
            Self::NoSamples { .. } => "check that the recording was stopped properly".into(),
            Self::NotAudio { .. } => "convert it, for example with ffmpeg -i FILE out.flac".into(),
            Self::NoAudioTrack { .. } => "choose a file with sound".into(),
            Self::OtherFormat { .. } => "choose a file with sound".into(),
            Self::NeedsFfmpeg { .. } => "install ffmpeg, or convert the file to flac".into(),
            Self::Ffmpeg { .. } => "check that the recording or download was completed".into(),
            Self::Encrypted { .. } => "use a file without copy protection".into(),
            Self::Garbage { .. } => "check how the file was made".into(),
            Self::NoSuchTrack { .. } => "choose one that --track list shows".into(),
            Self::UnsupportedRate { .. } => "check how the file was made".into(),
            Self::ChannelCount { .. } => "give --channels a name for each, or none".into(),
            Self::ManyChannels { .. } | Self::ChannelsChange { .. } => {
                "leave out --channels, which transcribes the mix".into()
            }
            Self::Damaged { seconds, .. } if *seconds > 0.0 => {
                "download or record the file again; the audio before the damage was used".into()
            }
            Self::Damaged { .. } => "download or record the file again; nothing was read".into(),
            Self::Spool { .. } => "free some space or give the file by its path".into(),
            Self::Resample(error) => return error.remedy(),
        })
    }
}

/// Error while resampling audio to 16 kHz.
#[derive(Debug, Error)]
pub enum ResampleError {
    /// The input has no valid rate.
    #[error("audio at {rate} Hz cannot be resampled to 16 kHz: {source}")]
    Rate {
        /// Sample rate of the input in Hz.
        rate: u32,
        /// Error of the resampler.
        source: rubato::ResamplerConstructionError,
    },
    /// A block could not be converted; the text is the resampler's error.
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
    /// Converts an error of the operating system for `name`.
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

/// What happened to bytes of a file.
fn shifted(bytes: u64, were_inserted: bool) -> String {
    let noun = plural(bytes, "byte");
    match (were_inserted, bytes) {
        (true, 1) => format!("{bytes} {noun} was inserted into the file"),
        (true, _) => format!("{bytes} {noun} were inserted into the file"),
        (false, 1) => format!("{bytes} {noun} is missing within the file"),
        (false, _) => format!("{bytes} {noun} are missing within the file"),
    }
}

/// The noun, in the plural unless there is one.
fn plural(count: u64, noun: &str) -> String {
    match (count, noun.ends_with("ch")) {
        (1, _) => noun.into(),
        (_, true) => format!("{noun}es"),
        (_, false) => format!("{noun}s"),
    }
}

/// Where damage is; nothing if no audio comes before it.
fn place(seconds: f64) -> String {
    if seconds > 0.0 {
        format!(" at {seconds:.2} s")
    } else {
        String::new()
    }
}

impl AudioWarning {
    /// Whether sound was certainly lost.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Self::Gaps { .. })
    }
}

/// What the user may want to know about how a recording is read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AudioNote {
    /// One of several tracks is read.
    #[error("{name}: track {taken} is read, not {others}")]
    Tracks {
        /// File, as the user named it.
        name: String,
        /// The track that is read.
        taken: String,
        /// The other ones.
        others: String,
    },
    /// The default track is not read, for this reason.
    #[error("{0}; another track is read instead")]
    LeftOut(String),
    /// The file is longer or shorter than it should be; the rest is read where it stands.
    #[error("{name}: {}; the sound there may be lost", shifted(*.bytes, *.were_inserted))]
    Shifted {
        /// File, as the user named it.
        name: String,
        /// Number of bytes.
        bytes: u64,
        /// Whether they are too many; otherwise they are missing.
        were_inserted: bool,
    },
    /// Ffmpeg decodes it.
    #[error("{name}: ffmpeg reads {what}")]
    ByFfmpeg {
        /// File, as the user named it.
        name: String,
        /// Name of the format or codec.
        what: String,
    },
}

/// Problem in audio that was nevertheless read to its end.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AudioWarning {
    /// Samples that are NaN or far beyond full scale.
    #[error(
        "{name}: {count} samples are not valid numbers, the first at {first_seconds:.2} s; they were replaced by silence"
    )]
    InvalidSamples {
        /// File, as the user named it.
        name: String,
        /// Number of samples.
        count: u64,
        /// Position of the first one, in seconds.
        first_seconds: f64,
    },
    /// Stretches that could not be decoded.
    #[error(
        "{name}: {count} damaged {} could not be decoded, the first at {first_seconds:.2} s", plural(*.count, "stretch")
    )]
    DamagedStretches {
        /// File, as the user named it.
        name: String,
        /// Number of stretches.
        count: u64,
        /// Position of the first one, in seconds.
        first_seconds: f64,
    },
    /// Samples that are exactly zero between loud ones.
    #[error(
        "{name}: {count} abrupt {} of exact silence within sound, the first at {first_seconds:.2} s; data may be missing there", plural(*.count, "gap")
    )]
    Gaps {
        /// File, as the user named it.
        name: String,
        /// Number of gaps.
        count: u64,
        /// Position of the first one, in seconds.
        first_seconds: f64,
    },
    /// A message of ffmpeg, which read to the end.
    #[error("{name}: ffmpeg, which reads it, reports: {message}")]
    Ffmpeg {
        /// File, as the user named it.
        name: String,
        /// Its message.
        message: String,
    },
    /// A stream without the end mark that its format requires.
    #[error(
        "{name}: the stream stops at {seconds:.2} s without its end mark; it may have been cut off there"
    )]
    NoEndMark {
        /// File, as the user named it.
        name: String,
        /// End of the audio, in seconds.
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
