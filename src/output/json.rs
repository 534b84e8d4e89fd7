//! JSON, written while the transcription runs: header, segments (one per line), and the fields that
//! are only known at the end. `docs/transcript.schema.json` describes it.

use serde::Serialize;

use super::transcript::{Footer, Header, Segment, round_to_ms};
use super::writer::TranscriptWriter;
use crate::text::append;

/// JSON writer. It keeps only the text, for the footer.
pub(super) struct Json {
    word_timestamps: bool,
    text: String,
    segments: usize,
}

impl Json {
    /// Creates a writer that writes the words of segments only with `word_timestamps`.
    pub fn new(word_timestamps: bool) -> Self {
        Self {
            word_timestamps,
            text: String::new(),
            segments: 0,
        }
    }
}

impl TranscriptWriter for Json {
    fn begin(&mut self, header: &Header) -> String {
        format!(
            "{{\"file\": {},\n\"model\": {},\n\"task\": {},\n\"segments\": [",
            json(&header.file),
            json(&header.model),
            json(&header.task),
        )
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let separator = if self.segments == 0 { "\n" } else { ",\n" };
        self.segments += 1;
        append(&mut self.text, &segment.text);
        let segment = Segment {
            words: segment.words.clone().filter(|_| self.word_timestamps),
            ..segment.clone()
        };
        format!("{separator}{}", json(&segment))
    }

    fn finish(&mut self, footer: &Footer) -> String {
        format!(
            "\n],\n\"text\": {},\n\"language\": {},\n\"duration\": {}}}\n",
            json(self.text.trim()),
            json(&footer.language),
            json(&round_to_ms(footer.duration_s)),
        )
    }
}

/// Returns a value as JSON. Numbers that are not finite become null; nothing else can fail for the
/// types written here.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
