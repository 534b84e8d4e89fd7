//! Formats made of plain lines: text only, and a table with times.

use super::transcript::{Footer, Header, Segment};
use super::writer::{TranscriptWriter, milliseconds, one_line};
use crate::text::trimmed;

/// A line of text per segment, or several if the segment has line ends, as openai-whisper does. A
/// name and a colon come first if it is known who speaks.
pub(super) struct Txt;

impl TranscriptWriter for Txt {
    fn begin(&mut self, _header: &Header) -> String {
        String::new()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let text = trimmed(&segment.text);
        // The segment before ends with a line end already, and so does this one.
        let text = text.strip_prefix('\n').unwrap_or(text);
        let mut lines = text
            .split('\n')
            .map(one_line)
            .collect::<Vec<_>>()
            .join("\n");
        if let Some(speaker) = segment
            .speaker
            .as_ref()
            .filter(|_| !lines.trim().is_empty())
        {
            lines.insert_str(0, &format!("{}: ", speaker.name));
        }
        if !lines.is_empty() && !lines.ends_with('\n') {
            lines.push('\n');
        }
        lines
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

/// Tab-separated start, end and text under a heading, with times in milliseconds, as openai-whisper
/// writes it, and with a column of names if it is known who speaks, as whisper.cpp has it.
pub(super) struct Tsv;

impl TranscriptWriter for Tsv {
    fn begin(&mut self, header: &Header) -> String {
        if header.has_speakers {
            return "start\tend\tspeaker\ttext\n".to_owned();
        }
        "start\tend\ttext\n".to_owned()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let text = one_line(&segment.text);
        if text.is_empty() {
            return text;
        }
        let start = milliseconds(segment.start_s);
        let end = milliseconds(segment.end_s);
        let speaker = segment.speaker.as_ref();
        let speaker = speaker.map_or(String::new(), |speaker| format!("{}\t", speaker.name));
        format!("{start}\t{end}\t{speaker}{text}\n")
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_that_were_spoken_are_line_ends() {
        let segment = |text: &str| Segment {
            id: 0,
            speaker: None,
            start_s: 0.0,
            end_s: 1.0,
            text: text.to_owned(),
            tokens: Vec::new(),
            temperature: 0.0,
            avg_logprob: 0.0,
            compression_ratio: 1.0,
            no_speech_prob: 0.0,
            words: None,
        };
        let texts = [
            " Dear Ann,\n\n",
            " Thanks.\nBye.\n",
            " \n",
            " ",
            "\n\nPS",
            " me",
        ];
        let written: String = texts
            .iter()
            .map(|text| Txt.segment(&segment(text)))
            .collect();
        assert_eq!(written, "Dear Ann,\n\nThanks.\nBye.\n\nPS\nme\n");
        assert_eq!(
            Tsv.segment(&segment(" Thanks.\nBye.\n")),
            "0\t1000\tThanks. Bye.\n"
        );
    }
}
