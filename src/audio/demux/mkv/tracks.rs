//! The description of tracks.
//!
//! In: the body of `Tracks`. Out: the tracks with sound, with codec, flags, language and what their
//! packets went through.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_FLAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3,
    CODEC_ID_OPUS, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE,
    CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
    CODEC_ID_PCM_U8, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, CODEC_ID_NULL_AUDIO};

use super::super::ebml::{child, children, float, text, uint};
use super::super::wave_format::WaveFormat;
use super::compression::{Compression, decompressed};
use crate::audio::track::Track;

const TRACK_ENTRY: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const TRACK_TYPE: u32 = 0x83;
const FLAG_ENABLED: u32 = 0xb9;
const FLAG_DEFAULT: u32 = 0x88;
const DEFAULT_DURATION: u32 = 0x23_e383;
const NAME: u32 = 0x536e;
const LANGUAGE: u32 = 0x22_b59c;
const LANGUAGE_BCP47: u32 = 0x22_b59d;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63a2;
const AUDIO: u32 = 0xe1;
const SAMPLING_FREQUENCY: u32 = 0xb5;
const CHANNELS: u32 = 0x9f;
const BIT_DEPTH: u32 = 0x6264;
const CONTENT_ENCODINGS: u32 = 0x6d80;
const CONTENT_ENCODING: u32 = 0x6240;
const ENCODING_ORDER: u32 = 0x5031;
const ENCODING_SCOPE: u32 = 0x5032;
const ENCODING_TYPE: u32 = 0x5033;
const COMPRESSION: u32 = 0x5034;
const COMPRESSION_ALGORITHM: u32 = 0x4254;
const COMPRESSION_SETTINGS: u32 = 0x4255;

/// A track's type that means sound.
const SOUND: u64 = 2;
/// Bits of an encoding's scope: packets; the codec's private data.
const SCOPE_PACKETS: u64 = 1;
const SCOPE_PRIVATE: u64 = 2;

/// A track with sound.
pub struct SoundTrack {
    /// Number in its blocks.
    pub number: u64,
    /// What is known of it.
    pub track: Track,
    /// Length of a packet in nanoseconds, if it is stated.
    pub default_duration: Option<u64>,
    /// How to undo the compression of its packets, in this order.
    pub compressions: Vec<Compression>,
}

/// Returns the tracks with sound.
pub fn sound(tracks: &[u8]) -> Vec<SoundTrack> {
    let entries = children(tracks).filter(|(id, _)| *id == TRACK_ENTRY);
    let is_sound = |entry: &&[u8]| child(entry, TRACK_TYPE).map(uint) == Some(SOUND);
    entries
        .map(|(_, entry)| entry)
        .filter(is_sound)
        .map(track)
        .collect()
}

fn track(entry: &[u8]) -> SoundTrack {
    let number = child(entry, TRACK_NUMBER).map_or(0, uint);
    let encodings = child(entry, CONTENT_ENCODINGS).unwrap_or_default();
    let private = child(entry, CODEC_PRIVATE).unwrap_or_default();
    let of_private = compressions(encodings, SCOPE_PRIVATE).unwrap_or_default();
    let private = decompressed(private, &of_private).unwrap_or_default();
    let packets = compressions(encodings, SCOPE_PACKETS);
    let codec_id = child(entry, CODEC_ID).map(text).unwrap_or_default();
    let (mut params, mut name) = codec(&codec_id, private, child(entry, AUDIO).unwrap_or_default());
    if packets.is_none() {
        params.for_codec(CODEC_ID_NULL_AUDIO);
        name = format!("{name}, packed in a way of its own");
    }
    let flag = |id| child(entry, id).map_or(1, uint) != 0;
    let label = |id| child(entry, id).map(text).filter(|label| !label.is_empty());
    let mut track = Track::new(u32::try_from(number).unwrap_or(u32::MAX), params, name);
    track.is_default = flag(FLAG_DEFAULT) && flag(FLAG_ENABLED);
    let language = label(LANGUAGE_BCP47).or(label(LANGUAGE));
    track.language = language.filter(|language| language != "und");
    track.title = label(NAME);
    track.origin = Some(0.0);
    track.is_encrypted = children(encodings).any(|(_, encoding)| is_encryption(encoding));
    SoundTrack {
        number,
        track,
        default_duration: child(entry, DEFAULT_DURATION).map(uint),
        compressions: packets.unwrap_or_default(),
    }
}

fn is_encryption(encoding: &[u8]) -> bool {
    child(encoding, ENCODING_TYPE).map_or(0, uint) == 1
}

/// Returns how to undo the compressions of this scope; `None` if one of them cannot be undone.
fn compressions(encodings: &[u8], scope: u64) -> Option<Vec<Compression>> {
    let number = |body: &[u8], id, default| child(body, id).map_or(default, uint);
    let mut found: Vec<(u64, Compression)> = Vec::new();
    for (_, encoding) in children(encodings).filter(|(id, _)| *id == CONTENT_ENCODING) {
        if number(encoding, ENCODING_SCOPE, SCOPE_PACKETS) & scope == 0 {
            continue;
        }
        let compression = child(encoding, COMPRESSION).unwrap_or_default();
        let is_compression = !is_encryption(encoding);
        let algorithm = number(compression, COMPRESSION_ALGORITHM, 0);
        let step = match algorithm {
            0 if is_compression => Compression::Zlib,
            3 if is_compression => {
                let header = child(compression, COMPRESSION_SETTINGS).unwrap_or_default();
                Compression::Header(header.to_vec())
            }
            _ => return None,
        };
        found.push((number(encoding, ENCODING_ORDER, 0), step));
    }
    // The highest was applied last.
    found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
    Some(found.into_iter().map(|(_, step)| step).collect())
}

/// Returns what the decoder needs to know, and the codec's name.
fn codec(id: &str, private: Vec<u8>, audio: &[u8]) -> (AudioCodecParameters, String) {
    let rate = child(audio, SAMPLING_FREQUENCY)
        .and_then(float)
        .unwrap_or(8_000.0);
    let channels = child(audio, CHANNELS).map_or(1, uint).clamp(1, 256) as u16;
    let bits = child(audio, BIT_DEPTH).map_or(16, uint);
    if id == "A_MS/ACM" {
        return match WaveFormat::parse(&private, false) {
            Some(format) if format.layout.block_frames == 1 => (format.params, format.codec),
            Some(format) => (AudioCodecParameters::new(), format.codec),
            None => (AudioCodecParameters::new(), "an invalid description".into()),
        };
    }
    let (codec, name) = match id {
        "A_PCM/INT/LIT" | "A_PCM/INT/BIG" => (pcm(bits, id.ends_with("BIG")), "PCM"),
        "A_PCM/FLOAT/IEEE" if bits == 64 => (CODEC_ID_PCM_F64LE, "float PCM"),
        "A_PCM/FLOAT/IEEE" => (CODEC_ID_PCM_F32LE, "float PCM"),
        "A_OPUS" => (CODEC_ID_OPUS, "Opus"),
        "A_VORBIS" => (CODEC_ID_VORBIS, "Vorbis"),
        "A_FLAC" => (CODEC_ID_FLAC, "FLAC"),
        "A_ALAC" => (CODEC_ID_ALAC, "ALAC"),
        "A_MPEG/L1" => (CODEC_ID_MP1, "mp1"),
        "A_MPEG/L2" => (CODEC_ID_MP2, "mp2"),
        "A_MPEG/L3" => (CODEC_ID_MP3, "mp3"),
        _ if id.starts_with("A_AAC") => (CODEC_ID_AAC, "AAC"),
        _ if id.starts_with("A_AC3") => (CODEC_ID_NULL_AUDIO, "AC-3"),
        "A_EAC3" => (CODEC_ID_NULL_AUDIO, "E-AC-3"),
        _ if id.starts_with("A_DTS") => (CODEC_ID_NULL_AUDIO, "DTS"),
        "A_TRUEHD" => (CODEC_ID_NULL_AUDIO, "TrueHD"),
        "A_WAVPACK4" => (CODEC_ID_NULL_AUDIO, "WavPack"),
        "A_TTA1" => (CODEC_ID_NULL_AUDIO, "True Audio"),
        other => (CODEC_ID_NULL_AUDIO, other),
    };
    let extra = match codec {
        CODEC_ID_VORBIS => vorbis_headers(&private).unwrap_or_default(),
        CODEC_ID_FLAC => flac_stream_info(&private).unwrap_or_default().to_vec(),
        _ => private,
    };
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(codec)
        .with_sample_rate(rate.round() as u32)
        .with_channels(Channels::Discrete(channels));
    if !extra.is_empty() {
        params.with_extra_data(extra.into());
    }
    (params, name.into())
}

fn pcm(bits: u64, is_big_endian: bool) -> AudioCodecId {
    let [little, big] = match bits {
        8 => [CODEC_ID_PCM_U8; 2],
        16 => [CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S16BE],
        24 => [CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S24BE],
        32 => [CODEC_ID_PCM_S32LE, CODEC_ID_PCM_S32BE],
        _ => [CODEC_ID_NULL_AUDIO; 2],
    };
    if is_big_endian { big } else { little }
}

/// Returns the first and the third of the three headers of Vorbis, which its decoder needs.
fn vorbis_headers(private: &[u8]) -> Option<Vec<u8>> {
    let mut rest = private.strip_prefix(&[2])?;
    let mut size = || {
        let mut size = 0;
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            size += usize::from(*byte);
            if *byte < 255 {
                return Some(size);
            }
        }
    };
    let (first, second) = (size()?, size()?);
    let (identification, rest) = rest.split_at_checked(first)?;
    Some([identification, rest.get(second..)?].concat())
}

/// Returns the description of the stream among FLAC's metadata, which comes first.
fn flac_stream_info(private: &[u8]) -> Option<&[u8]> {
    let block = private.strip_prefix(b"fLaC")?;
    (block.first()? & 0x7f == 0).then_some(block.get(4..38)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with a short id and a short body.
    fn element(id: u32, body: &[u8]) -> Vec<u8> {
        let id = id.to_be_bytes();
        let start = id.iter().position(|x| *x != 0).expect("an id");
        [&id[start..], &[0x80 | body.len() as u8], body].concat()
    }

    fn of(parts: &[Vec<u8>]) -> SoundTrack {
        let entry = [element(TRACK_TYPE, &[2]), parts.concat()].concat();
        sound(&element(TRACK_ENTRY, &entry)).pop().expect("a track")
    }

    #[test]
    fn flags_that_are_absent_are_set() {
        assert!(of(&[]).track.is_default);
        assert!(!of(&[element(FLAG_DEFAULT, &[0])]).track.is_default);
        assert!(!of(&[element(FLAG_ENABLED, &[0])]).track.is_default);
    }

    #[test]
    fn compressions_are_undone_in_reverse_and_encryption_is_named() {
        let zlib = element(CONTENT_ENCODING, &element(ENCODING_ORDER, &[1]));
        let settings = [
            element(COMPRESSION_ALGORITHM, &[3]),
            element(COMPRESSION_SETTINGS, &[7]),
        ];
        let header = element(CONTENT_ENCODING, &element(COMPRESSION, &settings.concat()));
        let both = element(CONTENT_ENCODINGS, &[header, zlib].concat());
        let wanted = [Compression::Zlib, Compression::Header(vec![7])];
        assert_eq!(of(&[both]).compressions, wanted);
        let encryption = element(CONTENT_ENCODING, &element(ENCODING_TYPE, &[1]));
        let track = of(&[
            element(CODEC_ID, b"A_OPUS"),
            element(CONTENT_ENCODINGS, &encryption),
        ]);
        assert!(track.track.is_encrypted);
    }

    #[test]
    fn codecs_are_known_by_their_ids() {
        let codec = |id: &str| of(&[element(CODEC_ID, id.as_bytes())]).track;
        assert_eq!(codec("A_AAC/MPEG4/LC/SBR").params.codec, CODEC_ID_AAC);
        assert_eq!(codec("A_PCM/INT/BIG").params.codec, CODEC_ID_PCM_S16BE);
        assert_eq!(codec("A_AC3/BSID9").codec, "AC-3");
        assert_eq!(codec("A_MYSTERY").codec, "A_MYSTERY");
    }
}
