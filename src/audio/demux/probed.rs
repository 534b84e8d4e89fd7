//! The containers that symphonia reads: aiff, caf, flac, mp4, ogg.

use std::io;

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::errors::Error as MediaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::FORMAT_ID_OGG;
use symphonia::core::formats::{self, FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::{Demuxer, EarlyEnd, Item};
use crate::audio::codec::codec_name;
use crate::audio::track::{Length, Track};

/// Packets without data in a row after which nothing else is expected.
const MAX_EMPTY: u32 = 4096;

/// Recognises a container.
///
/// # Errors
/// Returns an error if it is none that symphonia knows, or damaged at its start.
pub fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, MediaError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let format = FormatOptions::default();
    let meta = MetadataOptions::default();
    symphonia::default::get_probe().probe(&Hint::new(), stream, format, meta)
}

/// Container that symphonia reads.
pub struct Probed {
    format: Box<dyn FormatReader>,
    tracks: Vec<Track>,
    /// What is known of the tracks beyond what symphonia says, if they do not change.
    are_tracks_given: bool,
    lacks_end_mark: bool,
    /// Number of packets without data in a row.
    n_empty: u32,
}

impl Probed {
    /// Wraps a reader at its first packet.
    pub fn new(format: Box<dyn FormatReader>) -> Self {
        Self {
            tracks: tracks(format.as_ref()),
            format,
            are_tracks_given: false,
            lacks_end_mark: false,
            n_empty: 0,
        }
    }

    /// Sets what is known of the tracks otherwise.
    pub fn with_tracks(mut self, tracks: Vec<Track>) -> Self {
        self.tracks = tracks;
        self.are_tracks_given = true;
        self
    }

    /// Sets how much shorter the audio of a codec may be than stated, in seconds.
    pub fn with_tolerance(mut self, seconds: impl Fn(AudioCodecId) -> f64) -> Self {
        for track in &mut self.tracks {
            let codec = track.params.codec;
            if let Some(length) = &mut track.length {
                length.tolerance = seconds(codec);
            }
        }
        self
    }

    /// Sets the lengths of tracks that are found only by seeking.
    pub fn with_lengths_of(mut self, indexed: &Self) -> Self {
        for track in &mut self.tracks {
            let other = indexed.tracks.iter().find(|other| other.id == track.id);
            track.length = track.length.or(other.and_then(|other| other.length));
        }
        self
    }
}

impl Demuxer for Probed {
    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn next_item(&mut self) -> Result<Option<Item>, MediaError> {
        match self.format.next_packet() {
            Ok(packet) => {
                let is_empty = packet.as_ref().is_some_and(|packet| packet.data.is_empty());
                self.n_empty = if is_empty { self.n_empty + 1 } else { 0 };
                // A damaged caf file gives them for ever.
                let packet = packet.filter(|_| self.n_empty <= MAX_EMPTY);
                Ok(packet.map(Item::Packet))
            }
            // If read forward, some containers end only with the last byte.
            Err(error) if is_incomplete(&error) => {
                self.lacks_end_mark = self.format.format_info().format == FORMAT_ID_OGG;
                Ok(None)
            }
            // Start of the next of several chained streams.
            Err(MediaError::ResetRequired) => {
                if !self.are_tracks_given {
                    self.tracks = tracks(self.format.as_ref());
                }
                Ok(Some(Item::NewTracks))
            }
            Err(error) => Err(error),
        }
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        self.lacks_end_mark.then_some(EarlyEnd::NoEndMark)
    }
}

/// Whether the bytes ended too early.
pub fn is_incomplete(error: &MediaError) -> bool {
    matches!(error, MediaError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof)
}

fn tracks(format: &dyn FormatReader) -> Vec<Track> {
    let of = |track: &formats::Track| {
        let params = track.codec_params.as_ref()?.audio()?.clone();
        let name = codec_name(params.codec);
        let rate = params.sample_rate.unwrap_or_default();
        let mut own = Track::new(track.id, params, name);
        own.time_base = track.time_base;
        own.language = track.language.clone();
        own.is_default = track.flags.contains(formats::TrackFlags::DEFAULT);
        own.length = track
            .num_frames
            .and_then(|frames| Length::of_frames(frames, rate))
            .or_else(|| duration(track));
        Some(own)
    };
    format.tracks().iter().filter_map(of).collect()
}

fn duration(track: &formats::Track) -> Option<Length> {
    /// Audio may end this much before a length that is rounded, in seconds.
    const SHORTFALL: f64 = 0.2;
    let duration = track.time_base?.calc_duration(track.duration?)?;
    let seconds = duration.as_secs_f64();
    (seconds > 0.0).then_some(Length {
        seconds,
        tolerance: SHORTFALL,
    })
}
