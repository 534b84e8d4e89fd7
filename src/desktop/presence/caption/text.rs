//! The text of captions: the end of what was said, and what is being said.

/// Longest text that is kept in characters: more than any caption shows.
const LONGEST: usize = 1_000;

/// Text that grows at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rolling {
    /// Finished utterances.
    before: String,
    /// Committed and interim text of the one that is being spoken.
    committed: String,
    interim: String,
}

impl Rolling {
    /// A message, which looks like interim text.
    pub fn message(message: &str) -> Self {
        Self {
            interim: message.to_owned(),
            ..Self::default()
        }
    }

    /// Takes text of an utterance in place of what was known of it.
    pub fn hear(&mut self, committed: &str, interim: &str, is_final: bool) {
        self.committed = committed.to_owned();
        self.interim = interim.to_owned();
        if is_final {
            self.before = self.committed();
            self.committed.clear();
            self.interim.clear();
            let n_chars = self.before.chars().count();
            if n_chars > LONGEST {
                self.before = self.before.chars().skip(n_chars - LONGEST).collect();
            }
        }
    }

    /// Returns text that no longer changes.
    pub fn committed(&self) -> String {
        joined(&self.before, &self.committed)
    }

    /// Returns text after it that may change.
    pub fn interim(&self) -> String {
        let committed = self.committed();
        let both = joined(&committed, &self.interim);
        both[committed.len()..].to_owned()
    }

    pub fn is_empty(&self) -> bool {
        [&self.before, &self.committed, &self.interim]
            .iter()
            .all(|text| text.trim().is_empty())
    }
}

/// Joins two texts with a space, unless there is one or one of them is empty.
fn joined(first: &str, second: &str) -> String {
    let is_apart = first.is_empty()
        || second.is_empty()
        || first.ends_with(char::is_whitespace)
        || second.starts_with(char::is_whitespace);
    let space = if is_apart { "" } else { " " };
    format!("{first}{space}{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utterances_follow_each_other() {
        let mut text = Rolling::default();
        assert!(text.is_empty());
        text.hear("Ask not", " what your", false);
        assert_eq!(
            (text.committed(), text.interim()),
            ("Ask not".to_owned(), " what your".to_owned())
        );
        text.hear("Ask not what", "", false);
        text.hear("Ask not what.", "", true);
        text.hear("", "Ask", false);
        assert_eq!(
            (text.committed(), text.interim()),
            ("Ask not what.".to_owned(), " Ask".to_owned())
        );
        assert!(!text.is_empty());
    }

    #[test]
    fn old_text_is_forgotten() {
        let mut text = Rolling::default();
        for _ in 0..200 {
            text.hear("Zürich äöü.", "", true);
        }
        assert!(text.committed().chars().count() <= LONGEST);
        assert!(text.committed().ends_with("Zürich äöü."));
    }
}
