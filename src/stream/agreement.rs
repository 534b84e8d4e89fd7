//! The commit policy: which words of a hypothesis are settled, and so shown once and for all.
//!
//! In: hypotheses of what follows the committed words. Out: how many of their words to commit.

use crate::text::{Word, common_prefix};

/// Audio that is wanted behind a word that the model is sure of, in seconds.
const BEHIND_S: f64 = 0.3;

/// What a word of no confidence at all wants more, in seconds: the less sure the model is of a
/// word, the likelier it is that what comes makes another of it.
const DOUBT_S: f64 = 1.5;

/// What the doubt of the words that follow weighs beside a word's own: where the model is not sure
/// how a sentence goes on, it may have heard it wrong before.
const FOLLOWING: f32 = 0.4;

/// How many words that follow a word are asked.
const FOLLOWERS: usize = 2;

/// Confidence below which a word waits for the final text: hypotheses agree on such words too, while
/// they are wrong.
const LEAST_CONFIDENCE: f32 = 0.35;

/// LocalAgreement-2: what two hypotheses in a row agree on (Macháček et al., arXiv:2307.14743), of the
/// words that have enough audio behind them.
///
/// The last word of a hypothesis waits: the audio may end within it, and its punctuation with it.
/// Holding back two words was measured: as many word errors, later.
#[derive(Debug, Default)]
pub struct LocalAgreement {
    previous: Vec<Word>,
}

impl LocalAgreement {
    /// Takes a hypothesis of what follows the committed words, from audio that ends at `end_s`, in
    /// seconds as the words' times. Returns how many of its words to commit now; the next hypothesis
    /// begins after them.
    pub fn update(&mut self, hypothesis: &[Word], end_s: f64) -> usize {
        let agreed = self.agreed(hypothesis, end_s);
        self.previous = hypothesis.iter().skip(agreed).cloned().collect();
        agreed
    }

    /// A new utterance begins, or a hypothesis says nothing of what follows the committed words.
    pub fn reset(&mut self) {
        self.previous.clear();
    }

    /// How many words the hypothesis before and this one have in common, the last word aside, up to the
    /// first that has too little audio behind it or too little confidence.
    fn agreed(&self, hypothesis: &[Word], end_s: f64) -> usize {
        let is_settled = |i: &usize| match hypothesis.get(*i..) {
            Some([word, rest @ ..]) => {
                word.confidence >= LEAST_CONFIDENCE
                    && word.end_s + BEHIND_S + DOUBT_S * doubt(word, rest) <= end_s
            }
            _ => false,
        };
        let in_common =
            common_prefix(&self.previous, hypothesis).min(hypothesis.len().saturating_sub(1));
        (0..in_common).take_while(is_settled).count()
    }
}

/// How unsure the model is of a word: 0 where it is sure of it and of the words `after` it.
fn doubt(word: &Word, after: &[Word]) -> f64 {
    let unsure = |word: &Word| 1.0 - word.confidence;
    f64::from(
        unsure(word) + FOLLOWING * after.iter().take(FOLLOWERS).map(unsure).fold(0.0, f32::max),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::split;
    use crate::tokenizer::Language;

    #[test]
    fn two_hypotheses_have_to_agree() {
        let mut policy = LocalAgreement::default();
        let mut update = |text| policy.update(&sure(text), 1.0);
        assert_eq!(update(" And so my"), 0);
        assert_eq!(update(" and so, my fellow"), 3);
        assert_eq!(update(" fellow"), 0, "the last word waits");
        assert_eq!(update(" fellow a"), 1);
        assert_eq!(update(" Americans ask"), 0);
    }

    #[test]
    fn a_new_utterance_knows_nothing_of_the_last() {
        let mut policy = LocalAgreement::default();
        let hypothesis = sure(" yes yes yes yes");
        assert_eq!(
            (
                policy.update(&hypothesis, 1.0),
                policy.update(&hypothesis, 1.0)
            ),
            (0, 3)
        );
        policy.reset();
        assert_eq!(policy.update(&hypothesis, 1.0), 0);
    }

    #[test]
    fn a_word_waits_the_longer_the_less_sure_it_is() {
        let mut hypothesis = ending(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        hypothesis[1].confidence = 0.5;
        let settled = |end_s| {
            let mut policy = LocalAgreement::default();
            policy.update(&hypothesis, end_s);
            policy.update(&hypothesis, end_s)
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
    fn a_word_that_is_hardly_more_than_a_guess_waits_for_the_final() {
        let mut hypothesis = ending(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        hypothesis[1].confidence = 0.2;
        let mut policy = LocalAgreement::default();
        policy.update(&hypothesis, 9.0);
        assert_eq!(policy.update(&hypothesis, 9.5), 1);
    }

    /// Words that the model is sure of, at the start of the audio.
    fn sure(text: &str) -> Vec<Word> {
        ending(text, &[0.0; 9])
    }

    /// Words that the model is sure of, and that end at these times in seconds.
    fn ending(text: &str, times: &[f64]) -> Vec<Word> {
        let mut words = split(text, Language::ENGLISH);
        for (word, end_s) in words.iter_mut().zip(times) {
            word.confidence = 1.0;
            word.end_s = *end_s;
        }
        words
    }
}
