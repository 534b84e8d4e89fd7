//! What only ffmpeg reads: it is used if it is installed, safely, and named if it is not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::support::{align, data, decode_all, decode_pipe, ffmpeg, has_ffmpeg};
use hearken::advice::Advice;
use hearken::audio::{AudioError, AudioNote, AudioSource, FileSource};

#[test]
fn what_hearken_cannot_decode_is_read_from_files_and_pipes() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let wanted = decode_all(&data("formats/reference.flac")).samples;
    for (name, codec) in [
        ("aac51.m4a", "-ac 6 -ar 48000 -c:a aac"),
        ("aac51.mkv", "-ac 6 -ar 48000 -c:a aac"),
        ("aac51.aac", "-ac 6 -ar 48000 -c:a aac"),
        ("aac.ts", "-c:a aac"),
        ("ac3.mkv", "-c:a ac3"),
        ("x.ac3", "-c:a ac3"),
        ("eac3.mp4", "-c:a eac3"),
        ("x.wma", "-c:a wmav2"),
        ("x.avi", "-c:a libmp3lame"),
        ("x.wv", "-c:a wavpack"),
        ("x.tta", "-c:a tta"),
        ("x.flv", "-ar 44100 -c:a libmp3lame"),
        ("x.mpg", "-c:a mp2"),
        // Decoders of Hearken refuse these.
        ("mono384k.mp2", "-ac 1 -ar 48000 -b:a 384k -c:a mp2"),
        ("x.opus", "-af pan=6.1|FC=c0 -ar 48000 -c:a libopus"),
        // Its timestamps are invalid.
        ("eac3.avi", "-c:a eac3"),
    ] {
        let path = dir.path().join(name);
        let input = format!("-i {} {codec}", data("formats/reference.flac").display());
        if !ffmpeg(&input, &path) {
            println!("{name}: this ffmpeg cannot write it");
            continue;
        }
        let source = FileSource::open(&path).expect(name);
        let note = source.notes()[0].to_string();
        assert!(note.contains(": ffmpeg reads "), "{note}");
        let bytes = fs::read(&path).expect("a file");
        for decoded in [decode_all(&path), decode_pipe(&bytes)] {
            assert!(decoded.error.is_none(), "{name}: {:?}", decoded.error);
            let (lag, correlation) =
                align(&wanted[..8_000], &decoded.samples[..10_000], -200..=1_200);
            assert!(
                correlation > 0.88,
                "{name}: {correlation} at a lag of {lag}"
            );
            let longer = decoded.samples.len() as f64 / wanted.len() as f64;
            assert!((0.9..1.1).contains(&longer), "{name}: {longer}");
        }
    }
}

#[test]
fn invalid_timestamps_add_no_hours_of_silence() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.caf");
    let input = format!(
        "-i {} -c:a pcm_s16le",
        data("formats/reference.flac").display()
    );
    assert!(ffmpeg(&input, &path));
    let mut bytes = fs::read(&path).expect("a file");
    // Number of frames of a packet: symphonia refuses the file, ffmpeg does not.
    bytes[40..44].copy_from_slice(&0x41cd_cd65u32.to_be_bytes());
    fs::write(&path, bytes).expect("a file");
    let decoded = decode_all(&path);
    assert!(decoded.samples.len() < 16_000 * 60);
}

#[test]
fn any_name_is_safe() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let made = dir.path().join("made.ts");
    let input = format!("-i {} -c:a mp2", data("formats/reference.flac").display());
    assert!(ffmpeg(&input, &made));
    for name in [
        &b"-i"[..],
        b"-y out.wav",
        b"concat:a|b",
        b"pipe:0",
        b"two\nlines",
        b"\xff\xfe.ts",
        b"%03d.ts",
        b"http:",
    ] {
        let path = dir.path().join(OsStr::from_bytes(name));
        fs::copy(&made, &path).expect("copied");
        let decoded = decode_all(&path);
        assert!(decoded.error.is_none(), "{name:?}: {:?}", decoded.error);
        assert!(decoded.samples.len() > 39_000);
        fs::remove_file(path).expect("removed");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
}

#[test]
fn a_file_that_ffmpeg_refuses_has_its_message() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bad.wma");
    fs::write(
        &path,
        [b"\x30\x26\xb2\x75\x8e\x66\xcf\x11".as_slice(), &[7; 500]].concat(),
    )
    .expect("a file");
    let Some(AudioError::Ffmpeg { what, reason, .. }) = decode_all(&path).error else {
        panic!("no error of ffmpeg");
    };
    assert_eq!(what, "Windows Media (wma, wmv, asf)");
    assert!(!reason.is_empty() && !reason.contains('\n'));
}

#[test]
fn a_source_that_is_dropped_ends_ffmpeg() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("long.ts");
    assert!(ffmpeg("-f lavfi -i sine=duration=600 -c:a mp2", &path));
    let children = || {
        let tasks = fs::read_dir("/proc/self/task").expect("tasks").flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let ids: Vec<String> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        let reads =
            |id: &String| fs::read_link(format!("/proc/{id}/fd/0")).is_ok_and(|file| file == path);
        ids.into_iter().filter(reads).count()
    };
    let mut source = FileSource::open(&path).expect("a source");
    assert!(source.next_block().expect("a block").is_some());
    assert_eq!(children(), 1);
    drop(source);
    assert_eq!(children(), 0);
}

/// Without ffmpeg: this test binary again, with an empty search path.
#[test]
fn a_missing_ffmpeg_is_named_with_the_remedy() {
    const ROLE: &str = "HEARKEN_TEST_WITHOUT_FFMPEG";
    let dir = tempfile::tempdir().expect("a directory");
    if let Some(path) = std::env::var_os(ROLE) {
        let line = decode_all(path.as_ref()).error.expect("an error").explain();
        println!("line: {line}");
        return;
    }
    let path = dir.path().join("x.ts");
    let mut packets = vec![0; 188 * 20];
    packets.iter_mut().step_by(188).for_each(|x| *x = 0x47);
    fs::write(&path, packets).expect("a file");
    let test = "audio_ffmpeg::a_missing_ffmpeg_is_named_with_the_remedy";
    let output = Command::new(std::env::current_exe().expect("own path"))
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, &path)
        .env("PATH", dir.path())
        .output()
        .expect("an end");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = "reading MPEG-TS needs ffmpeg, which is not installed; install ffmpeg, or convert";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn nothing_is_said_of_ffmpeg_for_what_hearken_reads() {
    for file in fs::read_dir(data("formats")).expect("test data").flatten() {
        let source = FileSource::open(&file.path()).expect("a source");
        let is_by_ffmpeg = |note: &AudioNote| matches!(note, AudioNote::ByFfmpeg { .. });
        assert!(
            !source.notes().iter().any(is_by_ffmpeg),
            "{:?}",
            file.path()
        );
    }
}
