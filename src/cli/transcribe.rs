//! The arguments of a transcription.

use std::path::PathBuf;

use clap::Args;

use super::EngineArgs;
use super::values;
use crate::output::Format;
use crate::settings::TextOverrides;
use crate::whisper::decoding::SuppressTokens;

/// What to transcribe, with what, and where the text goes.
#[derive(Debug, Clone, Args)]
pub struct TranscribeArgs {
    /// Recording to transcribe (wav, flac, mp3, ogg, opus, m4a, mkv, webm); - is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub file: Vec<PathBuf>,
    /// What is written.
    #[command(flatten)]
    pub text: TextOverrides,
    /// Format of the text; several, separated by commas, need --output-dir
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        value_delimiter = ',',
        default_value = "txt",
        ignore_case = true
    )]
    pub format: Vec<Format>,
    /// Directory for the text, one file per recording and format [default: standard output]
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Configuration: its [replacements] are made, its model.name and [text] count where no option
    /// says otherwise [default: hearken/config.toml in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show no progress and no notes; errors are still shown
    #[arg(long, short)]
    pub quiet: bool,
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// OpenAI's decoding options.
    #[command(flatten)]
    pub decoding: DecodingArgs,
}

impl TranscribeArgs {
    /// Whether the decoder has to find times within an utterance: asked for, or shown by a format.
    pub fn wants_timestamps(&self) -> bool {
        self.decoding.timestamps || self.format.iter().any(|format| format.shows_times())
    }
}

/// OpenAI's decoding options, under their names.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decoding (OpenAI's options)")]
pub struct DecodingArgs {
    /// Beams of the search; 1 is greedy decoding
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::candidates)]
    pub beam_size: usize,
    /// Samples to choose from where the temperature is not 0
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::candidates)]
    pub best_of: usize,
    /// Temperatures from 0 to 1, tried in turn while the text fails a threshold; a single one
    /// forbids a second try
    #[arg(long, value_name = "T,...", value_delimiter = ',', default_value = "0,0.2,0.4,0.6,0.8,1",
          value_parser = values::temperature)]
    pub temperature: Vec<f32>,
    /// Beam search goes on until it has --beam-size times this many finished texts
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = values::patience)]
    pub patience: f32,
    /// Exponent, 0 to 1, of the length that a text's log-probability is divided by [default: the
    /// length itself]
    #[arg(long, value_name = "ALPHA", value_parser = values::share)]
    pub length_penalty: Option<f32>,
    /// Text that the speech continues: names, terms and style to expect
    #[arg(long, value_name = "TEXT")]
    pub initial_prompt: Option<String>,
    /// Show the decoder the text so far; steadier style, but a mistake may carry on
    #[arg(long)]
    pub condition_on_previous_text: bool,
    /// Text that zlib shortens by more than this repeats itself: try the next temperature
    #[arg(long, value_name = "RATIO", default_value = "2.4", value_parser = values::positive)]
    pub compression_ratio_threshold: f32,
    /// Text with a mean log-probability below this is doubtful: try the next temperature
    #[arg(long, value_name = "LOGPROB", default_value = "-1", allow_negative_numbers = true,
          value_parser = values::logprob)]
    pub logprob_threshold: f32,
    /// Doubtful text where silence is likelier than this, 0 to 1, is dropped
    #[arg(long, value_name = "P", default_value = "0.6", value_parser = values::share)]
    pub no_speech_threshold: f32,
    /// Token ids never to be written, separated by commas; -1 stands for symbols that are not
    /// spoken, "" for none
    #[arg(
        long,
        value_name = "IDS",
        default_value = "-1",
        allow_hyphen_values = true
    )]
    pub suppress_tokens: SuppressTokens,
    /// Let the model find times within an utterance; formats that show times do so anyway
    #[arg(long)]
    pub timestamps: bool,
    /// Find when each word was said and how sure it is: words in json, closer times of segments
    /// elsewhere
    #[arg(long)]
    pub word_timestamps: bool,
}
