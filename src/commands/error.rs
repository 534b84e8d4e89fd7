//! How the program fails: every module's error in one type, and the exit code that each gives.

use thiserror::Error;

use crate::audio::AudioError;
use crate::audio::capture::CaptureError;
use crate::client::ClientError;
use crate::config::ConfigError;
use crate::dbus::ServeError;
use crate::engine::EngineError;
use crate::models::ModelError;
use crate::output::OutputError;
use crate::pipeline::PipelineError;
use crate::whisper::decoding::OptionsError;
use crate::whisper::tokenizer::TokenizerError;
use crate::whisper::{DecodeError, EncodeError, LoadError};

/// Exit codes of the `hearken` program; `hearken --help` lists the same.
pub mod exit {
    /// All went well. A recording in which nobody speaks is an empty transcript, not a failure.
    pub const SUCCESS: u8 = 0;
    /// A failure that has no code of its own.
    pub const UNEXPECTED: u8 = 1;
    /// The command line makes no sense (clap's code as well).
    pub const USAGE: u8 = 2;
    /// An input cannot be read or is damaged; what could be read was transcribed.
    pub const INPUT: u8 = 3;
    /// The model is missing, unknown or damaged.
    pub const MODEL: u8 = 4;
    /// A model could not be fetched: no network, a refusing server, or `HEARKEN_OFFLINE=1`.
    pub const FETCH: u8 = 5;
    /// The transcript or a model cannot be written.
    pub const OUTPUT: u8 = 6;
    /// Of several inputs some failed, but not all.
    pub const SOME_FAILED: u8 = 7;
    /// The daemon cannot be reached, cannot start, or refuses what was asked of it.
    pub const DAEMON: u8 = 8;
    /// There is no session to control.
    pub const SESSION: u8 = 9;
    /// The configuration makes no sense.
    pub const CONFIG: u8 = 10;
    /// The NPU that was asked for cannot be used.
    pub const NPU: u8 = 11;
    /// Interrupted by SIGINT (128 + 2, as shells report it).
    pub const INTERRUPTED: u8 = 130;
}

/// Any failure of the program.
#[derive(Debug, Error)]
pub enum Error {
    /// Text out.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Audio in.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A model's file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An engine that cannot be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A prompt that cannot be turned into tokens.
    #[error("the prompt cannot be used: {0}")]
    Prompt(#[from] TokenizerError),
    /// Options that the model cannot serve.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The encoder failed outside of a transcription.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed outside of a transcription.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A stage of a transcription failed.
    #[error("transcription failed: {0}")]
    Pipeline(Box<dyn std::error::Error + Send + Sync>),
    /// An input device.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon's place on the bus.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A client of the daemon.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system refuses to deliver signals.
    #[error("signals cannot be handled: {0}; run hearken outside of whatever restricts it")]
    Signals(#[source] std::io::Error),
}

impl Error {
    /// The exit code for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) => error.exit_code(),
            Self::Audio(error) => error.exit_code(),
            Self::Model(error)
            | Self::Engine(EngineError::Model(error))
            | Self::Engine(EngineError::Load(LoadError::Model(error))) => error.exit_code(),
            Self::Engine(EngineError::Load(LoadError::Tokenizer(_))) => exit::MODEL,
            Self::Engine(EngineError::Npu(_)) => exit::NPU,
            Self::Engine(EngineError::Load(LoadError::Level(_)) | EngineError::Compute(_)) => {
                exit::USAGE
            }
            Self::Options(_) => exit::USAGE,
            Self::Capture(_) => exit::INPUT,
            Self::Config(_) => exit::CONFIG,
            Self::Serve(_) => exit::DAEMON,
            Self::Client(error) => error.exit_code(),
            Self::Prompt(_) | Self::Encode(_) | Self::Decode(_) => exit::UNEXPECTED,
            Self::Pipeline(_) | Self::Signals(_) => exit::UNEXPECTED,
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<PipelineError<Error>> for Error {
    fn from(error: PipelineError<Error>) -> Self {
        match error {
            PipelineError::Publish(error) => error,
            other => Self::Pipeline(Box::new(other)),
        }
    }
}

/// The exit code of a run over several inputs, given that of each: the inputs' own code where they
/// agree, [`exit::SOME_FAILED`] where only some failed, [`exit::UNEXPECTED`] where all failed, each
/// in its own way.
pub fn exit_code_of_all(codes: &[u8]) -> u8 {
    match codes {
        [] => exit::SUCCESS,
        _ if codes.contains(&exit::INTERRUPTED) => exit::INTERRUPTED,
        [first, rest @ ..] if rest.iter().all(|code| code == first) => *first,
        _ if codes.contains(&exit::SUCCESS) => exit::SOME_FAILED,
        _ => exit::UNEXPECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_inputs_give_one_code() {
        assert_eq!(exit_code_of_all(&[]), exit::SUCCESS);
        assert_eq!(exit_code_of_all(&[0, 0]), exit::SUCCESS);
        assert_eq!(exit_code_of_all(&[exit::INPUT]), exit::INPUT);
        assert_eq!(exit_code_of_all(&[exit::INPUT, exit::INPUT]), exit::INPUT);
        assert_eq!(exit_code_of_all(&[exit::INPUT, 0, 0]), exit::SOME_FAILED);
        assert_eq!(
            exit_code_of_all(&[0, exit::INPUT, exit::OUTPUT]),
            exit::SOME_FAILED
        );
        assert_eq!(
            exit_code_of_all(&[exit::INPUT, exit::OUTPUT]),
            exit::UNEXPECTED
        );
        assert_eq!(
            exit_code_of_all(&[0, exit::INPUT, exit::INTERRUPTED]),
            exit::INTERRUPTED
        );
    }
}
