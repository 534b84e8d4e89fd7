//! Answers to command lines that are not understood: clap's message, and what it does not know.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::exit;
use super::transcribe::RECORDINGS;
use crate::output::eprint_line;

/// Options of earlier versions, and what to do without them.
const REMOVED: [(&str, &str); 1] = [(
    "--timestamps",
    "it cost words, and the times of segments are exact without it: leave it out",
)];

/// Prints the message or help. Returns the exit code.
pub fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if let Some((option, reason)) = removed(error) {
        eprint_line(&format!("hearken: {option} was removed: {reason}"));
        return ExitCode::from(exit::USAGE);
    }
    // If standard error is closed, nobody can read the message.
    let _ = error.print();
    if let Some(file) = stray_recording(error, arguments) {
        eprint_line(&format!(
            "\nPut recordings after --file: hearken --file {}",
            file.display()
        ));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
}

fn removed(error: &clap::Error) -> Option<(&'static str, &'static str)> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    REMOVED.into_iter().find(|(option, _)| {
        error.kind() == ErrorKind::UnknownArgument && argument.split('=').next() == Some(option)
    })
}

/// Returns the first recording of the command line, if `--file` is missing.
fn stray_recording<'a>(error: &clap::Error, arguments: &'a [OsString]) -> Option<&'a Path> {
    let is_unplaced = matches!(
        error.kind(),
        ErrorKind::InvalidSubcommand
            | ErrorKind::UnknownArgument
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::ArgumentConflict
    );
    let has_option = arguments
        .iter()
        .any(|argument| argument.as_encoded_bytes().starts_with(b"--file"));
    if !is_unplaced || has_option {
        return None;
    }
    let is_recording = |path: &&Path| {
        let extension = path.extension().map(|name| name.to_ascii_lowercase());
        let has_name = extension.is_some_and(|name| RECORDINGS.iter().any(|known| name == *known));
        has_name || path.is_file()
    };
    let mut paths = arguments.iter().skip(1).map(Path::new);
    // Only the first argument can be in the place of a command; an option may take a file as value.
    paths.next().filter(is_recording)
}
