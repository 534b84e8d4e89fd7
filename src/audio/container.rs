//! Opens a recording: recognises its format, chooses a track and finds who decodes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::errors::Error as MediaError;
use symphonia::core::io::ReadOnlySource;

use super::codec::{Decoded, Decoder};
use super::demux::{
    Adts, Aiff, Au, Caf, Demuxer, FlacParts, FrameReader, Item, Mkv, MpegAudio, Probed, Wave,
    find_shift, mp4_facts, probe, skip_tags,
};
use super::ffmpeg::{self, Failure, Ffmpeg, Request};
use super::identify::{Format, HEAD, Reader, identify};
use super::source::Bytes;
use super::stream::{ByteStream, FileAt, Shift};
use super::track::{InputOptions, Track, TrackLabel, default_track, labels};
use super::{AudioError, AudioNote};

/// Caf may end this much before its stated length, in seconds.
const CAF_SHORTFALL: f64 = 0.6;

/// A recording, at its first packet.
pub struct Container {
    /// Its reader.
    pub demuxer: Box<dyn Demuxer>,
    /// Decoder of the chosen track.
    pub decoder: Decoder,
    /// Index of that track.
    pub index: usize,
    /// What the user may want to know.
    pub notes: Vec<AudioNote>,
}

/// Opens the bytes called `name`. A pipe ends when `stop` is set.
pub fn open(
    bytes: Bytes,
    name: &str,
    options: &InputOptions,
    stop: &Arc<AtomicBool>,
) -> Result<Container, AudioError> {
    let input = Input::new(bytes, name, stop)?;
    let mut container = match input.built_in() {
        Ok(Some(demuxer)) => input.choose(demuxer, options)?,
        Ok(None) => input.choose_by_ffmpeg(options)?,
        Err(error) => input.instead_of_damaged(error, options)?,
    };
    input.bytes.settle();
    container
        .notes
        .extend(input.shift.map(|shift| AudioNote::Shifted {
            name: name.to_owned(),
            bytes: shift.by.unsigned_abs(),
            were_inserted: shift.by > 0,
        }));
    Ok(container)
}

/// Returns the tracks with sound in the bytes called `name`.
pub fn list(
    bytes: Bytes,
    name: &str,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<TrackLabel>, AudioError> {
    let input = Input::new(bytes, name, stop)?;
    if let Some(demuxer) = input.built_in().map_err(|e| input.error(e))? {
        return Ok(labels(demuxer.tracks()));
    }
    match ffmpeg::probe(&input.bytes, input.format.ffmpeg) {
        Some(probe) if !probe.tracks.is_empty() => Ok(labels(&probe.tracks)),
        // It says why.
        _ => input
            .by_ffmpeg(None, None, input.format.name.into())
            .map(|container| labels(container.demuxer.tracks())),
    }
}

/// Bytes of a format that is known.
struct Input<'a> {
    bytes: Bytes,
    name: &'a str,
    format: Format,
    /// Bytes before it, which are a tag.
    tag_len: u64,
    /// Bytes that were inserted into it or are missing, if it can be read without regard to them.
    shift: Option<Shift>,
    stop: &'a Arc<AtomicBool>,
}

impl<'a> Input<'a> {
    fn new(bytes: Bytes, name: &'a str, stop: &'a Arc<AtomicBool>) -> Result<Self, AudioError> {
        let io_error = |e| AudioError::from_io(name, e);
        let owned = || name.to_owned();
        let mut stream = bytes.stream().map_err(io_error)?;
        if stream.peek(1).map_err(io_error)?.is_empty() {
            return Err(AudioError::Empty { name: owned() });
        }
        skip_tags(&mut stream).map_err(io_error)?;
        // A pipe is read no further than it must be: more may be long in coming.
        let mut format = None;
        for n in [HEAD / 16, HEAD] {
            let head = stream.peek_exactly(n).map_err(io_error)?;
            format = identify(head);
            if format.is_some() {
                break;
            }
        }
        let format = format.ok_or_else(|| AudioError::NotAudio { name: owned() })?;
        if format.reader == Reader::Nobody {
            let what = format.name;
            return Err(AudioError::OtherFormat {
                name: owned(),
                what,
            });
        }
        let tag_len = stream.position();
        drop(stream);
        let bytes = match format.reader {
            Reader::Seeking | Reader::Caf => bytes.spooled(name)?,
            _ => bytes,
        };
        let shift = match bytes.file() {
            Some((file, start)) if format.reader == Reader::Seeking => {
                let file = FileAt::new(file.clone(), start + tag_len).map_err(io_error)?;
                find_shift(&file).map_err(io_error)?
            }
            _ => None,
        };
        Ok(Self {
            bytes,
            name,
            format,
            tag_len,
            shift,
            stop,
        })
    }

    /// Returns Hearken's own reader of the format; `None` if there is none.
    fn built_in(&self) -> Result<Option<Box<dyn Demuxer>>, MediaError> {
        let mut stream = self.bytes.stream()?;
        stream.skip(self.tag_len)?;
        Ok(Some(match self.format.reader {
            Reader::Wave => Wave::open(stream)?,
            Reader::Au => Box::new(Au::open(stream)?),
            Reader::Mkv => Box::new(Mkv::open(stream)?),
            Reader::Flac => Box::new(FlacParts::open(stream)?),
            Reader::MpegAudio => Box::new(FrameReader::<MpegAudio>::open(stream)?),
            Reader::Adts => Box::new(FrameReader::<Adts>::open(stream)?),
            Reader::Aiff | Reader::Caf => match self.samples()? {
                Some(samples) => samples,
                None => Box::new(self.probed(stream)?),
            },
            Reader::Forward | Reader::Seeking => Box::new(self.probed(stream)?),
            Reader::Ffmpeg | Reader::Nobody => return Ok(None),
        }))
    }

    /// Opens the PCM in an aiff or caf file; `None` if it has another codec.
    fn samples(&self) -> Result<Option<Box<dyn Demuxer>>, MediaError> {
        let mut stream = self.bytes.stream()?;
        stream.skip(self.tag_len)?;
        let samples = match self.format.reader {
            Reader::Aiff => Aiff::open(stream)?,
            _ => Caf::open(stream)?,
        };
        Ok(samples.map(|samples| Box::new(samples) as Box<dyn Demuxer>))
    }

    /// Opens what symphonia reads. It reads forward if possible, so that a file that was cut off
    /// gives all that is there; a first look with seeking finds the length if it is stated only at
    /// the end.
    fn probed(&self, stream: ByteStream) -> Result<Probed, MediaError> {
        let Some((file, start)) = self.bytes.file() else {
            return probe(Box::new(ReadOnlySource::new(stream))).map(Probed::new);
        };
        let mut file = FileAt::new(file.clone(), start + self.tag_len)?;
        let mut stream = stream;
        if let Some(shift) = self.shift {
            file = file.without(shift);
            stream = ByteStream::file(file.clone());
        }
        let indexed = probe(Box::new(file.clone())).map(Probed::new);
        if self.format.reader == Reader::Caf {
            // Lengths count whole packets, the last of which may be shorter.
            return indexed.map(|probed| {
                probed.with_tolerance(|codec| match codec {
                    // Encoders count frames of MPEG-1 also for MPEG-2, which has half as many.
                    CODEC_ID_MP3 => f64::INFINITY,
                    _ => CAF_SHORTFALL,
                })
            });
        }
        let forward = probe(Box::new(ReadOnlySource::new(stream))).map(Probed::new);
        let probed = match (forward, indexed) {
            (Ok(forward), Ok(indexed)) => forward.with_lengths_of(&indexed),
            (Ok(forward), Err(_)) => forward,
            (Err(error), indexed) => indexed.map_err(|_| error)?,
        };
        if self.format.ffmpeg != "mov" {
            return Ok(probed);
        }
        Ok(match mp4_facts(file, probed.tracks())? {
            Some(tracks) => probed.with_tracks(tracks),
            None => probed,
        })
    }

    /// Chooses a track and its decoder.
    fn choose(
        &self,
        demuxer: Box<dyn Demuxer>,
        options: &InputOptions,
    ) -> Result<Container, AudioError> {
        let tracks = demuxer.tracks();
        let index = self.index(tracks, options)?;
        let note_others = |index: usize| self.note_others(tracks, index, options);
        if tracks.get(index).is_some_and(|track| track.is_encrypted) {
            let name = self.name.to_owned();
            return Err(AudioError::Encrypted { name });
        }
        let codec = tracks.get(index).map_or(String::new(), codec_of);
        let start = matches!(self.format.ffmpeg, "matroska" | "mov").then_some(0.0);
        let by_ffmpeg = || self.by_ffmpeg(Some(index), start, codec.clone());
        let wanted = tracks.get(index).and_then(Decoder::new);
        if let Some(decoder) = wanted {
            // Encoders take liberties that not every decoder allows.
            if !self.can_decode(index)
                && let Ok(mut container) = by_ffmpeg()
            {
                container.notes.extend(note_others(index));
                return Ok(container);
            }
            let notes = note_others(index).into_iter().collect();
            let demuxer = self.anew(demuxer)?;
            return Ok(Container {
                demuxer,
                decoder,
                index,
                notes,
            });
        }
        let error = match by_ffmpeg() {
            Ok(mut container) => {
                container.notes.extend(note_others(index));
                return Ok(container);
            }
            Err(error) => error,
        };
        // A track that nobody asked for may give way to another one.
        let other = tracks
            .iter()
            .enumerate()
            .find_map(|(i, track)| Some((i, Decoder::new(track)?)));
        match other {
            Some((index, decoder)) if options.track.is_none() => {
                let left_out = AudioNote::LeftOut(error.to_string());
                let notes = [Some(left_out), note_others(index)]
                    .into_iter()
                    .flatten()
                    .collect();
                Ok(Container {
                    demuxer,
                    decoder,
                    index,
                    notes,
                })
            }
            _ => Err(error),
        }
    }

    /// Whether one of a track's first packets can be decoded.
    fn can_decode(&self, index: usize) -> bool {
        /// Packets of the track, and of all tracks, that are tried.
        const PACKETS: usize = 16;
        const ALL_PACKETS: usize = 4096;
        let Ok(Some(mut demuxer)) = self.built_in() else {
            return true;
        };
        let Some(mut decoder) = demuxer.tracks().get(index).and_then(Decoder::new) else {
            return true;
        };
        let mut samples = Vec::new();
        let mut n_damaged = 0;
        for _ in 0..ALL_PACKETS {
            let packet = match demuxer.next_item() {
                Ok(Some(Item::Packet(packet))) if packet.track_id == decoder.track.id => packet,
                Ok(Some(_)) => continue,
                Ok(None) | Err(_) => break,
            };
            match decoder.decode(&packet, &mut samples) {
                Decoded::Samples { .. } => return true,
                Decoded::Damaged => n_damaged += 1,
            }
            if n_damaged == PACKETS {
                break;
            }
        }
        n_damaged == 0
    }

    /// Returns a reader at the first packet, after another one has read the bytes: of a pipe, the
    /// first one has lost its place.
    fn anew(&self, demuxer: Box<dyn Demuxer>) -> Result<Box<dyn Demuxer>, AudioError> {
        if self.bytes.file().is_some() {
            return Ok(demuxer);
        }
        let anew = self.built_in().map_err(|error| self.error(error))?;
        Ok(anew.unwrap_or(demuxer))
    }

    /// Chooses a track of what only ffmpeg reads.
    fn choose_by_ffmpeg(&self, options: &InputOptions) -> Result<Container, AudioError> {
        let what = self.format.name.to_owned();
        match ffmpeg::probe(&self.bytes, self.format.ffmpeg) {
            Some(probe) if !probe.tracks.is_empty() => {
                let index = self.index(&probe.tracks, options)?;
                let mut container = self.by_ffmpeg(Some(index), Some(probe.start), what)?;
                let note = self.note_others(&probe.tracks, index, options);
                container.notes.extend(note);
                Ok(container)
            }
            _ => self.by_ffmpeg(options.track.map(|n| n - 1), None, what),
        }
    }

    /// Index of the track that is asked for, or of the default track.
    fn index(&self, tracks: &[Track], options: &InputOptions) -> Result<usize, AudioError> {
        let name = self.name.to_owned();
        let count = tracks.len();
        match options.track {
            Some(wanted) if (1..=count).contains(&wanted) => Ok(wanted - 1),
            Some(wanted) => Err(AudioError::NoSuchTrack {
                name,
                wanted,
                count,
            }),
            None => default_track(tracks).ok_or(AudioError::NoAudioTrack { name }),
        }
    }

    /// Tells which of several tracks is taken, unless it was asked for.
    fn note_others(
        &self,
        tracks: &[Track],
        taken: usize,
        options: &InputOptions,
    ) -> Option<AudioNote> {
        let mut labels = labels(tracks);
        let is_noted = labels.len() > 1 && options.track.is_none();
        is_noted.then(|| {
            let taken = labels.remove(taken);
            let others: Vec<String> = labels.iter().map(ToString::to_string).collect();
            AudioNote::Tracks {
                name: self.name.to_owned(),
                taken: taken.to_string(),
                others: others.join(", "),
            }
        })
    }

    /// Reads a track with ffmpeg; `start` is the timestamp of the recording's start if it is not that
    /// of its first sound, and `what` the reason for ffmpeg.
    fn by_ffmpeg(
        &self,
        track: Option<usize>,
        start: Option<f64>,
        what: String,
    ) -> Result<Container, AudioError> {
        let name = || self.name.to_owned();
        let demuxer = self.format.ffmpeg;
        let request = Request {
            demuxer,
            track,
            start,
        };
        let ffmpeg =
            Ffmpeg::open(&self.bytes, &request, self.stop).map_err(|error| match error {
                Failure::Missing => AudioError::NeedsFfmpeg {
                    name: name(),
                    what: what.clone(),
                },
                Failure::Io(error) => AudioError::from_io(self.name, error),
                Failure::Refused(reason) => AudioError::Ffmpeg {
                    name: name(),
                    what: what.clone(),
                    reason,
                },
            })?;
        let demuxer: Box<dyn Demuxer> = Box::new(ffmpeg);
        let decoder = demuxer.tracks().first().and_then(Decoder::new);
        let decoder = decoder.ok_or_else(|| AudioError::NoAudioTrack { name: name() })?;
        let notes = vec![AudioNote::ByFfmpeg { name: name(), what }];
        Ok(Container {
            demuxer,
            decoder,
            index: 0,
            notes,
        })
    }

    /// What Hearken's reader finds damaged, ffmpeg may understand.
    fn instead_of_damaged(
        &self,
        error: MediaError,
        options: &InputOptions,
    ) -> Result<Container, AudioError> {
        let what = self.format.name.to_owned();
        let track = options.track.map(|n| n - 1);
        self.by_ffmpeg(track, None, what)
            .map_err(|_| self.error(error))
    }

    fn error(&self, error: MediaError) -> AudioError {
        let name = self.name.to_owned();
        let reason = match error {
            MediaError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                "its beginning is cut off".into()
            }
            MediaError::IoError(e) => return AudioError::from_io(self.name, e),
            other => other.to_string(),
        };
        AudioError::Damaged {
            name,
            seconds: 0.0,
            reason,
        }
    }
}

fn codec_of(track: &Track) -> String {
    let channels = track.params.channels.as_ref().map_or(0, |c| c.count());
    if channels > 2 {
        format!("{} with {channels} channels", track.codec)
    } else {
        track.codec.clone()
    }
}
