//! Pauses within an utterance, and the word times that follow from them.
//!
//! In: samples of an utterance and words with times. Out: words that begin and end with sound.
//!
//! Dynamic time warping assigns every moment to a word, a pause mostly to the word after it. OpenAI
//! shortens words that are unusually long. The sound level shows more precisely where they begin.

use super::TimedWord;
use crate::audio::clock;
use crate::whisper::decoding::thresholds::MIN_SOUND_S_UNFINISHED;

/// Number of samples of a frame: 10 ms at 16 kHz.
const FRAME: usize = 160;

/// Shortest pause in frames. The closure of a plosive is shorter.
const SHORTEST: usize = 10;

/// Quantile of the levels of an utterance's frames that counts as its quietest level.
const QUIETEST: f64 = 0.05;
/// Quantile that counts as its loudest level.
const LOUDEST: f64 = 0.95;

/// Frames at or below this share of the way from the quietest to the loudest level, in decibels,
/// are quiet.
const QUIET: f32 = 0.4;

/// Least range between the quietest and the loudest level in dB. A smaller range is steady noise, in
/// which pauses cannot be found.
const MIN_RANGE: f32 = 12.0;
/// Largest range in dB that is used. A larger range means digital silence, next to which noise in
/// pauses would count as speech.
const MAX_RANGE: f32 = 50.0;

/// Level in dB up to which samples are digital silence, not recorded.
const DIGITAL_SILENCE: f32 = -85.0;

/// Length in seconds up to which a part of a word does not count as a word.
const SLIVER: f64 = 0.03;

/// Characters that may end a sentence.
const ENDS: [char; 22] = [
    '.', '?', '!', '…', '"', '”', '’', '»', ')', '。', '？', '！', '」', '』', '।', '॥', '۔', '؟',
    '։', '။', '។', '።',
];

/// Longest sound between the end of a word and a pause that still belongs to the word, in seconds.
const REST: f64 = 0.2;

/// Pauses of an utterance: start and end in seconds from its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pauses(Vec<(f64, f64)>);

impl Pauses {
    /// Finds the pauses in samples (16 kHz, mono).
    pub fn of(samples: &[f32]) -> Self {
        let levels: Vec<f32> = samples.chunks_exact(FRAME).map(level).collect();
        // Digital silence would hide how quiet the recording's own pauses are.
        let recorded = levels.iter().copied().filter(|db| *db > DIGITAL_SILENCE);
        let mut sorted: Vec<f32> = recorded.collect();
        sorted.sort_by(f32::total_cmp);
        let rank = |share: f64| {
            sorted
                .get((share * sorted.len() as f64) as usize)
                .copied()
                .unwrap_or_default()
        };
        let quietest = rank(QUIETEST);
        let loudest = rank(LOUDEST);
        if loudest - quietest < MIN_RANGE {
            return Self::default();
        }
        let quietest = quietest.max(loudest - MAX_RANGE);
        let most = quietest + QUIET * (loudest - quietest);
        let smooth = |i: usize| {
            let around = &levels[i.saturating_sub(1)..levels.len().min(i + 2)];
            around.iter().sum::<f32>() / around.len() as f32
        };
        let quiet: Vec<bool> = (0..levels.len()).map(|i| smooth(i) <= most).collect();
        let mut at = 0;
        let mut pauses = Vec::new();
        for run in quiet.chunk_by(|a, b| a == b) {
            if run[0] && run.len() >= SHORTEST {
                pauses.push((seconds(at), seconds(at + run.len())));
            }
            at += run.len();
        }
        Self(pauses)
    }

    /// Whether a text may have stopped before the speech, as the decoder sometimes does at a pause:
    /// it ends in the middle of a sentence, its last word ends at `end_s`, and sound follows in an
    /// utterance of `seconds`. Always false in steady noise, in which pauses cannot be found.
    pub fn may_hide_more(&self, text: &str, end_s: f64, seconds: f64) -> bool {
        let sound_s = self.sound_s(end_s, seconds);
        !self.0.is_empty() && !ends_sentence(text) && sound_s >= MIN_SOUND_S_UNFINISHED
    }

    /// Seconds of sound between two times: their distance without the pauses.
    pub fn sound_s(&self, start_s: f64, end_s: f64) -> f64 {
        let quiet_s = |&(from, to): &(f64, f64)| (to.min(end_s) - from.max(start_s)).max(0.0);
        end_s - start_s - self.0.iter().map(quiet_s).sum::<f64>()
    }

    /// Moves the times of words so that they begin and end with sound.
    pub(super) fn part(&self, words: &mut [TimedWord]) {
        for i in 0..words.len() {
            let (before, words) = words.split_at_mut(i);
            let word = &mut words[0];
            let mut start = word.start;
            let mut end = word.end;
            let mut first = None;
            for &(from, to) in self
                .0
                .iter()
                .filter(|(from, to)| *to > word.start && *from < word.end)
            {
                if to < word.end - SLIVER {
                    first.get_or_insert(from);
                    start = to;
                } else if from > word.start + SLIVER {
                    end = from;
                }
            }
            if start >= end {
                continue;
            }
            if let (Some(last), Some(first)) = (before.last_mut(), first)
                && last.end == word.start
                && (word.start..word.start + REST).contains(&first)
            {
                last.end = first;
            }
            word.start = start;
            word.end = end;
        }
    }
}

/// Whether a text ends where a sentence may.
pub fn ends_sentence(text: &str) -> bool {
    text.trim_end().ends_with(ENDS)
}

/// Returns the mean power of a frame in dB; −90 dB for digital silence.
fn level(frame: &[f32]) -> f32 {
    let power = frame.iter().map(|x| x * x).sum::<f32>() / frame.len() as f32;
    10.0 * (power + 1e-9).log10()
}

fn seconds(frame: usize) -> f64 {
    clock::seconds((frame * FRAME) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns sound with these amplitudes, each for some seconds.
    fn sound(parts: &[(f32, f64)]) -> Vec<f32> {
        let part = |&(amplitude, s): &(f32, f64)| {
            (0..(s * 16_000.0) as usize).map(move |i| amplitude * (i as f32 * 0.7).sin())
        };
        parts.iter().flat_map(part).collect()
    }

    fn pauses(parts: &[(f32, f64)]) -> Vec<(f64, f64)> {
        let tenths = |s: f64| (s * 10.0).round() / 10.0;
        Pauses::of(&sound(parts))
            .0
            .into_iter()
            .map(|(from, to)| (tenths(from), tenths(to)))
            .collect()
    }

    #[test]
    fn pauses_are_quiet_compared_with_speech() {
        assert_eq!(
            pauses(&[(0.002, 0.5), (0.3, 1.0), (0.002, 0.3), (0.2, 1.0)]),
            [(0.0, 0.5), (1.5, 1.8)]
        );
        assert_eq!(
            pauses(&[(0.3, 1.0), (0.002, 0.05), (0.2, 1.0)]),
            [],
            "a plosive"
        );
        assert_eq!(pauses(&[(0.3, 1.0), (0.2, 1.0)]), [], "noise");
        assert_eq!(
            pauses(&[(0.3, 1.0), (0.003, 0.5), (0.0, 1.0)]),
            [(1.0, 2.5)],
            "digital silence behind noise"
        );
        assert_eq!(pauses(&[]), []);
    }

    #[test]
    fn sound_after_half_a_sentence_may_hide_more_of_it() {
        let pauses = Pauses(vec![(0.0, 0.5), (1.5, 1.8)]);
        let hides = |text, end_s, seconds| pauses.may_hide_more(text, end_s, seconds);
        assert!(hides("and said to him,", 1.5, 2.3) && hides("a short", 0.6, 3.0));
        assert!(!hides("and said to him.", 1.5, 2.3), "the sentence is over");
        assert!(
            !Pauses::default().may_hide_more("and said to him,", 1.5, 2.3),
            "steady noise"
        );
        assert!(
            !hides("and said to him,", 1.4, 2.0),
            "0.1 s before the pause and 0.2 s behind it"
        );
    }

    fn parted(pauses: &[(f64, f64)], words: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let word = |&(start, end): &(f64, f64)| TimedWord {
            text: String::new(),
            tokens: 1,
            start,
            end,
            probability: 1.0,
        };
        let mut words: Vec<_> = words.iter().map(word).collect();
        Pauses(pauses.to_vec()).part(&mut words);
        words
            .into_iter()
            .map(|word| (word.start, word.end))
            .collect()
    }

    #[test]
    fn words_begin_after_pauses_and_end_before_them() {
        assert_eq!(
            parted(&[(0.0, 0.5), (1.5, 2.0)], &[(0.0, 1.0), (1.0, 2.0)]),
            [(0.5, 1.0), (1.0, 1.5)]
        );
        assert_eq!(
            parted(&[(1.1, 2.0)], &[(0.0, 1.0), (1.0, 2.5)]),
            [(0.0, 1.1), (2.0, 2.5)],
            "the rest of a word"
        );
        assert_eq!(
            parted(&[(1.4, 2.0)], &[(0.0, 1.0), (1.0, 2.5)]),
            [(0.0, 1.0), (2.0, 2.5)],
            "more than a rest"
        );
        assert_eq!(
            parted(&[(0.0, 3.0)], &[(1.0, 2.0)]),
            [(1.0, 2.0)],
            "a word said in silence"
        );
        assert_eq!(
            parted(&[(0.2, 0.4), (0.5, 0.7)], &[(0.0, 1.0)]),
            [(0.7, 1.0)]
        );
    }
}
