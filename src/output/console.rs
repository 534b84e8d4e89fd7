//! Printing to standard output and standard error. Outside the commands, only this file and the
//! progress bar write there.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;

use super::error::OutputError;

/// Writes text to standard output and flushes it.
///
/// # Errors
/// Returns [`OutputError::Closed`] if the reader has gone, [`OutputError::Write`] for any other
/// error.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => OutputError::Closed,
            _ => OutputError::Write {
                path: PathBuf::from("standard output"),
                source,
            },
        })
}

/// Prints a line to standard error, or several. Unlike `eprintln!` it ignores a closed standard error;
/// control characters, which names of files may contain, cannot reach a terminal.
pub fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

/// Text with its control characters written out, but for line breaks and tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_control) {
        return text.into();
    }
    let shown = |c: char| {
        if is_control(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(
            visible("a.wav: no\tsuch\nfile é"),
            "a.wav: no\tsuch\nfile é"
        );
        assert_eq!(visible("\u{1b}]0;x\u{7}.wav"), "\\u{1b}]0;x\\u{7}.wav");
    }
}
