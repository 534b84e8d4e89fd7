//! Audio files and piped audio as an [`AudioSource`].
//!
//! The bytes are read strictly forward wherever the format allows it, so that a file is a stream that
//! ends: memory does not grow with its length, and a truncated file yields everything up to its end.
//!
//! Timing is preserved: a packet that cannot be decoded, a gap in the timestamps, or a start after
//! that of the recording becomes silence of the same length.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use symphonia::core::errors::Error as MediaError;
use symphonia::core::packet::Packet;

use super::codec::{Decoded, Decoder};
use super::container::{self, Container};
use super::demux::{Demuxer, EarlyEnd, Item};
use super::gaps::Gaps;
use super::levels::{Count, LATER_SCALED_SHARE, Levels, SCALED_SHARE};
use super::source::{Bytes, STDIN};
use super::timeline::{MAX_HOLE, MAX_SILENCE, Timeline};
use super::track::{InputOptions, Length, TrackLabel, default_track};
use super::{AudioError, AudioNote, AudioSource, AudioWarning, Block, SAMPLE_RATE};

/// Sample rates that a recording may have, in Hz: from telemetry to the fastest converters.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;
/// Gaps up to this length, in seconds, are rounding of timestamps (mkv counts milliseconds).
const MIN_HOLE: f64 = 0.04;
/// Length that is believed of a damaged packet, in seconds: flac has the longest.
const MAX_PACKET: f64 = 10.0;
/// Seconds by which the scale of floating-point samples is found.
const LOOK_AHEAD: f64 = 10.0;

/// Audio file, or audio piped to standard input.
pub struct FileSource {
    name: String,
    demuxer: Box<dyn Demuxer>,
    decoder: Decoder,
    index: usize,
    notes: Vec<AudioNote>,
    length: Option<Length>,
    /// Where the present one of several joined streams began, in seconds.
    part_start: f64,
    block: Vec<f32>,
    /// Blocks that have been decoded to find their scale.
    ahead: Option<Ahead>,
    timeline: Timeline,
    levels: Levels,
    /// Seconds of silence inserted so far.
    inserted: f64,
    damage: Count,
    /// Whether samples are stored as they are, so that zeros may be missing data.
    may_have_gaps: bool,
    gaps: Gaps,
    end: Option<EarlyEnd>,
    ended: bool,
}

/// Blocks decoded before they are asked for, and how the stream ended, if it did.
#[derive(Default)]
struct Ahead {
    blocks: VecDeque<(Vec<f32>, u32, usize)>,
    end: Option<Result<bool, AudioError>>,
}

impl FileSource {
    /// Opens an audio file, or standard input for the path `-`.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, cannot be read, or holds no audio that can be
    /// decoded.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::open_until(path, InputOptions::default(), Arc::default())
    }

    /// As [`open`](Self::open), but reads what the options say; a pipe ends when `stop` is set.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no such track.
    pub fn open_until(
        path: &Path,
        options: InputOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, AudioError> {
        Self::open_as(path, &shown(path), options, stop)
    }

    /// As [`open_until`](Self::open_until); `name` is used in errors.
    ///
    /// # Errors
    /// As [`open_until`](Self::open_until).
    pub fn open_as(
        path: &Path,
        name: &str,
        options: InputOptions,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, AudioError> {
        let bytes = Bytes::open(path, name, stop.clone())?;
        Self::from_bytes(bytes, name, options, &stop)
    }

    /// Opens a recording embedded in the program; `name` is used in errors.
    ///
    /// # Errors
    /// Returns an error if it holds no audio that can be decoded.
    pub fn embedded(name: &str, recording: &'static [u8]) -> Result<Self, AudioError> {
        let bytes = Bytes::pipe(io::Cursor::new(recording));
        Self::from_bytes(bytes, name, InputOptions::default(), &Arc::default())
    }

    /// Returns the tracks with sound in a file, or in standard input for the path `-`. A pipe ends
    /// when `stop` is set.
    ///
    /// # Errors
    /// As [`open`](Self::open), but whether the tracks can be decoded does not matter.
    pub fn tracks(path: &Path, stop: Arc<AtomicBool>) -> Result<Vec<TrackLabel>, AudioError> {
        let name = shown(path);
        container::list(Bytes::open(path, &name, stop.clone())?, &name, &stop)
    }

    fn from_bytes(
        bytes: Bytes,
        name: &str,
        options: InputOptions,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self, AudioError> {
        let Container {
            demuxer,
            decoder,
            index,
            notes,
        } = container::open(bytes, name, &options, stop)?;
        let by_ffmpeg = |note: &AudioNote| matches!(note, AudioNote::ByFfmpeg { .. });
        let is_by_ffmpeg = notes.iter().any(by_ffmpeg);
        Ok(Self {
            name: name.to_owned(),
            demuxer,
            length: decoder.track.length,
            ahead: decoder.is_float().then(Ahead::default),
            may_have_gaps: decoder.is_linear() && !is_by_ffmpeg,
            decoder,
            index,
            notes,
            part_start: 0.0,
            block: Vec::new(),
            timeline: Timeline::default(),
            levels: Levels::default(),
            inserted: 0.0,
            damage: Count::default(),
            gaps: Gaps::default(),
            end: None,
            ended: false,
        })
    }

    /// What the user may want to know before the recording is read: which track it is, and who
    /// decodes it.
    pub fn notes(&self) -> &[AudioNote] {
        &self.notes
    }

    /// The recording's name in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fills the block; returns false at the end.
    fn fill(&mut self) -> Result<bool, AudioError> {
        loop {
            if self.timeline.take_silence(&mut self.block) {
                return Ok(true);
            }
            let packet = match self.timeline.held.take() {
                Some(packet) => packet,
                None => match self.next_item()? {
                    Some(Item::Packet(packet)) => packet,
                    Some(_) => continue,
                    None => return self.check_end().map(|()| false),
                },
            };
            if self.owe_silence_before(&packet) {
                self.timeline.held = Some(packet);
                continue;
            }
            self.decode(&packet)?;
            self.timeline.trim(&mut self.block);
            if !self.block.is_empty() {
                self.timeline.advance(self.block.len());
                return Ok(true);
            }
        }
    }

    /// Returns the track's next packet, or what else comes next, which is dealt with; `None` at the
    /// end.
    fn next_item(&mut self) -> Result<Option<Item>, AudioError> {
        loop {
            let item = match self.demuxer.next_item() {
                Ok(item) => item,
                Err(MediaError::IoError(e)) => return Err(AudioError::from_io(&self.name, e)),
                Err(error) => return Err(self.damaged(error.to_string())),
            };
            match &item {
                Some(Item::Packet(packet)) if packet.track_id != self.decoder.track.id => continue,
                Some(Item::Packet(_)) | None => {}
                Some(Item::Damage(seconds)) => {
                    self.damage.add(1, self.timeline.seconds());
                    self.timeline.owe_silence(*seconds);
                }
                Some(Item::NewTracks) => self.begin_part()?,
            }
            return Ok(item);
        }
    }

    /// Begins the next of several joined streams.
    fn begin_part(&mut self) -> Result<(), AudioError> {
        if self.missing_seconds().is_some() {
            self.damage.add(1, self.timeline.seconds());
        }
        let tracks = self.demuxer.tracks();
        let same = tracks.get(self.index);
        let track = same.or_else(|| tracks.get(default_track(tracks)?));
        let Some(decoder) = track.and_then(Decoder::new) else {
            let codec = track.map_or("none", |track| track.codec.as_str());
            return Err(self.damaged(format!(
                "another stream begins here, whose codec ({codec}) cannot be decoded"
            )));
        };
        self.decoder = decoder;
        self.part_start = self.timeline.seconds();
        // What is left is not known; the length of the first part is no help.
        self.length = self.decoder.track.length;
        self.timeline.origin = None;
        Ok(())
    }

    /// Checks whether the packet's timestamp lies after the audio delivered so far; if so, silence
    /// is inserted first. Sound before the start of the recording is left out.
    fn owe_silence_before(&mut self, packet: &Packet) -> bool {
        let track = &self.decoder.track;
        let time = track.time_base.and_then(|tb| tb.calc_time(packet.pts));
        let Some(time) = time.map(|t| t.as_secs_f64()) else {
            return false;
        };
        let position = self.timeline.seconds();
        let is_first = self.timeline.origin.is_none();
        let stated = track
            .origin
            .filter(|origin| is_first && self.timeline.rate == 0 && time - origin <= MAX_HOLE);
        let origin = self.timeline.origin.or(stated);
        let origin = origin.unwrap_or(time.max(0.0) - position);
        self.timeline.origin = Some(origin);
        let hole = time - origin - position;
        if is_first && hole < 0.0 && stated.is_some() {
            self.timeline.leave_out(-hole);
            return false;
        }
        if hole > MAX_HOLE || self.inserted + hole > MAX_SILENCE {
            self.timeline.origin = Some(time - position);
            return false;
        }
        let is_start = self.timeline.rate == 0;
        if hole < MIN_HOLE || (is_start && stated.is_none()) {
            return false;
        }
        if is_start {
            self.timeline.set_format(SAMPLE_RATE, 1);
        } else if track.origin.is_none() {
            // Mkv and mp4 may omit what a codec's silence detection left out.
            self.damage.add(1, position);
        }
        self.inserted += hole;
        self.timeline.owe_silence(hole);
        true
    }

    /// Decodes a packet into the block, which stays empty if the packet is damaged.
    fn decode(&mut self, packet: &Packet) -> Result<(), AudioError> {
        match self.decoder.decode(packet, &mut self.block) {
            Decoded::Samples { rate, .. } if !RATES.contains(&rate) => {
                Err(AudioError::UnsupportedRate {
                    name: self.name.clone(),
                    rate,
                })
            }
            Decoded::Samples { rate, channels } => {
                self.timeline.set_format(rate, channels);
                if self.may_have_gaps {
                    let seconds = self.timeline.seconds();
                    self.gaps.look_at(&self.block, rate, channels, seconds);
                }
                Ok(())
            }
            Decoded::Damaged => {
                self.damage.add(1, self.timeline.seconds());
                let time_base = self.decoder.track.time_base;
                let length = time_base.and_then(|tb| tb.calc_duration(packet.dur));
                // If the packet does not state its length, the next timestamp reveals it.
                let seconds = length.map_or(0.0, |t| t.as_secs_f64());
                let room = (MAX_SILENCE - self.inserted).max(0.0);
                let seconds = seconds.min(MAX_PACKET).min(room);
                self.inserted += seconds;
                self.timeline.owe_silence(seconds);
                Ok(())
            }
        }
    }

    /// Decodes the first seconds, to find the scale of their samples.
    fn look_ahead(&mut self, ahead: &mut Ahead) {
        while self.timeline.seconds() < LOOK_AHEAD && ahead.end.is_none() {
            match self.fill() {
                Ok(true) => {
                    let block = std::mem::take(&mut self.block);
                    let Timeline { rate, channels, .. } = self.timeline;
                    ahead.blocks.push_back((block, rate, channels));
                }
                other => ahead.end = Some(other),
            }
        }
        let blocks = ahead.blocks.iter().map(|(block, ..)| block.as_slice());
        self.levels.find_scale(blocks, SCALED_SHARE);
    }

    /// Fills the block with what is to be delivered next. Returns its rate and channels; `None` at
    /// the end.
    fn next(&mut self) -> Result<Option<(u32, usize)>, AudioError> {
        let mut ahead = self.ahead.take();
        if let Some(ahead) = &mut ahead
            && self.timeline.rate == 0
        {
            self.look_ahead(ahead);
        }
        if let Some(Ahead { mut blocks, end }) = ahead {
            let block = blocks.pop_front();
            match (block, end) {
                (Some((block, rate, channels)), end) => {
                    self.ahead = Some(Ahead { blocks, end });
                    self.block = block;
                    return Ok(Some((rate, channels)));
                }
                (None, Some(end)) => return end.map(|_| None),
                (None, None) => {}
            }
        }
        let filled = self.fill()?;
        if self.decoder.is_float() {
            let block = std::iter::once(self.block.as_slice());
            self.levels.find_scale(block, LATER_SCALED_SHARE);
        }
        Ok(filled.then_some((self.timeline.rate, self.timeline.channels)))
    }

    /// Stated end of the present part in seconds, if it lies after the end of the audio.
    fn missing_seconds(&self) -> Option<f64> {
        let Length { seconds, tolerance } = self.length?;
        let end = self.part_start + seconds;
        (self.timeline.seconds() + tolerance < end).then_some(end)
    }

    /// Checks, after the last packet, that the audio is complete.
    fn check_end(&mut self) -> Result<(), AudioError> {
        self.end = self.demuxer.early_end();
        let stated = self.length.map(|length| self.part_start + length.seconds);
        match &self.end {
            Some(EarlyEnd::Failed(reason)) => {
                return Err(self.damaged(format!("ffmpeg: {reason}")));
            }
            Some(EarlyEnd::Cut) => {
                let later = stated.filter(|end| *end > self.timeline.seconds() + MIN_HOLE);
                let end =
                    later.map_or("where the file says".into(), |end| format!("at {end:.2} s"));
                return Err(self.damaged(format!("the file ends here, not {end}")));
            }
            _ => {}
        }
        if let Some(end) = self.missing_seconds() {
            return Err(self.damaged(format!("the audio ends here, not at {end:.2} s")));
        }
        if self.timeline.seconds() > 0.0 {
            return Ok(());
        }
        if self.damage.count > 0 {
            return Err(self.damaged("nothing in it could be decoded".into()));
        }
        Err(AudioError::NoSamples {
            name: self.name.clone(),
        })
    }

    fn damaged(&self, reason: String) -> AudioError {
        AudioError::Damaged {
            name: self.name.clone(),
            seconds: self.timeline.seconds(),
            reason,
        }
    }
}

/// The path, for people.
fn shown(path: &Path) -> String {
    if path.as_os_str() == STDIN {
        "standard input".into()
    } else {
        path.display().to_string()
    }
}

impl AudioSource for FileSource {
    fn duration(&self) -> Option<f64> {
        self.length.map(|l| l.seconds)
    }

    fn next_block(&mut self) -> Result<Option<Block<'_>>, AudioError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.next();
        self.ended = !matches!(next, Ok(Some(_)));
        let Some((rate, channels)) = next? else {
            return if self.levels.is_garbage() {
                let name = self.name.clone();
                Err(AudioError::Garbage { name })
            } else {
                Ok(None)
            };
        };
        self.levels.apply(&mut self.block, rate, channels);
        Ok(Some(Block {
            samples: &self.block,
            rate,
            channels,
        }))
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        let name = || self.name.clone();
        let mut warnings = Vec::new();
        let Count {
            count,
            first_seconds,
        } = self.levels.invalid;
        if count > 0 {
            warnings.push(AudioWarning::InvalidSamples {
                name: name(),
                count,
                first_seconds,
            });
        }
        let Count {
            count,
            first_seconds,
        } = self.damage;
        if count > 0 {
            warnings.push(AudioWarning::DamagedStretches {
                name: name(),
                count,
                first_seconds,
            });
        }
        let Count {
            count,
            first_seconds,
        } = self.gaps.found;
        if count > 0 {
            warnings.push(AudioWarning::Gaps {
                name: name(),
                count,
                first_seconds,
            });
        }
        match &self.end {
            Some(EarlyEnd::NoEndMark) => warnings.push(AudioWarning::NoEndMark {
                name: name(),
                seconds: self.timeline.seconds(),
            }),
            Some(EarlyEnd::Doubtful(message)) => warnings.push(AudioWarning::Ffmpeg {
                name: name(),
                message: message.clone(),
            }),
            _ => {}
        }
        warnings
    }
}
