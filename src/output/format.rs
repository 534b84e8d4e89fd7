//! The file formats of a transcript.

use clap::ValueEnum;

use super::captions::{Ass, CaptionOptions, Captions, Lrc, Srt, Vtt};
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
    /// Advanced SubStation Alpha subtitles
    Ass,
}

/// Options of the formats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// Layout of captions.
    pub captions: CaptionOptions,
    /// Whether json has the times of words.
    pub word_timestamps: bool,
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
            Self::Ass => "ass",
        }
    }

    /// Whether one document may follow another on standard output. Lines of text may, and JSON
    /// readers accept a sequence of values. The other formats allow a single timeline or header.
    pub fn can_follow_another(self) -> bool {
        matches!(self, Self::Txt | Self::Json)
    }

    /// Whether the format is made of captions, which need the times of words.
    pub fn is_captions(self) -> bool {
        matches!(self, Self::Srt | Self::Vtt | Self::Lrc | Self::Ass)
    }

    /// Creates a writer for one transcript.
    pub fn writer(self, options: &FormatOptions) -> Box<dyn TranscriptWriter> {
        let captions = &options.captions;
        match self {
            Self::Txt => Box::new(Txt),
            Self::Srt => Box::new(Captions::new(Srt::default(), captions)),
            Self::Vtt => Box::new(Captions::new(Vtt, captions)),
            Self::Json => Box::new(Json::new(options.word_timestamps)),
            Self::Tsv => Box::new(Tsv),
            Self::Lrc => Box::new(Captions::new(Lrc, captions)),
            Self::Ass => Box::new(Captions::new(Ass, captions)),
        }
    }
}
