//! `hearken --file FILE --track list`: shows the tracks with sound.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::{Error, exit_code_of_all};
use crate::advice::Advice;
use crate::audio::{FileSource, TrackLabel};
use crate::commands::error::exit;
use crate::output::{eprint_line, print};

/// Prints the tracks of all files, under the file's name if there are several. A file that fails
/// does not stop the others. Returns the exit code.
///
/// # Errors
/// Returns an error if standard output cannot be written.
pub fn list(files: &[PathBuf]) -> Result<u8, Error> {
    let mut codes = Vec::new();
    for (i, path) in files.iter().enumerate() {
        match FileSource::tracks(path, Arc::default()) {
            Ok(tracks) => {
                let heading = match (files.len(), i) {
                    (1, _) => String::new(),
                    (_, 0) => format!("==> {} <==\n", path.display()),
                    _ => format!("\n==> {} <==\n", path.display()),
                };
                print(&format!("{heading}{}", table(&tracks)))?;
                codes.push(exit::SUCCESS);
            }
            Err(error) => {
                let error = Error::from(error);
                eprint_line(&format!("hearken: {}", error.explain()));
                codes.push(error.exit_code());
            }
        }
    }
    Ok(exit_code_of_all(&codes))
}

/// One line for each track; the default one is marked.
fn table(tracks: &[TrackLabel]) -> String {
    let line = |track: &TrackLabel| {
        let mark = if track.is_default { '*' } else { ' ' };
        format!("{mark} {track}\n")
    };
    tracks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_track_is_marked() {
        let track = |number, is_default| TrackLabel {
            number,
            language: None,
            codec: "AAC".into(),
            channels: 2,
            rate: 48_000,
            title: None,
            is_default,
        };
        let table = table(&[track(1, false), track(2, true)]);
        assert_eq!(table, "  1 (AAC, 2 channels)\n* 2 (AAC, 2 channels)\n");
    }
}
