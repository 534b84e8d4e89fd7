//! Shows what is said into the microphone for 20 seconds, without the daemon:
//! `cargo run --release --example microphone`

use hearken::audio::capture::{CaptureStats, Microphone, StopHandle};
use hearken::audio::{Mono16k, SegmenterOptions};
use hearken::engine::{Engine, EngineOptions};
use hearken::stream::{Event, Live, LiveOptions, WhisperRecognizer};
use hearken::whisper::LONGEST_WINDOW;
use hearken::whisper::decoding::DecodingOptions;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::load(&EngineOptions::default(), |state| eprintln!("{state}"))?;
    let whisper = Arc::new(engine.whisper);
    let recognizer = WhisperRecognizer::new(whisper, LONGEST_WINDOW, DecodingOptions::default());
    let options = LiveOptions {
        segmenter: SegmenterOptions::default(),
        ends_by_sentence: false,
        step_s: Some(0.5),
    };
    let mut live = Live::new(Box::new(recognizer), options);
    let stop = StopHandle::default();
    let stats = Arc::new(CaptureStats::default());
    let microphone = Microphone::new(None, stop.clone(), stats, |event| eprintln!("{event:?}"));
    let mut stream = Mono16k::new(Box::new(microphone));
    let begun = Instant::now();
    while let Some(samples) = stream.next_block()? {
        live.push(samples);
        show(&mut live)?;
        if begun.elapsed() > Duration::from_secs(20) {
            stop.finish();
        }
    }
    live.finish();
    show(&mut live)
}

/// Prints the finished utterances.
fn show(live: &mut Live) -> Result<(), Box<dyn Error>> {
    while let Some(event) = live.next_event(&|_| false)? {
        if let Event::Final(utterance) = event {
            println!("{}", utterance.text);
        }
    }
    Ok(())
}
