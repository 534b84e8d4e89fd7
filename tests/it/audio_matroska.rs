//! Matroska files made here: compressed tracks, default flags, sound that begins late.

use std::io::Write;

use crate::support::{Decoded, decode_file, decode_pipe};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hearken::advice::Advice;

/// An element.
fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    let start = id.iter().position(|x| *x != 0).expect("an id");
    let size = (body.len() as u64 | 1 << 56).to_be_bytes();
    [&id[start..], &size, body].concat()
}

/// How a track's packets are stored.
#[derive(Clone, Copy)]
enum Storage {
    Plain,
    Zlib,
    WithoutFirstByte,
    Encrypted,
}

/// A track of 16-bit PCM at 16 kHz, mono, a second long, that begins at a time in milliseconds.
struct Track {
    storage: Storage,
    flag_default: Option<u8>,
    amplitude: f32,
    begins: i16,
}

const PLAIN: Track = Track {
    storage: Storage::Plain,
    flag_default: None,
    amplitude: 0.5,
    begins: 0,
};

/// Every packet begins with this byte, so that it can be left out.
const FIRST_BYTE: u8 = 0;

impl Track {
    fn entry(&self, number: u8) -> Vec<u8> {
        let algorithm = |n: u8, settings: &[u8]| {
            let settings = element(0x4255, settings);
            element(0x5034, &[element(0x4254, &[n]), settings].concat())
        };
        let encoding = match self.storage {
            Storage::Plain => Vec::new(),
            Storage::Zlib => algorithm(0, &[]),
            Storage::WithoutFirstByte => algorithm(3, &[FIRST_BYTE]),
            Storage::Encrypted => element(0x5033, &[1]),
        };
        let audio = [
            element(0xb5, &16_000_f32.to_be_bytes()),
            element(0x9f, &[1]),
            element(0x6264, &[16]),
        ];
        let mut entry = [
            element(0xd7, &[number]),
            element(0x83, &[2]),
            element(0x86, b"A_PCM/INT/LIT"),
            element(0xe1, &audio.concat()),
        ]
        .concat();
        if !encoding.is_empty() {
            entry.extend(element(0x6d80, &element(0x6240, &encoding)));
        }
        if let Some(flag) = self.flag_default {
            entry.extend(element(0x88, &[flag]));
        }
        element(0xae, &entry)
    }

    /// Blocks of 100 ms.
    fn blocks(&self, number: u8) -> Vec<u8> {
        let block = |i: i16| {
            let sample = |j: i32| (f64::from(i32::from(i) * 1_600 + j) * 0.05).sin() as f32;
            let value = |j| ((sample(j) * self.amplitude * 32_767.0) as i16 & !0xff).to_le_bytes();
            let audio: Vec<u8> = (0..1_600).flat_map(value).collect();
            assert_eq!(audio[0], FIRST_BYTE);
            let stored = match self.storage {
                Storage::Zlib => {
                    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                    encoder.write_all(&audio).expect("packed");
                    encoder.finish().expect("packed")
                }
                Storage::WithoutFirstByte => audio[1..].to_vec(),
                _ => audio,
            };
            let [t0, t1] = (self.begins + i * 100).to_be_bytes();
            element(
                0xa3,
                &[&[0x80 | number, t0, t1, 0x80], stored.as_slice()].concat(),
            )
        };
        (0..10).flat_map(block).collect()
    }
}

fn file(tracks: &[Track]) -> Vec<u8> {
    let numbered = || tracks.iter().zip(1..);
    let entries: Vec<u8> = numbered().flat_map(|(track, n)| track.entry(n)).collect();
    let blocks: Vec<u8> = numbered().flat_map(|(track, n)| track.blocks(n)).collect();
    let cluster = element(0x1f43_b675, &[element(0xe7, &[0]), blocks].concat());
    let segment = [element(0x1654_ae6b, &entries), cluster].concat();
    [element(0x1a45_dfa3, &[]), element(0x1853_8067, &segment)].concat()
}

fn peak(decoded: &Decoded) -> f32 {
    decoded
        .samples
        .iter()
        .fold(0.0, |peak, x| peak.max(x.abs()))
}

#[test]
fn compressed_tracks_give_their_sound() {
    for storage in [Storage::Plain, Storage::Zlib, Storage::WithoutFirstByte] {
        let file = file(&[Track { storage, ..PLAIN }]);
        for decoded in [decode_file(&file), decode_pipe(&file)] {
            assert!(decoded.error.is_none(), "{:?}", decoded.error);
            assert_eq!((decoded.samples.len(), decoded.warnings.len()), (16_000, 0));
            assert!((peak(&decoded) - 0.5).abs() < 0.02);
        }
    }
}

#[test]
fn an_encrypted_track_is_named() {
    let storage = Storage::Encrypted;
    let decoded = decode_file(&file(&[Track { storage, ..PLAIN }]));
    let line = decoded.error.expect("an error").explain();
    assert!(line.contains("its sound is encrypted"), "{line}");
}

#[test]
fn the_default_track_is_taken() {
    let loud = |flag_default| Track {
        flag_default,
        ..PLAIN
    };
    let soft = |flag_default| Track {
        flag_default,
        amplitude: 0.1,
        ..PLAIN
    };
    let is_soft = |tracks: &[Track]| peak(&decode_file(&file(tracks))) < 0.2;
    // A flag that is absent is set.
    assert!(is_soft(&[loud(Some(0)), soft(None)]));
    assert!(is_soft(&[loud(Some(0)), soft(Some(1))]));
    assert!(!is_soft(&[loud(None), soft(None)]));
    assert!(!is_soft(&[loud(Some(0)), soft(Some(0))]));
}

#[test]
fn sound_that_begins_late_keeps_its_time() {
    for begins in [500, 5_000] {
        let decoded = decode_file(&file(&[Track { begins, ..PLAIN }]));
        let silence = usize::from(begins.cast_unsigned()) * 16;
        assert_eq!(decoded.samples.len(), silence + 16_000);
        assert!(decoded.samples[..silence].iter().all(|x| *x == 0.0));
        assert!(decoded.error.is_none() && decoded.warnings.is_empty());
    }
}

#[test]
fn a_file_that_was_cut_says_so_and_damage_costs_only_its_place() {
    let whole = file(&[PLAIN]);
    let cut = decode_file(&whole[..whole.len() / 2]);
    let line = cut.error.expect("an error").explain();
    assert!(
        cut.samples.len() > 6_000 && line.contains("the file ends here"),
        "{line}"
    );
    // Two clusters, of which the first has a damaged block.
    let mut damaged = whole.clone();
    damaged.extend_from_slice(&whole[whole.len() - 32_200..]);
    let at = damaged
        .windows(4)
        .position(|w| w == [0x1f, 0x43, 0xb6, 0x75])
        .expect("a cluster");
    damaged[at + 40..at + 200].fill(0);
    let decoded = decode_file(&damaged);
    assert!(decoded.error.is_some() || !decoded.warnings.is_empty());
}
