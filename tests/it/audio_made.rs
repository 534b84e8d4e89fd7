//! Containers and codecs that ffmpeg writes here, read by Hearken itself: the matrix of
//! docs/formats.md.

use std::path::{Path, PathBuf};

use crate::support::{Decoded, align, data, decode_all, ffmpeg, has_ffmpeg};
use hearken::audio::{AudioNote, FileSource};
use tempfile::TempDir;

/// Reference: 2.5 s at 16 kHz, mono.
fn reference() -> PathBuf {
    data("formats/reference.flac")
}

/// Files made for one test.
struct Made(TempDir);

impl Made {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Makes a file from the reference; `None` if this ffmpeg cannot write it.
    fn file(&self, name: &str, arguments: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        let input = format!("-i {} {arguments}", reference().display());
        ffmpeg(&input, &path).then_some(path)
    }
}

/// Names of what ffmpeg is said to read.
fn read_by_ffmpeg(path: &Path) -> bool {
    let source = FileSource::open(path).expect("a source");
    let is_by_ffmpeg = |note: &AudioNote| matches!(note, AudioNote::ByFfmpeg { .. });
    source.notes().iter().any(is_by_ffmpeg)
}

/// Checks that a file has the sound of the reference, from `start` seconds on.
fn check(path: &Path, start: f64, correlation: f64) {
    let wanted = decode_all(&reference()).samples;
    let decoded = decode_all(path);
    let label = path.file_name().unwrap_or_default().display();
    assert!(decoded.error.is_none(), "{label}: {:?}", decoded.error);
    assert_eq!(decoded.warnings, [], "{label}");
    let length = decoded.samples.len() as f64 / 16_000.0;
    assert!((length - start - 2.5).abs() < 0.15, "{label}: {length} s");
    let tail = decoded
        .samples
        .get((start * 16_000.0) as usize..)
        .unwrap_or_default();
    let (lag, found) = align(&wanted[..8_000], &tail[..10_000], -200..=1_200);
    assert!(found > correlation, "{label}: {found} at a lag of {lag}");
}

#[test]
fn every_pcm_in_every_container() {
    if !has_ffmpeg() {
        return;
    }
    let made = Made::new();
    let mut n = 0;
    for codec in [
        "s8", "u8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be",
        "f64le", "f64be", "alaw", "mulaw",
    ] {
        for container in ["wav", "w64", "aiff", "au", "caf", "mov", "mkv"] {
            let name = format!("{codec}.{container}");
            let arguments = format!("-ac 2 -c:a pcm_{codec}");
            if let Some(path) = made.file(&name, &arguments) {
                check(&path, 0.0, 0.97);
                n += 1;
            }
        }
    }
    assert!(n > 50, "{n} files were made");
}

#[test]
fn every_codec_in_every_container() {
    if !has_ffmpeg() {
        return;
    }
    let made = Made::new();
    for (codec, containers) in [
        ("aac -ac 1", "m4a mp4 mkv aac mov"),
        ("aac -ac 2 -ar 44100", "m4a mp4 mkv aac mov"),
        ("alac", "m4a caf"),
        ("flac", "flac ogg mkv mp4"),
        ("libmp3lame", "mp3 mkv mp4 wav"),
        ("libopus", "opus mkv webm mp4"),
        ("libvorbis", "ogg mkv webm"),
        ("mp2", "mp2 mkv mp4"),
        ("libmp3lame -ar 16000", "caf"),
        ("adpcm_ms", "wav"),
        ("adpcm_ima_wav", "wav"),
        ("adpcm_ima_qt", "caf"),
        ("pcm_s16le -rf64 always", "wav"),
    ] {
        for container in containers.split(' ') {
            let name = format!("{}.{container}", codec.replace(' ', ""));
            let Some(path) = made.file(&name, &format!("-c:a {codec}")) else {
                println!("{name}: this ffmpeg cannot write it");
                continue;
            };
            check(&path, 0.0, 0.88);
            assert!(!read_by_ffmpeg(&path), "{name}");
        }
    }
}

#[test]
fn sound_keeps_its_time_in_a_film_and_a_longer_picture_is_no_damage() {
    if !has_ffmpeg() {
        return;
    }
    let made = Made::new();
    for (container, codecs) in [
        ("mp4", "-c:v mpeg4 -c:a aac"),
        ("mkv", "-c:v mpeg4 -c:a libopus"),
        ("mkv", "-c:v mpeg4 -c:a ac3"),
        ("ts", "-c:v mpeg2video -c:a mp2"),
    ] {
        for start in [0.0, 0.5, 5.0] {
            let path = made.0.path().join(format!("{start}.{container}"));
            let picture = "-f lavfi -i testsrc=size=64x48:rate=5";
            let sound = format!("-itsoffset {start} -i {}", reference().display());
            let film = format!("{picture} {sound} -t 12 -map 0:v -map 1:a {codecs}");
            assert!(ffmpeg(&film, &path), "{film}");
            check(&path, start, 0.88);
        }
    }
}

#[test]
fn a_track_is_chosen_and_the_others_are_told() {
    if !has_ffmpeg() {
        return;
    }
    let made = Made::new();
    let path = made.0.path().join("two.mp4");
    let both = format!(
        "-i {} -f lavfi -i sine=duration=2 -map 0 -map 1 -c:a aac -disposition:a:0 0 \
         -disposition:a:1 default",
        reference().display()
    );
    assert!(ffmpeg(&both, &path));
    let tracks = FileSource::tracks(&path, Default::default()).expect("tracks");
    let defaults: Vec<bool> = tracks.iter().map(|track| track.is_default).collect();
    assert_eq!(defaults, [false, true]);
    let source = FileSource::open(&path).expect("a source");
    let note = source.notes()[0].to_string();
    assert!(
        note.ends_with("track 2 (AAC, 1 channel) is read, not 1 (AAC, 1 channel)"),
        "{note}"
    );
    let Decoded { samples, .. } = decode_all(&path);
    assert!(
        samples.len().abs_diff(32_000) < 2_000,
        "{} samples",
        samples.len()
    );
}
