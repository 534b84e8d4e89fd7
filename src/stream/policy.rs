//! Which words of a guess are settled: shown once and for all.

use super::words::{Word, common_prefix};

/// Decides how many words to commit.
pub trait CommitPolicy: Send {
    /// A new guess at what follows the words committed so far, in an utterance that goes on. Returns how many of its
    /// words to commit now; the next guess begins behind them.
    fn update(&mut self, guess: &[Word]) -> usize;

    /// A new utterance begins.
    fn reset(&mut self);
}

/// LocalAgreement-2: what two guesses in a row agree on (Macháček et al., arXiv:2307.14743).
///
/// The last word of a guess waits: the audio may end within it, and its punctuation with it. Holding back two words
/// was measured: as many word errors, later.
#[derive(Debug, Default)]
pub struct LocalAgreement {
    previous: Vec<Word>,
}

impl CommitPolicy for LocalAgreement {
    fn update(&mut self, guess: &[Word]) -> usize {
        let agreed = common_prefix(&self.previous, guess).min(guess.len().saturating_sub(1));
        self.previous = guess.iter().skip(agreed).cloned().collect();
        agreed
    }

    fn reset(&mut self) {
        self.previous.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::split;
    use super::*;
    use crate::whisper::tokenizer::Language;

    #[test]
    fn two_guesses_have_to_agree() {
        let mut policy = LocalAgreement::default();
        let mut update = |text| policy.update(&split(text, Language::ENGLISH));
        assert_eq!(update(" And so my"), 0);
        assert_eq!(update(" and so, my fellow"), 3);
        assert_eq!(update(" fellow"), 0, "the last word waits");
        assert_eq!(update(" fellow a"), 1);
        assert_eq!(update(" Americans ask"), 0);
    }

    #[test]
    fn a_new_utterance_knows_nothing_of_the_last() {
        let mut policy = LocalAgreement::default();
        let guess = split(" yes yes yes", Language::ENGLISH);
        assert_eq!(policy.update(&guess), 0);
        policy.reset();
        assert_eq!(policy.update(&guess), 0);
    }
}
