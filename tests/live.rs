//! Live transcription with the real model, without an audio device: the text of recordings, as it grows.

mod common;

use common::{jfk, model};
use hearken::stream::{Event, Live, LiveOptions, LocalAgreement, SegmenterOptions, WhisperRecognizer};
use hearken::whisper::decoding::DecodingOptions;
use hearken::whisper::{Compute, Whisper};
use std::sync::{Arc, OnceLock};

fn whisper() -> Arc<Whisper> {
    static WHISPER: OnceLock<Arc<Whisper>> = OnceLock::new();
    let load = || Arc::new(Whisper::load(model("base"), Compute::Int8, 2).expect("a good model"));
    WHISPER.get_or_init(load).clone()
}

/// All events of a stream that comes in blocks of 40 ms.
fn live(samples: &[f32]) -> Vec<Event> {
    let recognizer = WhisperRecognizer::new(whisper(), 512, DecodingOptions::default());
    let segmenter = SegmenterOptions { end_pause: 12_800, ..SegmenterOptions::default() };
    let options = LiveOptions { segmenter, step_s: Some(0.5) };
    let mut live = Live::new(Box::new(recognizer), Box::new(LocalAgreement::default()), options);
    let mut events = Vec::new();
    for block in samples.chunks(640).map(Some).chain([None]) {
        match block {
            Some(block) => live.push(block),
            None => live.finish(),
        }
        while let Some(event) = live.next_event(&|| false).expect("the model works") {
            events.push(event);
        }
    }
    events
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
        .collect()
}

#[test]
fn speech_becomes_text_while_it_is_spoken() {
    let mut spoken = jfk();
    spoken.extend(vec![0.0; 16_000]);
    let events = live(&spoken);
    let finals: Vec<&str> =
        events.iter().filter_map(|e| if let Event::Final(f) = e { Some(f.text.as_str()) } else { None }).collect();
    let text =
        "and so my fellow americans ask not what your country can do for you ask what you can do for your country";
    assert_eq!(words(&finals.join(" ")), words(text), "{events:#?}");
    let Some(Event::Partial(first)) = events.first() else { panic!("{events:?}") };
    assert!(first.end_s - first.start_s <= 1.1, "the first guess is of the first words: {first:?}");
    let committed = events.iter().filter(|e| matches!(e, Event::Partial(p) if !p.committed.is_empty())).count();
    assert!(committed >= 4, "words are committed while more are spoken: {events:#?}");
}

#[test]
fn silence_and_noise_are_not_transcribed() {
    let noise =
        (0..160_000u64).map(|i| ((i.wrapping_mul(6_364_136_223_846_793_005) >> 40) as f32 / 8_388_608.0 - 1.0) * 0.05);
    assert_eq!(live(&vec![0.0; 160_000]), vec![]);
    assert_eq!(live(&noise.collect::<Vec<f32>>()), vec![]);
}
