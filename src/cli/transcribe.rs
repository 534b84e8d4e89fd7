//! The arguments of a transcription.

use std::path::PathBuf;

use clap::Args;

use super::EngineArgs;
use super::values::{self, Speakers, TrackChoice};
use crate::output::{CaptionOptions, Format};
use crate::settings::TextOverrides;
use crate::whisper::decoding::SuppressTokens;

/// What to transcribe, how, and where the text goes.
#[derive(Debug, Clone, Args)]
pub struct TranscribeArgs {
    /// Recordings to transcribe (wav, aiff, au, caf, flac, mp3, aac, ogg, opus, m4a/mp4/mov, mkv/webm,
    /// and what an installed ffmpeg reads), folders of them, or patterns such as 'talks/**/*.wav'; -
    /// is standard input
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub file: Vec<PathBuf>,
    /// Track to transcribe, counted from 1; list shows the tracks with sound and transcribes nothing
    /// [default: the one that players choose]
    #[arg(long, value_name = "N|list", value_parser = values::track)]
    pub track: Option<TrackChoice>,
    /// Also take recordings from the folders in a folder
    #[arg(long)]
    pub recursive: bool,
    /// Skip recordings whose transcripts exist in --output-dir
    #[arg(long, requires = "output_dir")]
    pub skip_existing: bool,
    /// How to transcribe.
    #[command(flatten)]
    pub work: WorkArgs,
}

/// Arguments of `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// Folder to watch
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Also watch the folders in it
    #[arg(long)]
    pub recursive: bool,
    /// How to transcribe.
    #[command(flatten)]
    pub work: WorkArgs,
}

/// How to transcribe, and where the text goes.
#[derive(Debug, Clone, Args)]
pub struct WorkArgs {
    /// What is written.
    #[command(flatten)]
    pub text: TextOverrides,
    /// Format of the text; several, separated by commas, require --output-dir
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        value_delimiter = ',',
        default_value = "txt",
        ignore_case = true
    )]
    pub format: Vec<Format>,
    /// Directory for one file per recording and format [default: standard output; with watch, beside
    /// the recordings]
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Configuration file. Its `[replacements]` apply; options override its model.name and `[text]`
    /// [default: hearken/config.toml in the configuration directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Hide progress and notes, but not errors
    #[arg(long, short)]
    pub quiet: bool,
    /// Transcribe each channel apart, such as the sides of a call, and name who speaks: left and right
    /// of two channels, or as given
    #[arg(long, value_name = "NAME,...", num_args = 0..=1, value_parser = values::speakers)]
    pub channels: Option<Option<Speakers>>,
    /// Subtitles.
    #[command(flatten)]
    pub captions: CaptionArgs,
    /// Model and machine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// OpenAI's decoding options.
    #[command(flatten)]
    pub decoding: DecodingArgs,
}

impl WorkArgs {
    /// Returns the names of the channels that are to be transcribed apart, none for names of their
    /// places; `None` if channels are mixed.
    pub fn channel_names(&self) -> Option<&[String]> {
        let speakers = self.channels.as_ref()?;
        Some(speakers.as_ref().map_or(&[], |Speakers(names)| names))
    }
}

/// Layout of subtitles, under openai-whisper's names.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Subtitles (srt, vtt, ass, lrc)")]
pub struct CaptionArgs {
    /// Columns of a line; Chinese, Japanese and Korean characters take two
    #[arg(long, value_name = "COLUMNS", default_value_t = 42, value_parser = values::columns)]
    pub max_line_width: usize,
    /// Lines that are shown together [default: 2, or 1 with --max-words-per-line]
    #[arg(long, value_name = "N", value_parser = values::lines)]
    pub max_line_count: Option<usize>,
    /// Words of a line [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = values::words)]
    pub max_words_per_line: Option<usize>,
    /// Mark each word while it is spoken: underlined in srt and vtt, karaoke in ass, times of words in
    /// lrc
    #[arg(long)]
    pub highlight_words: bool,
}

impl CaptionArgs {
    /// Returns the layout.
    pub fn options(&self) -> CaptionOptions {
        let lines = match self.max_words_per_line {
            Some(_) => 1,
            None => CaptionOptions::default().max_line_count,
        };
        CaptionOptions {
            max_line_width: self.max_line_width,
            max_line_count: self.max_line_count.unwrap_or(lines),
            max_words_per_line: self.max_words_per_line,
            highlight_words: self.highlight_words,
        }
    }
}

/// OpenAI's decoding options, under their names.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decoding (OpenAI's options)")]
pub struct DecodingArgs {
    /// Beams of the beam search; 1 is greedy decoding
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::candidates)]
    pub beam_size: usize,
    /// Samples to choose from if the temperature is above 0
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::candidates)]
    pub best_of: usize,
    /// Temperatures from 0 to 1, tried in turn while the text fails a threshold; a single one
    /// disables retries
    #[arg(long, value_name = "T,...", value_delimiter = ',', default_value = "0,0.2,0.4,0.6,0.8,1",
          value_parser = values::temperature)]
    pub temperature: Vec<f32>,
    /// Continue beam search until --beam-size times this many texts are finished
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = values::patience)]
    pub patience: f32,
    /// Length penalty of beam search: exponent from 0 to 1 of the length that divides a text's
    /// log-probability [default: the plain length]
    #[arg(long, value_name = "ALPHA", value_parser = values::share)]
    pub length_penalty: Option<f32>,
    /// Text that precedes the speech: names, terms and style to expect
    #[arg(long, value_name = "TEXT")]
    pub initial_prompt: Option<String>,
    /// Give the decoder the text so far: steadier style, but a mistake may persist
    #[arg(long)]
    pub condition_on_previous_text: bool,
    /// Try the next temperature if zlib compresses the text by more than this: it repeats itself
    #[arg(long, value_name = "RATIO", default_value = "2.4", value_parser = values::positive)]
    pub compression_ratio_threshold: f32,
    /// Try the next temperature if the mean log-probability of the text is below this
    #[arg(long, value_name = "LOGPROB", default_value = "-1", allow_negative_numbers = true,
          value_parser = values::logprob)]
    pub logprob_threshold: f32,
    /// Drop text that fails --logprob-threshold if silence is more probable than this, from 0 to 1
    #[arg(long, value_name = "P", default_value = "0.6", value_parser = values::share)]
    pub no_speech_threshold: f32,
    /// Token ids that are never written, separated by commas; -1 stands for the symbols that nobody
    /// speaks, "" for none
    #[arg(
        long,
        value_name = "IDS",
        default_value = "-1",
        allow_hyphen_values = true
    )]
    pub suppress_tokens: SuppressTokens,
    /// Write the time and confidence of each word in json, the only format that it concerns; for
    /// subtitles see --highlight-words
    #[arg(long)]
    pub word_timestamps: bool,
}
