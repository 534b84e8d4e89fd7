//! Text for the terminal: aligned tables, sizes, and a line of progress.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::models::Done;
use crate::output::eprint_line;

/// Length of a bar that shows a share: one step is 0.1 %.
const STEPS: u64 = 1000;

/// Width of a terminal if it does not know its own.
#[cfg(feature = "daemon")]
const USUAL_COLUMNS: usize = 80;

/// Side of its column that a cell is aligned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Formats `rows` with columns as wide as their widest cell, two spaces apart, without trailing
/// spaces.
pub(super) fn table(columns: &[Align], rows: &[Vec<String>]) -> String {
    let width = |i: usize| {
        rows.iter()
            .filter_map(|row| row.get(i))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, &width), align) in row.iter().zip(&widths).zip(columns) {
            line += &match align {
                Align::Left => format!("{cell:<width$}  "),
                Align::Right => format!("{cell:>width$}  "),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Formats a size in decimal units, as downloads and disks are measured.
pub(super) fn human_bytes(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|&(unit, _)| bytes >= unit) {
        Some((unit, name)) if bytes < 10 * unit => {
            format!("{:.1} {name}", bytes as f64 / unit as f64)
        }
        Some((unit, name)) => format!("{:.0} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// Returns the columns of the terminal on standard output, or `None` if it is not a terminal. A
/// terminal that does not know its size, as on a serial line, counts as one of the usual width.
#[cfg(feature = "daemon")]
pub(super) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
        .or(Some(USUAL_COLUMNS))
}

/// Whether standard error is a terminal, so that somebody reads notes on what happens.
#[cfg(feature = "daemon")]
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Progress on standard error: a bar on a terminal, otherwise one line for each new task.
pub(super) struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// A line that shows nothing yet.
    pub(super) fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self(ProgressBar::with_draw_target(None, target))
    }

    /// Shows how far the task `what` has come.
    pub(super) fn show(&mut self, what: &str, done: Done) {
        let template = match done {
            Done::Share(_) => "{msg:30} {wide_bar} {percent:>3} %",
            Done::Bytes(_, Some(_)) => {
                "{msg:30} {wide_bar} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta}"
            }
            Done::Bytes(_, None) => "{msg:30} {decimal_bytes}, {decimal_bytes_per_sec}",
        };
        if self.0.message() != what {
            if self.0.is_hidden() {
                eprint_line(&format!("hearken: {what}"));
            }
            self.0.reset();
            let style = ProgressStyle::with_template(template);
            self.0
                .set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.0.set_message(what.to_owned());
        }
        let length = match done {
            Done::Share(_) => Some(STEPS),
            Done::Bytes(_, total) => total,
        };
        match length {
            Some(length) => self.0.set_length(length),
            None => self.0.unset_length(),
        }
        self.0.set_position(match done {
            Done::Share(share) => (share * STEPS as f32) as u64,
            Done::Bytes(bytes, _) => bytes,
        });
    }

    /// Removes the line from the terminal.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows =
            [["NAME", "SIZE"], ["é", "1 B"], ["x", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&[Align::Left, Align::Right], &rows),
            "NAME  SIZE\né      1 B\nx\n"
        );
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (999, "999 B"),
            (1500, "1.5 kB"),
            (145_262_807, "145 MB"),
            (3_087_371_615, "3.1 GB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
