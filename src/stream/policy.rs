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
/// The last words of a guess wait: the audio may end within one, and what follows may change how those before it are
/// understood.
#[derive(Debug, Default)]
pub struct LocalAgreement {
    previous: Vec<Word>,
}

/// How many wait. With one, live text had 0.7 points more word errors than the text of recordings.
const HELD: usize = 2;

impl CommitPolicy for LocalAgreement {
    fn update(&mut self, guess: &[Word]) -> usize {
        let agreed = common_prefix(&self.previous, guess).min(guess.len().saturating_sub(HELD));
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
        assert_eq!(update(" and so, my fellow"), 2, "of three agreed the third is the last but one");
        assert_eq!(update(" my fellow"), 0, "the last words wait");
        assert_eq!(update(" my fellow a"), 1);
        assert_eq!(update(" Americans ask not"), 0);
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
