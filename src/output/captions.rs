//! Formats that a player shows in time with the recording: SubRip, WebVTT and LRC.
//!
//! Segments without text are left out: an empty cue is an error in SubRip and useless in the
//! others.

use super::transcript::{Footer, Header, Segment};
use super::writer::{TranscriptWriter, milliseconds, one_line};

/// SubRip: numbered cues from 1, `00:00:01,000 --> 00:00:02,500`, a blank line after each.
#[derive(Default)]
pub(super) struct Srt {
    cues: usize,
}

impl TranscriptWriter for Srt {
    fn begin(&mut self, _header: &Header) -> String {
        String::new()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        // SubRip has no escapes; openai-whisper shortens the arrow in the same way.
        let text = one_line(&segment.text).replace("-->", "->");
        if text.is_empty() {
            return text;
        }
        self.cues += 1;
        let start = clock(segment.start_s).hours_always(',');
        let end = clock(segment.end_s).hours_always(',');
        format!("{}\n{start} --> {end}\n{text}\n\n", self.cues)
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

/// WebVTT: `00:01.000 --> 00:02.500`, with hours only if there are any, as openai-whisper writes
/// it.
pub(super) struct Vtt;

impl TranscriptWriter for Vtt {
    fn begin(&mut self, _header: &Header) -> String {
        "WEBVTT\n\n".to_owned()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let text = escape_markup(&one_line(&segment.text));
        if text.is_empty() {
            return text;
        }
        let start = clock(segment.start_s).hours_if_any('.');
        let end = clock(segment.end_s).hours_if_any('.');
        format!("{start} --> {end}\n{text}\n\n")
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

/// LRC: `[mm:ss.xx]text`, as whisper.cpp writes it.
pub(super) struct Lrc;

impl TranscriptWriter for Lrc {
    fn begin(&mut self, _header: &Header) -> String {
        "[by:hearken]\n".to_owned()
    }

    fn segment(&mut self, segment: &Segment) -> String {
        let text = one_line(&segment.text);
        if text.is_empty() {
            return text;
        }
        let time = clock(segment.start_s);
        let minutes = time.hours * 60 + time.minutes;
        let hundredths = time.milliseconds / 10;
        format!("[{minutes:02}:{:02}.{hundredths:02}]{text}\n", time.seconds)
    }

    fn finish(&mut self, _footer: &Footer) -> String {
        String::new()
    }
}

/// Escapes the text of a WebVTT cue: `&` and `<` begin markup, and `-->` must not occur (WebVTT,
/// section 4.2.1).
fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Time in the parts that a clock shows.
struct Clock {
    hours: u64,
    minutes: u64,
    seconds: u64,
    milliseconds: u64,
}

fn clock(seconds: f64) -> Clock {
    let ms = milliseconds(seconds);
    Clock {
        hours: ms / 3_600_000,
        minutes: ms / 60_000 % 60,
        seconds: ms / 1000 % 60,
        milliseconds: ms % 1000,
    }
}

impl Clock {
    fn hours_always(&self, decimal: char) -> String {
        format!("{:02}:{}", self.hours, self.below_the_hour(decimal))
    }

    fn hours_if_any(&self, decimal: char) -> String {
        match self.hours {
            0 => self.below_the_hour(decimal),
            _ => self.hours_always(decimal),
        }
    }

    fn below_the_hour(&self, decimal: char) -> String {
        format!(
            "{:02}:{:02}{decimal}{:03}",
            self.minutes, self.seconds, self.milliseconds
        )
    }
}
