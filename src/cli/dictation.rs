//! Arguments of the daemon and of the commands that use it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::values;
use crate::settings::TextOverrides;

/// Commands of dictation.
#[derive(Debug, Subcommand)]
pub enum DictationCommand {
    /// Transcribe the microphone for other programs, as org.hearken.Hearken1 on the session bus
    Daemon(DaemonArgs),
    /// Show live text from the microphone until Ctrl-C
    Listen(ListenArgs),
    /// Record until Ctrl-C or hearken stop, then print the text
    Record(RecordArgs),
    /// Print what was said in the last seconds; requires audio.pre_capture in the configuration
    Last(LastArgs),
    /// Open the microphone of the newest session
    Start,
    /// Close the microphone of the newest session and transcribe what was said
    Stop,
    /// Open the microphone of the newest session, or close it if it is open
    Toggle,
    /// Show what the daemon and its sessions are doing
    Status(StatusArgs),
    /// List the input devices
    Devices {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `daemon`.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Configuration file [default: hearken/config.toml in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of a session; the daemon's configuration provides the rest.
#[derive(Debug, Clone, Default, Args)]
pub struct SessionArgs {
    /// Input device: its id or a part of its description, as hearken devices lists them [default:
    /// the configuration's]
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// What is written.
    #[command(flatten)]
    pub text: TextArgs,
    /// Also broadcast the text to every program on the session bus
    #[arg(long)]
    pub captions: bool,
}

/// Options of the text; the daemon's configuration provides the rest.
#[derive(Debug, Clone, Default, Args)]
pub struct TextArgs {
    /// The settings.
    #[command(flatten)]
    pub settings: TextOverrides,
    /// Text that precedes the speech: names, terms and style to expect
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
}

/// Arguments of `last`.
#[derive(Debug, Args)]
pub struct LastArgs {
    /// Length of the audio in seconds, up to now
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
    /// Print each event as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Keep the microphone closed until hearken start or hearken toggle
    #[arg(long)]
    pub standby: bool,
}

/// Arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
    /// Stop after the first utterance
    #[arg(long)]
    pub once: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print the status again whenever it changes
    #[arg(long)]
    pub follow: bool,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Print what a status bar reads, also while the daemon is not running
    #[arg(long, value_enum, value_name = "BAR", conflicts_with = "json")]
    pub format: Option<StatusFormat>,
}

/// What a status bar reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A line of JSON for Waybar's custom modules: text, alt, tooltip, class
    Waybar,
    /// With --follow i3bar's protocol for i3bar and swaybar, with a click that toggles; else one
    /// block
    I3bar,
}
