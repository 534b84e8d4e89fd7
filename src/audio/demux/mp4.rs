//! What symphonia does not say about the tracks of mp4 and mov files: which are enabled, when they
//! begin (edit lists), how PCM is stored, and the names of codecs that have no decoder.
//!
//! In: a file. Out: its tracks with sound, whose packets symphonia delivers.

mod shift;

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE,
    CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use crate::audio::stream::FileAt;
use crate::audio::track::Track;
pub use shift::find_shift;

/// Largest description of a movie that is read, in bytes: days of sound.
const MAX_MOOV: u64 = 256 << 20;
/// Largest number of boxes in which the description is looked for.
const MAX_BOXES: usize = 100_000;

/// Longest delay of an Opus encoder that edits leave out, in seconds.
const MAX_OPUS_DELAY: f64 = 0.12;

/// What is known of a track.
struct Facts {
    id: u32,
    is_enabled: bool,
    language: Option<String>,
    title: Option<String>,
    /// Silence before the sound, in seconds.
    silence: f64,
    /// Sound to leave out at the start, in seconds.
    skip: f64,
    entry: Entry,
}

/// Description of the samples.
struct Entry {
    kind: [u8; 4],
    channels: u16,
    rate: u32,
    /// Codec, if it is PCM whose byte order stands apart.
    pcm: Option<AudioCodecId>,
    /// Kind of object in an mp4a entry.
    object: Option<u8>,
}

/// Returns the tracks with sound in the order of the file, with what symphonia knows of them;
/// `None` if the file cannot be understood.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn read_facts(file: FileAt, known: &[Track]) -> io::Result<Option<Vec<Track>>> {
    let Some(moov) = read_moov(file)? else {
        return Ok(None);
    };
    let timescale = child(&moov, b"mvhd").and_then(|mvhd| versioned(mvhd, 12, 20));
    let timescale = timescale.filter(|x| *x > 0).unwrap_or(1000);
    let traks = boxes(&moov).filter(|(name, _)| *name == b"trak");
    let facts: Vec<Facts> = traks
        .filter_map(|(_, trak)| facts(trak, timescale))
        .collect();
    let track = |facts: Facts| {
        let known = known.iter().find(|track| track.id == facts.id);
        facts.into_track(known)
    };
    Ok((!facts.is_empty()).then(|| facts.into_iter().map(track).collect()))
}

impl Facts {
    fn into_track(self, known: Option<&Track>) -> Track {
        let mut track = match known {
            Some(track) => track.clone(),
            None => {
                let mut params = AudioCodecParameters::new();
                params.with_sample_rate(self.entry.rate);
                if self.entry.channels > 0 {
                    params.with_channels(Channels::Discrete(self.entry.channels));
                }
                Track::new(self.id, params, "")
            }
        };
        if let Some(name) = codec_name(self.entry.kind, self.entry.object) {
            track.codec = name;
        }
        if let Some(pcm) = self.entry.pcm {
            track.params.for_codec(pcm);
        }
        track.is_default = self.is_enabled;
        track.is_encrypted = matches!(&self.entry.kind, b"enca" | b"drms");
        track.language = self.language;
        track.title = self.title;
        // The decoder of Opus leaves out its delay by itself.
        let is_delay = &self.entry.kind == b"Opus" && self.skip < MAX_OPUS_DELAY;
        let skip = if is_delay { 0.0 } else { self.skip };
        track.origin = Some(skip - self.silence);
        // Files in fragments may state none.
        track.length = track.length.filter(|length| length.seconds > 0.0);
        if let Some(length) = &mut track.length {
            length.seconds = (length.seconds + self.silence - self.skip).max(0.0);
        }
        track
    }
}

/// Reads the box `moov`.
fn read_moov(mut file: FileAt) -> io::Result<Option<Vec<u8>>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0_u64;
    for _ in 0..MAX_BOXES {
        file.seek(SeekFrom::Start(at))?;
        let mut header = Vec::new();
        file.by_ref().take(16).read_to_end(&mut header)?;
        let Some((name, header_len, size)) = box_header(&header, end - at) else {
            return Ok(None);
        };
        if &name == b"moov" {
            file.seek(SeekFrom::Start(at + header_len))?;
            let mut moov = Vec::new();
            let len = (size - header_len).min(MAX_MOOV);
            file.by_ref().take(len).read_to_end(&mut moov)?;
            return Ok(Some(moov));
        }
        at = at.saturating_add(size);
        if at >= end {
            break;
        }
    }
    Ok(None)
}

/// Returns name, length of the header and size of a box, of which `left` bytes are left.
fn box_header(bytes: &[u8], left: u64) -> Option<([u8; 4], u64, u64)> {
    let short = u64::from(u32::from_be_bytes(*bytes.first_chunk()?));
    let name = *bytes.get(4..)?.first_chunk()?;
    let (header_len, size) = match short {
        0 => (8, left),
        1 => (16, u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)),
        _ => (8, short),
    };
    (size >= header_len).then_some((name, header_len, size))
}

/// The boxes in `body`, as names and bodies.
fn boxes(mut body: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (_, header_len, size) = box_header(body, body.len() as u64)?;
        let size = usize::try_from(size).ok()?.min(body.len());
        let (this, rest) = body.split_at_checked(size)?;
        let name = this.get(4..)?.first_chunk()?;
        body = rest;
        Some((name, this.get(header_len as usize..)?))
    })
}

fn child<'a>(body: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(body)
        .find(|(other, _)| *other == name)
        .map(|found| found.1)
}

fn descendant<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(body, |body, name| child(body, name))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A 32-bit field whose place depends on the box's version, 0 or 1.
fn versioned(body: &[u8], at_0: usize, at_1: usize) -> Option<u32> {
    u32_at(body, if body.first() == Some(&1) { at_1 } else { at_0 })
}

/// Reads a track; `None` if it has no sound.
fn facts(trak: &[u8], movie_timescale: u32) -> Option<Facts> {
    let mdia = child(trak, b"mdia")?;
    if child(mdia, b"hdlr")?.get(8..12)? != b"soun" {
        return None;
    }
    let tkhd = child(trak, b"tkhd")?;
    let mdhd = child(mdia, b"mdhd")?;
    let timescale = versioned(mdhd, 12, 20).filter(|x| *x > 0).unwrap_or(1);
    let code = u16_at(mdhd, if mdhd.first() == Some(&1) { 32 } else { 20 });
    let edits = descendant(trak, &[b"edts", b"elst"]);
    let title = descendant(trak, &[b"udta", b"name"]);
    let (silence, skip) =
        edits.map_or((0.0, 0.0), |edits| start(edits, movie_timescale, timescale));
    Some(Facts {
        id: versioned(tkhd, 12, 20)?,
        is_enabled: tkhd.get(3)? & 1 == 1,
        language: code.and_then(language),
        title: title
            .map(|title| String::from_utf8_lossy(title).trim_matches('\0').to_owned())
            .filter(|title| !title.is_empty()),
        silence,
        skip,
        entry: entry(descendant(mdia, &[b"minf", b"stbl", b"stsd"])?)?,
    })
}

/// Returns the silence that edits put before the sound, and how much of its start they leave out, in
/// seconds.
fn start(elst: &[u8], movie_timescale: u32, timescale: u32) -> (f64, f64) {
    let is_long = elst.first() == Some(&1);
    let len = if is_long { 20 } else { 12 };
    let mut silence = 0.0;
    for edit in elst.get(8..).unwrap_or_default().chunks_exact(len) {
        let (duration, time) = match (
            edit.first_chunk(),
            edit.get(8..).and_then(|t| t.first_chunk()),
        ) {
            (Some(duration), Some(time)) if is_long => {
                (u64::from_be_bytes(*duration), i64::from_be_bytes(*time))
            }
            _ => {
                let time = u32_at(edit, 4).unwrap_or(0).cast_signed();
                (u64::from(u32_at(edit, 0).unwrap_or(0)), i64::from(time))
            }
        };
        if time >= 0 {
            return (silence, time as f64 / f64::from(timescale));
        }
        silence += duration as f64 / f64::from(movie_timescale);
    }
    (silence, 0.0)
}

/// Language of a packed code of three letters (ISO 639-2); "und" is none.
fn language(code: u16) -> Option<String> {
    let letter = |shift: u16| char::from(0x60 + (code >> shift & 31) as u8);
    let name: String = [10, 5, 0].map(letter).iter().collect();
    let is_name = name.chars().all(|c| c.is_ascii_lowercase());
    (is_name && name != "und").then_some(name)
}

/// Reads the first description of samples.
fn entry(stsd: &[u8]) -> Option<Entry> {
    let (kind, body) = boxes(stsd.get(8..)?).next()?;
    let version = u16_at(body, 8)?;
    let mut channels = u16_at(body, 16)?;
    let bits = u16_at(body, 18)?;
    let mut rate = u32_at(body, 24)? >> 16;
    if version == 2 {
        rate = f64::from_be_bytes(*body.get(32..)?.first_chunk()?) as u32;
        channels = u16::try_from(u32_at(body, 40)?).ok()?;
    }
    let rest = body.get([28, 44, 64].get(usize::from(version)).copied()?..)?;
    let is_little = || {
        let enda = descendant(rest, &[b"wave", b"enda"]).or_else(|| child(rest, b"enda"));
        enda.and_then(|enda| u16_at(enda, 0)) == Some(1)
    };
    let order = |little, big| Some(if is_little() { little } else { big });
    let pcm = match (kind, version) {
        (b"in24", _) => order(CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S24BE),
        (b"in32", _) => order(CODEC_ID_PCM_S32LE, CODEC_ID_PCM_S32BE),
        (b"fl32", _) => order(CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F32BE),
        (b"fl64", _) => order(CODEC_ID_PCM_F64LE, CODEC_ID_PCM_F64BE),
        (b"twos", 0 | 1) if bits == 16 => order(CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S16BE),
        _ => None,
    };
    let object = descendant(rest, &[b"esds"])
        .or_else(|| descendant(rest, &[b"wave", b"esds"]))
        .and_then(object_type);
    Some(Entry {
        kind: *kind,
        channels,
        rate,
        pcm,
        object,
    })
}

/// Kind of object in an elementary stream descriptor: the first byte of the nested descriptor 4.
fn object_type(esds: &[u8]) -> Option<u8> {
    let mut rest = esds.get(4..)?;
    loop {
        let (tag, after) = rest.split_first()?;
        let size_len = after.iter().take(4).position(|x| x & 0x80 == 0)? + 1;
        let body = after.get(size_len..)?;
        match tag {
            // Descriptor 3 has an id and flags, of which some announce further fields.
            3 => {
                let flags = *body.get(2)?;
                let url = if flags & 0x40 == 0 {
                    0
                } else {
                    usize::from(*body.get(3)?) + 1
                };
                let others = usize::from(flags >> 7) * 2 + usize::from(flags >> 5 & 1) * 2;
                rest = body.get(3 + url + others..)?;
            }
            4 => return body.first().copied(),
            _ => return None,
        }
    }
}

/// Name of a codec; `None` if symphonia names it.
fn codec_name(kind: [u8; 4], object: Option<u8>) -> Option<String> {
    let name = match &kind {
        b"mp4a" => match object {
            Some(0x69 | 0x6b) => "mp3",
            Some(0xa5) => "AC-3",
            Some(0xa6) => "E-AC-3",
            Some(0xa9..=0xac) => "DTS",
            Some(0xdd) => "Vorbis",
            _ => "AAC",
        },
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        b"ac-4" => "AC-4",
        b"alac" => "ALAC",
        b"fLaC" => "FLAC",
        b"Opus" => "Opus",
        b".mp3" | b"ms\0U" => "mp3",
        b"samr" => "AMR",
        b"sawb" => "AMR-WB",
        b"agsm" => "GSM 6.10",
        b"QDM2" | b"QDMC" => "QDesign Music",
        b"ima4" => "IMA ADPCM",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" => "DTS",
        b"mlpa" => "TrueHD",
        b"enca" => "encrypted audio",
        b"alaw" => "A-law PCM",
        b"ulaw" => "µ-law PCM",
        b"twos" | b"sowt" | b"in24" | b"in32" | b"raw " | b"NONE" | b"lpcm" | b"ipcm" => "PCM",
        b"fl32" | b"fl64" | b"fpcm" => "float PCM",
        _ => return Some(String::from_utf8_lossy(&kind).into_owned()),
    };
    Some(name.into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn a_box(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = (body.len() as u32 + 8).to_be_bytes();
        [&size, name.as_slice(), body].concat()
    }

    #[test]
    fn edits_put_the_start_elsewhere() {
        let edit = |duration: u32, time: i32| {
            [duration.to_be_bytes(), time.to_be_bytes(), [0, 1, 0, 0]].concat()
        };
        let list = |edits: &[Vec<u8>]| [vec![0; 8], edits.concat()].concat();
        let late = list(&[edit(5_000, -1), edit(9_000, 1_600)]);
        assert_eq!(start(&late, 1_000, 16_000), (5.0, 0.1));
        assert_eq!(start(&list(&[]), 1_000, 16_000), (0.0, 0.0));
        assert_eq!(start(&[0; 3], 1_000, 16_000), (0.0, 0.0));
    }

    #[test]
    fn pcm_is_big_endian_unless_an_atom_says_otherwise() {
        let pcm = |kind: &[u8; 4], rest: &[u8]| {
            let mut body = vec![0; 44];
            (body[9], body[17], body[19]) = (1, 1, 16);
            let entry_box = a_box(kind, &[&body, rest].concat());
            entry(&[&[0; 8], entry_box.as_slice()].concat())
                .expect("an entry")
                .pcm
        };
        let little = a_box(b"wave", &a_box(b"enda", &[0, 1]));
        assert_eq!(pcm(b"in24", &[]), Some(CODEC_ID_PCM_S24BE));
        assert_eq!(pcm(b"in24", &little), Some(CODEC_ID_PCM_S24LE));
        assert_eq!(
            pcm(b"fl32", &a_box(b"wave", &a_box(b"enda", &[0, 0]))),
            Some(CODEC_ID_PCM_F32BE)
        );
        assert_eq!(pcm(b"sowt", &[]), None);
    }

    #[test]
    fn languages_and_objects_are_unpacked() {
        assert_eq!(language(0x10b5), Some("deu".into()));
        assert_eq!(language(0x55c4), None);
        let esds = [
            0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 25, 0, 1, 0, 4, 0x80, 0x80, 0x80, 17, 0x6b,
        ];
        assert_eq!(object_type(&esds), Some(0x6b));
    }
}
