//! Arguments of `hearken bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::EngineArgs;
use super::values;
#[cfg(feature = "daemon")]
use crate::settings::EndPause;
use crate::tokenizer::Language;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time the encoder on one window of audio, after a warm-up
    Encoder(BenchEncoderArgs),
    /// Time the decoder's steps and prompts, next to the time it takes to read its weights
    Decoder(BenchDecoderArgs),
    /// Time the transcription of a recording, and the loading of the model
    File(BenchFileArgs),
    /// Transcribe recordings as if they were spoken into the microphone, and measure the latency of
    /// partial and final text
    #[cfg(feature = "daemon")]
    Live(BenchLiveArgs),
}

/// Arguments of `bench decoder`.
#[derive(Debug, Args)]
pub struct BenchDecoderArgs {
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Runs of each kind of pass
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench file`.
#[derive(Debug, Args)]
pub struct BenchFileArgs {
    /// Recording to transcribe
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Language spoken [default: detected]
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// Number of times to load the model and transcribe the recording
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench live`.
#[cfg(feature = "daemon")]
#[derive(Debug, Args)]
pub struct BenchLiveArgs {
    /// Recordings to transcribe
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub file: Vec<PathBuf>,
    /// Language spoken [default: detected]
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Language>,
    /// Seconds between two interim passes; 0.2 to 5
    #[arg(long, value_name = "SECONDS", default_value_t = 0.3)]
    pub step: f64,
    /// Silence that ends an utterance: auto, or seconds from 0.55 to 10
    #[arg(long, value_name = "PAUSE", default_value = "0.8")]
    pub pause: EndPause,
    /// Repeat the recordings until N minutes of audio have been played, and report the memory in use
    /// ten times
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
    /// Runs of the encoder
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: u32,
    /// Submit the NPU's runs as lists instead of one by one
    #[arg(long)]
    pub run_list: bool,
    /// Use the window that an utterance of this length needs [default: a full window]
    #[arg(long, value_name = "SECONDS", value_parser = values::utterance)]
    pub utterance: Option<f64>,
    /// Encode the recording in DIR, a window of 30 s, and compare with openai-whisper's states there:
    /// tests/data/golden, with the model base
    #[arg(long, value_name = "DIR", conflicts_with_all = ["utterance", "random_weights", "window"])]
    pub golden: Option<PathBuf>,
    /// Replace the model's weights with random ones of the same shape
    #[arg(long)]
    pub random_weights: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
