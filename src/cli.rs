//! The command line and its help. In: arguments. Out: checked values.

mod bench;
#[cfg(feature = "desktop")]
mod desktop;
#[cfg(feature = "daemon")]
mod dictation;
mod models;
#[cfg(feature = "serve")]
mod serve;
mod transcribe;
mod values;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::compute::{Compute, Device};
use crate::engine::EngineOptions;
use crate::models::DEFAULT_MODEL;

#[cfg(feature = "daemon")]
pub use bench::BenchLiveArgs;
pub use bench::{BenchCommand, BenchDecoderArgs, BenchEncoderArgs, BenchFileArgs};
#[cfg(feature = "captions")]
pub use desktop::CaptionsArgs;
#[cfg(feature = "desktop")]
pub use desktop::{DesktopCommand, SetupArgs, TypeArgs};
#[cfg(feature = "daemon")]
pub use dictation::{
    DictationCommand, LastArgs, ListenArgs, RecordArgs, SessionArgs, StatusArgs, StatusFormat,
    TextArgs,
};
pub use models::ModelsCommand;
#[cfg(feature = "serve")]
pub use serve::ServeArgs;
pub use transcribe::{DecodingArgs, TranscribeArgs, WatchArgs, WorkArgs};
pub use values::TrackChoice;

/// Examples that `hearken --help` shows before environment and exit codes.
pub const EXAMPLES: &str = "\
Examples:
  hearken --file talk.flac
      Print the text while the recording is being transcribed.
  hearken --file talk.mp3 --language de --format srt > talk.srt
      Write German subtitles. Without --language, Hearken detects the language.
  hearken --file *.wav --output-dir texts --format txt,json
      Write texts/NAME.txt and texts/NAME.json for each recording.
  hearken --file talks --recursive --output-dir texts --skip-existing
      Transcribe a folder; a second run continues where the first one ended.
  arecord -f S16_LE -r 16000 -t wav -d 10 | hearken --file -
      Transcribe standard input.
  hearken --file talk.flac --task translate --beam-size 5
      Translate speech into English, with beam search.
  hearken daemon & hearken listen
      Show live text from the microphone.
  hearken models fetch small && hearken --file talk.flac --model small
      Use a larger model: slower, but fewer mistakes.

Further reading: docs/cli.md (options and formats), docs/models.md, docs/streaming.md (live
text), docs/dbus.md (programs of your own), and the comments in packaging/config.toml.";

/// Streaming speech-to-text with OpenAI's Whisper, on your own machine
///
/// Without a command, transcribes the recordings given with --file. Audio and text stay on this
/// machine. Text goes to standard output as it is recognised; progress and errors go to standard
/// error.
#[derive(Debug, Parser)]
#[command(
    name = "hearken",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Command; without one, transcribe.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Transcription.
    #[command(flatten)]
    pub transcribe: TranscribeArgs,
}

/// Commands besides transcription.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch, import, inspect and remove models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Commands of dictation.
    #[cfg(feature = "daemon")]
    #[command(flatten)]
    Dictation(DictationCommand),
    /// Commands of dictation into the focused window.
    #[cfg(feature = "desktop")]
    #[command(flatten)]
    Desktop(DesktopCommand),
    /// Transcribe for programs that speak OpenAI's API, until Ctrl-C
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Transcribe the recordings that arrive in a folder, until Ctrl-C
    Watch(Box<WatchArgs>),
    /// Measure the speed of a stage
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Check this machine: what is there, what is missing, and the command that fixes it
    Doctor,
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: hearken completions bash > ~/.local/share/bash-completion/completions/hearken"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which model runs, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model and machine")]
pub struct EngineArgs {
    /// Name of the model, as hearken models list shows it [default: base; with --file, the
    /// configuration's]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Precision of matrix products: int8 is fastest; f32 (CPU only) and bf16 (NPU only) are more
    /// exact; auto means int8
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Compute::Auto)]
    pub compute: Compute,
    /// Where the encoder runs; the device does not change the transcript
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Longest piece of audio that is encoded at once: 5.12 to 15.36 seconds in steps of 1.28
    /// (rounded down), or 30 as in OpenAI's Whisper [default: 15.36; 10.24 in bench encoder and
    /// bench decoder]
    #[arg(long, value_name = "SECONDS", value_parser = values::window)]
    pub window: Option<f64>,
    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub threads: Option<usize>,
}

impl EngineArgs {
    /// Returns the engine's options.
    pub fn options(&self) -> EngineOptions {
        EngineOptions {
            model: self.model.as_deref().unwrap_or(DEFAULT_MODEL).to_owned(),
            compute: self.compute,
            device: self.device,
            window: self.window,
            threads: self.threads,
        }
    }
}

#[cfg(test)]
mod tests;
