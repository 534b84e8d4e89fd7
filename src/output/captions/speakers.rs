//! Cues of several speakers, who may speak at the same time.
//!
//! In: segments with a name. Out: cues that follow one another, each of one speaker.
//!
//! What a speaker says is laid out as if nobody else spoke. Whose cue comes next is only known once
//! all have spoken, so the cues are kept until the end.

use unicode_width::UnicodeWidthStr;

use super::cue::{Cue, Piece};
use super::layout::{CaptionOptions, Layout};
use crate::output::transcript::{Segment, Speaker};

/// Time for which a cue stays alone at least when the next speaker interrupts, in milliseconds, and
/// the share of its length. Two who speak at once for long thus stay in time.
const ALONE_MS: u64 = 1000;
const ALONE_SHARE: u64 = 2;

/// Layouts of the speakers.
pub(super) struct Speakers {
    options: CaptionOptions,
    names_in_text: bool,
    layouts: Vec<(String, Layout)>,
    cues: Vec<Cue>,
}

impl Speakers {
    /// Without a speaker yet. `names_in_text` puts the name before the text of each cue.
    pub fn new(options: &CaptionOptions, names_in_text: bool) -> Self {
        Self {
            options: options.clone(),
            names_in_text,
            layouts: Vec::new(),
            cues: Vec::new(),
        }
    }

    /// Adds a segment of a speaker.
    pub fn push(&mut self, speaker: &Speaker, segment: &Segment) {
        let known = self
            .layouts
            .iter()
            .position(|(name, _)| *name == speaker.name);
        let index = known.unwrap_or(self.layouts.len());
        if known.is_none() {
            let columns = if self.names_in_text {
                prefix(&speaker.name).width()
            } else {
                0
            };
            let layout = Layout::new(&self.options).indented(columns);
            self.layouts.push((speaker.name.clone(), layout));
        }
        if let Some((name, layout)) = self.layouts.get_mut(index) {
            let cues = layout.push(segment).into_iter();
            self.cues.extend(cues.map(|cue| spoken_by(name, cue)));
        }
    }

    /// Returns all cues.
    pub fn finish(&mut self) -> Vec<Cue> {
        for (name, layout) in &mut self.layouts {
            let cues = layout.finish().into_iter();
            self.cues.extend(cues.map(|cue| spoken_by(name, cue)));
        }
        let mut cues = std::mem::take(&mut self.cues);
        cues.sort_by_key(|cue| cue.start_ms);
        take_turns(&mut cues);
        if self.names_in_text {
            cues.iter_mut().for_each(name_in_text);
        }
        cues
    }
}

fn spoken_by(name: &str, cue: Cue) -> Cue {
    Cue {
        speaker: Some(name.to_owned()),
        ..cue
    }
}

fn prefix(name: &str) -> String {
    format!("{name}: ")
}

/// Shows cues that overlap one after the other: the first gives way to the second, which waits until
/// the first can be read.
fn take_turns(cues: &mut [Cue]) {
    let mut free_ms = 0;
    for i in 0..cues.len() {
        let next_ms = cues.get(i + 1).map_or(u64::MAX, |next| next.start_ms);
        let Some(cue) = cues.get_mut(i) else {
            return;
        };
        let length = cue.end_ms - cue.start_ms;
        cue.start_ms = cue.start_ms.max(free_ms);
        let shortest = cue.start_ms + length.min(ALONE_MS.max(length / ALONE_SHARE));
        cue.end_ms = cue.end_ms.min(next_ms).max(shortest);
        free_ms = cue.end_ms;
    }
}

/// Puts the name before the first line, as a piece that takes no time.
fn name_in_text(cue: &mut Cue) {
    if let (Some(name), Some(line)) = (&cue.speaker, cue.lines.first_mut()) {
        let piece = Piece {
            text: prefix(name),
            start_ms: cue.start_ms,
            end_ms: cue.start_ms,
        };
        line.insert(0, piece);
    }
}
