//! What live transcription holds in memory. A program of its own: it looks at all of its process.

#[path = "support/mod.rs"]
mod support;

use hearken::audio::SegmenterOptions;
use hearken::stream::{Hypothesis, Live, LiveOptions, RecognizeError, Recognizer, Request};
use hearken::text::split;
use hearken::tokenizer::Language;
use support::jfk;

/// Says the same of everything.
struct Parrot;

impl Recognizer for Parrot {
    fn recognize(
        &mut self,
        _: Request<'_>,
        _: &dyn Fn() -> bool,
    ) -> Result<Hypothesis, RecognizeError> {
        let mut words = split(" one two three", Language::ENGLISH);
        words.iter_mut().for_each(|word| word.confidence = 1.0);
        Ok(Hypothesis {
            words,
            is_unlikely: false,
            stands: false,
            language: Language::ENGLISH,
            avg_logprob: -0.1,
        })
    }

    fn language(&self) -> Option<Language> {
        Some(Language::ENGLISH)
    }
}

/// What this process has in memory, in bytes (proc(5): `statm`, in pages of 4 KiB).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .expect("a number")
        * 4096
}

#[test]
fn an_hour_takes_no_more_memory_than_five_minutes() {
    let segmenter = SegmenterOptions {
        end_pause: 12_800,
        ..SegmenterOptions::default()
    };
    let options = LiveOptions {
        segmenter,
        ends_by_sentence: false,
        step_s: Some(0.5),
    };
    let mut live = Live::new(Box::new(Parrot), options);
    let speech = jfk();
    let mut hear = |seconds: usize| {
        for block in speech.chunks(800).cycle().take(seconds * 20) {
            live.push(block);
            while live
                .next_event(&|_| false)
                .expect("it does not fail")
                .is_some()
            {}
        }
    };
    hear(300);
    let before = resident();
    hear(3300);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes");
}
