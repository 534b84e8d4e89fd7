//! The file formats of a transcript.

use clap::ValueEnum;

use super::captions::{Lrc, Srt, Vtt};
use super::json::Json;
use super::plain::{Tsv, Txt};
use super::writer::TranscriptWriter;

/// File format of a transcript.
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
    /// File name extension without the dot.
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

    /// Whether one document may follow another on standard output. Lines of text may, and JSON
    /// readers accept a sequence of values. The other formats allow a single timeline or header.
    pub fn can_follow_another(self) -> bool {
        matches!(self, Self::Txt | Self::Json)
    }

    /// Creates a writer for one transcript.
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
