//! Where nobody speaks within an utterance, and what follows for the words around.
//!
//! Dynamic time warping gives every moment to a word, a pause mostly to the one after it; OpenAI
//! cuts words that are too long back to what is usual. The level of the sound says better where
//! they begin.

use super::TimedWord;

/// Samples of a frame: 10 ms at 16 kHz.
const FRAME: usize = 160;

/// Shortest pause in frames; the closure of a plosive is shorter.
const SHORTEST: usize = 10;

/// Of the levels of an utterance's frames these, as shares of their number, count as its quietest
/// and its loudest.
const QUIETEST: f64 = 0.05;
const LOUDEST: f64 = 0.95;

/// Frames this share of the way from the quietest to the loudest level or below, in decibels, are
/// quiet.
const QUIET: f32 = 0.4;

/// Range in dB between quietest and loudest: less of it is steady noise, in which no pause can be
/// told; more of it is digital silence, which would make pauses with any noise in them speech.
const RANGE: (f32, f32) = (12.0, 50.0);

/// Seconds of a word that are no word by themselves.
const SLIVER: f64 = 0.03;

/// Shortest sound behind a text that stops within a sentence which may hold more of it, in seconds.
const MORE: f64 = 0.4;
/// What a sentence may end with.
const ENDS: [char; 22] = [
    '.', '?', '!', '…', '"', '”', '’', '»', ')', '。', '？', '！', '」', '』', '।', '॥', '۔', '؟',
    '։', '။', '។', '።',
];

/// Sound at most this long, in seconds, between the end of a word and a pause belongs to that word.
const REST: f64 = 0.2;

/// Pauses of an utterance, begin and end in seconds from its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pauses(Vec<(f64, f64)>);

impl Pauses {
    /// The pauses in samples (16 kHz, mono).
    pub fn of(samples: &[f32]) -> Self {
        let levels: Vec<f32> = samples.chunks_exact(FRAME).map(level).collect();
        let mut sorted = levels.clone();
        sorted.sort_by(f32::total_cmp);
        let rank = |share: f64| {
            sorted
                .get((share * sorted.len() as f64) as usize)
                .copied()
                .unwrap_or_default()
        };
        let (quietest, loudest) = (rank(QUIETEST), rank(LOUDEST));
        if loudest - quietest < RANGE.0 {
            return Self::default();
        }
        let quietest = quietest.max(loudest - RANGE.1);
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

    /// Whether a text may have stopped before the speech did, as the decoder's do now and then at a
    /// pause: it stops within a sentence, its last word ends at `end_s`, and sound follows in an
    /// utterance of so many seconds. In steady noise, where no pause can be told, nothing can be
    /// said of that.
    pub fn may_hide_more(&self, text: &str, end_s: f64, seconds: f64) -> bool {
        let quiet_s = |&(from, to): &(f64, f64)| (to.min(seconds) - from.max(end_s)).max(0.0);
        let sound_s = seconds - end_s - self.0.iter().map(quiet_s).sum::<f64>();
        !self.0.is_empty() && !ends_sentence(text) && sound_s >= MORE
    }

    /// Lets words begin and end with sound, in order.
    pub(super) fn part(&self, words: &mut [TimedWord]) {
        for i in 0..words.len() {
            let (before, words) = words.split_at_mut(i);
            let word = &mut words[0];
            let (mut start, mut end, mut first) = (word.start, word.end, None);
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
            (word.start, word.end) = (start, end);
        }
    }
}

/// Whether a text ends where a sentence may.
pub fn ends_sentence(text: &str) -> bool {
    text.trim_end().ends_with(ENDS)
}

/// Mean power of a frame in dB; that of digital silence is −90 dB.
fn level(frame: &[f32]) -> f32 {
    let power = frame.iter().map(|x| x * x).sum::<f32>() / frame.len() as f32;
    10.0 * (power + 1e-9).log10()
}

fn seconds(frame: usize) -> f64 {
    (frame * FRAME) as f64 / 16_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sound of these amplitudes, each for so many seconds.
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
    fn pauses_are_quiet_beside_the_speech() {
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
    fn sound_behind_half_a_sentence_may_hide_more_of_it() {
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
            attended: end,
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
