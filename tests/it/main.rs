//! Integration tests that need neither a model nor a sound server: the library's public face and the
//! program's behaviour around a transcription.

#[path = "../support/mod.rs"]
mod support;

mod audio_bad_input;
mod audio_formats;
mod command_line;
mod output_destination;
mod output_formats;
mod segmentation;
