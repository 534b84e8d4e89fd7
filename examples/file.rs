//! Transcribes a recording: `cargo run --release --example file -- talk.flac`

use hearken::audio::FileSource;
use hearken::engine::{Engine, EngineOptions};
use hearken::pipeline::Transcriber;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args_os().nth(1).ok_or("name a recording")?.into();
    let engine = Engine::load(&EngineOptions::default(), |state| eprintln!("{state}"))?;
    let transcriber = Transcriber::new(&engine.whisper).word_timestamps();
    let summary = transcriber.run(FileSource::open(&path)?, |window| {
        for word in window.segments.iter().flat_map(|segment| &segment.words) {
            println!("{:7.2} {:7.2}{}", word.start, word.end, word.text);
        }
        Ok::<_, std::io::Error>(())
    })?;
    eprintln!("{:.1} s of audio", summary.duration_s);
    Ok(())
}
