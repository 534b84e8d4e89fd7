//! Every container and codec gives the same speech: 2.5 s of a public-domain recording in each of
//! them.

use crate::support::{align, data, decode_all};
use hearken::audio::SAMPLE_RATE;

/// Longest lag looked for, in samples: 50 ms.
const MAX_LAG: isize = 800;

/// Decodes `file` and compares it to the reference: seconds of lag and length allowed, least
/// correlation.
fn check(file: &str, seconds: f64, max_lag: f64, min_correlation: f64) {
    let reference = decode_all(&data("formats/reference.flac"));
    let decoded = decode_all(&data(&format!("formats/{file}")));
    assert!(decoded.error.is_none(), "{file}: {:?}", decoded.error);
    assert_eq!(decoded.warnings, vec![], "{file}");
    let rate = f64::from(SAMPLE_RATE);
    let (lag, correlation) = align(&reference.samples, &decoded.samples, -MAX_LAG..=MAX_LAG);
    assert!(
        lag.abs() as f64 <= max_lag * rate + 1.0,
        "{file}: lag {lag}"
    );
    assert!(
        correlation >= min_correlation,
        "{file}: correlation {correlation:.4}"
    );
    let length = decoded.samples.len() as f64 / rate;
    assert!((length - seconds).abs() <= 0.03, "{file}: {length} s");
    let stated = decoded.duration.unwrap_or(f64::NAN);
    assert!(
        (stated - seconds).abs() <= 0.06,
        "{file}: states {stated} s"
    );
}

#[test]
fn lossless() {
    check("stereo24.flac", 1.2, 0.0, 0.999);
    check("flac.mkv", 1.2, 0.0, 0.999);
    check("flac.oga", 1.2, 0.0, 0.999);
    check("alac.m4a", 1.2, 0.0, 0.999);
    check("pcm.aiff", 1.2, 0.0, 0.97);
}

#[test]
fn mp3() {
    check("mono.mp3", 2.5, 0.0, 0.98);
    check("vbr-stereo.mp3", 2.5, 0.0, 0.98);
    check("mpeg2-16k.mp3", 2.5, 0.0, 0.95);
}

#[test]
fn vorbis() {
    check("stereo.ogg", 2.5, 0.0, 0.98);
    check("vorbis.mkv", 2.5, 0.01, 0.98);
}

#[test]
fn opus() {
    check("voice.opus", 2.5, 0.0005, 0.9);
    check("stereo.opus", 2.5, 0.0005, 0.98);
    check("voice.webm", 2.5, 0.0005, 0.9);
    check("opus.mp4", 2.5, 0.0005, 0.9);
}

/// AAC encoders prepend 1,024 to 2,112 samples of delay, which its containers tell in ways of their
/// own.
#[test]
fn aac() {
    for file in ["mono.aac", "aac.mkv", "moov-first.m4a", "moov-at-end.m4a"] {
        check(file, 2.525, 0.05, 0.95);
    }
}
