//! When words were said, by the real binary on real weights.
//!
//! Needs the model `base`: `make test` fetches it.

use crate::support::jfk;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Word starts of the sample in seconds, by forced alignment: pocketsphinx 5.1, model en-us,
/// `set_align_text`.
const ALIGNED: [(&str, f64); 22] = [
    ("and", 0.29),
    ("so", 0.63),
    ("my", 0.97),
    ("fellow", 1.24),
    ("americans", 1.62),
    ("ask", 3.25),
    ("not", 3.99),
    ("what", 5.37),
    ("your", 5.60),
    ("country", 5.86),
    ("can", 6.43),
    ("do", 6.66),
    ("for", 6.91),
    ("you", 7.05),
    ("ask", 8.15),
    ("what", 8.53),
    ("you", 8.84),
    ("can", 9.20),
    ("do", 9.37),
    ("for", 9.63),
    ("your", 9.78),
    ("country", 9.99),
];

/// What the target of the project allows the median of the errors to be, in seconds.
const MEDIAN_S: f64 = 0.08;

/// The transcript of 32-bit float samples at 16 kHz.
fn transcript(samples: &[f32]) -> Value {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("speech.wav");
    let n = samples.len() as u32 * 4;
    let mut wav = [b"RIFF", &(36 + n).to_le_bytes()[..], b"WAVEfmt "].concat();
    for word in [
        16u32.to_le_bytes(),
        [3, 0, 1, 0],
        16_000u32.to_le_bytes(),
        64_000u32.to_le_bytes(),
        [4, 0, 32, 0],
    ] {
        wav.extend(word);
    }
    wav.extend([b"data", &n.to_le_bytes()[..]].concat());
    wav.extend(samples.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(&path, wav).expect("a scratch file");
    run(&path)
}

fn run(path: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    // The configuration of whoever runs the tests has no say in them.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
        .args([
            "--language",
            "en",
            "--word-timestamps",
            "--format",
            "json",
            "--quiet",
            "--file",
        ])
        .arg(path);
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Words without case and punctuation, with start, end and probability.
fn words(transcript: &Value) -> Vec<(String, f64, f64, f64)> {
    let segments = transcript["segments"].as_array().expect("segments");
    let words = segments
        .iter()
        .flat_map(|segment| segment["words"].as_array().expect("words"));
    let number = |value: &Value| value.as_f64().expect("a number");
    let plain = |word: &Value| {
        let letters = word["word"]
            .as_str()
            .expect("text")
            .chars()
            .filter(|c| c.is_alphanumeric());
        letters.collect::<String>().to_lowercase()
    };
    words
        .map(|word| {
            (
                plain(word),
                number(&word["start"]),
                number(&word["end"]),
                number(&word["probability"]),
            )
        })
        .collect()
}

fn median(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

#[test]
fn words_begin_where_forced_alignment_says() {
    let transcript = transcript(&jfk());
    for segment in transcript["segments"].as_array().expect("segments") {
        let own = segment["words"].as_array().expect("words");
        let joined: String = own
            .iter()
            .filter_map(|word| word["word"].as_str())
            .collect();
        assert_eq!(Some(joined.as_str()), segment["text"].as_str());
        assert_eq!(
            (&own[0]["start"], &own[own.len() - 1]["end"]),
            (&segment["start"], &segment["end"])
        );
    }
    let words = words(&transcript);
    assert_eq!(
        words.iter().map(|word| word.0.as_str()).collect::<Vec<_>>(),
        ALIGNED.map(|(word, _)| word)
    );
    assert!(
        words.windows(2).all(|pair| pair[0].2 <= pair[1].1),
        "{words:?}"
    );
    assert!(
        words
            .iter()
            .all(|(_, start, end, p)| start < end && (0.0..=1.0).contains(p)),
        "{words:?}"
    );
    let errors: Vec<f64> = words
        .iter()
        .zip(ALIGNED)
        .map(|(word, (_, start))| (word.1 - start).abs())
        .collect();
    assert!(median(errors.clone()) <= MEDIAN_S, "{errors:?}");
    let after_a_pause = ["ask", "not", "what", "ask"];
    let paused = [5, 6, 7, 14].map(|i: usize| (ALIGNED[i].0, errors[i]));
    assert_eq!(paused.map(|(word, _)| word), after_a_pause);
    assert!(paused.iter().all(|(_, error)| *error <= 0.15), "{paused:?}");
}

#[test]
fn silence_before_words_moves_them_by_as_much() {
    let speech = jfk();
    // The pause after "Americans" lasts from 2.16 s to 3.25 s.
    let (before, after) = speech.split_at(43_200);
    for seconds in [1.0, 3.5, 20.0] {
        let silence = vec![0.0; (seconds * 16_000.0) as usize];
        let words = words(&transcript(
            &[&silence[..], before, &silence, after].concat(),
        ));
        assert_eq!(words.len(), ALIGNED.len(), "{words:?}");
        let error =
            |i: usize, silences: f64| (words[i].1 - ALIGNED[i].1 - silences * seconds).abs();
        let errors = (0..ALIGNED.len()).map(|i| error(i, if i < 5 { 1.0 } else { 2.0 }));
        assert!(median(errors.collect()) <= MEDIAN_S, "{words:?}");
        assert!(
            error(0, 1.0) <= 0.15 && error(5, 2.0) <= 0.15,
            "{seconds} s: {words:?}"
        );
    }
}
