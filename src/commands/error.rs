//! Errors of the program: every module's error in one type, and the exit code of each.

use crate::advice::Advice;
use std::borrow::Cow;
use thiserror::Error;

use crate::audio::AudioError;
#[cfg(feature = "daemon")]
use crate::audio::capture::CaptureError;
#[cfg(feature = "daemon")]
use crate::client::ClientError;
use crate::commands::transcribe::FindError;
use crate::config::ConfigError;
#[cfg(feature = "daemon")]
use crate::dbus::ServeError;
#[cfg(feature = "desktop")]
use crate::desktop::agent::AgentError;
#[cfg(feature = "captions")]
use crate::desktop::presence::caption::CaptionError;
use crate::engine::EngineError;
#[cfg(feature = "desktop")]
use crate::input::sink::SinkError;
use crate::models::ModelError;
use crate::output::OutputError;
use crate::pipeline::PipelineError;
#[cfg(feature = "serve")]
use crate::serve::ServerError;
use crate::tokenizer::TokenizerError;
use crate::whisper::decoding::OptionsError;
use crate::whisper::{DecodeError, EncodeError, LoadError};

/// Declares the exit codes once: the constants of [`exit`] and the table for `--help` and for
/// docs/cli.md.
macro_rules! exit_codes {
    ($($code:literal $name:ident $text:literal,)*) => {
        /// Exit codes of the `hearken` program.
        pub mod exit {
            $(#[doc = $text] pub const $name: u8 = $code;)*
        }

        /// All exit codes: number, name and meaning.
        pub const EXIT_CODES: &[(u8, &str, &str)] = &[$(($code, stringify!($name), $text)),*];
    };
}

exit_codes! {
    0 SUCCESS "success; a recording without speech gives an empty transcript",
    1 UNEXPECTED "unexpected failure",
    2 USAGE "invalid command-line usage",
    3 INPUT "an input cannot be read or is damaged; what could be read was transcribed",
    4 MODEL "the model is missing, unknown or damaged",
    5 FETCH "a model could not be fetched",
    6 OUTPUT "the output cannot be written",
    7 SOME_FAILED "some of several inputs failed, but not all",
    8 DAEMON "the daemon cannot be reached, cannot start, or refuses the request",
    9 SESSION "there is no session to control",
    10 CONFIG "the configuration is invalid",
    11 NPU "the requested NPU cannot be used",
    12 NOT_TYPED "the text could not be put into the focused field",
    13 UNVERIFIED "with --verify: the text was sent, but nothing shows that it arrived",
    14 INCOMPLETE "hearken setup: something that dictation needs is still missing",
    130 INTERRUPTED "interrupted by Ctrl-C or SIGTERM",
}

/// Any failure of the program.
#[derive(Debug, Error)]
pub enum Error {
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// An input cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Paths of the command line name no recordings.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine cannot be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The prompt cannot be converted to tokens.
    #[error("the prompt cannot be used: {0}")]
    Prompt(#[from] TokenizerError),
    /// The model does not support the options.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The encoder failed outside a transcription.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The decoder failed outside a transcription.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A stage of a transcription failed.
    #[error("transcription failed: {0}")]
    Pipeline(Box<dyn Advice + Send + Sync>),
    /// An input device cannot be used.
    #[cfg(feature = "daemon")]
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon cannot serve the bus.
    #[cfg(feature = "daemon")]
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A server cannot run.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A client of the daemon failed.
    #[cfg(feature = "daemon")]
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The agent of the desktop cannot run.
    #[cfg(feature = "desktop")]
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// There are no captions.
    #[cfg(feature = "captions")]
    #[error(transparent)]
    Caption(#[from] CaptionError),
    /// Text could not be put into the focused field.
    #[cfg(feature = "desktop")]
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The system refuses to deliver signals.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] std::io::Error),
}

impl Advice for Error {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Output(error) => return error.remedy(),
            Self::Audio(error) => return error.remedy(),
            Self::Find(error) => return error.remedy(),
            Self::Model(error) => return error.remedy(),
            Self::Engine(error) => return error.remedy(),
            Self::Decode(error) => return error.remedy(),
            #[cfg(feature = "daemon")]
            Self::Capture(error) => return error.remedy(),
            Self::Config(error) => return error.remedy(),
            #[cfg(feature = "daemon")]
            Self::Serve(error) => return error.remedy(),
            #[cfg(feature = "serve")]
            Self::Server(error) => return error.remedy(),
            #[cfg(feature = "daemon")]
            Self::Client(error) => return error.remedy(),
            Self::Pipeline(error) => return error.remedy(),
            #[cfg(feature = "desktop")]
            Self::Agent(error) => return error.remedy(),
            #[cfg(feature = "captions")]
            Self::Caption(error) => return error.remedy(),
            #[cfg(feature = "desktop")]
            Self::Sink(error) => return error.remedy(),
            Self::Signals(..) => "run hearken outside the sandbox that forbids it".into(),
            _ => return None,
        })
    }
}

impl Error {
    /// Returns the exit code for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            // The reader of standard output has gone, as `head` does.
            Self::Output(OutputError::Closed) => exit::SUCCESS,
            Self::Output(OutputError::Write { .. } | OutputError::Directory { .. }) => exit::OUTPUT,
            Self::Output(
                OutputError::SameTarget { .. }
                | OutputError::SeveralFormats { .. }
                | OutputError::SeveralInputs { .. },
            ) => exit::USAGE,
            Self::Find(FindError::Pattern { .. }) => exit::USAGE,
            Self::Audio(_) | Self::Find(_) => exit::INPUT,
            #[cfg(feature = "daemon")]
            Self::Capture(_) => exit::INPUT,
            Self::Model(error) | Self::Engine(EngineError::Model(error)) => of_model(error),
            Self::Engine(EngineError::Load(error)) => match error {
                LoadError::Model(error) => of_model(error),
                LoadError::Tokenizer(_) => exit::MODEL,
                LoadError::Isa(_) => exit::USAGE,
            },
            Self::Engine(EngineError::Npu(_)) => exit::NPU,
            Self::Engine(EngineError::Compute(_)) | Self::Options(_) => exit::USAGE,
            Self::Config(_) => exit::CONFIG,
            #[cfg(feature = "daemon")]
            Self::Client(ClientError::NoSession) => exit::SESSION,
            #[cfg(feature = "daemon")]
            Self::Client(_) | Self::Serve(_) => exit::DAEMON,
            #[cfg(feature = "serve")]
            Self::Server(ServerError::NoAddress) => exit::USAGE,
            #[cfg(feature = "serve")]
            Self::Server(_) => exit::DAEMON,
            #[cfg(feature = "desktop")]
            Self::Agent(_) => exit::DAEMON,
            #[cfg(feature = "captions")]
            Self::Caption(_) => exit::NOT_TYPED,
            #[cfg(feature = "desktop")]
            Self::Sink(_) => exit::NOT_TYPED,
            Self::Prompt(_) | Self::Encode(_) | Self::Decode(_) => exit::UNEXPECTED,
            Self::Pipeline(_) | Self::Signals(_) => exit::UNEXPECTED,
        }
    }
}

fn of_model(error: &ModelError) -> u8 {
    match error {
        ModelError::Offline { .. } | ModelError::Fetch { .. } => exit::FETCH,
        ModelError::NoSpace { .. } | ModelError::Write { .. } | ModelError::NoDirectory => {
            exit::OUTPUT
        }
        _ => exit::MODEL,
    }
}

#[cfg(feature = "daemon")]
impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        ClientError::from(error).into()
    }
}

#[cfg(feature = "daemon")]
impl From<zbus::fdo::Error> for Error {
    fn from(error: zbus::fdo::Error) -> Self {
        ClientError::from(error).into()
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

/// Returns the exit code of a run over several inputs, given the code of each: the inputs' own code
/// if they agree, [`exit::SOME_FAILED`] if only some failed, [`exit::UNEXPECTED`] if all failed
/// with different codes.
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
    fn bad_audio_has_its_code() {
        let name = "a.wav".to_owned();
        assert_eq!(Error::from(AudioError::NotFound { name }).exit_code(), 3);
    }

    #[test]
    fn models_have_codes_of_their_own() {
        let name = || "base".to_owned();
        let failed = ModelError::Fetch {
            name: name(),
            failures: Vec::new(),
        };
        assert_eq!(Error::from(failed).exit_code(), exit::FETCH);
        let offline = ModelError::Offline { name: name() };
        assert_eq!(Error::from(offline).exit_code(), exit::FETCH);
        let full = ModelError::NoSpace {
            path: "base".into(),
            needed: 145,
        };
        assert_eq!(Error::from(full).exit_code(), exit::OUTPUT);
        let missing = ModelError::NotInstalled {
            name: name(),
            path: "base".into(),
        };
        assert_eq!(Error::from(missing).exit_code(), exit::MODEL);
    }

    #[test]
    fn the_documentation_lists_every_exit_code() {
        let page = include_str!("../../docs/cli.md");
        for (code, _, text) in EXIT_CODES {
            let row = format!("| {code} | {text} |");
            assert!(page.contains(&row), "missing in docs/cli.md: {row}");
        }
    }

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
