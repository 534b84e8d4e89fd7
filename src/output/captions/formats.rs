//! SubRip, WebVTT and LRC.

use super::clock::clock;
use super::cue::{Cue, CueFormat, Piece};

/// SubRip: numbered cues from 1, `00:00:01,000 --> 00:00:02,500`, a blank line after each.
#[derive(Default)]
pub struct Srt {
    cues: usize,
}

impl CueFormat for Srt {
    fn begin(&mut self) -> String {
        String::new()
    }

    fn cue(&mut self, cue: &Cue, highlighted: bool) -> String {
        // SubRip has no escapes; openai-whisper shortens the arrow in the same way.
        let parts = parts(cue, highlighted, |text| text.replace("-->", "->"));
        let write = |(start, end, text): (u64, u64, String)| {
            self.cues += 1;
            let start = clock(start).hours_always(',');
            let end = clock(end).hours_always(',');
            format!("{}\n{start} --> {end}\n{text}\n\n", self.cues)
        };
        parts.into_iter().map(write).collect()
    }
}

/// WebVTT: `00:01.000 --> 00:02.500`, with hours only if there are any, as openai-whisper writes
/// it. Who speaks is in a voice tag, `<v Name>`.
pub struct Vtt;

impl CueFormat for Vtt {
    const NAMES_IN_TEXT: bool = false;

    fn begin(&mut self) -> String {
        "WEBVTT\n\n".to_owned()
    }

    fn cue(&mut self, cue: &Cue, highlighted: bool) -> String {
        let name = cue.speaker.as_ref();
        let voice = name.map_or(String::new(), |name| format!("<v {}>", escape_markup(name)));
        let write = |(start, end, text): (u64, u64, String)| {
            let start = clock(start).hours_if_any('.');
            let end = clock(end).hours_if_any('.');
            format!("{start} --> {end}\n{voice}{text}\n\n")
        };
        let parts = parts(cue, highlighted, escape_markup);
        parts.into_iter().map(write).collect()
    }
}

/// LRC: `[mm:ss.xx]text`, a line for each cue, as whisper.cpp writes it. Highlighted words have
/// their own times, `<mm:ss.xx>`, as in the enhanced format.
pub struct Lrc;

impl CueFormat for Lrc {
    fn begin(&mut self) -> String {
        "[by:hearken]\n".to_owned()
    }

    fn cue(&mut self, cue: &Cue, highlighted: bool) -> String {
        let text = cue.text(" ", |piece, _| {
            if highlighted {
                let (space, word) = spaced(piece);
                format!("{space}<{}>{word}", lyrics_time(piece.start_ms))
            } else {
                piece.text.clone()
            }
        });
        format!("[{}]{text}\n", lyrics_time(cue.start_ms))
    }
}

fn lyrics_time(ms: u64) -> String {
    let time = clock(ms);
    let minutes = time.hours * 60 + time.minutes;
    format!(
        "{minutes:02}:{:02}.{:02}",
        time.seconds,
        time.milliseconds / 10
    )
}

/// Returns start, end and text of a cue, or of each of its moments with the word underlined, as
/// openai-whisper does.
fn parts(cue: &Cue, highlighted: bool, escape: fn(&str) -> String) -> Vec<(u64, u64, String)> {
    if !highlighted {
        let text = cue.text("\n", |piece, _| escape(&piece.text));
        return vec![(cue.start_ms, cue.end_ms, text)];
    }
    let moments = cue.moments().into_iter();
    moments
        .map(|moment| {
            let text = cue.text("\n", |piece, place| {
                let (space, word) = spaced(piece);
                if Some(place) == moment.word {
                    format!("{space}<u>{}</u>", escape(word))
                } else {
                    escape(&piece.text)
                }
            });
            (moment.start_ms, moment.end_ms, text)
        })
        .collect()
}

/// Splits a piece into the space before it and its word.
fn spaced(piece: &Piece) -> (&str, &str) {
    let word = piece.text.trim_start();
    piece.text.split_at(piece.text.len() - word.len())
}

/// Escapes the text of a WebVTT cue: `&` and `<` begin markup, and `-->` must not occur (WebVTT,
/// section 4.2.1).
fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
