//! Where bytes were inserted into an mp4 file, or are missing from it.
//!
//! Samples are found by their positions, so all after such a place would be lost, and so would be the
//! description if it stands at the end. In: a file. Out: the place, at which a [`Shift`] restores the
//! positions.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::memmem;

use super::{box_header, boxes, child, descendant, u32_at};
use crate::audio::stream::{FileAt, Shift};

/// Boxes that stand beside each other in files.
const KNOWN_BOXES: [&[u8; 4]; 19] = [
    b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta",
    b"mfra", b"sidx", b"styp", b"pnot", b"PICT", b"emsg", b"prft", b"ssix", b"pdin",
];
/// Bytes searched at once.
const SEARCHED: usize = 1 << 20;
/// Most bytes that are searched for a box after damage.
const MAX_SEARCHED: u64 = 1 << 30;
/// Largest number of boxes that are looked at.
const MAX_BOXES: usize = 100_000;
/// Largest description of a movie that is read, in bytes.
const MAX_MOOV: u64 = 256 << 20;
/// Samples that show how samples begin, and samples that are compared with them.
const KNOWN: usize = 64;
const COMPARED: usize = 16;
/// Number of ways in which most samples begin.
const WAYS: usize = 2;

/// Returns the place where the file is longer or shorter than it should be, if it can be told.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn find_shift(file: &FileAt) -> io::Result<Option<Shift>> {
    let mut file = file.clone();
    let end = file.seek(SeekFrom::End(0))?;
    let mut moov = None;
    let (mut at, mut media) = (0, None);
    for _ in 0..MAX_BOXES {
        if at == end {
            return Ok(None);
        }
        let header = read_at(&mut file, at, 16)?;
        let known = box_header(&header, end.saturating_sub(at))
            .filter(|(name, ..)| KNOWN_BOXES.contains(&name));
        let Some((name, header_len, size)) = known else {
            break;
        };
        if &name == b"moov" && at.saturating_add(size) <= end {
            moov = Some(read_at(&mut file, at + header_len, size.min(MAX_MOOV))?);
        }
        media = (&name == b"mdat").then_some(at + header_len);
        at = at.saturating_add(size);
    }
    // Only the bytes of sound and pictures are expected to be damaged.
    let Some(start) = media else {
        return Ok(None);
    };
    let stated_end = at;
    let next = next_box(&mut file, start, end)?;
    if let Some((place, is_moov)) = next
        && is_moov
        && let Some((_, header_len, size)) =
            box_header(&read_at(&mut file, place, 16)?, end - place)
    {
        moov = Some(read_at(&mut file, place + header_len, size.min(MAX_MOOV))?);
    }
    let found_end = next.map_or(end, |(place, _)| place);
    let by = i64::try_from(i128::from(found_end) - i128::from(stated_end)).unwrap_or(0);
    if by == 0 {
        return Ok(None);
    }
    let samples = moov.as_deref().and_then(sound_samples).unwrap_or_default();
    let inside: Vec<(u64, u64)> = samples
        .into_iter()
        .filter(|(at, _)| (start..stated_end).contains(at))
        .collect();
    if inside.is_empty() {
        // Of files in fragments, the present fragment is filled up or cut to its length.
        let at = if by > 0 {
            stated_end
        } else {
            stated_end.saturating_add_signed(by)
        };
        return Ok(next.map(|_| Shift { at, by }));
    }
    let place = first_shifted(&mut file, &inside, by)?;
    Ok(place.map(|place| Shift {
        // Missing bytes stand before the first sample that is found elsewhere.
        at: place.saturating_add_signed(by.min(0)).max(start),
        by,
    }))
}

/// Position of the first sample that is found not at its own place, but `by` bytes after it.
fn first_shifted(file: &mut FileAt, samples: &[(u64, u64)], by: i64) -> io::Result<Option<u64>> {
    let mut counts = [0_usize; 256];
    for (at, _) in samples.iter().take(KNOWN) {
        if let [first] = *read_at(file, *at, 1)? {
            counts[usize::from(first)] += 1;
        }
    }
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.sort_by_key(|x| std::cmp::Reverse(counts[usize::from(*x)]));
    bytes.truncate(WAYS);
    let mut alike = |from: usize, by: i64| -> io::Result<usize> {
        let mut n = 0;
        for (at, _) in samples.iter().skip(from).take(COMPARED) {
            let place = at.saturating_add_signed(by);
            n += usize::from(
                read_at(file, place, 1)?
                    .first()
                    .is_some_and(|x| bytes.contains(x)),
            );
        }
        Ok(n)
    };
    // Bisection: before the place, samples are where they should be.
    let (mut low, mut high) = (0, samples.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let moved = alike(middle, by)?;
        // Where the file was cut off, neither is alike.
        let is_alike = 4 * moved >= 3 * COMPARED.min(samples.len() - middle);
        if is_alike && moved > alike(middle, 0)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    // Others were compared together with it: those before it, and those that are missing.
    let end = file.seek(SeekFrom::End(0))?;
    let mut begins_at = |at: u64| -> io::Result<bool> {
        let byte = read_at(file, at, 1)?;
        Ok(byte.first().is_some_and(|x| bytes.contains(x)))
    };
    for (at, size) in samples.iter().skip(low) {
        if !begins_at(*at)? && begins_at(at.saturating_add_signed(by))? {
            return Ok((at.saturating_add(*size) <= end).then_some(*at));
        }
    }
    Ok(None)
}

/// Finds the next `moov` or `moof`, and which of them it is.
fn next_box(file: &mut FileAt, from: u64, end: u64) -> io::Result<Option<(u64, bool)>> {
    /// A name and the header of what comes first in such a box.
    const LEN: u64 = 16;
    let moov = memmem::Finder::new(b"moov");
    let moof = memmem::Finder::new(b"moof");
    let mut at = from;
    while at + LEN < end && at - from < MAX_SEARCHED {
        let bytes = read_at(file, at, SEARCHED as u64)?;
        let found = [(&moov, &b"mvhd"[..]), (&moof, b"mfhd")]
            .into_iter()
            .map(|(name, first)| {
                name.find_iter(&bytes)
                    .find(|i| *i >= 4 && bytes.get(i + 8..i + 12) == Some(first))
            });
        let found: Vec<Option<usize>> = found.collect();
        if let Some(i) = found.iter().flatten().min() {
            return Ok(Some((at + *i as u64 - 4, found.first() == Some(&Some(*i)))));
        }
        at += (bytes.len() as u64).saturating_sub(LEN).max(1);
    }
    Ok(None)
}

/// Positions and sizes of the samples of the first track with sound.
fn sound_samples(moov: &[u8]) -> Option<Vec<(u64, u64)>> {
    let is_sound = |trak: &&[u8]| {
        let handler = descendant(trak, &[b"mdia", b"hdlr"]);
        handler.and_then(|hdlr| hdlr.get(8..12)) == Some(b"soun")
    };
    let mut traks = boxes(moov)
        .filter(|(name, _)| *name == b"trak")
        .map(|(_, trak)| trak);
    let stbl = descendant(traks.find(is_sound)?, &[b"mdia", b"minf", b"stbl"])?;
    let chunks: Vec<u64> = match child(stbl, b"stco") {
        Some(stco) => table(stco.get(8..)?).map(u64::from).collect(),
        None => {
            let offsets = child(stbl, b"co64")?.get(8..)?.as_chunks::<8>().0;
            offsets.iter().map(|x| u64::from_be_bytes(*x)).collect()
        }
    };
    let stsz = child(stbl, b"stsz")?;
    let same = u32_at(stsz, 4)?;
    let count = u32_at(stsz, 8)? as usize;
    let mut sizes = table(stsz.get(12..)?);
    let runs: Vec<u32> = table(child(stbl, b"stsc")?.get(8..)?).collect();
    let runs = runs.as_chunks::<3>().0;
    let mut run = 0;
    let mut samples = Vec::new();
    for (i, chunk) in chunks.into_iter().enumerate() {
        while runs
            .get(run + 1)
            .is_some_and(|next| next[0] as usize <= i + 1)
        {
            run += 1;
        }
        let mut at = chunk;
        for _ in 0..runs.get(run)?[1] {
            if samples.len() == count {
                break;
            }
            let size = if same > 0 { same } else { sizes.next()? };
            samples.push((at, u64::from(size)));
            at = at.checked_add(u64::from(size))?;
        }
    }
    Some(samples)
}

fn table(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|x| u32::from_be_bytes(*x))
}

fn read_at(file: &mut FileAt, at: u64, len: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::super::tests::a_box;
    use super::*;

    /// 200 samples of 50 bytes, which begin alike; the description stands before or after them.
    fn mp4(is_moov_first: bool) -> Vec<u8> {
        let numbers =
            |fields: &[u32]| -> Vec<u8> { fields.iter().flat_map(|x| x.to_be_bytes()).collect() };
        let sample = |i: u32| {
            [
                vec![0x21],
                (1..50).map(|j| (i * 7 + j * 13) as u8).collect(),
            ]
            .concat()
        };
        let mdat = a_box(b"mdat", &(0..200).flat_map(sample).collect::<Vec<u8>>());
        let moov = |offset: u32| {
            let stbl = [
                a_box(b"stco", &numbers(&[0, 2, offset, offset + 5_000])),
                a_box(b"stsc", &numbers(&[0, 1, 1, 100, 1])),
                a_box(b"stsz", &numbers(&[0, 50, 200])),
            ];
            let stbl = a_box(b"stbl", &stbl.concat());
            let hdlr = a_box(b"hdlr", &[&[0; 8], &b"soun"[..]].concat());
            let mdia = [hdlr, a_box(b"minf", &stbl)].concat();
            let trak = a_box(b"trak", &a_box(b"mdia", &mdia));
            a_box(b"moov", &[a_box(b"mvhd", &[0; 100]), trak].concat())
        };
        let len = moov(0).len() as u32;
        if is_moov_first {
            [moov(len + 8), mdat].concat()
        } else {
            [mdat, moov(8)].concat()
        }
    }

    fn shift(bytes: &[u8]) -> Option<Shift> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        find_shift(&FileAt::new(Arc::new(file), 0).expect("a file")).expect("read")
    }

    #[test]
    fn the_place_of_inserted_and_missing_bytes_is_found() {
        for is_moov_first in [true, false] {
            let good = mp4(is_moov_first);
            assert_eq!(shift(&good), None);
            let start = if is_moov_first {
                good.len() - 10_000
            } else {
                8
            };
            let place = start + 6_020;
            for n in [1, 33, 713] {
                let label = format!("{n} bytes, description first: {is_moov_first}");
                let mut longer = good.clone();
                longer.splice(place..place, vec![0x55; n]);
                let found = shift(&longer).expect("a place");
                assert_eq!(found.by, n as i64, "{label}");
                assert!(found.at.abs_diff(place as u64) <= 50, "{label}: {found:?}");
                let mut shorter = good.clone();
                shorter.drain(place..place + n);
                let found = shift(&shorter).expect("a place");
                assert_eq!(found.by, -(n as i64), "{label}");
                let after = found.at + n as u64;
                assert!(
                    after.abs_diff((place + n) as u64) <= 50,
                    "{label}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_off_has_no_such_place() {
        let good = mp4(true);
        assert_eq!(shift(&good[..good.len() - 3_000]), None);
        assert_eq!(shift(&mp4(false)[..6_000]), None);
        assert_eq!(shift(b""), None);
    }
}
