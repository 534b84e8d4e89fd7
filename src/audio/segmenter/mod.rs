//! Endpointing: cuts an endless stream into utterances that fit an encoder window.
//!
//! In: samples at 16 kHz, mono, in blocks of any size. Out: [`Utterance`]s in order, without
//! overlap, each at most [`SegmenterOptions::max_samples`] long. All speech is in exactly one of
//! them; silence between them is left out.
//!
//! Speech begins with a few frames that the voice detector is sure of; the utterance begins half a
//! second earlier. Unsure frames count as speech if they closely follow or precede sure ones:
//! losing noise is fine, losing speech is not. Pauses stay inside an utterance, so that the decoder
//! gets long context, until one reaches [`SegmenterOptions::end_pause`] or the window is full. A
//! full window is cut at its best pause ([`best_cut`]), and the rest begins the next utterance. If
//! the pause is short, the two abut exactly.
//!
//! Decisions are made per frame of 16 ms, so they do not depend on the block size. At most one
//! window and the pause that ends it are held in memory.

mod cut;
mod frames;
mod utterance;

pub use frames::PRE_ROLL;
pub use utterance::Utterance;

use crate::audio::SAMPLE_RATE;
use crate::audio::vad::{FRAME, FrameScore, Vad};
use cut::{Cut, best_cut};
use frames::{HANGOVER, OFFSET_THRESHOLD, ONSET_THRESHOLD, frames};
use std::ops::Range;

/// Number of consecutive sure frames that begin speech: 80 ms. Clicks are shorter.
const ONSET_FRAMES: usize = 5;
/// Number of frames by which unsure frames may extend speech beyond sure ones: 2 s.
const UNSURE_FRAMES: usize = frames(2.0);
/// Minimum of pre-roll and of hangover, in frames, if the window is too short for all of them: 0.1
/// s.
const MIN_PADDING: usize = frames(0.1);
/// Shortest window in frames: 4 s, which holds everything that may precede an onset.
const MIN_WINDOW: usize = frames(4.0);

/// Speech that continues: its utterance as it would be if the stream ended here.
#[derive(Debug, Clone, Copy)]
pub struct Ongoing<'a> {
    /// Samples, 16 kHz, mono.
    pub samples: &'a [f32],
    /// Index of the first sample on the stream's clock (16 kHz).
    pub start: u64,
    /// Number of samples up to the end of the latest speech. Silence follows.
    pub voiced: usize,
    /// Number of samples of silence since then.
    pub silence: usize,
    /// Whether enough silence has followed that only more speech can change the utterance.
    pub is_settled: bool,
}

/// Limits of an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmenterOptions {
    /// Longest utterance in samples, at least 4 s. Default: 163,840 (10.24 s).
    pub max_samples: usize,
    /// Pause that ends an utterance in samples, at least 0.5 s. Default: 32,000 (2 s), which fills
    /// windows; dictation needs its text sooner.
    pub end_pause: usize,
}

impl Default for SegmenterOptions {
    fn default() -> Self {
        Self {
            max_samples: 163_840,
            end_pause: 2 * SAMPLE_RATE as usize,
        }
    }
}

/// Cuts a stream into utterances.
pub struct Segmenter {
    vad: Vad,
    /// Samples that do not yet fill a frame.
    partial: Vec<f32>,
    cutter: Cutter,
}

impl Segmenter {
    /// Creates a segmenter at the start of a stream.
    pub fn new(options: SegmenterOptions) -> Self {
        Self {
            vad: Vad::new(),
            partial: Vec::with_capacity(FRAME),
            cutter: Cutter::new(options),
        }
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

    /// The speech that continues, if any.
    pub fn ongoing(&self) -> Option<Ongoing<'_>> {
        self.cutter.ongoing()
    }

    /// Ends the speech that continues, if any, as a pause would.
    pub fn end_ongoing(&mut self) -> Option<Utterance> {
        let speech = self.cutter.speech?;
        Some(self.cutter.end(speech))
    }

    /// Ends the stream. Returns the last utterance, if speech continued until now.
    pub fn finish(mut self) -> Option<Utterance> {
        self.cutter.finish(&self.partial)
    }
}

/// Segmenter that works on the scores of the voice detector.
struct Cutter {
    max_frames: usize,
    end_pause: usize,
    /// Samples of the frames held, which may still become part of an utterance.
    samples: Vec<f32>,
    /// Scores of the frames held.
    scores: Vec<FrameScore>,
    /// Index of the first frame held in the stream.
    base: u64,
    /// Speech that continues, in an utterance that begins with the first frame held; `None` in
    /// silence.
    speech: Option<Speech>,
    /// Number of consecutive sure frames at the end.
    sure_run: usize,
}

/// Speech that continues, in indices of the frames held.
#[derive(Clone, Copy)]
struct Speech {
    /// Number of frames before it that may be left out if the window is too short.
    trimmable: usize,
    /// Last frame that is surely speech.
    last_sure: usize,
    /// Last frame that counts as speech.
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
        self.sure_run = if score.speech >= ONSET_THRESHOLD {
            self.sure_run + 1
        } else {
            0
        };
        match self.speech {
            None => {
                self.detect_onset();
                None
            }
            Some(speech) => self.track_speech(speech, score),
        }
    }

    /// Looks for an onset in silence, and drops frames that lie too far back to matter.
    fn detect_onset(&mut self) {
        if self.sure_run >= ONSET_FRAMES {
            // Fewer frames are held if a cut has just taken the rest.
            let sure = self.scores.len().saturating_sub(ONSET_FRAMES);
            let unsure = self.scores.iter().take(sure).rev().take(UNSURE_FRAMES);
            let first = sure - unsure.take_while(|s| s.speech > OFFSET_THRESHOLD).count();
            self.drop_frames(first.saturating_sub(PRE_ROLL));
            let trimmable = first.min(PRE_ROLL).saturating_sub(MIN_PADDING);
            self.speech = Some(Speech {
                trimmable,
                ..Speech::at(self.scores.len() - 1)
            });
        } else {
            self.drop_frames(
                self.scores
                    .len()
                    .saturating_sub(PRE_ROLL + UNSURE_FRAMES + ONSET_FRAMES),
            );
        }
    }

    /// Looks for the end of speech. Returns the utterance if it ends, by a pause or a full window.
    fn track_speech(&mut self, mut speech: Speech, score: FrameScore) -> Option<Utterance> {
        let newest = self.scores.len() - 1;
        speech.observe(newest, score);
        self.speech = Some(speech);
        if newest - speech.last >= self.end_pause {
            return Some(self.end(speech));
        }
        if speech.last + 1 + MIN_PADDING > self.max_frames + speech.trimmable {
            let window = self.scores.len().min(self.max_frames);
            return Some(self.take(best_cut(&self.scores[..window])));
        }
        None
    }

    /// Ends the stream, which has the samples `rest` (less than a frame) after the last frame.
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

    /// Ends the utterance after its speech.
    fn end(&mut self, speech: Speech) -> Utterance {
        let Range { start, end } = self.extent(speech);
        self.drop_frames(start);
        self.take(Cut::after_speech(end - start))
    }

    fn ongoing(&self) -> Option<Ongoing<'_>> {
        let speech = self.speech?;
        let Range { start, end } = self.extent(speech);
        let samples = self.samples.get(start * FRAME..end * FRAME)?;
        let silence = (self.scores.len() - 1).saturating_sub(speech.last);
        let is_settled = silence >= HANGOVER;
        let voiced = ((speech.last + 1).saturating_sub(start) * FRAME).min(samples.len());
        Some(Ongoing {
            samples,
            start: (self.base + start as u64) * FRAME as u64,
            voiced,
            silence: silence * FRAME,
            is_settled,
        })
    }

    /// Returns the frames of an utterance that ends after its speech. If the window is too short,
    /// the hangover is shortened first, then the pre-roll: the detector is late at onsets, and
    /// later at ends.
    fn extent(&self, speech: Speech) -> Range<usize> {
        let needed = speech.last + 1 + MIN_PADDING;
        let start = needed.saturating_sub(self.max_frames).min(speech.trimmable);
        let end = (speech.last + 1 + HANGOVER).min(self.scores.len());
        start..start + (end - start).min(self.max_frames)
    }

    /// Takes the utterance up to a cut from the frames held.
    fn take(&mut self, cut: Cut) -> Utterance {
        let samples = self
            .samples
            .get(..cut.end * FRAME)
            .unwrap_or(&self.samples)
            .to_vec();
        let start = self.base * FRAME as u64;
        let scores = self.scores.iter().take(cut.end).copied().collect();
        self.drop_frames(cut.next.unwrap_or(cut.end));
        self.speech = cut.next.and_then(|_| Speech::in_frames(&self.scores));
        Utterance {
            samples,
            start,
            scores,
            // Without speech in what is held, the next utterance may begin at any time.
            continues: cut.continues() && self.speech.is_some(),
        }
    }

    /// Drops the first `n` frames held.
    fn drop_frames(&mut self, n: usize) {
        let n = n.min(self.scores.len());
        self.scores.drain(..n);
        self.samples.drain(..n * FRAME);
        self.base += n as u64;
    }
}

impl Speech {
    fn at(frame: usize) -> Self {
        Self {
            trimmable: 0,
            last_sure: frame,
            last: frame,
        }
    }

    /// Takes the score of a frame.
    fn observe(&mut self, frame: usize, score: FrameScore) {
        if score.speech >= ONSET_THRESHOLD {
            self.last_sure = frame;
            self.last = frame;
        } else if score.speech > OFFSET_THRESHOLD && frame - self.last_sure <= UNSURE_FRAMES {
            self.last = frame;
        }
    }

    /// Returns the speech in the frames after a cut, if there is any.
    fn in_frames(scores: &[FrameScore]) -> Option<Self> {
        let first = scores.iter().position(|s| s.speech > OFFSET_THRESHOLD)?;
        let mut speech = Self::at(first);
        for (frame, score) in scores.iter().enumerate().skip(first) {
            speech.observe(frame, *score);
        }
        Some(speech)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Run of equal frames: speech probability, level in dB, number.
    type Stretch = (f32, f32, usize);

    const SPEECH: f32 = 0.9;
    const DOUBT: f32 = 0.5;
    const SILENCE: f32 = 0.1;

    /// Returns the scores of some runs. The levels waver, so that there are quiet spots to find.
    fn scores(stretches: &[Stretch]) -> Vec<FrameScore> {
        let alike = |&(speech, level_db, n): &Stretch| {
            std::iter::repeat_n(FrameScore { speech, level_db }, n)
        };
        let waver = |(i, s): (usize, FrameScore)| FrameScore {
            level_db: s.level_db + (i * 7 % 11) as f32,
            ..s
        };
        stretches
            .iter()
            .flat_map(alike)
            .enumerate()
            .map(waver)
            .collect()
    }

    /// Cuts a stream of which each sample is its own index, with `rest` samples after the frames.
    fn cut(options: SegmenterOptions, scores: &[FrameScore], rest: usize) -> Vec<Utterance> {
        let mut cutter = Cutter::new(options);
        let mut utterances = Vec::new();
        for (i, score) in scores.iter().enumerate() {
            let frame = std::array::from_fn(|j| (i * FRAME + j) as f32);
            utterances.extend(cutter.push(&frame, *score));
            let most = cutter.max_frames + cutter.end_pause + PRE_ROLL;
            assert!(
                cutter.scores.len() <= most,
                "held: {} frames",
                cutter.scores.len()
            );
        }
        let end = scores.len() * FRAME;
        let rest: Vec<f32> = (end..end + rest).map(|i| i as f32).collect();
        utterances.extend(cutter.finish(&rest));
        utterances
    }

    fn range(utterance: &Utterance) -> std::ops::Range<usize> {
        utterance.start as usize..utterance.start as usize + utterance.samples.len()
    }

    #[test]
    fn silence_and_clicks_give_nothing() {
        let click = scores(&[
            (SILENCE, -60.0, 500),
            (SPEECH, -10.0, ONSET_FRAMES - 1),
            (SILENCE, -60.0, 500),
        ]);
        assert_eq!(cut(SegmenterOptions::default(), &click, 100), vec![]);
        assert_eq!(cut(SegmenterOptions::default(), &[], 100), vec![]);
    }

    #[test]
    fn speech_comes_with_pre_roll_doubt_and_hangover() {
        let stream = scores(&[
            (SILENCE, -60.0, 300),
            (DOUBT, -30.0, 20),
            (SPEECH, -20.0, 100),
            (SILENCE, -60.0, 300),
        ]);
        let utterances = cut(SegmenterOptions::default(), &stream, 0);
        let ranges: Vec<_> = utterances.iter().map(range).collect();
        assert_eq!(
            ranges,
            vec![(300 - PRE_ROLL) * FRAME..(420 + HANGOVER) * FRAME]
        );
    }

    #[test]
    fn doubt_alone_ends_in_time() {
        let stream = scores(&[(SPEECH, -20.0, 100), (DOUBT, -30.0, 2000)]);
        let total: usize = cut(SegmenterOptions::default(), &stream, 0)
            .iter()
            .map(|u| u.samples.len())
            .sum();
        assert_eq!(total, (100 + UNSURE_FRAMES + HANGOVER) * FRAME);
    }

    #[test]
    fn ongoing_speech_is_the_utterance_once_it_is_settled() {
        let stream = scores(&[
            (SILENCE, -60.0, 100),
            (SPEECH, -20.0, 50),
            (SILENCE, -60.0, 60),
        ]);
        let mut cutter = Cutter::new(SegmenterOptions {
            end_pause: 50 * FRAME,
            ..SegmenterOptions::default()
        });
        let mut seen = Vec::new();
        let mut done = Vec::new();
        for (i, score) in stream.iter().enumerate() {
            done.extend(cutter.push(&[i as f32; FRAME], *score));
            seen.extend(
                cutter
                    .ongoing()
                    .map(|o| (o.start, o.samples.to_vec(), o.is_settled)),
            );
        }
        assert_eq!(done.len(), 1);
        let (settled, unsettled): (Vec<_>, Vec<_>) =
            seen.into_iter().partition(|(_, _, settled)| *settled);
        assert_eq!(
            unsettled.len(),
            50 - ONSET_FRAMES + HANGOVER,
            "one per frame from the onset on"
        );
        assert!(
            unsettled
                .iter()
                .all(|(start, samples, _)| *start == done[0].start && !samples.is_empty())
        );
        assert!(
            !settled.is_empty()
                && settled
                    .iter()
                    .all(|(_, samples, _)| *samples == done[0].samples)
        );
    }

    #[test]
    fn pauses_join_until_they_are_long() {
        let two = |pause| {
            scores(&[
                (SPEECH, -20.0, 100),
                (SILENCE, -60.0, pause),
                (SPEECH, -20.0, 100),
            ])
        };
        let options = SegmenterOptions {
            end_pause: 50 * FRAME,
            ..SegmenterOptions::default()
        };
        assert_eq!(cut(options, &two(49), 0).len(), 1);
        let apart: Vec<_> = cut(options, &two(200), 0).iter().map(range).collect();
        assert_eq!(
            apart,
            vec![
                0..(100 + HANGOVER) * FRAME,
                (300 - PRE_ROLL) * FRAME..400 * FRAME
            ]
        );
    }

    #[test]
    fn a_full_window_is_cut_in_its_longest_late_pause() {
        let stream = scores(&[
            (SPEECH, -20.0, 420),
            (SILENCE, -60.0, 30),
            (SPEECH, -20.0, 80),
            (SILENCE, -60.0, 10),
            (SPEECH, -20.0, 300),
        ]);
        let ranges: Vec<_> = cut(SegmenterOptions::default(), &stream, 0)
            .iter()
            .map(range)
            .collect();
        assert_eq!(ranges, vec![0..435 * FRAME, 435 * FRAME..840 * FRAME]);
    }

    #[test]
    fn speech_without_pause_is_cut_at_its_quietest() {
        let mut stream = scores(&[(SPEECH, -20.0, 1000)]);
        for score in &mut stream[500..505] {
            // A dip in level, too short for a pause.
            score.level_db = -45.0;
        }
        let ranges: Vec<_> = cut(SegmenterOptions::default(), &stream, 0)
            .iter()
            .map(range)
            .collect();
        assert_eq!(ranges[0], 0..502 * FRAME);
        assert_eq!(ranges[1].start, 502 * FRAME);
    }

    fn stretch() -> impl Strategy<Value = Stretch> {
        let kind = prop::sample::select(vec![SPEECH, SPEECH, DOUBT, SILENCE]);
        (kind, -70.0f32..-10.0, prop_oneof![1usize..40, 1usize..1500])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_speech_comes_once_in_order_and_in_bounds(
            stretches in prop::collection::vec(stretch(), 1..25),
            max_samples in prop_oneof![Just(0), Just(159_040), Just(480_000), 0usize..300_000],
            end_pause in 0usize..60_000,
            rest in 0..FRAME,
        ) {
            let scores = scores(&stretches);
            let utterances = cut(SegmenterOptions { max_samples, end_pause }, &scores, rest);
            let mut heard = vec![false; scores.len() * FRAME + rest];
            let mut end = 0;
            for pair in utterances.windows(2) {
                prop_assert!(!pair[0].continues || pair[0].end() == pair[1].start);
            }
            for utterance in &utterances {
                let range = range(utterance);
                prop_assert!(range.start >= end, "{range:?} begins before {end}");
                prop_assert!(!range.is_empty() && range.len() <= max_samples.max(MIN_WINDOW * FRAME));
                prop_assert!(utterance.samples.iter().zip(range.clone()).all(|(x, i)| *x == i as f32));
                end = range.end;
                heard[range].fill(true);
            }
            for run in scores.chunk_by(|a, b| (a.speech >= ONSET_THRESHOLD) == (b.speech >= ONSET_THRESHOLD)).scan(0, |at, run| {
                let first = *at;
                *at += run.len();
                Some((first, run))
            }) {
                let (first, run) = run;
                if run[0].speech >= ONSET_THRESHOLD && run.len() >= ONSET_FRAMES {
                    prop_assert!(heard[first * FRAME..(first + run.len()) * FRAME].iter().all(|h| *h));
                }
            }
        }

        #[test]
        fn blocks_do_not_matter(sizes in prop::collection::vec(1usize..5000, 1..40)) {
            // Noise bursts: the detector's result must not depend on the blocks.
            let total: usize = sizes.iter().sum();
            let wave = |i: usize| ((i * i % 971) as f32 / 485.0 - 1.0) * if (i / 9000).is_multiple_of(2) { 0.5 } else { 0.001 };
            let stream: Vec<f32> = (0..total).map(wave).collect();
            let segment = |sizes: &[usize]| {
                let mut segmenter = Segmenter::new(SegmenterOptions { max_samples: 0, end_pause: 0 });
                let mut rest = stream.as_slice();
                let mut utterances = Vec::new();
                for size in sizes {
                    let (block, others) = rest.split_at(*size);
                    utterances.extend(segmenter.push(block));
                    rest = others;
                }
                utterances.extend(segmenter.finish());
                utterances
            };
            prop_assert_eq!(segment(&sizes), segment(&[total]));
        }
    }
}
