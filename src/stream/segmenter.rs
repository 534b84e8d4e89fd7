//! From an endless 16 kHz stream to utterances: stretches of speech that fit an encoder window.
//!
//! In: blocks of any size. Out: [`Utterance`]s in order, none overlapping another, each at most
//! [`SegmenterOptions::max_samples`] long. All speech is in exactly one of them; silence between them is left out.
//!
//! Speech begins with a few frames that the voice detector is sure of, and the utterance half a second before that.
//! Frames it is unsure of count as speech for a while after sure ones and just before them: dropping noise is
//! welcome, dropping speech is not. Pauses stay inside an utterance, so that the decoder gets long context, until
//! one is as long as [`SegmenterOptions::end_pause`] or the window is full. A full window is cut at its best pause
//! ([`best_cut`]), and what follows the cut opens the next utterance: where the pause is short the two abut exactly.
//!
//! Decisions are made per frame of 16 ms, so they do not depend on how the input was cut into blocks. Memory holds
//! a window and the pause that ends it at most.

use super::cut::{Cut, best_cut};
use crate::audio::SAMPLE_RATE;
use crate::audio::vad::{FRAME, FrameScore, Vad};

/// Probability from which a frame is surely speech. See [`crate::audio::vad`] for what was measured.
pub(super) const SURE: f32 = 0.6;
/// Probability above which a frame may be speech.
pub(super) const UNSURE: f32 = 0.35;
/// Sure frames in a row that begin speech: 64 ms. Clicks and bird calls are shorter.
const ONSET_FRAMES: usize = 4;
/// How far unsure frames extend speech beyond sure ones, in frames: 2 s.
const UNSURE_FRAMES: usize = frames(2.0);
/// What precedes the first speech frame in an utterance, in frames: 0.5 s, for soft first consonants.
pub(super) const PRE_ROLL: usize = frames(0.5);
/// What follows the last speech frame in an utterance, in frames: 0.5 s, for words that fade out.
pub(super) const HANGOVER: usize = frames(0.5);
/// What stays of the two where the window is too short for them, in frames: 0.1 s.
const LEAST_PADDING: usize = frames(0.1);
/// Shortest window that can be asked for, in frames: 4 s, room for what may precede an onset.
const MIN_WINDOW: usize = frames(4.0);

const fn frames(seconds: f64) -> usize {
    (seconds * SAMPLE_RATE as f64) as usize / FRAME
}

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Samples, 16 kHz, mono.
    pub samples: Vec<f32>,
    /// Index of the first sample on the stream's clock (16 kHz).
    pub start: u64,
}

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmenterOptions {
    /// Longest utterance in samples. Default: 163,840, the 10.24 s window. Less than 4 s is taken as 4 s.
    pub max_samples: usize,
    /// Pause that ends an utterance, in samples. Default: 32,000 (2 s), which fills windows; dictation wants its text
    /// sooner. Less than 0.5 s is taken as 0.5 s.
    pub end_pause: usize,
}

impl Default for SegmenterOptions {
    fn default() -> Self {
        Self { max_samples: 163_840, end_pause: 2 * SAMPLE_RATE as usize }
    }
}

/// Cuts a stream into utterances.
pub struct Segmenter {
    vad: Vad,
    /// Samples that do not fill a frame yet.
    partial: Vec<f32>,
    cutter: Cutter,
}

impl Segmenter {
    /// A segmenter at the start of a stream.
    pub fn new(options: SegmenterOptions) -> Self {
        Self { vad: Vad::new(), partial: Vec::with_capacity(FRAME), cutter: Cutter::new(options) }
    }

    /// Takes the next samples (16 kHz, mono) and returns the utterances that they complete.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Utterance> {
        let mut rest = samples;
        let mut done = Vec::new();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(FRAME - self.partial.len()));
            self.partial.extend_from_slice(head);
            rest = tail;
            if let Ok(frame) = self.partial.as_slice().try_into() {
                done.extend(self.cutter.push(frame, self.vad.score(frame)));
                self.partial.clear();
            }
        }
        done
    }

    /// Ends the stream and returns the last utterance, if speech was going on.
    pub fn finish(mut self) -> Option<Utterance> {
        self.cutter.finish(&self.partial)
    }
}

/// The segmenter behind its voice detector.
struct Cutter {
    max_frames: usize,
    end_pause: usize,
    /// Frames that may still become part of an utterance: their samples and scores.
    samples: Vec<f32>,
    scores: Vec<FrameScore>,
    /// Index of the first of them in the stream.
    base: u64,
    /// Of the frames held, where the utterance begins and its last speech frame so far; `None` in silence.
    speech: Option<Speech>,
    /// Sure frames in a row at the end.
    sure_run: usize,
}

#[derive(Clone, Copy)]
struct Speech {
    /// Frames before it that may be left out where the window is too short.
    spare: usize,
    /// Its last frame that is surely speech.
    last_sure: usize,
    /// Its last frame that counts as speech.
    last: usize,
}

impl Cutter {
    fn new(options: SegmenterOptions) -> Self {
        Self {
            max_frames: (options.max_samples / FRAME).max(MIN_WINDOW),
            end_pause: (options.end_pause / FRAME).max(HANGOVER),
            samples: Vec::new(),
            scores: Vec::new(),
            base: 0,
            speech: None,
            sure_run: 0,
        }
    }

    fn push(&mut self, frame: &[f32; FRAME], score: FrameScore) -> Option<Utterance> {
        self.samples.extend_from_slice(frame);
        self.scores.push(score);
        self.sure_run = if score.speech >= SURE { self.sure_run + 1 } else { 0 };
        match self.speech {
            None => {
                self.listen();
                None
            }
            Some(speech) => self.follow(speech, score),
        }
    }

    /// In silence: looks for an onset, and forgets what lies too far back to matter.
    fn listen(&mut self) {
        let newest = self.scores.len() - 1;
        if self.sure_run >= ONSET_FRAMES {
            let sure = self.scores.len() - ONSET_FRAMES;
            let unsure = self.scores.iter().take(sure).rev().take(UNSURE_FRAMES);
            let first = sure - unsure.take_while(|s| s.speech > UNSURE).count();
            self.forget(first.saturating_sub(PRE_ROLL));
            let spare = first.min(PRE_ROLL).saturating_sub(LEAST_PADDING);
            self.speech = Some(Speech { spare, ..Speech::at(self.scores.len() - 1) });
        } else {
            self.forget((newest + 1).saturating_sub(PRE_ROLL + UNSURE_FRAMES + ONSET_FRAMES));
        }
    }

    /// In speech: looks for its end.
    fn follow(&mut self, mut speech: Speech, score: FrameScore) -> Option<Utterance> {
        let newest = self.scores.len() - 1;
        speech.hear(newest, score);
        self.speech = Some(speech);
        if newest - speech.last >= self.end_pause {
            return Some(self.end(speech));
        }
        if speech.last + 1 + LEAST_PADDING > self.max_frames + speech.spare {
            self.forget(speech.spare);
            let window = self.scores.len().min(self.max_frames);
            return Some(self.take(best_cut(&self.scores[..window])));
        }
        None
    }

    /// Ends the stream, which has `rest` (less than a frame) after the frames pushed.
    fn finish(&mut self, rest: &[f32]) -> Option<Utterance> {
        let speech = self.speech?;
        let reaches_rest = speech.last + 1 + HANGOVER >= self.scores.len();
        let mut utterance = self.end(speech);
        if reaches_rest {
            let room = (self.max_frames * FRAME).saturating_sub(utterance.samples.len());
            utterance.samples.extend(rest.iter().take(room));
        }
        Some(utterance)
    }

    /// Ends the utterance with its speech; where the window is too short, it has less silence around it.
    fn end(&mut self, speech: Speech) -> Utterance {
        let end = (speech.last + 1 + HANGOVER).min(self.scores.len());
        let left_out = end.saturating_sub(self.max_frames).min(speech.spare);
        self.forget(left_out);
        self.take(Cut { end: (end - left_out).min(self.max_frames), next: None })
    }

    /// Takes the utterance up to a cut out of what is held.
    fn take(&mut self, cut: Cut) -> Utterance {
        let samples = self.samples.get(..cut.end * FRAME).unwrap_or(&self.samples).to_vec();
        let utterance = Utterance { samples, start: self.base * FRAME as u64 };
        self.forget(cut.next.unwrap_or(cut.end));
        self.speech = cut.next.and_then(|_| Speech::in_frames(&self.scores));
        utterance
    }

    /// Drops the first `n` frames held.
    fn forget(&mut self, n: usize) {
        let n = n.min(self.scores.len());
        self.scores.drain(..n);
        self.samples.drain(..n * FRAME);
        self.base += n as u64;
    }
}

impl Speech {
    fn at(frame: usize) -> Self {
        Self { spare: 0, last_sure: frame, last: frame }
    }

    /// Takes note of a frame.
    fn hear(&mut self, frame: usize, score: FrameScore) {
        if score.speech >= SURE {
            (self.last_sure, self.last) = (frame, frame);
        } else if score.speech > UNSURE && frame - self.last_sure <= UNSURE_FRAMES {
            self.last = frame;
        }
    }

    /// The speech that goes on after a cut, if there is any in the frames after it.
    fn in_frames(scores: &[FrameScore]) -> Option<Self> {
        let first = scores.iter().position(|s| s.speech > UNSURE)?;
        let mut speech = Self::at(first);
        for (frame, score) in scores.iter().enumerate().skip(first) {
            speech.hear(frame, *score);
        }
        Some(speech)
    }
}
