//! Formats that a player shows in time with the recording: SubRip, WebVTT, ASS and LRC.
//!
//! In: segments. Out: cues that people can read, in a format.
//!
//! ```text
//! segments ──atoms: pieces that a line may break between──▶ layout: cues and lines ──▶ formats
//! ```

mod ass;
mod atoms;
mod clock;
mod cue;
mod formats;
mod layout;
mod speakers;

pub(super) use ass::Ass;
pub(super) use formats::{Lrc, Srt, Vtt};
pub use layout::CaptionOptions;

use super::transcript::{Footer, Header, Segment};
use super::writer::TranscriptWriter;
use cue::{Cue, CueFormat};
use layout::Layout;
use speakers::Speakers;

/// Writer of cues.
pub(super) struct Captions<F> {
    layout: Layout,
    speakers: Speakers,
    highlights_words: bool,
    format: F,
}

impl<F: CueFormat> Captions<F> {
    /// Creates a writer of a format.
    pub fn new(format: F, options: &CaptionOptions) -> Self {
        Self {
            layout: Layout::new(options),
            speakers: Speakers::new(options, F::NAMES_IN_TEXT),
            highlights_words: options.highlight_words,
            format,
        }
    }

    fn write(&mut self, cues: &[Cue]) -> String {
        let text = |cue| self.format.cue(cue, self.highlights_words);
        cues.iter().map(text).collect()
    }
}

impl<F: CueFormat> TranscriptWriter for Captions<F> {
    fn begin(&mut self, _header: &Header) -> String {
        self.format.begin()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let cues = match &segment.speaker {
            Some(speaker) => {
                self.speakers.push(speaker, segment);
                return String::new();
            }
            None => self.layout.push(segment),
        };
        self.write(&cues)
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        let mut cues = self.layout.finish();
        cues.extend(self.speakers.finish());
        self.write(&cues)
    }
}

#[cfg(test)]
mod tests;
