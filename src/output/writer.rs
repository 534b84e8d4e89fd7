//! What every file format does: turn a transcript that grows into a file that grows.
//!
//! In: header, segments in order, footer. Out: text to append to the file.

use super::transcript::{Footer, Header, Segment};

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
