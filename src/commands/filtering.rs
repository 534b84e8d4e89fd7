//! The user's filter on the text of a command: failures are reported, and the text stays as it was.

use crate::advice::Advice;
use crate::filter::Filter;
use crate::output::eprint_line;
use crate::text::trimmed;

/// Consecutive failures after which a recording's text stays unfiltered, so that a command that hangs
/// does not take its time limit for each segment.
const MOST_FAILURES: usize = 3;

/// Filter, if there is one, and how often it has failed in a row.
pub(super) struct Filtering<'f> {
    filter: Option<&'f Filter>,
    n_failures: usize,
}

impl<'f> Filtering<'f> {
    /// Begins to filter.
    pub fn new(filter: Option<&'f Filter>) -> Self {
        Self {
            filter,
            n_failures: 0,
        }
    }

    /// Filters a text.
    pub fn text(&mut self, text: &str) -> String {
        match self.filter.map(|filter| filter.apply(text)) {
            None => text.to_owned(),
            Some(Ok(filtered)) => {
                self.n_failures = 0;
                filtered
            }
            Some(Err(error)) => {
                self.n_failures += 1;
                eprint_line(&format!("hearken: {}", error.explain()));
                text.to_owned()
            }
        }
    }

    /// Filters the text of a segment of a recording, which keeps the space before it.
    pub fn segment(&mut self, text: &mut String) {
        let bare = trimmed(text);
        if self.filter.is_none() || bare.is_empty() {
            return;
        }
        let begin = text.len() - text.trim_start_matches(' ').len();
        let filtered = self.text(bare);
        text.truncate(begin);
        text.push_str(&filtered);
        if self.n_failures == MOST_FAILURES {
            self.filter = None;
            eprint_line(
                "hearken: the filter has failed repeatedly; the rest of the text is unfiltered",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(command: &str, texts: &[&str]) -> Vec<String> {
        let filter = Filter::new(command, 20.0);
        let mut filtering = Filtering::new(filter.as_ref());
        let mut filtered: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        filtered.iter_mut().for_each(|text| filtering.segment(text));
        filtered
    }

    #[test]
    fn segments_keep_the_space_before_them() {
        assert_eq!(
            filtered("tr a-z A-Z", &[" hello", "you", " "]),
            [" HELLO", "YOU", " "]
        );
        assert_eq!(filtered("", &[" hello"]), [" hello"]);
    }

    #[test]
    fn a_filter_that_fails_loses_no_text_and_is_given_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("calls");
        let command = format!("echo x >> {}; exit 1", log.display());
        let texts = [" a", " b", " c", " d", " e"];
        assert_eq!(filtered(&command, &texts), texts);
        let calls = std::fs::read_to_string(log).expect("calls");
        assert_eq!(calls.lines().count(), MOST_FAILURES);
    }
}
