//! Printing to standard output and standard error. Outside the commands, only this file and the
//! progress bar write there.

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

/// Prints a line to standard error. Unlike `eprintln!` it ignores a closed standard error.
pub fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
