//! The commands of the `hearken` program, one file each.
//!
//! In: the command line. Out: text on standard output, notes and errors on standard error, an exit
//! code. No other module knows exit codes or decides what is printed.

#[cfg(feature = "daemon")]
mod arguments;
mod bench;
#[cfg(feature = "captions")]
mod captions;
#[cfg(feature = "daemon")]
mod control;
#[cfg(feature = "daemon")]
mod daemon;
#[cfg(feature = "daemon")]
mod devices;
mod doctor;
pub mod error;
mod filtering;
mod help;
#[cfg(feature = "daemon")]
mod last;
#[cfg(feature = "daemon")]
mod listen;
#[cfg(feature = "daemon")]
mod live_line;
#[cfg(feature = "daemon")]
mod log;
mod models;
mod refusal;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "desktop")]
mod setup;
#[cfg(feature = "daemon")]
mod status;
mod terminal;
mod tracks;
mod transcribe;
#[cfg(feature = "desktop")]
mod typing;
mod watch;

use crate::advice::Advice;
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};

#[cfg(feature = "daemon")]
use crate::cli::DictationCommand;
use crate::cli::{BenchCommand, Cli, Command};
use crate::models::ModelFile;
use crate::npu;
use crate::output::{self, eprint_line};
use crate::whisper::recordings;
use error::{Error, exit};

/// Parses the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let parsed = help::command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refusal::refuse(&error, &arguments),
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = error.exit_code();
            if code != exit::SUCCESS {
                eprint_line(&format!("hearken: {}", error.explain()));
            }
            ExitCode::from(code)
        }
    }
}

fn run(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hearken", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(exit::SUCCESS)
        }
        Some(Command::Doctor) => {
            let checks = doctor::run();
            output::print(&doctor::report(&checks))?;
            Ok(doctor::exit_code(&checks))
        }
        Some(Command::Models(command)) => {
            if let Some(model) = models::run(command, &recordings::prepare)? {
                pack_weights(model)?;
            }
            Ok(exit::SUCCESS)
        }
        #[cfg(feature = "daemon")]
        Some(Command::Dictation(command)) => dictate(command),
        #[cfg(feature = "desktop")]
        Some(Command::Desktop(command)) => typing::run(command),
        Some(Command::Bench(BenchCommand::Encoder(args))) => bench::encoder(&args),
        Some(Command::Bench(BenchCommand::Decoder(args))) => bench::decoder(&args),
        Some(Command::Bench(BenchCommand::File(args))) => bench::file(&args),
        #[cfg(feature = "daemon")]
        Some(Command::Bench(BenchCommand::Live(args))) => bench::live(&args),
        #[cfg(feature = "serve")]
        Some(Command::Serve(args)) => {
            serve::run(&args)?;
            Ok(exit::SUCCESS)
        }
        Some(Command::Watch(args)) => watch::run(&args),
        None => transcribe::run(&cli.transcribe),
    }
}

#[cfg(feature = "daemon")]
fn dictate(command: DictationCommand) -> Result<u8, Error> {
    use control::Control;
    match command {
        DictationCommand::Daemon(args) => {
            daemon::run(args.config.as_deref())?;
            Ok(exit::SUCCESS)
        }
        DictationCommand::Listen(args) => listen::listen(&args),
        DictationCommand::Record(args) => listen::record(&args),
        DictationCommand::Last(args) => last::last(&args),
        DictationCommand::Start => control::control(Control::Start),
        DictationCommand::Stop => control::control(Control::Stop),
        DictationCommand::Toggle => control::control(Control::Toggle),
        DictationCommand::Status(args) => status::status(&args),
        DictationCommand::Devices { json } => devices::devices(json),
    }
}

/// Packs an installed model's weights for the NPU, if overlays are installed. The model works without
/// packed weights.
fn pack_weights(model: ModelFile) -> Result<(), Error> {
    match npu::pack_weights(&Arc::new(model)) {
        Ok(Some(path)) => {
            output::print(&format!("weights packed for the NPU: {}\n", path.display()))?
        }
        Ok(None) => (),
        Err(error) => eprint_line(&format!(
            "hearken: the model is installed, but not packed for the NPU: {}",
            error.explain()
        )),
    }
    Ok(())
}
