//! Input that is no good audio: each kind has its own error, and everything before the damage is
//! kept.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Decoded, data, decode_all};
use hearken::advice::Advice;
use hearken::audio::{AudioError, AudioWarning};
use tempfile::TempDir;

/// A wav file: RIFF header for format `tag` (1 integer, 3 float), then `bytes` of audio.
fn wav(tag: u16, bits: u16, rate: u32, channels: u16, stated_len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    let frame = channels * bits / 8;
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.wrapping_mul(u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(stated_len.to_le_bytes());
    file.extend(bytes);
    file
}

/// Writes `bytes` to a file of its own and decodes it.
fn decode_bytes(bytes: &[u8]) -> Decoded {
    let (_dir, path) = file_of(bytes);
    decode_all(&path)
}

fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("input");
    fs::write(&path, bytes).expect("temporary file");
    (dir, path)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(data(name)).expect("test data")
}

/// The error's line names the file and ends in a remedy.
fn error_line(decoded: &Decoded) -> String {
    let error = decoded.error.as_ref().expect("an error");
    let line = error.explain();
    assert!(!line.contains('\n') && line.contains("; "), "{line}");
    line
}

#[test]
fn what_is_not_there_or_not_a_file() {
    let missing = decode_all(&data("no-such-file.flac"));
    assert!(matches!(missing.error, Some(AudioError::NotFound { .. })));
    assert!(error_line(&missing).contains("no-such-file.flac"));
    let directory = decode_all(&data("formats"));
    assert!(matches!(
        directory.error,
        Some(AudioError::IsDirectory { .. })
    ));
    assert!(error_line(&directory).contains("is a directory"));
}

#[test]
fn no_permission() {
    let (_dir, path) = file_of(&read("formats/reference.flac"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod");
    if fs::File::open(&path).is_ok() {
        // The superuser reads everything; the unit test of the error's mapping covers what is left.
        return;
    }
    let decoded = decode_all(&path);
    assert!(matches!(
        decoded.error,
        Some(AudioError::PermissionDenied { .. })
    ));
    error_line(&decoded);
}

#[test]
fn what_is_not_audio() {
    assert!(matches!(
        decode_bytes(b"").error,
        Some(AudioError::Empty { .. })
    ));
    let noise: Vec<u8> = (0..50_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for bytes in [
        b"x".as_slice(),
        &[0; 5000],
        b"Call me Ishmael. Some years ago",
        &noise,
    ] {
        let decoded = decode_bytes(bytes);
        assert!(
            matches!(decoded.error, Some(AudioError::NotAudio { .. })),
            "{:?}",
            decoded.error
        );
        error_line(&decoded);
    }
    let no_samples = decode_bytes(&wav(1, 16, 16_000, 1, 0, b""));
    assert!(
        matches!(no_samples.error, Some(AudioError::NoSamples { .. })),
        "{:?}",
        no_samples.error
    );
    let picture = decode_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR and so on, for a while");
    assert!(error_line(&picture).contains("is a PNG picture, not audio"));
    let telemetry = decode_bytes(&wav(1, 16, 4_000_000_000, 1, 8, &[0; 8]));
    assert!(
        matches!(telemetry.error, Some(AudioError::UnsupportedRate { .. })),
        "{:?}",
        telemetry.error
    );
}

#[test]
fn wav_of_every_sample_format() {
    let tone: Vec<f64> = (0..8000)
        .map(|i| (f64::from(i) * 0.1).sin() * 0.5)
        .collect();
    let int = |bits: u32, offset: i64| -> Vec<u8> {
        let scale = f64::from(1u32 << (bits - 1));
        let bytes =
            |x: &f64| ((x * scale) as i64 + offset).to_le_bytes()[..bits as usize / 8].to_vec();
        tone.iter().flat_map(bytes).collect()
    };
    let f32s: Vec<u8> = tone
        .iter()
        .flat_map(|x| (*x as f32).to_le_bytes())
        .collect();
    let f64s: Vec<u8> = tone.iter().flat_map(|x| x.to_le_bytes()).collect();
    for (tag, bits, bytes) in [
        (1, 8, int(8, 128)),
        (1, 16, int(16, 0)),
        (1, 24, int(24, 0)),
        (1, 32, int(32, 0)),
        (3, 32, f32s),
        (3, 64, f64s),
    ] {
        // The length is true, or unknown as in a pipe.
        for stated in [bytes.len() as u32, 0x7fff_ffff, u32::MAX] {
            let decoded = decode_bytes(&wav(tag, bits, 16_000, 1, stated, &bytes));
            assert!(decoded.error.is_none(), "{bits} bits: {:?}", decoded.error);
            assert_eq!(decoded.samples.len(), tone.len());
            let worst = decoded
                .samples
                .iter()
                .zip(&tone)
                .map(|(a, b)| (f64::from(*a) - b).abs())
                .fold(0.0, f64::max);
            assert!(worst < 1.0 / 64.0, "{bits} bits, tag {tag}: {worst}");
        }
    }
}

#[test]
fn samples_that_are_no_numbers_become_silence() {
    let mut samples = vec![0.25f32; 16_000];
    samples[4000] = f32::NAN;
    samples[5000] = f32::INFINITY;
    samples[6000] = -1e30;
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    let decoded = decode_bytes(&wav(3, 32, 16_000, 1, bytes.len() as u32, &bytes));
    assert!(decoded.error.is_none());
    for (i, x) in decoded.samples.iter().enumerate() {
        assert_eq!(
            *x,
            if [4000, 5000, 6000].contains(&i) {
                0.0
            } else {
                0.25
            }
        );
    }
    let [
        AudioWarning::InvalidSamples {
            count: 3,
            first_seconds,
            ..
        },
    ] = decoded.warnings[..]
    else {
        panic!("{:?}", decoded.warnings)
    };
    assert!((first_seconds - 0.25).abs() < 1e-6);
}

/// Cuts `file` after `share` of its bytes: some audio must come, then the damage where the audio
/// ends.
fn check_cut(file: &str, share: f64) {
    let bytes = read(file);
    let decoded = decode_bytes(&bytes[..(bytes.len() as f64 * share) as usize]);
    let length = decoded.samples.len() as f64 / 16_000.0;
    let Some(AudioError::Damaged { seconds, .. }) = decoded.error else {
        panic!("{file}: {:?} after {length} s", decoded.error)
    };
    assert!(length > 0.3 * share, "{file}: {length} s");
    assert!(
        (seconds - length).abs() < 0.01,
        "{file}: {length} s, damage said to be at {seconds} s"
    );
    error_line(&decoded);
}

#[test]
fn cut_files_give_what_they_have() {
    for share in [0.4, 0.7, 0.9] {
        for file in [
            "stereo24.flac",
            "mono.mp3",
            "moov-first.m4a",
            "vorbis.mkv",
            "voice.webm",
            "pcm.aiff",
        ] {
            check_cut(&format!("formats/{file}"), share);
        }
    }
    check_cut("jfk.flac", 0.5);
    let opus = read("formats/voice.opus");
    let cut = decode_bytes(&opus[..opus.len() * 3 / 4]);
    assert!(
        matches!(cut.warnings[..], [AudioWarning::NoEndMark { .. }]),
        "{:?} {:?}",
        cut.warnings,
        cut.error
    );
}

/// Overwrites the middle of `file`: the rest must come, at its time, with a warning or an error
/// that says so.
fn check_hole(file: &str) {
    let mut bytes = read(file);
    let whole = decode_bytes(&bytes).samples.len();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0x55);
    let decoded = decode_bytes(&bytes);
    let lost = whole.abs_diff(decoded.samples.len());
    assert!(lost < 4000, "{file}: {lost} of {whole} samples");
    assert!(
        decoded.error.is_some() || !decoded.warnings.is_empty(),
        "{file}: nothing was said"
    );
}

#[test]
fn au_and_w64_that_are_cut_off_say_so() {
    let samples = vec![1; 32_000];
    let mut au = b".snd\0\0\0\x18".to_vec();
    for field in [64_000, 3, 16_000, 1] {
        au.extend(u32::to_be_bytes(field));
    }
    let guid = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
    let mut w64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0".to_vec();
    w64.extend(64_104u64.to_le_bytes());
    w64.extend([b"wave".as_slice(), guid, b"fmt ", guid].concat());
    w64.extend(40u64.to_le_bytes());
    w64.extend(b"\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0");
    w64.extend([b"data".as_slice(), guid].concat());
    w64.extend(64_024u64.to_le_bytes());
    for mut file in [au, w64] {
        file.extend(&samples);
        let decoded = decode_bytes(&file);
        assert_eq!(decoded.samples.len(), 16_000);
        let line = error_line(&decoded);
        assert!(line.contains("damaged at 1.00 s"), "{line}");
        file.extend(&samples);
        let whole = decode_bytes(&file);
        assert!(whole.error.is_none(), "{:?}", whole.error);
        assert_eq!(whole.samples.len(), 32_000);
    }
}

#[test]
fn damage_in_the_middle_costs_only_the_middle() {
    for file in ["reference.flac", "mono.mp3"] {
        check_hole(&format!("formats/{file}"));
    }
}

/// No input may do more than fail: every file, cut anywhere and with bytes changed, is decoded to
/// some end.
#[test]
fn no_input_panics() {
    let mut random = 1u32;
    let mut next = |n: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % n
    };
    let files = fs::read_dir(data("formats")).expect("test data");
    for file in files.flatten() {
        let good = fs::read(file.path()).expect("test data");
        for _ in 0..6 {
            let mut bytes = good[..good.len() - next(good.len() / 2)].to_vec();
            for _ in 0..next(30) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            let samples = decode_bytes(&bytes).samples;
            assert!(samples.iter().all(|x| x.is_finite()));
        }
    }
}

/// Standard input is read in a process of its own: this test binary, told by the environment to
/// decode `-`.
#[test]
fn standard_input() {
    const ROLE: &str = "HEARKEN_TEST_DECODE_STDIN";
    if std::env::var_os(ROLE).is_some() {
        let decoded = decode_all("-".as_ref());
        println!("decoded {} {:?}", decoded.samples.len(), decoded.error);
        return;
    }
    for (file, seconds) in [
        ("formats/voice.opus", 2.5),
        ("formats/moov-at-end.m4a", 2.5),
        ("jfk.flac", 11.0),
    ] {
        for piped in [true, false] {
            let mut command = Command::new(std::env::current_exe().expect("own path"));
            command
                .args(["audio_bad_input::standard_input", "--exact", "--nocapture"])
                .env(ROLE, "1")
                .stdout(Stdio::piped());
            let stdin = if piped {
                Stdio::piped()
            } else {
                fs::File::open(data(file)).expect("test data").into()
            };
            let mut child = command.stdin(stdin).spawn().expect("a process");
            if let Some(mut pipe) = child.stdin.take() {
                pipe.write_all(&read(file)).expect("the process reads");
            }
            let output = child.wait_with_output().expect("an end");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let words: Vec<&str> = text
                .split("decoded ")
                .nth(1)
                .unwrap_or("")
                .split_whitespace()
                .collect();
            let samples: f64 = words.first().and_then(|w| w.parse().ok()).unwrap_or(0.0);
            assert!(
                (samples / 16_000.0 - seconds).abs() < 0.05,
                "{file}, piped {piped}: {text}"
            );
            assert_eq!(words.get(1), Some(&"None"), "{file}, piped {piped}: {text}");
        }
    }
}
