//! Integration tests that need neither a model nor a sound server: the library's public face and the
//! program's behaviour around a transcription.

#[path = "../support/mod.rs"]
mod support;

mod audio_bad_input;
mod audio_damage;
mod audio_ffmpeg;
mod audio_formats;
mod audio_joined;
mod audio_made;
mod audio_matroska;
mod audio_wav;
mod command_line;
mod output_destination;
mod output_formats;
mod segmentation;
