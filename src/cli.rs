//! The command line: what can be asked for, with help that teaches it. In: arguments. Out: checked
//! values.

mod models;
mod transcribe;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::compute::{Compute, Device};
use crate::engine::EngineOptions;
use crate::models::DEFAULT_MODEL;
use crate::settings::TextOverrides;
use crate::stream::Policy;
use crate::tokenizer::Language;

pub use models::ModelsCommand;
pub use transcribe::{DecodingArgs, TranscribeArgs};

/// What `hearken --help` shows after the options, before environment and exit codes.
pub const EXAMPLES: &str = "\
Examples:
  hearken --file talk.flac
      Print what is said, as it is transcribed.
  hearken --file talk.mp3 --language de --format srt > talk.srt
      German subtitles; without --language it is detected.
  hearken --file *.wav --output-dir texts --format txt,json
      texts/NAME.txt and texts/NAME.json for each recording.
  arecord -f S16_LE -r 16000 -t wav -d 10 | hearken --file -
      Transcribe standard input.
  hearken --file talk.flac --task translate --beam-size 5
      English text of speech in another language, with beam search.
  hearken daemon & hearken listen
      Show what is said into the microphone, as it is said.
  hearken models fetch small && hearken --file talk.flac --model small
      A larger model: slower, fewer mistakes.";

/// Streaming speech-to-text with OpenAI's Whisper, on your own machine
///
/// Transcribes recordings with OpenAI's Whisper on this machine's CPU: nothing leaves the machine.
/// Text goes to standard output as it is found; progress and errors go to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "hearken",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Anything but transcription.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Transcription.
    #[command(flatten)]
    pub transcribe: TranscribeArgs,
}

/// What the program does besides transcribing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch, import, inspect and remove models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Listen to the microphone for other programs: org.hearken.Hearken1 on the session bus
    Daemon(DaemonArgs),
    /// Show what is said, as it is said; Ctrl-C ends it
    Listen(ListenArgs),
    /// Record until stopped (Ctrl-C or hearken stop), then print what was said
    Record(RecordArgs),
    /// Print what was said in the last seconds, where the configuration has audio.pre_capture
    Last(LastArgs),
    /// Open the microphone of the newest session
    Start,
    /// Close it and transcribe what was said
    Stop,
    /// Open it where it is closed, close it where it is open
    Toggle,
    /// Tell what the daemon and its sessions are doing
    Status(StatusArgs),
    /// List the input devices
    Devices {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure the speed of a stage
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Tell what this machine offers, what is missing and the command that mends it
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

/// Arguments of `daemon`.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Configuration file [default: hearken/config.toml in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What a session of the daemon is to be like; what is not given is as the daemon's configuration
/// has it.
#[derive(Debug, Clone, Default, Args)]
pub struct SessionArgs {
    /// Input device by its id or a part of its description; hearken devices lists them
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// What is written.
    #[command(flatten)]
    pub text: TextArgs,
    /// Broadcast the text to every program on the bus, too
    #[arg(long)]
    pub captions: bool,
}

/// What the daemon writes; what is not given is as in its configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct TextArgs {
    /// The settings.
    #[command(flatten)]
    pub settings: TextOverrides,
    /// Text that the speech continues
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

/// Arguments of `last`.
#[derive(Debug, Args)]
pub struct LastArgs {
    /// How far back
    #[arg(value_name = "SECONDS", default_value_t = 30.0, value_parser = values::seconds)]
    pub seconds: f64,
    /// What is written.
    #[command(flatten)]
    pub text: TextArgs,
}

/// Arguments of `listen`.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Print each event as a line of JSON
    #[arg(long)]
    pub json: bool,
    /// Keep the microphone closed until hearken start or toggle
    #[arg(long)]
    pub standby: bool,
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Stop by itself after the first utterance
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Tell it again whenever it changes
    #[arg(long)]
    pub follow: bool,
    /// Print a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time the encoder on one window of audio, after warming up
    Encoder(BenchEncoderArgs),
    /// Time the decoder's steps and prompts, against the time that reading its weights takes
    Decoder(BenchDecoderArgs),
    /// Transcribe a recording and time the whole, the loading of the model apart
    File(BenchFileArgs),
    /// Transcribe recordings as if they were spoken into the microphone, and time what a listener
    /// would see
    Live(BenchLiveArgs),
}

/// Arguments of `bench decoder`.
#[derive(Debug, Args)]
pub struct BenchDecoderArgs {
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How often to run each kind of pass
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench file`.
#[derive(Debug, Args)]
pub struct BenchFileArgs {
    /// Recording
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Language spoken [default: detected]
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// How often to load the model and transcribe the recording
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench live`.
#[derive(Debug, Args)]
pub struct BenchLiveArgs {
    /// Recordings
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub file: Vec<PathBuf>,
    /// Language spoken [default: detected]
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// Seconds between two guesses; 0.2 to 5
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3)]
    pub step: f64,
    /// What decides which words are committed
    #[arg(long, value_enum, default_value_t)]
    pub policy: Policy,
    /// Play the recordings over and over for so many minutes of audio, and tell what is in memory
    /// meanwhile
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub minutes: Option<u32>,
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// Arguments of `bench encoder`.
#[derive(Debug, Args)]
pub struct BenchEncoderArgs {
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How often to run the encoder
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Submit an NPU's runs as lists, in place of one by one
    #[arg(long)]
    pub run_list: bool,
    /// Take a window of the length that an utterance of so many seconds needs, not a full one
    #[arg(long, value_name = "SECONDS", value_parser = values::utterance)]
    pub utterance: Option<f64>,
    /// Take random weights of the model's shape in place of its own
    #[arg(long)]
    pub random_weights: bool,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which model runs, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model and machine")]
pub struct EngineArgs {
    /// Name of the model; `hearken models list` shows all [default: base; with --file, the
    /// configuration's]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Arithmetic of the matrix products: int8 is faster, f32 exact, bf16 an NPU's nearest to it;
    /// auto is int8
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Compute::Auto)]
    pub compute: Compute,
    /// What encodes: the CPU, an AMD NPU (the transcript stays the same), or the emulator,
    /// an NPU's interface without an NPU, for tests
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Audio that the encoder sees at once: 5.12 to 15.36 seconds in steps of 1.28 (rounded down),
    /// or 30 as OpenAI's [default: 15.36, but 10.24 in bench encoder and bench decoder]
    #[arg(long, value_name = "SECONDS", value_parser = values::window)]
    pub window: Option<f64>,
    /// CPU threads [default: one for each core]
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
