//! The row of the terminal that shows an utterance while it is spoken.
//!
//! In: committed and interim text, and the terminal's width. Out: text and control sequences that
//! replace what the row showed before. The text never takes more than one row, because a row that
//! has scrolled off the screen cannot be erased: if it is too wide, only its end is shown.

use unicode_width::UnicodeWidthChar;

/// Stands for the text that does not fit; one column wide.
const ELLIPSIS: &str = "…";
/// Columns left free at the end of the row: two for `^C`, which the terminal echoes on Ctrl-C and
/// which would otherwise wrap, and one for the cursor.
const RESERVED: usize = 3;
/// Makes the character before it two columns wide (VARIATION SELECTOR-16).
const EMOJI_STYLE: char = '\u{fe0f}';
/// Switches faint text on and off (ECMA-48: select graphic rendition).
const FAINT: (&str, &str) = ("\x1b[2m", "\x1b[22m");
/// Erases from the cursor to the end of the screen (ECMA-48: erase in page).
const ERASE_BELOW: &str = "\x1b[J";

/// The row, with the text that it shows.
#[derive(Debug, Default)]
pub(super) struct LiveLine {
    shown: String,
}

impl LiveLine {
    /// Returns the output that shows this text instead, interim text faint, on a terminal of
    /// `columns`; nothing if there is no terminal.
    pub(super) fn redraw(
        &mut self,
        committed: &str,
        interim: &str,
        columns: Option<usize>,
    ) -> String {
        let Some(width) = columns else {
            return String::new();
        };
        let clear = self.clear(columns);
        let (committed, interim) = fit(committed, interim, width.saturating_sub(RESERVED));
        let (on, off) = FAINT;
        let row = format!("{clear}{committed}{on}{interim}{off}");
        self.shown = committed + &interim;
        row
    }

    /// Returns the output that erases the row on a terminal of `columns`; nothing if there is no
    /// terminal. A terminal that has become narrower has wrapped the text: all its rows are erased.
    pub(super) fn clear(&mut self, columns: Option<usize>) -> String {
        let Some(width) = columns else {
            return String::new();
        };
        let shown = std::mem::take(&mut self.shown);
        match rows(&shown, width) {
            0 | 1 => format!("\r{ERASE_BELOW}"),
            n => format!("\r\x1b[{}A{ERASE_BELOW}", n - 1),
        }
    }
}

/// Returns committed and interim text as they fit in `width` columns, cut at the front.
fn fit(committed: &str, interim: &str, width: usize) -> (String, String) {
    let committed = one_row(committed);
    let interim = one_row(interim);
    if columns(&committed) + columns(&interim) <= width {
        return (committed, interim);
    }
    let Some(room) = width.checked_sub(columns(ELLIPSIS)) else {
        return (String::new(), String::new());
    };
    let text = format!("{committed}{interim}");
    let start = tail_start(&text, room);
    let boundary = committed.len();
    let committed = text.get(start..boundary).unwrap_or_default();
    let interim = text.get(start.max(boundary)..).unwrap_or_default();
    (format!("{ELLIPSIS}{committed}"), interim.to_owned())
}

/// Replaces what would move the cursor, such as a line end, by a space.
fn one_row(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns the byte at which the longest end of `text` starts that fits in `width` columns. It
/// starts with a character that has a width, so that no combining mark is left without its base.
fn tail_start(text: &str, width: usize) -> usize {
    let mut start = text.len();
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += columns_of(c);
        if used > width {
            break;
        }
        if c.width().is_some_and(|width| width > 0) {
            start = at;
        }
    }
    start
}

/// Returns the number of rows that a terminal of `width` columns wraps `text` into.
fn rows(text: &str, width: usize) -> usize {
    let mut rows = 1;
    let mut used = 0;
    for c in text.chars().map(columns_of) {
        if used + c > width {
            rows += 1;
            used = 0;
        }
        used += c;
    }
    rows
}

fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Returns the columns that a character takes, at most: terminals disagree about sequences of emoji.
fn columns_of(c: char) -> usize {
    match c {
        EMOJI_STYLE => 1,
        c => c.width().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike};
    use proptest::prelude::*;

    /// What a terminal shows after these redraws.
    fn screen(terminal: &InMemoryTerm, line: &mut LiveLine, texts: &[(&str, &str)]) -> String {
        let width = Some(usize::from(terminal.width()));
        for (committed, interim) in texts {
            let row = line.redraw(committed, interim, width);
            terminal.write_str(&row).expect("memory");
        }
        terminal.contents()
    }

    fn shown(committed: &str, interim: &str, width: usize) -> String {
        let mut line = LiveLine::default();
        line.redraw(committed, interim, Some(width));
        line.shown
    }

    #[test]
    fn interim_text_is_faint_and_line_ends_are_spaces() {
        assert_eq!(
            LiveLine::default().redraw("Dear Ann,\nThanks", " for\tall", Some(80)),
            "\r\x1b[JDear Ann, Thanks\x1b[2m for all\x1b[22m"
        );
    }

    #[test]
    fn text_wider_than_the_terminal_shows_its_end_in_one_row() {
        let terminal = InMemoryTerm::new(4, 20);
        terminal.write_line("An earlier final.").expect("memory");
        let mut line = LiveLine::default();
        let texts = [
            ("", "Now we are"),
            ("Now we", " are engaged in"),
            ("Now we are engaged", " in a great civil war"),
            ("Now we are engaged in", " a great civil war, testing"),
        ];
        assert_eq!(
            screen(&terminal, &mut line, &texts),
            "An earlier final.\n…vil war, testing"
        );
        terminal.write_str("^C").expect("memory");
        terminal.write_str(&line.clear(Some(20))).expect("memory");
        assert_eq!(terminal.contents(), "An earlier final.");
    }

    #[test]
    fn the_cut_may_fall_into_committed_or_interim_text() {
        assert_eq!(fit("abc", "def", 6), ("abc".to_owned(), "def".to_owned()));
        assert_eq!(fit("abc", "def", 5), ("…c".to_owned(), "def".to_owned()));
        assert_eq!(fit("abc", "def", 4), ("…".to_owned(), "def".to_owned()));
        assert_eq!(fit("abc", "def", 3), ("…".to_owned(), "ef".to_owned()));
        assert_eq!(fit("abc", "def", 1), ("…".to_owned(), String::new()));
    }

    #[test]
    fn wide_characters_count_twice_and_are_not_split() {
        assert_eq!(shown("今天", "天气很好", 15), "今天天气很好");
        assert_eq!(shown("今天", "天气很好", 14), "…天天气很好");
        assert_eq!(shown("今天", "天气很好", 13), "…天气很好");
        assert_eq!(shown("今天", "天气很好", 11), "…气很好");
    }

    #[test]
    fn marks_without_width_stay_with_their_character() {
        let hindi = "नमस्ते";
        assert_eq!(shown(hindi, "", 80), hindi);
        let accents = "ae\u{301}e\u{301}e\u{301}";
        assert_eq!(shown("", accents, 7), accents);
        assert_eq!(shown("", accents, 6), "…e\u{301}e\u{301}");
        assert_eq!(shown("", accents, 5), "…e\u{301}");
        assert_eq!(shown("", "a\u{200b}b\u{200d}c", 6), "a\u{200b}b\u{200d}c");
        assert_eq!(shown("", "abc❤\u{fe0f}", 7), "…c❤\u{fe0f}");
    }

    #[test]
    fn a_terminal_too_narrow_for_text_shows_none() {
        for width in 0..=RESERVED {
            assert_eq!(shown("Hello", " you", width), "");
        }
        assert_eq!(shown("Hello", " you", RESERVED + 1), "…");
        assert_eq!(shown("Hello", " you", RESERVED + 2), "…u");
    }

    #[test]
    fn nothing_is_drawn_without_a_terminal() {
        let mut line = LiveLine::default();
        assert_eq!(line.redraw("Hello", " you", None), "");
        assert_eq!(line.clear(None), "");
    }

    #[test]
    fn after_the_terminal_has_become_narrower_all_rows_are_erased() {
        let mut line = LiveLine::default();
        line.redraw("twenty columns, or so", "", Some(80));
        assert_eq!(line.clear(Some(10)), "\r\x1b[2A\x1b[J");
        assert_eq!(line.clear(Some(10)), "\r\x1b[J", "nothing is left to erase");
        line.redraw("twenty columns, or so", "", Some(80));
        assert_eq!(line.clear(Some(200)), "\r\x1b[J");
        line.redraw("a今今", "", Some(80));
        assert_eq!(line.clear(Some(4)), "\r\x1b[1A\x1b[J");
    }

    proptest! {
        #[test]
        fn no_text_takes_more_than_a_row(
            texts in prop::collection::vec("[ -~é今天\u{301}\u{200d}😀\n]{0,60}", 1..6),
            width in 4u16..40,
        ) {
            let terminal = InMemoryTerm::new(5, width);
            terminal.write_line("ok.").expect("memory");
            let mut line = LiveLine::default();
            for text in &texts {
                let screen = screen(&terminal, &mut line, &[("", text)]);
                prop_assert!(screen.starts_with("ok."), "{screen}");
                prop_assert!(screen.lines().count() <= 2, "{screen}");
                prop_assert!(columns(&line.shown) + RESERVED <= usize::from(width));
            }
            terminal.write_str(&line.clear(Some(usize::from(width)))).expect("memory");
            prop_assert_eq!(terminal.contents(), "ok.");
        }
    }
}
