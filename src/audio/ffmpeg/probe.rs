//! What `ffprobe`, which comes with ffmpeg, says about the tracks of a file.

use std::process::{Command, Stdio};

use serde::Deserialize;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;

use super::set_input;
use crate::audio::source::Bytes;
use crate::audio::track::Track;

/// Name of the program.
const PROGRAM: &str = "ffprobe";

/// What is known of a file that ffmpeg reads.
pub struct Probe {
    /// Timestamp of its start in seconds: the earliest of all tracks, with sound or without.
    pub start: f64,
    /// Its tracks with sound, none of which Hearken can decode.
    pub tracks: Vec<Track>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    start_time: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    codec_type: Option<String>,
    codec_name: Option<String>,
    channels: Option<u16>,
    sample_rate: Option<String>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Deserialize, Default)]
struct Tags {
    language: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize, Default)]
struct Disposition {
    #[serde(default)]
    default: u8,
}

/// Asks about a file; `None` for a pipe, and if there is no answer.
pub fn probe(bytes: &Bytes, demuxer: &str) -> Option<Probe> {
    bytes.file()?;
    let mut command = Command::new(PROGRAM);
    let input = set_input(&mut command, bytes).ok()?;
    command.args([
        "-hide_banner",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
    ]);
    command.args([
        "-f",
        demuxer,
        "-of",
        "json",
        "-show_streams",
        "-show_entries",
    ]);
    command.args(["format=start_time", "-i", input]);
    command.stderr(Stdio::null());
    let answer = command.output().ok()?.stdout;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Option<Probe> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let start = answer
        .format
        .and_then(|format| format.start_time?.parse().ok());
    let is_sound = |stream: &&Stream| stream.codec_type.as_deref() == Some("audio");
    let tracks: Vec<Track> = answer.streams.iter().filter(is_sound).map(track).collect();
    Some(Probe {
        start: start.unwrap_or(0.0),
        tracks,
    })
}

fn track(stream: &Stream) -> Track {
    let mut params = AudioCodecParameters::new();
    if let Some(channels) = stream.channels.filter(|n| *n > 0) {
        params.with_channels(Channels::Discrete(channels));
    }
    let rate = stream
        .sample_rate
        .as_ref()
        .and_then(|rate| rate.parse().ok());
    if let Some(rate) = rate.filter(|rate| *rate > 0) {
        params.with_sample_rate(rate);
    }
    let codec = stream
        .codec_name
        .clone()
        .unwrap_or_else(|| "unknown".into());
    let mut track = Track::new(0, params, codec);
    track.is_default = stream.disposition.default == 1;
    let language = stream.tags.language.clone();
    track.language = language.filter(|language| language != "und");
    track.title = stream.tags.title.clone();
    track
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_the_tracks_with_sound_and_the_start() {
        let answer = br#"{"programs": [], "streams": [
            {"index": 0, "codec_type": "video", "codec_name": "mpeg2video"},
            {"index": 1, "codec_type": "audio", "codec_name": "ac3", "channels": 6,
             "sample_rate": "48000", "disposition": {"default": 1, "dub": 0},
             "tags": {"language": "deu"}}],
            "format": {"start_time": "1.400000"}}"#;
        let probe = parse(answer).expect("an answer");
        assert_eq!((probe.start, probe.tracks.len()), (1.4, 1));
        let track = &probe.tracks[0];
        assert_eq!((track.codec.as_str(), track.is_default), ("ac3", true));
        assert_eq!(track.language.as_deref(), Some("deu"));
        assert!(parse(b"").is_none());
        assert_eq!(parse(b"{}").expect("an answer").tracks.len(), 0);
    }
}
