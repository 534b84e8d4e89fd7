//! Files joined end to end, and headers that count wrongly: all of the sound comes, once.

use std::fs;

use crate::support::{
    Decoded, align, data, decode_all, decode_file, decode_pipe, ffmpeg, has_ffmpeg,
};

fn read(name: &str) -> Vec<u8> {
    fs::read(data("formats").join(name)).expect("test data")
}

fn seconds(decoded: &Decoded) -> f64 {
    decoded.samples.len() as f64 / 16_000.0
}

/// Checks that joined files give the sound of each, one after the other, in a file and a pipe.
fn check_joined(names: &[&str]) {
    let parts: Vec<Vec<u8>> = names.iter().map(|name| read(name)).collect();
    let alone: Vec<Decoded> = parts.iter().map(|part| decode_file(part)).collect();
    let wanted: f64 = alone.iter().map(seconds).sum();
    for decoded in [decode_file(&parts.concat()), decode_pipe(&parts.concat())] {
        assert!(decoded.error.is_none(), "{names:?}: {:?}", decoded.error);
        assert_eq!(decoded.warnings, [], "{names:?}");
        let length = seconds(&decoded);
        assert!(
            (length - wanted).abs() < 0.05,
            "{names:?}: {length} s, not {wanted} s"
        );
        let mut start = 0;
        for part in &alone {
            let n = part.samples.len().min(8_000);
            let end = decoded.samples.len().min(start + n + 200);
            let tail = decoded.samples.get(start..end).unwrap_or_default();
            let (lag, correlation) = align(&part.samples[..n], tail, -100..=100);
            assert!(
                correlation > 0.95,
                "{names:?}: {correlation} at a lag of {lag}"
            );
            start += part.samples.len();
        }
    }
}

#[test]
fn mp3_after_mp3_of_any_rate_and_channels() {
    let all = ["mono.mp3", "vbr-stereo.mp3", "mpeg2-16k.mp3"];
    for first in all {
        for second in all {
            check_joined(&[first, second]);
        }
    }
    check_joined(&all);
}

#[test]
fn flac_after_flac_and_ogg_after_ogg_and_aac_after_aac() {
    check_joined(&["reference.flac", "stereo24.flac"]);
    check_joined(&["stereo24.flac", "reference.flac", "stereo24.flac"]);
    check_joined(&["stereo.ogg", "stereo.ogg"]);
    check_joined(&["voice.opus", "stereo.opus"]);
    check_joined(&["flac.oga", "stereo.ogg"]);
    check_joined(&["mono.aac", "mono.aac"]);
}

#[test]
fn counts_of_frames_that_are_wrong_change_nothing() {
    for name in ["mono.mp3", "vbr-stereo.mp3"] {
        let mut file = read(name);
        let wanted = seconds(&decode_file(&file));
        let mark = |mark: &[u8]| file.windows(4).position(|window| window == mark);
        let at = mark(b"Xing").or(mark(b"Info")).expect("a header") + 8;
        let count = u32::from_be_bytes(*file[at..].first_chunk().expect("a count"));
        for (times, by) in [(1, 3), (1, 2), (1, 1), (3, 1)] {
            file[at..at + 4].copy_from_slice(&(count * times / by).to_be_bytes());
            let decoded = decode_file(&file);
            let length = seconds(&decoded);
            assert!(
                (length - wanted).abs() < 0.2,
                "{name}, {times}/{by}: {length} s"
            );
            assert!(decoded.error.is_none() && decoded.warnings.is_empty());
        }
    }
}

#[test]
fn tags_between_files_are_no_damage() {
    let id3 = [b"ID3\x04\0\0\0\0\x02\x00".as_slice(), &[0x55; 256]].concat();
    let id3v1 = [b"TAG".as_slice(), &[b' '; 125]].concat();
    let file = read("mono.mp3");
    let joined = [&id3, &file, &id3v1, &id3, &file, &id3v1]
        .map(Vec::as_slice)
        .concat();
    let decoded = decode_file(&joined);
    assert!((seconds(&decoded) - 5.0).abs() < 0.05);
    assert!(decoded.error.is_none() && decoded.warnings.is_empty());
}

#[test]
fn flac_frames_that_were_copied_without_headers_are_all_read() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.flac");
    let input = format!(
        "-stream_loop 3 -i {} -c copy",
        data("formats/reference.flac").display()
    );
    assert!(ffmpeg(&input, &path));
    let decoded = decode_all(&path);
    assert!(decoded.error.is_none(), "{:?}", decoded.error);
    assert_eq!(
        (decoded.samples.len(), decoded.warnings.len()),
        (4 * 40_000, 0)
    );
}
