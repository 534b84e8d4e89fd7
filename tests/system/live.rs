//! Live transcription with the real model, without an audio device: the text of recordings, as it
//! grows.

use crate::support::{jfk, model};
use hearken::audio::SegmenterOptions;
use hearken::stream::{
    Context, Event, Live, LiveOptions, Pass, Recognizer, Request, WhisperRecognizer,
};
use hearken::tokenizer::Language;
use hearken::whisper::decoding::DecodingOptions;
use hearken::whisper::{Precision, Whisper};
use std::f32::consts::TAU;
use std::sync::{Arc, OnceLock};

fn whisper() -> Arc<Whisper> {
    static WHISPER: OnceLock<Arc<Whisper>> = OnceLock::new();
    let load = || Arc::new(Whisper::load(model("base"), Precision::Int8, 2).expect("a good model"));
    WHISPER.get_or_init(load).clone()
}

/// All events of a stream that comes in blocks of 40 ms.
fn live(samples: &[f32]) -> Vec<Event> {
    let recognizer = WhisperRecognizer::new(whisper(), 512, DecodingOptions::default());
    let segmenter = SegmenterOptions {
        end_pause: 12_800,
        ..SegmenterOptions::default()
    };
    let options = LiveOptions {
        segmenter,
        ends_by_sentence: false,
        step_s: Some(0.5),
    };
    let mut live = Live::new(Box::new(recognizer), options);
    let mut events = Vec::new();
    for block in samples.chunks(640).map(Some).chain([None]) {
        match block {
            Some(block) => live.push(block),
            None => live.finish(),
        }
        while let Some(event) = live.next_event(&|_| false).expect("the model works") {
            events.push(event);
        }
    }
    events
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| {
            word.chars()
                .filter(|c| c.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .collect()
        })
        .collect()
}

#[test]
fn speech_becomes_text_while_it_is_spoken() {
    let mut spoken = jfk();
    spoken.extend(vec![0.0; 16_000]);
    let events = live(&spoken);
    let finals: Vec<&str> = events
        .iter()
        .filter_map(|e| {
            if let Event::Final(f) = e {
                Some(f.text.as_str())
            } else {
                None
            }
        })
        .collect();
    let text = "and so my fellow americans ask not what your country can do for you ask what you can do for your country";
    assert_eq!(words(&finals.join(" ")), words(text), "{events:#?}");
    let Some(Event::Partial(first)) = events.first() else {
        panic!("{events:?}")
    };
    assert!(
        first.end_s - first.start_s <= 1.1,
        "the first guess is of the first words: {first:?}"
    );
    let committed = events
        .iter()
        .filter(|e| matches!(e, Event::Partial(p) if !p.committed.is_empty()))
        .count();
    assert!(
        committed >= 4,
        "words are committed while more are spoken: {events:#?}"
    );
}

/// Uniform noise up to `amplitude`, the same in each run.
fn noise(len: usize, amplitude: f32) -> Vec<f32> {
    let unit = |i: usize| {
        ((i as u64).wrapping_mul(6_364_136_223_846_793_005) >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(|i| unit(i) * amplitude).collect()
}

fn final_text(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|e| {
        if let Event::Final(f) = e {
            Some(f.text.as_str())
        } else {
            None
        }
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// As many words, of which so many may be heard differently.
fn assert_alike(heard: &[Event], wanted: &[Event], most: usize) {
    let (heard, wanted) = (words(&final_text(heard)), words(&final_text(wanted)));
    let differing = heard.iter().zip(&wanted).filter(|(a, b)| a != b).count();
    assert!(
        heard.len() == wanted.len() && differing <= most,
        "{heard:?} for {wanted:?}"
    );
}

#[test]
fn a_quiet_speaker_is_heard() {
    let quiet: Vec<f32> = jfk().iter().map(|x| x * 0.03).collect();
    assert_alike(&live(&quiet), &live(&jfk()), 1);
}

#[test]
fn speech_in_steady_noise_is_heard_and_its_end_too() {
    let mut spoken = jfk();
    spoken.resize(spoken.len() + 48_000, 0.0);
    let noisy: Vec<f32> = spoken
        .iter()
        .zip(noise(spoken.len(), 0.02))
        .map(|(x, n)| x + n)
        .collect();
    let events = live(&noisy);
    // "America" for "Americans", after which "Ask not" becomes "asked not".
    assert_alike(&events, &live(&jfk()), 2);
    let end = events.iter().rev().find_map(|e| {
        if let Event::Final(f) = e {
            Some(f.end_s)
        } else {
            None
        }
    });
    assert!(
        end.is_some_and(|end| end < 12.5),
        "the noise goes on for 14 s, the speech does not: {end:?}"
    );
}

#[test]
fn silence_and_noise_are_not_transcribed() {
    // Mains hum: 50 Hz and its odd harmonics.
    let hum = |i: usize| {
        (0..4)
            .map(|k| (i as f32 * (2 * k + 1) as f32 * 50.0 * TAU / 16_000.0).sin() * 0.05)
            .sum::<f32>()
    };
    let bursts = noise(160_000, 0.3)
        .into_iter()
        .enumerate()
        .map(|(i, x)| if i % 16_000 < 1600 { x } else { 0.0 });
    let sounds = [
        vec![0.0; 160_000],
        noise(160_000, 0.05),
        (0..160_000).map(hum).collect(),
        bursts.collect(),
    ];
    for (i, sound) in sounds.iter().enumerate() {
        assert_eq!(live(sound), vec![], "sound {i}");
    }
}

#[test]
fn speech_is_heard_after_what_was_said_before_it() {
    let mut recognizer = WhisperRecognizer::new(
        whisper(),
        768,
        DecodingOptions {
            language: Some(Language::ENGLISH),
            ..DecodingOptions::default()
        },
    );
    let speech = jfk();
    let (before, samples) = speech.split_at(36_000);
    let context = Context {
        samples: before.to_vec(),
        text: " And so, my fellow Americans,".to_owned(),
    };
    for pass in [Pass::Interim, Pass::Final] {
        let request = Request {
            context: Some(&context),
            text_before: "",
            samples,
            prefix: "",
            predicted: "",
            language: None,
            pass,
        };
        let heard = recognizer
            .recognize(request, &|| false)
            .expect("the model works")
            .words;
        let text: String = heard.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(
            words(&text),
            words("ask not what your country can do for you ask what you can do for your country")
        );
        assert!(
            heard[0].text.starts_with(" ask"),
            "the sentence goes on: {text}"
        );
        let mut at = 0.0;
        for word in &heard {
            assert!(
                at <= word.start_s && word.start_s <= word.end_s,
                "{heard:?}"
            );
            at = word.end_s;
        }
        assert!(at <= samples.len() as f64 / 16_000.0, "{heard:?}");
    }
}
