//! Aligned text tables for the terminal.

use std::io::{self, Write};

/// Which side of its column a cell is put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Writes the rows with columns as wide as their widest cell, two spaces apart, without trailing
/// spaces.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn write_table(
    out: &mut dyn Write,
    columns: &[Align],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let width = |i: usize| {
        rows.iter()
            .filter_map(|row| row.get(i))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in rows {
        let cells =
            row.iter()
                .zip(&widths)
                .zip(columns)
                .map(|((cell, &width), align)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A size in decimal units, as downloads and disks are sold in.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|&(unit, _)| bytes >= unit) {
        Some((unit, name)) if bytes < 10 * unit => {
            format!("{:.1} {name}", bytes as f64 / unit as f64)
        }
        Some((unit, name)) => format!("{:.0} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows =
            [["NAME", "SIZE"], ["é", "1 B"], ["x", ""]].map(|row| row.map(str::to_owned).to_vec());
        let mut out = Vec::new();
        write_table(&mut out, &[Align::Left, Align::Right], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
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
