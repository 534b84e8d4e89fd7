//! Streams of frames without a container: MPEG audio (mp1, mp2, mp3) and AAC in ADTS.
//!
//! Such files are often joined end to end, so rate, channels and header may change anywhere, and
//! counts of frames in a header hold for one part only, if at all. Frames are found by their headers;
//! tags are skipped wherever they stand.

mod adts;
mod format;
mod mpeg;
mod tags;
mod xing;

use std::io;
use std::marker::PhantomData;

use symphonia::core::errors::Error as MediaError;
use symphonia::core::packet::PacketBuilder;
use symphonia::core::units::{Duration, Timestamp};

pub use adts::Adts;
use format::{Frame, FrameFormat, Spec};
pub use mpeg::MpegAudio;
use xing::Xing;

use super::{Demuxer, EarlyEnd, Item};
use crate::audio::stream::ByteStream;
use crate::audio::track::{Length, Track};

/// Bytes searched at once for the next frame.
const SEARCHED: usize = 64 << 10;
/// Longest frame of any of the formats, in bytes.
const MAX_FRAME: usize = 8 << 10;
/// Longest loss that is estimated by the bytes between frames, in seconds. More bytes than that are
/// hardly audio.
const MAX_LOSS: f64 = 1.0;

/// Returns the first frame in `bytes`, whose start may be cut off, if at least another one follows
/// it or it is all there is.
pub fn first_frame<F: FrameFormat>(bytes: &[u8], is_whole: bool) -> Option<(usize, Frame)> {
    let frame = |at: usize| {
        let rest = bytes.get(at..)?;
        let frame = F::parse(rest)?;
        let after = rest.get(frame.len..);
        let is_confirmed = match after {
            Some([]) | None => is_whole && after.is_some(),
            Some(next) => F::parse(next).map_or(tags::len(next).is_some(), |next| {
                next.spec == frame.spec && next.len > 0
            }),
        };
        is_confirmed.then_some((at, frame))
    };
    (0..bytes.len()).find_map(frame)
}

/// Reader of frames.
pub struct FrameReader<F> {
    stream: ByteStream,
    track: [Track; 1],
    spec: Spec,
    part: Part,
    format: PhantomData<F>,
}

/// Frames that were encoded together.
#[derive(Default)]
struct Part {
    /// Header that counts them.
    xing: Option<Xing>,
    /// Position of its start in bytes.
    start: u64,
    /// Frames so far, without that header.
    frames: u64,
    /// Samples delivered so far.
    samples: u64,
    /// Bytes of its frames so far.
    bytes: u64,
}

impl<F: FrameFormat> FrameReader<F> {
    /// Finds the first frame.
    ///
    /// # Errors
    /// Returns an error if the stream cannot be read or has no frame.
    pub fn open(mut stream: ByteStream) -> Result<Self, MediaError> {
        skip_tags(&mut stream)?;
        let bytes = stream.peek(SEARCHED)?;
        let (at, frame) = first_frame::<F>(bytes, bytes.len() < SEARCHED)
            .ok_or(MediaError::DecodeError("no frame of audio in it"))?;
        stream.skip(at as u64)?;
        let mut reader = Self {
            stream,
            track: [F::track(frame.spec)],
            spec: frame.spec,
            part: Part::default(),
            format: PhantomData,
        };
        reader.begin_part(frame)?;
        Ok(reader)
    }

    /// Begins a part at its first frame, which may be a header that counts the others.
    fn begin_part(&mut self, frame: Frame) -> Result<(), MediaError> {
        self.spec = frame.spec;
        self.part = Part {
            xing: Xing::parse(self.stream.peek_exactly(frame.len)?),
            start: self.stream.position(),
            ..Part::default()
        };
        let mut first = Some(frame);
        if self.part.xing.is_some() {
            self.stream.skip(frame.len as u64)?;
            first = F::parse(self.stream.peek(16)?);
        }
        let mut track = F::track(self.spec);
        track.length = match first {
            Some(first) if self.stream.len().is_some() => self.estimated_length(first)?,
            _ => None,
        };
        self.track = [track];
        Ok(())
    }

    /// Length of the rest of the stream, by its size and the header that counts frames.
    fn estimated_length(&mut self, first: Frame) -> io::Result<Option<Length>> {
        let mean = self.mean_len()?;
        let rate = f64::from(self.spec.rate);
        let size = self
            .stream
            .len()
            .map(|len| len.saturating_sub(self.part.start));
        let by_first = size.map(|n| n as f64 / mean * f64::from(first.samples) / rate);
        let by_count = self.part.xing.as_ref().and_then(|xing| {
            let stated = xing.samples(first.samples)? as f64 / rate;
            let is_joined = |n: u64, bytes: u64| n as f64 > 1.05 * bytes as f64;
            match (size, xing.bytes) {
                (Some(n), Some(bytes)) if is_joined(n, bytes) => {
                    Some(stated * n as f64 / bytes as f64)
                }
                _ => Some(stated),
            }
        });
        let is_credible = |seconds: &f64| {
            let constant = self.part.xing.as_ref().is_some_and(|xing| xing.is_constant);
            let off = by_first.map_or(1.0, |other| seconds / other);
            // Frames of a variable rate differ in size, by a factor of forty at most.
            if constant {
                (0.9..1.1).contains(&off)
            } else {
                (0.02..50.0).contains(&off)
            }
        };
        let seconds = by_count.filter(is_credible).or(by_first);
        Ok(seconds.map(Length::estimated))
    }

    /// Mean length of the next frames in bytes.
    fn mean_len(&mut self) -> io::Result<f64> {
        let bytes = self.stream.peek(SEARCHED)?;
        let (mut at, mut n) = (0, 0);
        while let Some(frame) = bytes.get(at..).and_then(F::parse) {
            at += frame.len;
            n += 1;
        }
        Ok(at.max(1) as f64 / f64::from(n.max(1)))
    }

    /// Returns the frame that stands next in the stream, if one does.
    fn frame_here(&mut self) -> io::Result<Option<Frame>> {
        let Some(frame) = F::parse(self.stream.peek(16)?) else {
            return Ok(None);
        };
        let bytes = self.stream.peek(frame.len + 16)?;
        if bytes.len() < frame.len {
            return Ok(None);
        }
        // Another format needs more proof than one header.
        let is_proven =
            frame.spec == self.spec || first_frame::<F>(bytes, true).is_some_and(|(at, _)| at == 0);
        Ok(is_proven.then_some(frame))
    }

    /// Skips what is no frame. Returns the number of bytes, and the frame after them; `None` at the
    /// end.
    fn resync(&mut self) -> io::Result<Option<(u64, Frame)>> {
        let mut skipped = 0;
        loop {
            let bytes = self.stream.peek(SEARCHED)?;
            let is_end = bytes.len() < SEARCHED;
            let found = bytes
                .get(1..)
                .and_then(|rest| first_frame::<F>(rest, is_end));
            if let Some((at, frame)) = found {
                self.stream.skip(at as u64 + 1)?;
                return Ok(Some((skipped + at as u64 + 1, frame)));
            }
            if is_end {
                return Ok(None);
            }
            let step = (bytes.len() - MAX_FRAME) as u64;
            self.stream.skip(step)?;
            skipped += step;
        }
    }

    /// Sound that `bytes` held, in seconds, if they were frames.
    fn loss(&self, bytes: u64, frame: Frame) -> f64 {
        let mean = self.part.bytes.checked_div(self.part.frames);
        let frames = bytes as f64 / mean.unwrap_or(frame.len as u64).max(1) as f64;
        let seconds = frames.round() * f64::from(frame.samples) / f64::from(frame.spec.rate);
        if seconds <= MAX_LOSS { seconds } else { 0.0 }
    }

    /// Takes a frame as a packet.
    fn take(&mut self, frame: Frame) -> Result<Item, MediaError> {
        let bytes = self.stream.peek_exactly(frame.len)?;
        let data = bytes.get(frame.header_len..).unwrap_or_default().to_vec();
        let (trim_start, trim_end) = self.trims(frame)?;
        self.stream.skip(frame.len as u64)?;
        let samples = u64::from(frame.samples) - trim_start - trim_end;
        let time = i64::try_from(self.part.samples).unwrap_or(i64::MAX);
        self.part.frames += 1;
        self.part.bytes += frame.len as u64;
        self.part.samples += samples;
        let packet = PacketBuilder::new()
            .track_id(self.track[0].id)
            .pts(Timestamp::new(time))
            .dur(Duration::new(samples))
            .trim_start(Duration::new(trim_start))
            .trim_end(Duration::new(trim_end))
            .data(data);
        Ok(Item::Packet(packet.build()))
    }

    /// Number of samples to leave out at the start and at the end of the next frame: the delay and
    /// the padding of the encoder.
    fn trims(&mut self, frame: Frame) -> io::Result<(u64, u64)> {
        let Some(xing) = &self.part.xing else {
            return Ok((0, 0));
        };
        let len = u64::from(frame.samples);
        let before = self.part.frames * len;
        let start = xing.delay.saturating_sub(before).min(len);
        let Some(valid) = xing.samples(frame.samples) else {
            return Ok((start, 0));
        };
        let end = (before + len)
            .saturating_sub(xing.delay + valid)
            .min(len - start);
        let left = xing.frames.unwrap_or(0).saturating_sub(self.part.frames);
        // The count is right only if the part ends where it says.
        let is_last = end > 0 && self.ends_after(left)?;
        Ok((start, if is_last { end } else { 0 }))
    }

    /// Whether exactly `n` frames are left of this part.
    fn ends_after(&mut self, n: u64) -> io::Result<bool> {
        let mut at = 0;
        for _ in 0..n.min(4) {
            let bytes = self.stream.peek(at + MAX_FRAME)?;
            let Some(frame) = bytes.get(at..).and_then(F::parse) else {
                return Ok(false);
            };
            at += frame.len;
        }
        let bytes = self.stream.peek(at + MAX_FRAME)?;
        let rest = bytes.get(at..).unwrap_or_default();
        let begins_anew = F::parse(rest).is_none_or(|next| {
            next.spec != self.spec
                || rest
                    .get(..next.len)
                    .is_some_and(|f| Xing::parse(f).is_some())
        });
        Ok((1..=4).contains(&n) && begins_anew)
    }
}

impl<F: FrameFormat> Demuxer for FrameReader<F> {
    fn tracks(&self) -> &[Track] {
        &self.track
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        skip_tags(&mut self.stream)?;
        let mut lost = 0.0;
        let mut skipped = 0;
        let frame = match self.frame_here()? {
            Some(frame) => frame,
            None => {
                let Some((bytes, frame)) = self.resync()? else {
                    return Ok(None);
                };
                skipped = bytes;
                lost = self.loss(bytes, frame);
                frame
            }
        };
        let is_header = Xing::parse(self.stream.peek_exactly(frame.len)?).is_some();
        if is_header || frame.spec != self.spec {
            self.begin_part(frame)?;
            return Ok(Some(Item::NewTracks));
        }
        if skipped > 0 {
            return Ok(Some(Item::Damage(lost)));
        }
        self.take(frame).map(Some)
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        let xing = self.part.xing.as_ref()?;
        let lacks_frames = xing.frames? > self.part.frames;
        // A count alone may be wrong; if the size says the same, the file was cut.
        let read = self.stream.position().saturating_sub(self.part.start);
        let mean = self.part.bytes / self.part.frames.max(1);
        let lacks_bytes = xing.bytes? > read + 2 * mean;
        (lacks_frames && lacks_bytes).then_some(EarlyEnd::Cut)
    }
}

/// Skips the tags that come next.
///
/// # Errors
/// Returns an error if the stream cannot be read.
pub fn skip_tags(stream: &mut ByteStream) -> io::Result<()> {
    while let Some(len) = tags::len(stream.peek(16)?) {
        stream.skip(len)?;
    }
    Ok(())
}
