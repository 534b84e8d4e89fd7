//! Which words of a guess are settled: shown once and for all.

use crate::text::{Word, common_prefix};

/// Decides how many words to commit.
pub trait CommitPolicy: Send {
    /// A new guess at what follows the words committed so far, in an utterance that goes on, of
    /// audio that ends at `end_s`, in seconds as the words' times are. Returns how many of its
    /// words to commit now; the next guess begins behind them.
    fn update(&mut self, guess: &[Word], end_s: f64) -> usize;

    /// A new utterance begins, or a guess says nothing of what follows the words committed so far.
    fn reset(&mut self);
}

/// The policies that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Policy {
    /// What two guesses in a row agree on
    #[default]
    LocalAgreement,
    /// What the decoder reads well before the end of the audio
    AlignAtt,
    /// What both settle on
    Both,
}

impl Policy {
    /// The policy at the start of a stream.
    pub fn start(self) -> Box<dyn CommitPolicy> {
        match self {
            Self::LocalAgreement => Box::new(LocalAgreement::default()),
            Self::AlignAtt => Box::new(AlignAtt),
            Self::Both => Box::new(Both::default()),
        }
    }
}

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

/// Confidence below which a word waits for the final text: guesses agree on such words too, while
/// they are wrong.
const LEAST_CONFIDENCE: f32 = 0.35;

/// LocalAgreement-2: what two guesses in a row agree on (Macháček et al., arXiv:2307.14743), of the
/// words that have enough audio behind them.
///
/// The last word of a guess waits: the audio may end within it, and its punctuation with it.
/// Holding back two words was measured: as many word errors, later.
#[derive(Debug, Default)]
pub struct LocalAgreement {
    previous: Vec<Word>,
}

impl CommitPolicy for LocalAgreement {
    fn update(&mut self, guess: &[Word], end_s: f64) -> usize {
        let agreed = self.agreed(guess, end_s);
        self.keep(guess, agreed);
        agreed
    }

    fn reset(&mut self) {
        self.previous.clear();
    }
}

impl LocalAgreement {
    /// How many words the guess before and this one have in common, the last word aside, up to the
    /// first that has too little audio behind it or too little confidence.
    fn agreed(&self, guess: &[Word], end_s: f64) -> usize {
        let is_settled = |i: &usize| match guess.get(*i..) {
            Some([word, rest @ ..]) => {
                word.confidence >= LEAST_CONFIDENCE
                    && word.end_s + BEHIND_S + DOUBT_S * doubt(word, rest) <= end_s
            }
            _ => false,
        };
        let in_common = common_prefix(&self.previous, guess).min(guess.len().saturating_sub(1));
        (0..in_common).take_while(is_settled).count()
    }

    /// Keeps what follows the words that are committed, for the next guess.
    fn keep(&mut self, guess: &[Word], committed: usize) {
        self.previous = guess.iter().skip(committed).cloned().collect();
    }
}

/// How unsure the model is of a word: 0 where it is sure of it and of the words `after` it.
fn doubt(word: &Word, after: &[Word]) -> f64 {
    let unsure = |word: &Word| 1.0 - word.confidence;
    f64::from(
        unsure(word) + FOLLOWING * after.iter().take(FOLLOWERS).map(unsure).fold(0.0, f32::max),
    )
}

/// Distance from the end of the audio within which a word that the decoder attends to is not
/// settled, in seconds: AlignAtt's f. Half of it was measured: more word errors.
const MARGIN_S: f64 = 1.0;

/// AlignAtt: words up to the first for which the decoder attends to the end of the audio most (Papi
/// et al., arXiv:2305.11408); what is to come might change such a word.
#[derive(Debug)]
pub struct AlignAtt;

impl CommitPolicy for AlignAtt {
    fn update(&mut self, guess: &[Word], end_s: f64) -> usize {
        let before_the_end = guess
            .iter()
            .take_while(|word| word.attended_s < end_s - MARGIN_S)
            .count();
        before_the_end.min(guess.len().saturating_sub(1))
    }

    fn reset(&mut self) {}
}

/// What two guesses in a row agree on, of the words that AlignAtt would commit.
#[derive(Debug, Default)]
pub struct Both {
    agreement: LocalAgreement,
}

impl CommitPolicy for Both {
    fn update(&mut self, guess: &[Word], end_s: f64) -> usize {
        let settled = self
            .agreement
            .agreed(guess, end_s)
            .min(AlignAtt.update(guess, end_s));
        self.agreement.keep(guess, settled);
        settled
    }

    fn reset(&mut self) {
        self.agreement.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::split;
    use crate::tokenizer::Language;

    #[test]
    fn two_guesses_have_to_agree() {
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
        let guess = sure(" yes yes yes yes");
        assert_eq!(
            (policy.update(&guess, 1.0), policy.update(&guess, 1.0)),
            (0, 3)
        );
        policy.reset();
        assert_eq!(policy.update(&guess, 1.0), 0);
    }

    #[test]
    fn a_word_waits_the_longer_the_less_sure_it_is() {
        let mut guess = attended(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        guess[1].confidence = 0.5;
        let settled = |end_s| {
            let mut policy = LocalAgreement::default();
            policy.update(&guess, end_s);
            policy.update(&guess, end_s)
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
        let mut guess = attended(" And so my fellow", &[0.4, 0.7, 1.0, 2.0]);
        guess[1].confidence = 0.2;
        let mut policy = LocalAgreement::default();
        policy.update(&guess, 9.0);
        assert_eq!(policy.update(&guess, 9.5), 1);
    }

    /// Words that the model is sure of, at the start of the audio.
    fn sure(text: &str) -> Vec<Word> {
        attended(text, &[0.0; 9])
    }

    /// Words that the model is sure of, and that end where the decoder attends to most.
    fn attended(text: &str, times: &[f64]) -> Vec<Word> {
        let mut words = split(text, Language::ENGLISH);
        for (word, at) in words.iter_mut().zip(times) {
            (word.end_s, word.attended_s, word.confidence) = (*at, *at, 1.0);
        }
        words
    }

    #[test]
    fn words_at_the_end_of_the_audio_are_not_settled() {
        let guess = attended(" And so my fellow", &[0.4, 0.7, 1.6, 0.9]);
        assert_eq!(
            AlignAtt.update(&guess, 2.5),
            2,
            "the third is read at the end, and the fourth behind it"
        );
        assert_eq!(AlignAtt.update(&guess, 3.0), 3, "the last word waits");
        assert_eq!(AlignAtt.update(&[], 3.0), 0);
    }

    #[test]
    fn both_have_to_settle() {
        let mut policy = Both::default();
        assert_eq!(
            policy.update(&attended(" And so my", &[0.4, 0.7, 1.0]), 2.0),
            0,
            "the first guess"
        );
        assert_eq!(
            policy.update(&attended(" And so my fellow", &[0.4, 1.9, 1.0, 2.0]), 2.8),
            1,
            "so is at the end"
        );
        assert_eq!(
            policy.update(&attended(" so my fellow", &[0.7, 1.0, 2.0]), 3.1),
            2
        );
        assert_eq!(
            policy.update(&attended(" Americans ask", &[1.0, 2.0]), 3.0),
            0,
            "another word"
        );
    }
}
