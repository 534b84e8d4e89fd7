//! The file formats of a transcript: which there are, and what each writes as segments come in.

use clap::ValueEnum;

use super::captions::{Lrc, Srt, Vtt};
use super::json::Json;
use super::plain::{Tsv, Txt};
use super::transcript::{Footer, Header, Segment};

/// A file format of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Format {
    /// Plain text, a line per segment
    Txt,
    /// SubRip subtitles
    Srt,
    /// WebVTT subtitles
    Vtt,
    /// Segments with times, tokens and probabilities (docs/transcript.schema.json)
    Json,
    /// Table of start, end (milliseconds) and text
    Tsv,
    /// Lyrics with a time per line
    Lrc,
}

impl Format {
    /// File name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
            Self::Tsv => "tsv",
            Self::Lrc => "lrc",
        }
    }

    /// Whether the format shows when each segment was said.
    pub fn shows_times(self) -> bool {
        self != Self::Txt
    }

    /// Whether one document may follow another on standard output: text lines may, and JSON readers
    /// take a sequence of values; the other formats allow a single timeline or header.
    pub fn can_follow_another(self) -> bool {
        matches!(self, Self::Txt | Self::Json)
    }

    /// A writer for one transcript.
    pub fn writer(self) -> Box<dyn TranscriptWriter> {
        match self {
            Self::Txt => Box::new(Txt),
            Self::Srt => Box::new(Srt::default()),
            Self::Vtt => Box::new(Vtt),
            Self::Json => Box::new(Json::default()),
            Self::Tsv => Box::new(Tsv),
            Self::Lrc => Box::new(Lrc),
        }
    }
}

/// Turns a transcript that grows into a file that grows: each call returns what to append.
///
/// Called once with the header, then for each segment in order, then once with the footer; what was
/// returned up to any segment shows all text up to it.
pub trait TranscriptWriter: Send {
    /// What the file begins with.
    fn begin(&mut self, header: &Header) -> String;
    /// What a segment adds.
    fn segment(&mut self, segment: &Segment) -> String;
    /// What the file ends with.
    fn finish(&mut self, footer: &Footer) -> String;
}

/// The text on one line: formats made of lines give line ends and tabs a meaning of their own.
pub(super) fn one_line(text: &str) -> String {
    let spaced = text.replace(char::is_control, " ");
    spaced.trim().to_owned()
}

/// Whole milliseconds of a time in seconds; negative times and NaN count as 0.
pub(super) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}
