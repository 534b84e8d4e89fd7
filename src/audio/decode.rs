//! Audio files and piped audio as an [`AudioSource`].
//!
//! The bytes are read strictly forward, so that a file is a stream that ends: memory does not grow
//! with its length, and a truncated file yields everything up to its end. The file is read with
//! seeking only if it must be (mp4 with its index at the end). A first look with seeking finds the
//! length if it is stated only at the end.
//!
//! Timing is preserved: a packet that cannot be decoded, or a gap in the timestamps, becomes
//! silence of the same length.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use symphonia::core::errors::Error as MediaError;
use symphonia::core::formats::FormatReader;
use symphonia::core::formats::well_known::{FORMAT_ID_MKV, FORMAT_ID_OGG};
use symphonia::core::packet::Packet;

use super::codec::{AudioTrack, Decoded};
use super::container::{Container, Length};
use super::source::{Bytes, STDIN};
use super::{AudioError, AudioSource, AudioWarning, Block};

/// Sample rates that a recording may have, in Hz: from telemetry to the fastest converters.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;
/// Magnitude above which a value is not audio; float files scaled as integers stay below.
const MAX_MAGNITUDE: f32 = 1e6;
/// Frames in a block of inserted silence.
const SILENCE_BLOCK: u64 = 4096;
/// Gaps up to this length, in seconds, are rounding of timestamps (mkv counts milliseconds).
const MIN_HOLE: f64 = 0.04;
/// Gaps above this length, in seconds, are invalid timestamps.
const MAX_HOLE: f64 = 3600.0;

/// Audio file, or audio piped to standard input.
pub struct FileSource {
    name: String,
    format: Box<dyn FormatReader>,
    track: AudioTrack,
    length: Option<Length>,
    block: Vec<f32>,
    clock: Clock,
    damage: CaptureStats,
    invalid: CaptureStats,
    lacks_end_mark: bool,
    ended: bool,
}

impl FileSource {
    /// Opens an audio file, or standard input for the path `-`.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, cannot be read, or holds no audio that can be
    /// decoded.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::open_until(path, Arc::default())
    }

    /// As [`open`](Self::open); a pipe ends when `stop` is set.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_until(path: &Path, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        let stdin = path.as_os_str() == STDIN;
        let name = if stdin {
            "standard input".into()
        } else {
            path.display().to_string()
        };
        Self::open_as(path, &name, stop)
    }

    /// As [`open_until`](Self::open_until); `name` is used in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_as(path: &Path, name: &str, stop: Arc<AtomicBool>) -> Result<Self, AudioError> {
        Self::from_bytes(Bytes::open(path, name, stop)?, name.to_owned())
    }

    /// Opens a recording embedded in the program; `name` is used in errors.
    ///
    /// # Errors
    /// Returns an error if it holds no audio that can be decoded.
    pub fn embedded(name: &str, recording: &'static [u8]) -> Result<Self, AudioError> {
        Self::from_bytes(
            Bytes::Pipe(Box::new(io::Cursor::new(recording))),
            name.to_owned(),
        )
    }

    fn from_bytes(bytes: Bytes, name: String) -> Result<Self, AudioError> {
        let Container { format, length } = Container::open(bytes, &name)?;
        Ok(Self {
            track: AudioTrack::choose(&name, format.tracks())?,
            name,
            format,
            length,
            block: Vec::new(),
            clock: Clock::default(),
            damage: CaptureStats::default(),
            invalid: CaptureStats::default(),
            lacks_end_mark: false,
            ended: false,
        })
    }

    /// Fills the block; returns false at the end.
    fn fill(&mut self) -> Result<bool, AudioError> {
        loop {
            if self.clock.take_silence(&mut self.block) {
                return Ok(true);
            }
            let packet = match self.clock.held.take() {
                Some(packet) => packet,
                None => match self.next_packet()? {
                    Some(packet) => packet,
                    None => return self.check_end().map(|()| false),
                },
            };
            if self.owe_silence_before(&packet) {
                self.clock.held = Some(packet);
                continue;
            }
            self.decode(&packet)?;
            if !self.block.is_empty() {
                self.silence_invalid();
                self.clock.advance(self.block.len());
                return Ok(true);
            }
        }
    }

    /// Returns the track's next packet; `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioError> {
        loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track.id => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                // If read forward, some containers end only with the last byte.
                Err(MediaError::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    self.lacks_end_mark = self.format.format_info().format == FORMAT_ID_OGG;
                    return Ok(None);
                }
                Err(MediaError::IoError(e)) => return Err(AudioError::from_io(&self.name, e)),
                Err(MediaError::ResetRequired) => {
                    // Start of the next of several chained streams.
                    self.track = AudioTrack::choose(&self.name, self.format.tracks())?;
                    self.clock.origin = None;
                }
                Err(e) => return Err(self.damaged(e.to_string())),
            }
        }
    }

    /// Checks whether the packet's timestamp lies after the audio delivered so far; if so, silence
    /// is inserted first.
    fn owe_silence_before(&mut self, packet: &Packet) -> bool {
        let time = self.track.time_base.and_then(|tb| tb.calc_time(packet.pts));
        let Some(time) = time.map(|t| t.as_secs_f64()) else {
            return false;
        };
        let position = self.clock.seconds();
        let origin = *self.clock.origin.get_or_insert(time.max(0.0) - position);
        let hole = time - origin - position;
        if self.clock.rate == 0 || !(MIN_HOLE..=MAX_HOLE).contains(&hole) {
            return false;
        }
        // Matroska omits what a codec's silence detection left out.
        if self.format.format_info().format != FORMAT_ID_MKV {
            self.damage.add(1, position);
        }
        self.clock.owe_silence(hole);
        true
    }

    /// Decodes a packet into the block, which stays empty if the packet is damaged.
    fn decode(&mut self, packet: &Packet) -> Result<(), AudioError> {
        let decoded = self.track.decode(packet, &mut self.block);
        match decoded.map_err(|e| self.damaged(e.to_string()))? {
            Decoded::Samples { rate, .. } if !RATES.contains(&rate) => {
                Err(AudioError::UnsupportedRate {
                    name: self.name.clone(),
                    rate,
                })
            }
            Decoded::Samples { rate, channels } => {
                self.clock.set_format(rate, channels.max(1));
                Ok(())
            }
            Decoded::Damaged => {
                self.damage.add(1, self.clock.seconds());
                let length = self
                    .track
                    .time_base
                    .and_then(|tb| tb.calc_duration(packet.block_dur()));
                // If the packet does not state its length, the next timestamp reveals it.
                self.clock
                    .owe_silence(length.map_or(0.0, |t| t.as_secs_f64().min(MAX_HOLE)));
                Ok(())
            }
        }
    }

    /// Replaces values that are not audio samples with silence.
    fn silence_invalid(&mut self) {
        let mut first = None;
        let mut count = 0;
        for (i, x) in self.block.iter_mut().enumerate() {
            // Also false for NaN.
            let valid = x.abs() <= MAX_MAGNITUDE;
            if !valid {
                *x = 0.0;
                count += 1;
                first.get_or_insert(i);
            }
        }
        if let Some(i) = first {
            self.invalid.add(count, self.clock.seconds_after(i));
        }
    }

    /// Checks, after the last packet, that the audio is complete.
    fn check_end(&self) -> Result<(), AudioError> {
        if let Some(Length { seconds, tolerance }) = self.length
            && self.clock.seconds() + tolerance < seconds
        {
            return Err(self.damaged(format!("the audio ends here, not at {seconds:.2} s")));
        }
        if self.clock.seconds() > 0.0 {
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
            seconds: self.clock.seconds(),
            reason,
        }
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
        let filled = self.fill();
        self.ended = !matches!(filled, Ok(true));
        let Clock { rate, channels, .. } = self.clock;
        Ok(filled?.then_some(Block {
            samples: &self.block,
            rate,
            channels,
        }))
    }

    fn warnings(&self) -> Vec<AudioWarning> {
        let mut warnings = Vec::new();
        let CaptureStats {
            count,
            first_seconds,
        } = self.invalid;
        if count > 0 {
            let name = self.name.clone();
            warnings.push(AudioWarning::InvalidSamples {
                name,
                count,
                first_seconds,
            });
        }
        let CaptureStats {
            count,
            first_seconds,
        } = self.damage;
        if count > 0 {
            let name = self.name.clone();
            warnings.push(AudioWarning::DamagedStretches {
                name,
                count,
                first_seconds,
            });
        }
        if self.lacks_end_mark {
            let name = self.name.clone();
            let seconds = self.clock.seconds();
            warnings.push(AudioWarning::NoEndMark { name, seconds });
        }
        warnings
    }
}

/// Position and format of the stream.
#[derive(Default)]
struct Clock {
    /// Sample rate in Hz; 0 before the first samples.
    rate: u32,
    channels: usize,
    /// Seconds delivered before the rate last changed.
    base: f64,
    /// Frames delivered since then.
    frames: u64,
    /// Timestamp of the first packet minus the time delivered before it, in seconds.
    origin: Option<f64>,
    /// Frames of silence still to be inserted.
    silence: u64,
    /// Packet to decode after that silence.
    held: Option<Packet>,
}

impl Clock {
    /// Seconds delivered.
    fn seconds(&self) -> f64 {
        self.base + self.frames as f64 / f64::from(self.rate.max(1))
    }

    /// Seconds at sample `index` of the next block.
    fn seconds_after(&self, index: usize) -> f64 {
        self.seconds() + (index / self.channels.max(1)) as f64 / f64::from(self.rate.max(1))
    }

    fn advance(&mut self, samples: usize) {
        self.frames += (samples / self.channels.max(1)) as u64;
    }

    fn set_format(&mut self, rate: u32, channels: usize) {
        if rate != self.rate {
            (self.base, self.frames) = (self.seconds(), 0);
        }
        (self.rate, self.channels) = (rate, channels);
    }

    fn owe_silence(&mut self, seconds: f64) {
        self.silence += (seconds * f64::from(self.rate)).round() as u64;
    }

    /// Fills `block` with silence to be inserted; returns false if there is none.
    fn take_silence(&mut self, block: &mut Vec<f32>) -> bool {
        let frames = self.silence.min(SILENCE_BLOCK);
        self.silence -= frames;
        self.frames += frames;
        block.clear();
        block.resize(frames as usize * self.channels, 0.0);
        frames > 0
    }
}

/// Counter that remembers the first occurrence.
#[derive(Default, Clone, Copy)]
struct CaptureStats {
    count: u64,
    first_seconds: f64,
}

impl CaptureStats {
    fn add(&mut self, count: u64, seconds: f64) {
        if self.count == 0 {
            self.first_seconds = seconds;
        }
        self.count += count;
    }
}
