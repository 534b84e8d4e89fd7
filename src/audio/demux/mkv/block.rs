//! Blocks: one or several packets of a track.

use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::super::ebml;
use super::compression::decompressed;
use super::tracks::SoundTrack;

/// Returns the packets of a block; `None` if it is damaged. `cluster` is the cluster's timestamp,
/// `duration` that of the whole block if it is stated, both in units of `scale` nanoseconds.
pub fn packets(
    block: &[u8],
    sound: &SoundTrack,
    cluster: i64,
    duration: Option<u64>,
    scale: u64,
) -> Option<Vec<Packet>> {
    let (number_len, _) = ebml::vint(block)?;
    let [t0, t1, flags] = *block.get(number_len..)?.first_chunk()?;
    let time = cluster.saturating_add(i64::from(i16::from_be_bytes([t0, t1])));
    let frames = frames(flags >> 1 & 3, block.get(number_len + 3..)?)?;
    let n = frames.len() as u64;
    let default = sound.default_duration.map(|ns| ns / scale.max(1));
    let each = duration
        .map(|ticks| ticks / n.max(1))
        .or(default)
        .unwrap_or(0);
    let packet = |(i, frame): (usize, &[u8])| {
        let offset = (i as u64 * each) as i64;
        let time = Timestamp::new(time.saturating_add(offset));
        let data = decompressed(frame, &sound.compressions)?;
        Some(Packet::new(sound.track.id, time, Duration::new(each), data))
    };
    frames.into_iter().enumerate().map(packet).collect()
}

/// Splits the body of a block into frames.
fn frames(lacing: u8, body: &[u8]) -> Option<Vec<&[u8]>> {
    if lacing == 0 {
        return Some(vec![body]);
    }
    let n = usize::from(*body.first()?) + 1;
    let mut rest = body.get(1..)?;
    let mut sizes = Vec::new();
    match lacing {
        1 => {
            for _ in 1..n {
                let mut size = 0;
                loop {
                    let (byte, after) = rest.split_first()?;
                    rest = after;
                    size += usize::from(*byte);
                    if *byte < 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        2 => sizes = vec![rest.len() / n; n - 1],
        _ => {
            let mut size: i64 = 0;
            for i in 1..n {
                let (len, value) = ebml::vint(rest)?;
                let value = i64::try_from(value?).ok()?;
                // From the second on, sizes are differences, offset to be positive.
                let bias = if i == 1 { 0 } else { (1 << (7 * len - 1)) - 1 };
                size += value - bias;
                sizes.push(usize::try_from(size).ok()?);
                rest = rest.get(len..)?;
            }
        }
    }
    let mut frames = Vec::new();
    for size in sizes {
        let (frame, after) = rest.split_at_checked(size)?;
        frames.push(frame);
        rest = after;
    }
    frames.push(rest);
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lacing_is_split() {
        let wanted: Vec<&[u8]> = vec![b"ab", b"cde", b"f"];
        assert_eq!(frames(0, b"abc"), Some(vec![b"abc".as_slice()]));
        assert_eq!(frames(1, b"\x02\x02\x03abcdef"), Some(wanted.clone()));
        // The second size is one more than the first.
        assert_eq!(frames(3, b"\x02\x82\xc0abcdef"), Some(wanted));
        let equal: Vec<&[u8]> = vec![b"ab", b"cd"];
        assert_eq!(frames(2, b"\x01abcd"), Some(equal));
        assert_eq!(frames(1, b"\x02\x09"), None);
    }
}
