//! Recognises a format by its first bytes.

use super::demux::{Adts, MpegAudio, first_frame};

/// Bytes by which a format is recognised.
pub const HEAD: usize = 64 << 10;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Who reads it.
    pub reader: Reader,
    /// Name for people.
    pub name: &'static str,
    /// Name of ffmpeg's demuxer for it; empty if there is none.
    pub ffmpeg: &'static str,
}

/// Reader of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Wave,
    Aiff,
    Au,
    /// Hearken's reader of PCM in caf, otherwise symphonia's, which must seek.
    Caf,
    Mkv,
    Flac,
    MpegAudio,
    Adts,
    /// Symphonia, reading forward.
    Forward,
    /// Symphonia, which must seek.
    Seeking,
    /// None of Hearken's.
    Ffmpeg,
    /// Nobody: it is no audio.
    Nobody,
}

const fn format(reader: Reader, name: &'static str, ffmpeg: &'static str) -> Format {
    Format {
        reader,
        name,
        ffmpeg,
    }
}

const WAV: Format = format(Reader::Wave, "wav", "wav");
const MP4: Format = format(Reader::Seeking, "mp4", "mov");
/// QuickTime files from before the box that names the type.
const QUICKTIME: Format = format(Reader::Ffmpeg, "QuickTime", "mov");
const MPEG_AUDIO: Format = format(Reader::MpegAudio, "mp3", "mp3");
const FREE_FORMAT: Format = format(Reader::Ffmpeg, "mp3 of a free bit rate", "mp3");
const ADTS: Format = format(Reader::Adts, "aac", "aac");
const LATM: Format = format(Reader::Ffmpeg, "AAC in LATM", "loas");
const MPEG_TS: Format = format(Reader::Ffmpeg, "MPEG-TS", "mpegts");
const AC3: Format = format(Reader::Ffmpeg, "AC-3", "ac3");
const EAC3: Format = format(Reader::Ffmpeg, "E-AC-3", "eac3");

/// Formats by the bytes at an offset.
const MAGIC: [(usize, &[u8], Format); 47] = {
    use Reader::{Aiff, Au, Caf, Ffmpeg, Flac, Forward, Mkv, Nobody, Wave};
    [
        (8, b"WAVE", WAV),
        (0, b"riff\x2e\x91\xcf\x11", format(Wave, "w64", "w64")),
        (8, b"AVI ", format(Ffmpeg, "AVI", "avi")),
        (8, b"RMID", format(Nobody, "MIDI", "")),
        (0, b"MThd", format(Nobody, "MIDI", "")),
        (0, b".snd", format(Au, "au", "au")),
        (0, b"fLaC", format(Flac, "flac", "flac")),
        (28, b"Speex   ", format(Ffmpeg, "Speex", "ogg")),
        (0, b"OggS", format(Forward, "ogg", "ogg")),
        (8, b"AIFF", format(Aiff, "aiff", "aiff")),
        (8, b"AIFC", format(Aiff, "aiff", "aiff")),
        (8, b"8SVX", format(Ffmpeg, "8SVX", "iff")),
        (0, b"caff", format(Caf, "caf", "caf")),
        (0, b"\x1a\x45\xdf\xa3", format(Mkv, "mkv", "matroska")),
        (4, b"ftyp", MP4),
        (4, b"moov", QUICKTIME),
        (4, b"mdat", QUICKTIME),
        (4, b"wide", QUICKTIME),
        (4, b"pnot", QUICKTIME),
        (
            0,
            b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
            format(Ffmpeg, "Windows Media (wma, wmv, asf)", "asf"),
        ),
        (0, b"ADIF", format(Ffmpeg, "AAC in ADIF", "aac")),
        (0, b"#!AMR", format(Ffmpeg, "AMR", "amr")),
        (0, b"wvpk", format(Ffmpeg, "WavPack", "wv")),
        (0, b"FLV\x01", format(Ffmpeg, "Flash video (flv)", "flv")),
        (0, b".RMF", format(Ffmpeg, "RealMedia", "rm")),
        (0, b".ra\xfd", format(Ffmpeg, "RealAudio", "rm")),
        (0, b"MAC ", format(Ffmpeg, "Monkey's Audio", "ape")),
        (0, b"TTA1", format(Ffmpeg, "True Audio", "tta")),
        (0, b"MPCK", format(Ffmpeg, "Musepack", "mpc8")),
        (0, b"MP+", format(Ffmpeg, "Musepack", "mpc")),
        (0, b"\x7f\xfe\x80\x01", format(Ffmpeg, "DTS", "dts")),
        (4, b"\xf8\x72\x6f\xba", format(Ffmpeg, "TrueHD", "truehd")),
        (4, b"\xf8\x72\x6f\xbb", format(Ffmpeg, "MLP", "mlp")),
        (0, b"DSD ", format(Ffmpeg, "DSD (dsf)", "dsf")),
        (0, b"FRM8", format(Ffmpeg, "DSD (dff)", "iff")),
        (
            0,
            b"Creative Voice File",
            format(Ffmpeg, "Creative Voice (voc)", "voc"),
        ),
        (0, b"NIST_1A", format(Ffmpeg, "NIST Sphere", "nistsphere")),
        (0, b"\x64\xa3", format(Ffmpeg, "IRCAM", "ircam")),
        (
            0,
            b"\x06\x0e\x2b\x34\x02\x05\x01\x01",
            format(Ffmpeg, "MXF", "mxf"),
        ),
        (
            0,
            b"\0\0\x01\xba",
            format(Ffmpeg, "MPEG program stream (mpg, vob)", "mpeg"),
        ),
        (0, b"nut/multimedia", format(Ffmpeg, "NUT", "nut")),
        (0, b"%PDF", format(Nobody, "a PDF document", "")),
        (0, b"PK\x03\x04", format(Nobody, "a zip archive", "")),
        (0, b"\x1f\x8b", format(Nobody, "a gzip archive", "")),
        (0, b"7z\xbc\xaf\x27\x1c", format(Nobody, "a 7z archive", "")),
        (0, b"\x89PNG", format(Nobody, "a PNG picture", "")),
        (0, b"\xff\xd8\xff", format(Nobody, "a JPEG picture", "")),
    ]
};

/// Names of what Hearken reads without help, for people.
pub const BUILT_IN: &str = "wav, aiff, au, caf, flac, mp3, aac, ogg, opus, m4a/mp4/mov, mkv/webm";

/// Recognises a format by its first bytes, [`HEAD`] if there are as many.
pub fn identify(head: &[u8]) -> Option<Format> {
    let is = |(at, magic, _): &&(usize, &[u8], Format)| {
        head.get(*at..).is_some_and(|rest| rest.starts_with(magic))
    };
    if let Some((_, _, found)) = MAGIC.iter().find(is) {
        return Some(*found);
    }
    if is_html(head) {
        return Some(format(Reader::Nobody, "a web page (HTML)", ""));
    }
    if is_mpeg_ts(head) {
        return Some(MPEG_TS);
    }
    let whole = head.len() < HEAD;
    let mpeg = first_frame::<MpegAudio>(head, whole).map(|(at, _)| (at, MPEG_AUDIO));
    let adts = first_frame::<Adts>(head, whole).map(|(at, _)| (at, ADTS));
    let others = [ac3(head), latm(head), free_format(head)];
    let found = [mpeg, adts].into_iter().chain(others).flatten();
    found.min_by_key(|(at, _)| *at).map(|(_, format)| format)
}

fn is_html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let begins = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(tag))
    };
    begins(b"<!doctype html") || begins(b"<html")
}

/// Packets of 188 bytes, with 4 before or 16 after them on discs and in broadcasts.
fn is_mpeg_ts(head: &[u8]) -> bool {
    let syncs = |start: usize, step: usize| {
        let at = |i| head.get(start + i * step) == Some(&0x47);
        (0..4).all(at)
    };
    // The start may be cut off.
    let cut = (0..188).any(|start| (0..10).all(|i| head.get(start + i * 188) == Some(&0x47)));
    syncs(0, 188) || syncs(4, 192) || syncs(0, 204) || cut
}

/// AC-3 and E-AC-3: two frames in a row.
fn ac3(head: &[u8]) -> Option<(usize, Format)> {
    let is_frame = |at: usize| {
        let rest = head.get(at..)?;
        let [0x0b, 0x77, a, b, rate, version] = *rest.first_chunk()? else {
            return None;
        };
        match version >> 3 {
            0..=10 => Some((AC3, ac3_len(rate)?)),
            11..=16 => {
                let words = usize::from(a & 7) << 8 | usize::from(b);
                Some((EAC3, 2 * (words + 1)))
            }
            _ => None,
        }
    };
    let found = |at: usize| {
        let (format, len) = is_frame(at)?;
        is_frame(at + len).map(|_| (at, format))
    };
    (0..head.len().min(8 << 10)).find_map(found)
}

/// Length of an AC-3 frame by its byte of rates (ATSC A/52, table 5.18).
fn ac3_len(code: u8) -> Option<usize> {
    const KILOBITS: [usize; 19] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
    ];
    let kilobits = *KILOBITS.get(usize::from(code & 63) / 2)?;
    match code >> 6 {
        0 => Some(kilobits * 4),
        1 => Some((kilobits * 1536 * 125 / 44_100 / 2 + usize::from(code & 1)) * 2),
        2 => Some(kilobits * 6),
        _ => None,
    }
}

/// AAC in LATM: three frames in a row.
fn latm(head: &[u8]) -> Option<(usize, Format)> {
    let next = |at: usize| {
        let [0x56, b, c] = *head.get(at..)?.first_chunk()? else {
            return None;
        };
        let len = usize::from(b & 0x1f) << 8 | usize::from(c);
        (b & 0xe0 == 0xe0).then_some(at + 3 + len)
    };
    (0..head.len().min(8 << 10))
        .find(|at| next(*at).and_then(next).and_then(next).is_some())
        .map(|at| (at, LATM))
}

/// Mp3 whose headers do not tell the frames' lengths: headers that agree, three times at the same
/// distance.
fn free_format(head: &[u8]) -> Option<(usize, Format)> {
    let header = |at: usize| {
        let [0xff, a, b, c] = *head.get(at..)?.first_chunk()? else {
            return None;
        };
        let is_layer_3 = a & 0xe6 == 0xe2 && a & 0x18 != 8;
        (is_layer_3 && b >> 4 == 0 && b & 0x0c != 0x0c).then_some((a, b & 0xfd, c & 0xc0))
    };
    let found = |at: &usize| {
        let Some(first) = header(*at) else {
            return false;
        };
        let is_at = |step: usize| (0..2).any(|extra| header(at + step + extra) == Some(first));
        (32..2_900).any(|step| is_at(step) && is_at(2 * step) && is_at(3 * step))
    };
    (0..head.len().min(8 << 10))
        .find(found)
        .map(|at| (at, FREE_FORMAT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> Option<&'static str> {
        identify(head).map(|format| format.name)
    }

    #[test]
    fn containers_are_known_by_their_marks() {
        assert_eq!(name(b"RF64\xff\xff\xff\xffWAVEds64"), Some("wav"));
        assert_eq!(name(b"RIFF\0\0\0\0AVI LIST"), Some("AVI"));
        assert_eq!(name(b"\0\0\0\x18ftypM4A \0\0\0\0"), Some("mp4"));
        assert_eq!(
            name(b"  <!DOCTYPE HTML><title>404"),
            Some("a web page (HTML)")
        );
        assert_eq!(name(b"Call me Ishmael"), None);
        assert_eq!(name(b""), None);
    }

    #[test]
    fn help_and_documents_list_what_is_read() {
        for text in [
            include_str!("../cli/transcribe.rs"),
            include_str!("../../README.md"),
            include_str!("../../docs/cli.md"),
            include_str!("../../docs/formats.md"),
        ] {
            let words: Vec<&str> = text
                .split_whitespace()
                .filter(|word| *word != "///")
                .collect();
            assert!(words.join(" ").contains(BUILT_IN), "{}", &text[..40]);
        }
    }

    #[test]
    fn streams_without_a_mark_are_known_by_their_frames() {
        let mut ts = vec![0; 188 * 12];
        ts.iter_mut().skip(100).step_by(188).for_each(|x| *x = 0x47);
        assert_eq!(name(&ts), Some("MPEG-TS"));
        let mut ac3 = vec![0; 2 * 768];
        for frame in ac3.chunks_mut(768) {
            frame[..6].copy_from_slice(&[0x0b, 0x77, 0, 0, 20, 0x40]);
        }
        // 192 kbit/s at 48 kHz.
        assert_eq!(name(&ac3), Some("AC-3"));
        assert_eq!(name(&ac3[..768]), None);
        let mut free = vec![0x55; 500 * 5];
        for frame in free.chunks_mut(500) {
            frame[..4].copy_from_slice(&[0xff, 0xfb, 0x00, 0x64]);
        }
        assert_eq!(name(&free), Some("mp3 of a free bit rate"));
    }
}
