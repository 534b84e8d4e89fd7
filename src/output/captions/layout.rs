//! Cuts segments into cues and lines that people can read.
//!
//! In: segments in order. Out: cues of a few lines, which break at sense, stay long enough to be read
//! and never overlap.
//!
//! Of all ways to cut a text the one with the least cost is taken: a cue should end with a sentence,
//! a clause or at least a phrase, and so should its lines, which should be of similar length.

use super::atoms::{Atom, atoms};
use super::cue::{Cue, Piece};
use crate::output::transcript::Segment;

/// Time for which a cue is shown at least, if the next one leaves room, and at most, in milliseconds.
const SHORTEST_MS: u64 = 1000;
const LONGEST_MS: u64 = 7000;
/// Least time that all formats can write, in milliseconds.
const TICK_MS: u64 = 10;
/// Columns that people read in a second.
const READING_SPEED: u64 = 20;
/// Pause in milliseconds after which a new cue begins in any case.
const LONG_PAUSE_MS: u64 = 2000;

/// Cost of a cue, of a line, and of a cue that is too short. Costs of breaks are up to 10.
const CUE: u32 = 6;
const LINE: u32 = 2;
const TOO_SHORT: u32 = 12;
/// Cost of a cue of a word or two.
const NARROW: u32 = 3;
/// Cost of a pause within a cue.
const PAUSE: u32 = 4;

/// How captions are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionOptions {
    /// Columns of a line. Chinese, Japanese and Korean characters take two. A longer word has a line
    /// of its own.
    pub max_line_width: usize,
    /// Lines of a cue.
    pub max_line_count: usize,
    /// Words of a line, or characters of a script without spaces.
    pub max_words_per_line: Option<usize>,
    /// Whether each word is marked while it is spoken.
    pub highlight_words: bool,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self {
            max_line_width: 42,
            max_line_count: 2,
            max_words_per_line: None,
            highlight_words: false,
        }
    }
}

/// Layout of a transcript that grows.
pub(super) struct Layout {
    max_line_width: usize,
    max_line_count: usize,
    max_words_per_line: usize,
    /// Columns at the start of a cue that something else takes.
    indent: usize,
    /// Text of a cue that is too short by itself: it may stay longer or be joined with what follows.
    held: Vec<Atom>,
    /// End of the last cue in milliseconds.
    end_ms: u64,
}

impl Layout {
    pub fn new(options: &CaptionOptions) -> Self {
        Self {
            max_line_width: options.max_line_width.max(1),
            max_line_count: options.max_line_count.max(1),
            max_words_per_line: options.max_words_per_line.unwrap_or(usize::MAX).max(1),
            indent: 0,
            held: Vec::new(),
            end_ms: 0,
        }
    }

    /// Leaves columns free at the start of each cue.
    pub fn indented(self, columns: usize) -> Self {
        Self {
            indent: columns,
            ..self
        }
    }

    /// Adds a segment. Returns the cues that are complete.
    pub fn push(&mut self, segment: &Segment) -> Vec<Cue> {
        let mut added = atoms(segment);
        let Some(first_ms) = added.first().map(|atom| atom.start_ms) else {
            return Vec::new();
        };
        let mut cues = Vec::new();
        let held = std::mem::take(&mut self.held);
        let held_end_ms = held.last().map_or(0, |atom| atom.end_ms);
        if first_ms >= held_end_ms + SHORTEST_MS {
            cues.extend(self.cue(&held, first_ms));
        } else {
            added.splice(0..0, held);
        }
        self.in_order(&mut added);
        let mut rest = added.as_slice();
        for len in self.cut(rest) {
            let (atoms, behind) = rest.split_at(len);
            rest = behind;
            match behind.first() {
                Some(next) => cues.extend(self.cue(atoms, next.start_ms)),
                None if self.counts_words() || is_readable(atoms) => {
                    cues.extend(self.cue(atoms, 0));
                }
                None => self.held = atoms.to_vec(),
            }
        }
        cues
    }

    /// Returns the rest of the cues.
    pub fn finish(&mut self) -> Vec<Cue> {
        let held = std::mem::take(&mut self.held);
        self.cue(&held, u64::MAX).into_iter().collect()
    }

    /// Makes the times of the atoms rise, from the end of the last cue on.
    fn in_order(&self, atoms: &mut [Atom]) {
        let mut at = self.end_ms;
        for atom in atoms {
            atom.start_ms = atom.start_ms.max(at);
            // Silence that was aligned with a word is none of it.
            atom.end_ms = atom.end_ms.clamp(atom.start_ms, atom.start_ms + LONGEST_MS);
            at = atom.end_ms;
        }
    }

    /// Makes a cue, which stays long enough to be read, but not beyond `next_ms`.
    fn cue(&mut self, atoms: &[Atom], next_ms: u64) -> Option<Cue> {
        let start_ms = atoms.first()?.start_ms.max(self.end_ms);
        let end_ms = atoms.last()?.end_ms.max(start_ms);
        let wanted_ms = end_ms.max(start_ms + reading_ms(atoms));
        self.end_ms = wanted_ms.min(next_ms.max(end_ms)).max(start_ms + TICK_MS);
        let mut rest = atoms;
        let mut lines = Vec::new();
        for len in self
            .lines(atoms)
            .map(|(_, lens)| lens)
            .unwrap_or_else(|| vec![atoms.len()])
        {
            let (line, behind) = rest.split_at(len);
            rest = behind;
            lines.push(pieces(line));
        }
        Some(Cue {
            start_ms,
            end_ms: self.end_ms,
            speaker: None,
            lines,
        })
    }

    /// Whether cues have a number of words, as in openai-whisper, wherever a sentence or phrase ends.
    fn counts_words(&self) -> bool {
        self.max_words_per_line < usize::MAX && self.max_line_count == 1
    }

    /// Returns the numbers of atoms of cues of as many words as a line may have and fit.
    fn cut_by_words(&self, atoms: &[Atom]) -> Vec<usize> {
        let mut lens = Vec::new();
        let mut rest = atoms;
        while !rest.is_empty() {
            let most = rest.len().min(self.max_words_per_line);
            let fits = |len: &usize| {
                rest.get(..*len)
                    .and_then(|cue| self.cost(cue, None))
                    .is_some()
            };
            let len = (1..=most).rev().find(fits).unwrap_or(1);
            lens.push(len);
            rest = rest.get(len..).unwrap_or_default();
        }
        lens
    }

    /// Returns the numbers of atoms of the cues with the least cost.
    fn cut(&self, atoms: &[Atom]) -> Vec<usize> {
        if self.counts_words() {
            return self.cut_by_words(atoms);
        }
        // Least cost of the atoms before each one, and the beginning of the last cue among them.
        let mut best: Vec<(u32, usize)> = vec![(0, 0)];
        for end in 1..=atoms.len() {
            let mut least = (u32::MAX, end - 1);
            for begin in (0..end).rev() {
                let Some(cue) = atoms.get(begin..end) else {
                    break;
                };
                let Some(cost) = self.cost(cue, atoms.get(end)) else {
                    break;
                };
                let cost = best
                    .get(begin)
                    .map_or(u32::MAX, |(before, _)| before.saturating_add(cost));
                if cost < least.0 {
                    least = (cost, begin);
                }
            }
            best.push(least);
        }
        steps(&best, atoms.len())
    }

    /// Returns the cost of a cue, if it fits.
    fn cost(&self, atoms: &[Atom], next: Option<&Atom>) -> Option<u32> {
        let (first, last) = (atoms.first()?, atoms.last()?);
        let duration = last.end_ms.saturating_sub(first.start_ms);
        let pauses = || {
            atoms
                .iter()
                .zip(atoms.iter().skip(1))
                .map(|(a, b)| b.start_ms.saturating_sub(a.end_ms))
        };
        let fits = duration <= LONGEST_MS && pauses().all(|pause| pause < LONG_PAUSE_MS);
        if atoms.len() > 1 && !fits {
            return None;
        }
        let lines = self.lines(atoms)?.0;
        let n_pauses = pauses().filter(|pause| *pause >= LONG_PAUSE_MS / 2).count() as u32;
        let end = next.map_or(0, |next| last.break_penalty(next));
        // Silence before the next cue leaves room.
        let room = next.map_or(LONGEST_MS, |next| {
            next.start_ms.saturating_sub(first.start_ms)
        });
        let is_short = room < SHORTEST_MS;
        let width: usize = atoms.iter().map(Atom::width).sum();
        let is_narrow = 4 * width < self.max_line_width;
        let penalties = [(is_short, TOO_SHORT), (is_narrow, NARROW)];
        let penalty: u32 = penalties
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, cost)| cost)
            .sum();
        Some(CUE + 2 * end + lines + PAUSE * n_pauses + penalty)
    }

    /// Returns the least cost of the lines, and their numbers of atoms, for as few lines as
    /// possible; `None` if they do not fit.
    fn lines(&self, atoms: &[Atom]) -> Option<(u32, Vec<usize>)> {
        (1..=self.max_line_count).find_map(|count| self.in_lines(atoms, count))
    }

    /// Returns the least cost of a number of lines, and their numbers of atoms.
    fn in_lines(&self, atoms: &[Atom], count: usize) -> Option<(u32, Vec<usize>)> {
        let ideal = atoms.iter().map(Atom::width).sum::<usize>() / count;
        // For each line: least cost of the atoms up to each place, and the beginning of the line.
        let mut rows: Vec<Vec<Option<(u32, usize)>>> = Vec::new();
        let mut before: Vec<Option<u32>> = vec![None; atoms.len() + 1];
        *before.first_mut()? = Some(0);
        for _ in 0..count {
            let ends = 0..=atoms.len();
            let row: Vec<_> = ends
                .map(|end| self.line(atoms, end, &before, ideal))
                .collect();
            before = row
                .iter()
                .map(|place| place.map(|(cost, _)| cost))
                .collect();
            rows.push(row);
        }
        let cost = (*before.last()?)?;
        let mut end = atoms.len();
        let mut lens = Vec::new();
        for row in rows.iter().rev() {
            let (_, begin) = (*row.get(end)?)?;
            lens.push(end - begin);
            end = begin;
        }
        lens.reverse();
        Some((cost, lens))
    }

    /// Returns the least cost of the atoms up to a place if a line ends there, and its beginning,
    /// given the least costs of the lines before it.
    fn line(
        &self,
        atoms: &[Atom],
        end: usize,
        before: &[Option<u32>],
        ideal: usize,
    ) -> Option<(u32, usize)> {
        let last = atoms.get(end.checked_sub(1)?)?;
        let penalty = atoms.get(end).map_or(0, |next| last.break_penalty(next));
        let mut least: Option<(u32, usize)> = None;
        let mut width = 0;
        for (begin, first) in atoms.iter().enumerate().take(end).rev() {
            let indent = if begin == 0 { self.indent } else { 0 };
            let line = width + first.width_without_space() + indent;
            width += first.width();
            let n = end - begin;
            if n > 1 && (line > self.max_line_width || n > self.max_words_per_line) {
                break;
            }
            let imbalance = 8 * line.abs_diff(ideal) / self.max_line_width;
            if let Some(Some(cost)) = before.get(begin) {
                let cost = cost + LINE + penalty + imbalance as u32;
                if least.is_none_or(|(least, _)| cost < least) {
                    least = Some((cost, begin));
                }
            }
        }
        least
    }
}

/// Returns the steps to `end`, given the place before each place.
fn steps(best: &[(u32, usize)], mut end: usize) -> Vec<usize> {
    let mut lens = Vec::new();
    while end > 0 {
        let begin = best.get(end).map_or(0, |(_, begin)| *begin);
        lens.push(end - begin);
        end = begin;
    }
    lens.reverse();
    lens
}

/// Whether a cue lasts long enough to be read.
fn is_readable(atoms: &[Atom]) -> bool {
    let (Some(first), Some(last)) = (atoms.first(), atoms.last()) else {
        return true;
    };
    last.end_ms - first.start_ms >= reading_ms(atoms)
}

/// Returns the time in milliseconds that people need to read a cue.
fn reading_ms(atoms: &[Atom]) -> u64 {
    let width: usize = atoms.iter().map(Atom::width).sum();
    (width as u64 * 1000 / READING_SPEED).clamp(SHORTEST_MS, LONGEST_MS)
}

/// Returns a line without the space before it.
fn pieces(line: &[Atom]) -> Vec<Piece> {
    let piece = |(i, atom): (usize, &Atom)| Piece {
        text: if i == 0 {
            atom.text.trim_start()
        } else {
            &atom.text
        }
        .to_owned(),
        start_ms: atom.start_ms,
        end_ms: atom.end_ms,
    };
    line.iter().enumerate().map(piece).collect()
}
