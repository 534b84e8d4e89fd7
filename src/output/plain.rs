//! Formats made of plain lines: text alone, and a table with times.

use super::format::{TranscriptWriter, milliseconds, one_line};
use super::transcript::{Footer, Header, Segment};

/// A line of text per segment.
pub(super) struct Txt;

impl TranscriptWriter for Txt {
    fn begin(&mut self, _header: &Header) -> String {
        String::new()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        match one_line(&segment.text) {
            text if text.is_empty() => text,
            text => text + "\n",
        }
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

/// Tab-separated start, end and text under a heading, times in whole milliseconds, as openai-whisper writes it.
pub(super) struct Tsv;

impl TranscriptWriter for Tsv {
    fn begin(&mut self, _header: &Header) -> String {
        "start\tend\ttext\n".to_owned()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let text = one_line(&segment.text);
        if text.is_empty() {
            return text;
        }
        let (start, end) = (milliseconds(segment.start_s), milliseconds(segment.end_s));
        format!("{start}\t{end}\t{text}\n")
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}
