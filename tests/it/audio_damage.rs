//! Bytes that are missing, were inserted or overwritten in the middle of a recording: what comes after
//! them is read, and a message tells of them.

use std::fs;

use crate::support::{Decoded, align, data, decode_all, decode_file};
use hearken::audio::AudioWarning;

/// Ways to damage bytes around a place.
const WAYS: [fn(&mut Vec<u8>, usize); 5] = [
    |bytes, at| bytes.insert(at, 0x55),
    |bytes, at| drop(bytes.splice(at..at, noise(333))),
    |bytes, at| drop(bytes.drain(at..=at)),
    |bytes, at| drop(bytes.drain(at..at + 777)),
    |bytes, at| drop(bytes.splice(at..at + 2_000, noise(2_000))),
];

fn noise(n: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n).map(next).collect()
}

/// Checks that the last part of `wanted` is at the end of what was decoded, but for a few samples.
fn check_end(decoded: &Decoded, wanted: &[f32], label: &str) {
    const TAIL: usize = 8_000;
    let end = &wanted[wanted.len() - TAIL..];
    let from = decoded.samples.len().saturating_sub(TAIL + 1_200);
    let (lag, correlation) = align(end, &decoded.samples[from..], 0..=2_400);
    assert!(
        correlation > 0.9,
        "{label}: {correlation} at a lag of {lag}"
    );
}

/// The shared recording as 16-bit samples in wav, aiff, au and caf.
fn pcm_files() -> [(&'static str, Vec<u8>); 4] {
    let samples = decode_all(&data("jfk.flac")).samples;
    let ints = || samples.iter().map(|x| (x * 32_767.0) as i16);
    let little: Vec<u8> = ints().flat_map(i16::to_le_bytes).collect();
    let big: Vec<u8> = ints().flat_map(i16::to_be_bytes).collect();
    let n = big.len() as u32;
    let be = |fields: &[u32]| -> Vec<u8> { fields.iter().flat_map(|x| x.to_be_bytes()).collect() };
    let mut wav = b"RIFF".to_vec();
    wav.extend((n + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0");
    for field in [1_u16, 1, 16_000, 0, 32_000, 0, 2, 16] {
        wav.extend(field.to_le_bytes());
    }
    wav.extend([&b"data"[..], &n.to_le_bytes(), &little].concat());
    let rate = [0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0];
    let comm = [&[0, 1], &be(&[n / 2])[..], &[0, 16], &rate].concat();
    let aiff = [
        [&b"FORM"[..], &be(&[n + 46]), b"AIFFCOMM", &be(&[18]), &comm].concat(),
        [&b"SSND"[..], &be(&[n + 8, 0, 0]), &big].concat(),
    ];
    let au = [&b".snd"[..], &be(&[24, n, 3, 16_000, 1]), &big].concat();
    let desc = [
        &16_000_f64.to_be_bytes(),
        &b"lpcm"[..],
        &be(&[0, 2, 1, 1, 16]),
    ]
    .concat();
    let caf = [
        [&b"caff\0\x01\0\0desc"[..], &be(&[0, 32]), &desc].concat(),
        [&b"data"[..], &be(&[0, n + 4, 0]), &big].concat(),
    ];
    [
        ("wav", wav),
        ("aiff", aiff.concat()),
        ("au", au),
        ("caf", caf.concat()),
    ]
}

#[test]
fn pcm_goes_on_after_damage() {
    let wanted = decode_all(&data("jfk.flac")).samples;
    for (name, good) in pcm_files() {
        let whole = decode_file(&good);
        assert!(whole.error.is_none(), "{name}: {:?}", whole.error);
        assert_eq!(
            (whole.samples.len(), whole.warnings.len()),
            (wanted.len(), 0),
            "{name}"
        );
        for (i, damage) in WAYS.iter().enumerate() {
            let mut bytes = good.clone();
            // Someone speaks there.
            damage(&mut bytes, good.len() / 2 + 31);
            let decoded = decode_file(&bytes);
            let label = format!("{name}, damage {i}");
            check_end(&decoded, &wanted, &label);
            let is_told = decoded.error.is_some() || !decoded.warnings.is_empty();
            assert!(is_told, "{label}: nothing was said");
        }
    }
}

#[test]
fn caf_that_is_cut_off_says_so() {
    let (_, caf) = &pcm_files()[3];
    let decoded = decode_file(&caf[..caf.len() / 2]);
    let error = decoded.error.expect("an error").to_string();
    assert!(
        error.contains("the file ends here, not at 11.00 s"),
        "{error}"
    );
}

#[test]
fn a_gap_of_zeros_in_speech_is_told() {
    let (_, mut wav) = pcm_files()[0].clone();
    let place = 44 + 2 * 16_000 * 4;
    let is_loud = |at: &usize| {
        let sample = |at: usize| i16::from_le_bytes([wav[at], wav[at + 1]]).abs();
        (0..20).map(|i| sample(at + 2 * i)).max() > Some(3_000)
    };
    let start = (place..).step_by(2).find(is_loud).expect("speech");
    let end = (start + 1_600..).step_by(2).find(is_loud).expect("speech");
    wav[start + 20..end].fill(0);
    let warnings = decode_file(&wav).warnings;
    assert!(
        matches!(warnings[..], [AudioWarning::Gaps { count: 1, .. }]),
        "{warnings:?}"
    );
}

#[test]
fn mp4_goes_on_after_inserted_and_missing_bytes() {
    for name in ["moov-first.m4a", "moov-at-end.m4a"] {
        let good = fs::read(data("formats").join(name)).expect("test data");
        let wanted = decode_file(&good).samples;
        for (i, damage) in WAYS.iter().enumerate().take(4) {
            let mut bytes = good.clone();
            let media = good.windows(4).position(|x| x == b"mdat").expect("sound");
            damage(&mut bytes, media + 7_000);
            let decoded = decode_file(&bytes);
            let label = format!("{name}, damage {i}");
            check_end(&decoded, &wanted, &label);
            let lost = decoded.samples.len().abs_diff(wanted.len());
            assert!(lost < 3_000, "{label}: {lost} samples");
        }
    }
}

#[test]
fn mkv_goes_on_within_a_cluster() {
    for name in ["aac.mkv", "vorbis.mkv"] {
        let good = fs::read(data("formats").join(name)).expect("test data");
        let wanted = decode_file(&good).samples;
        for (i, damage) in WAYS.iter().enumerate() {
            let mut bytes = good.clone();
            damage(&mut bytes, good.len() / 2);
            let label = format!("{name}, damage {i}");
            check_end(&decode_file(&bytes), &wanted, &label);
        }
    }
}
