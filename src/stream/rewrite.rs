//! The user's text rules, applied to live text.
//!
//! In: events of the live engine. Out: the same events with rewritten text and words.

use super::event::{Event, Final, Partial};
use crate::text::{Rules, trimmed};
use crate::tokenizer::Language;

impl Event {
    /// Returns the event with its text, which is in `language`, rewritten by `rules`.
    pub fn rewritten(self, rules: &Rules, language: Language) -> Self {
        match self {
            Self::Partial(partial) => Self::Partial(partial.rewritten(rules, language)),
            Self::Final(last) => Self::Final(last.rewritten(rules, language)),
        }
    }
}

impl Partial {
    fn rewritten(self, rules: &Rules, language: Language) -> Self {
        let Some((settled, interim)) = rules.interim(&self.words, &self.interim, language) else {
            return self;
        };
        Self {
            committed: settled.text,
            words: settled.words,
            interim,
            ..self
        }
    }
}

impl Final {
    fn rewritten(self, rules: &Rules, language: Language) -> Self {
        let Some(rewritten) = rules.words(&self.words, language) else {
            return self;
        };
        Self {
            text: trimmed(&rewritten.text).to_owned(),
            words: rewritten.words,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{RuleOptions, split};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn rules() -> Rules {
        let replacements = BTreeMap::from([("hear ken".to_owned(), "Hearken".to_owned())]);
        Rules::new(&replacements, RuleOptions::default()).expect("valid rules")
    }

    #[test]
    fn a_partial_is_rewritten_in_both_parts_and_keeps_the_rest() {
        let partial = Partial {
            utterance: 3,
            revision: 2,
            start_s: 1.0,
            end_s: 9.0,
            committed: "So hear".to_owned(),
            words: split(" So hear", Language::ENGLISH),
            interim: " Ken it is".to_owned(),
            language: Language::ENGLISH,
        };
        let event = Event::Partial(partial.clone());
        let Event::Partial(rewritten) = event.clone().rewritten(&rules(), Language::ENGLISH) else {
            panic!("a partial stays one");
        };
        assert_eq!(rewritten.committed, "So");
        assert_eq!(rewritten.interim, " Hearken it is");
        assert_eq!(rewritten.utterance, 3);
        assert_eq!(
            event
                .clone()
                .rewritten(&Rules::default(), Language::ENGLISH),
            event
        );
    }

    #[test]
    fn a_final_is_rewritten_without_the_spaces_around_it() {
        let last = Final {
            utterance: 1,
            revision: 2,
            start_s: 0.0,
            end_s: 9.0,
            text: "hear ken it is".to_owned(),
            words: split(" hear ken it is", Language::ENGLISH),
            language: Language::ENGLISH,
            avg_logprob: -0.1,
            latency: Duration::ZERO,
        };
        let rewritten = Event::Final(last).rewritten(&rules(), Language::ENGLISH);
        let Event::Final(rewritten) = rewritten else {
            panic!("a final stays one");
        };
        assert_eq!(rewritten.text, "Hearken it is");
        assert_eq!(rewritten.words.len(), 3);
    }
}
