//! Output of transcripts, written while the transcription runs.
//!
//! In: a [`Header`], [`Segment`]s in order, a [`Footer`]. Out: one or more file formats
//! ([`Format`]) on standard output or in files ([`Destination`]), and progress on the terminal
//! ([`Progress`]).

mod captions;
mod console;
mod destination;
mod error;
mod format;
mod input;
mod json;
mod plain;
mod progress;
mod transcript;
mod writer;

pub use captions::CaptionOptions;
pub use console::{eprint_line, print};
pub use destination::{Destination, Output, Place, remove_unfinished};
pub use error::OutputError;
pub use format::{Format, FormatOptions};
pub use input::{Input, tell_apart};
pub use progress::{Progress, closing_line};
pub use transcript::{Footer, Header, Segment, Speaker, Word};
pub use writer::TranscriptWriter;
