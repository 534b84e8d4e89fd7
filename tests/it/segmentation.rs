//! Real speech through the voice detector and the segmenter.

use crate::support::jfk;
use hearken::audio::{Segmenter, SegmenterOptions, Utterance};

const SECOND: usize = 16_000;

fn segment(samples: &[f32], options: SegmenterOptions) -> Vec<Utterance> {
    let mut segmenter = Segmenter::new(options);
    let mut utterances: Vec<Utterance> = samples
        .chunks(1000)
        .flat_map(|block| segmenter.push(block))
        .collect();
    utterances.extend(segmenter.finish());
    utterances
}

/// Seconds at which an utterance begins and ends.
fn seconds(utterance: &Utterance) -> (f64, f64) {
    let start = utterance.start as f64 / SECOND as f64;
    (
        start,
        start + utterance.samples.len() as f64 / SECOND as f64,
    )
}

/// The first word begins at 0.32 s, the last ends at 10.4 s; the clip is 11 s long.
#[test]
fn all_of_a_speech_is_kept_at_any_level() {
    for gain in [1.0, 0.1, 0.01] {
        let quiet: Vec<f32> = jfk().iter().map(|x| x * gain).collect();
        let whole = segment(
            &quiet,
            SegmenterOptions {
                max_samples: 30 * SECOND,
                ..SegmenterOptions::default()
            },
        );
        assert_eq!(whole.len(), 1, "gain {gain}");
        let (start, end) = seconds(&whole[0]);
        assert!(
            start <= 0.3 && end >= 10.4,
            "gain {gain}: {start} to {end} s"
        );
    }
}

/// Silence is at 1.9 to 3.3 s, 3.9 to 5.4 s and 7.6 to 8.2 s.
#[test]
fn a_full_window_is_cut_between_words() {
    let cut = segment(&jfk(), SegmenterOptions::default());
    assert_eq!(cut.len(), 2);
    let (_, end) = seconds(&cut[0]);
    assert!((7.6..8.2).contains(&end), "cut at {end} s");
}

#[test]
fn speech_is_found_amid_silence_and_silence_is_left_out() {
    let mut stream = vec![0.0; 20 * SECOND];
    stream.extend(jfk());
    stream.extend(vec![0.0; 20 * SECOND]);
    let found = segment(
        &stream,
        SegmenterOptions {
            max_samples: 30 * SECOND,
            ..SegmenterOptions::default()
        },
    );
    assert_eq!(found.len(), 1);
    let (start, end) = seconds(&found[0]);
    assert!(
        (19.5..20.33).contains(&start) && (30.4..31.7).contains(&end),
        "{start} to {end} s"
    );
}

#[test]
fn noise_and_tones_are_not_speech() {
    let mut random = 1u32;
    let mut noise = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random as f32 / u32::MAX as f32 - 0.5
    };
    for level in [1.0, 0.1, 0.001] {
        let hiss: Vec<f32> = (0..10 * SECOND).map(|_| noise() * level).collect();
        assert_eq!(
            segment(&hiss, SegmenterOptions::default()),
            vec![],
            "hiss at {level}"
        );
        let tone: Vec<f32> = (0..10 * SECOND)
            .map(|i| (i as f32 * 0.4).sin() * level)
            .collect();
        assert_eq!(
            segment(&tone, SegmenterOptions::default()),
            vec![],
            "tone at {level}"
        );
    }
}
