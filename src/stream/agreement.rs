//! Commit policy: the words of a hypothesis that are shown once and for all.
//!
//! In: the words of each hypothesis that follow the committed ones. Out: how many of them to
//! commit.

use crate::text::{Word, common_prefix};

/// Length of audio needed after a word that the model is sure of, in seconds.
const MIN_AUDIO_AFTER_S: f64 = 0.3;

/// Additional length of audio needed after a word of no confidence at all, in seconds. The less
/// sure the model is of a word, the likelier it is that more audio changes it.
const DOUBT_S: f64 = 1.5;

/// Weight of the doubt of the following words, relative to the word's own: if the model is not sure
/// how a sentence continues, it may have misheard the words before.
const FOLLOWING_WEIGHT: f32 = 0.4;

/// Number of following words whose doubt counts.
const N_FOLLOWING: usize = 2;

/// Confidence below which a word is not committed before the final text: hypotheses agree on such
/// words even if they are wrong.
const MIN_CONFIDENCE: f32 = 0.35;

/// LocalAgreement-2 (Macháček et al., arXiv:2307.14743): commits the words that two consecutive
/// hypotheses agree on, if enough audio follows them.
///
/// The last word of a hypothesis is never committed: the audio may end within it, and its
/// punctuation is unknown. Holding back two words was measured: as many word errors, but later.
#[derive(Debug, Default)]
pub(super) struct LocalAgreement {
    previous: Vec<Word>,
}

impl LocalAgreement {
    /// Takes the words of a new hypothesis that follow the committed ones. The audio ends at
    /// `end_s`, in the same seconds as the times of the words. Returns how many of them to commit;
    /// the next hypothesis begins after those.
    pub fn update(&mut self, words: &[Word], end_s: f64) -> usize {
        let n_before_last = words.len().saturating_sub(1);
        let n_agreed = common_prefix(&self.previous, words).min(n_before_last);
        let n_committed = (0..n_agreed)
            .take_while(|&i| is_settled(words.get(i..).unwrap_or_default(), end_s))
            .count();
        self.previous = words.iter().skip(n_committed).cloned().collect();
        n_committed
    }

    /// Forgets the last hypothesis: the next one is not consecutive to it.
    pub fn reset(&mut self) {
        self.previous.clear();
    }
}

/// Whether the first of `words` is sure enough and has enough audio after it.
fn is_settled(words: &[Word], end_s: f64) -> bool {
    let Some((word, following)) = words.split_first() else {
        return false;
    };
    let since_s = word.end_s + MIN_AUDIO_AFTER_S + DOUBT_S * doubt(word, following);
    word.confidence >= MIN_CONFIDENCE && since_s <= end_s
}

/// Returns how unsure the model is of a word, and of the words that follow it; 0 if it is sure of
/// all of them.
fn doubt(word: &Word, following: &[Word]) -> f64 {
    let unsure = |word: &Word| 1.0 - word.confidence;
    let most_unsure = following
        .iter()
        .take(N_FOLLOWING)
        .map(unsure)
        .fold(0.0, f32::max);
    f64::from(unsure(word) + FOLLOWING_WEIGHT * most_unsure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fake::sure_words;

    #[test]
    fn two_hypotheses_have_to_agree() {
        let mut policy = LocalAgreement::default();
        let mut update = |text| policy.update(&sure_words(text), 1.0);
        assert_eq!(update(" And so my"), 0);
        assert_eq!(update(" and so, my fellow"), 3);
        assert_eq!(update(" fellow"), 0, "the last word waits");
        assert_eq!(update(" fellow a"), 1);
        assert_eq!(update(" Americans ask"), 0);
    }

    #[test]
    fn a_new_utterance_knows_nothing_of_the_last() {
        let mut policy = LocalAgreement::default();
        let words = sure_words(" yes yes yes yes");
        assert_eq!(
            (policy.update(&words, 1.0), policy.update(&words, 1.0)),
            (0, 3)
        );
        policy.reset();
        assert_eq!(policy.update(&words, 1.0), 0);
    }

    #[test]
    fn a_word_waits_the_longer_the_less_sure_it_is() {
        let mut words = ending_at(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        words[1].confidence = 0.5;
        let settled = |end_s| {
            let mut policy = LocalAgreement::default();
            policy.update(&words, end_s);
            policy.update(&words, end_s)
        };
        assert_eq!(
            (settled(0.9), settled(1.1), settled(1.7)),
            (0, 1, 1),
            "what follows the first is doubtful"
        );
        assert_eq!(
            settled(1.8),
            3,
            "1.05 s behind it are enough, and the last word waits"
        );
    }

    #[test]
    fn a_word_of_little_confidence_waits_for_the_final() {
        let mut words = ending_at(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        words[1].confidence = 0.2;
        let mut policy = LocalAgreement::default();
        policy.update(&words, 9.0);
        assert_eq!(policy.update(&words, 9.5), 1);
    }

    /// Returns words of full confidence that end at these times, in seconds.
    fn ending_at(text: &str, ends_s: &[f64]) -> Vec<Word> {
        let mut words = sure_words(text);
        for (word, end_s) in words.iter_mut().zip(ends_s) {
            word.end_s = *end_s;
        }
        words
    }
}
