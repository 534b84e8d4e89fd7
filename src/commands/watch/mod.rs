//! `hearken watch`: transcribes the recordings that arrive in a folder.
//!
//! A recording is transcribed once it is complete, if its transcripts are missing or older. Transcripts
//! appear whole, so the files alone tell what is left to do, also after a restart.

mod arrivals;
mod wake;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use super::error::{Error, exit};
use super::transcribe::{Configured, Job, format_options, found_in};
use crate::advice::Advice;
use crate::cli::WatchArgs;
use crate::output::{Destination, Input, OutputError, Place, eprint_line, tell_apart};
use arrivals::{Arrivals, Version};
use wake::Wake;

/// Watches a folder until SIGINT or SIGTERM. Returns the exit code.
///
/// # Errors
/// Returns an error if the folder, the configuration, the model or the output directory cannot be
/// used, or if transcripts can no longer be written.
pub fn run(args: &WatchArgs) -> Result<u8, Error> {
    let work = &args.work;
    let scan = || found_in(&args.directory, args.recursive);
    let present = scan()?;
    let place = match &work.output_dir {
        Some(directory) => Place::Directory(directory.clone()),
        None => Place::Beside,
    };
    let destination = Destination::new(&[], &work.format, format_options(work), place)?;
    destination.clean_up(&present);
    let setup = Configured::read(work)?.load(work)?;
    let stop = &setup.stop;
    let mut wake = Wake::new();
    let mut arrivals = Arrivals::default();
    // What has been reported about names.
    let mut told = None;
    if !work.quiet {
        let name = args.directory.display();
        eprint_line(&format!("hearken: watching {name}; Ctrl-C ends it"));
    }
    while !stop.load(Ordering::Relaxed) {
        wake.watch(&args.directory, args.recursive);
        let mut inputs = scan()?;
        tell_apart(&mut inputs, work.output_dir.as_deref());
        let clash = destination
            .check(&inputs)
            .err()
            .map(|error| error.explain());
        if clash != told {
            clash
                .iter()
                .for_each(|text| eprint_line(&format!("hearken: {text}")));
            told = clash;
        }
        let left = inputs.into_iter().filter_map(|input| {
            let version = Version::of(&input.path)?;
            let is_done = destination.has_all(&input, Some(version.modified));
            (!is_done).then_some((input, version))
        });
        for input in arrivals.complete(left.collect(), Instant::now()) {
            let job = Job {
                setup: &setup,
                destination: &destination,
                input: &input,
                track: None,
                channels: work.channel_names(),
                label: &format!("{}: ", name(&input)),
            };
            let outcome = job.run();
            if stop.load(Ordering::Relaxed) {
                return Ok(exit::SUCCESS);
            }
            match outcome {
                Ok(_) if work.quiet => {}
                Ok(_) => eprint_line(&format!("hearken: transcribed {}", input.path.display())),
                // Beside other recordings there may be room.
                Err(Error::Output(
                    error @ (OutputError::Write { .. } | OutputError::Directory { .. }),
                )) if work.output_dir.is_some() => return Err(error.into()),
                // It is tried again once it has changed.
                Err(error) => eprint_line(&format!("hearken: {}", error.explain())),
            }
        }
        wake.wait(arrivals.is_waiting(), stop);
    }
    Ok(exit::SUCCESS)
}

fn name(input: &Input) -> String {
    let name = input.path.file_name().unwrap_or(input.path.as_os_str());
    name.display().to_string()
}

impl Version {
    /// Returns the present version of a file, if it can be read.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
