//! The interface of the file formats.
//!
//! In: header, segments in order, footer. Out: text to append to the file.

use super::transcript::{Footer, Header, Segment};

/// Turns a growing transcript into a growing file. Each call returns the text to append.
///
/// It is called once with the header, then with each segment in order, then once with the footer.
/// The text returned up to a segment includes the text of that segment, except that captions may hold
/// back the last one until they know what follows.
pub trait TranscriptWriter: Send {
    /// Returns the beginning of the file.
    fn begin(&mut self, header: &Header) -> String;
    /// Returns the text of a segment.
    fn segment(&mut self, segment: &Segment) -> String;
    /// Returns the end of the file.
    fn finish(&mut self, footer: &Footer) -> String;
}

/// Returns the text on one line. In formats made of lines, line ends and tabs have another meaning.
pub(super) fn one_line(text: &str) -> String {
    let spaced = text.replace(char::is_control, " ");
    spaced.trim().to_owned()
}

/// Rounds seconds to milliseconds. Negative times and NaN count as 0.
pub(super) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}
