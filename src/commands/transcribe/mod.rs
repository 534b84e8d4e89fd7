//! `hearken --file`: transcribes recordings, one after the other, to standard output or files.

mod find;
mod job;
mod setup;
mod speakers;
mod texts;

pub use find::{FindError, RECORDINGS, found_in};
pub use job::Job;
pub use setup::{Configured, Setup, format_options, load};

use super::error::{Error, exit, exit_code_of_all};
use super::tracks;
use crate::advice::Advice;
use crate::cli::{TrackChoice, TranscribeArgs};
use crate::output::{Destination, Input, Place, closing_line, eprint_line, tell_apart};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Transcribes all files of the command line. An input that fails does not stop the others. Returns
/// the exit code.
///
/// # Errors
/// Returns an error if nothing can be transcribed: no recording is found, or the model, the
/// configuration or the output directory cannot be used.
pub fn run(args: &TranscribeArgs) -> Result<u8, Error> {
    if args.track == Some(TrackChoice::List) {
        return tracks::list(&args.file);
    }
    let track = match args.track {
        Some(TrackChoice::Number(number)) => Some(number),
        Some(TrackChoice::List) | None => None,
    };
    let work = &args.work;
    let (mut inputs, missing) = find::inputs(&args.file, args.recursive)?;
    tell_apart(&mut inputs, work.output_dir.as_deref());
    let place = match &work.output_dir {
        Some(directory) => Place::Directory(directory.clone()),
        None => Place::StandardOutput,
    };
    let destination = Destination::new(&inputs, &work.format, format_options(work), place)?;
    destination.clean_up(&inputs);
    let (skipped, inputs): (Vec<Input>, Vec<Input>) = inputs
        .into_iter()
        .partition(|input| args.skip_existing && destination.has_all(input, None));
    let configured = Configured::read(work)?;
    let mut report = Report {
        n_skipped: skipped.len(),
        n_inputs: inputs.len(),
        ..Report::new()
    };
    for error in missing {
        eprint_line(&format!("hearken: {}", error.explain()));
        report.codes.push(Error::from(error).exit_code());
    }
    if !inputs.is_empty() {
        let setup = configured.load(work)?;
        for (i, input) in inputs.iter().enumerate() {
            let label = label(i, inputs.len(), input);
            let job = Job {
                setup: &setup,
                destination: &destination,
                input,
                track,
                channels: work.channel_names(),
                label: &label,
            };
            let outcome = job.run();
            if setup.stop.load(Ordering::Relaxed) {
                // An interrupted input is not an error of its own.
                report.print(work.quiet);
                return Ok(exit::INTERRUPTED);
            }
            match outcome {
                Ok(done) => report.add(input, done.code, done.audio_s),
                Err(error) if error.exit_code() == exit::SUCCESS => return Ok(exit::SUCCESS),
                Err(error) => {
                    eprint_line(&format!("hearken: {}", error.explain()));
                    report.add(input, error.exit_code(), 0.0);
                }
            }
        }
    }
    report.print(work.quiet);
    Ok(exit_code_of_all(&report.codes))
}

/// Returns what the line of progress begins with: nothing if there is one recording.
fn label(index: usize, count: usize, input: &Input) -> String {
    if count == 1 {
        return String::new();
    }
    let name = input.path.file_name().unwrap_or(input.path.as_os_str());
    format!("{} of {count} {}: ", index + 1, name.display())
}

/// What became of the recordings of a run.
struct Report {
    begun: Instant,
    n_inputs: usize,
    n_skipped: usize,
    codes: Vec<u8>,
    audio_s: f64,
    /// Names of those that failed or were damaged.
    failed: Vec<String>,
}

impl Report {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            n_inputs: 0,
            n_skipped: 0,
            codes: Vec::new(),
            audio_s: 0.0,
            failed: Vec::new(),
        }
    }

    fn add(&mut self, input: &Input, code: u8, audio_s: f64) {
        if code != exit::SUCCESS {
            self.failed.push(input.path.display().to_string());
        }
        self.codes.push(code);
        self.audio_s += audio_s;
    }

    /// Prints the summary, unless there was only one recording.
    fn print(&self, quiet: bool) {
        if self.n_inputs + self.n_skipped < 2 {
            return;
        }
        for name in &self.failed {
            eprint_line(&format!("hearken: failed or damaged: {name}"));
        }
        if !quiet {
            eprint_line(&self.summary());
        }
    }

    fn summary(&self) -> String {
        let n_done = self.codes.len() - self.failed.len();
        let mut line = format!(
            "{} recordings: {n_done} transcribed",
            self.n_inputs + self.n_skipped
        );
        let n_left = self.n_inputs - self.codes.len();
        for (count, what) in [
            (self.n_skipped, "skipped, since their transcripts exist"),
            (self.failed.len(), "failed or damaged"),
            (n_left, "not begun"),
        ] {
            if count > 0 {
                line += &format!(", {count} {what}");
            }
        }
        format!(
            "{line}; {}",
            closing_line(self.audio_s, self.begun.elapsed())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_one_summary() {
        let mut report = Report {
            n_inputs: 3,
            n_skipped: 1,
            ..Report::new()
        };
        report.add(&Input::new("a.wav"), exit::SUCCESS, 10.0);
        report.add(&Input::new("b.wav"), exit::INPUT, 5.0);
        let summary = report.summary();
        assert!(
            summary.starts_with(
                "4 recordings: 1 transcribed, 1 skipped, since their transcripts exist, \
                 1 failed or damaged, 1 not begun; 15.0 s of audio in "
            ),
            "{summary}"
        );
        assert_eq!(report.failed, ["b.wav"]);
    }

    #[test]
    fn the_line_of_progress_names_one_of_several_recordings() {
        assert_eq!(label(0, 1, &Input::new("a.wav")), "");
        assert_eq!(label(2, 12, &Input::new("talks/a.wav")), "3 of 12 a.wav: ");
    }
}
