//! Tracks with sound, and which of them is transcribed.

use std::fmt;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::units::TimeBase;

/// What to read of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputOptions {
    /// Number of the track among those with sound, from 1; the default track if `None`.
    pub track: Option<usize>,
}

/// Track with sound.
#[derive(Clone, Default)]
pub struct Track {
    /// Number of its packets in the container.
    pub id: u32,
    /// What its decoder needs to know.
    pub params: AudioCodecParameters,
    /// Name of its codec, for people.
    pub codec: String,
    /// Unit of its timestamps.
    pub time_base: Option<TimeBase>,
    /// Length stated for it.
    pub length: Option<Length>,
    /// Whether the container marks it as one to play by default.
    pub is_default: bool,
    /// Language, as the container has it.
    pub language: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Timestamp of the recording's start, in seconds; `None` if it is that of the first packet.
    pub origin: Option<f64>,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// Factor of its samples.
    pub gain: f32,
}

/// Length that a container states.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Length in seconds.
    pub seconds: f64,
    /// How much shorter the audio may be before it counts as truncated, in seconds.
    pub tolerance: f64,
}

impl Length {
    /// Length of `frames` at `rate` Hz; `None` if there is no rate.
    pub fn of_frames(frames: u64, rate: u32) -> Option<Self> {
        /// Audio may end this much before a length in frames, in seconds.
        const SHORTFALL: f64 = 0.05;
        (rate > 0).then(|| Self {
            seconds: frames as f64 / f64::from(rate),
            tolerance: SHORTFALL,
        })
    }

    /// Length that is only an estimate.
    pub fn estimated(seconds: f64) -> Self {
        Self {
            seconds,
            tolerance: f64::INFINITY,
        }
    }
}

impl Track {
    /// Creates a track whose decoder needs to know `params`.
    pub fn new(id: u32, params: AudioCodecParameters, codec: impl Into<String>) -> Self {
        let time_base = params.sample_rate.and_then(TimeBase::try_from_recip);
        Self {
            id,
            params,
            codec: codec.into(),
            time_base,
            gain: 1.0,
            ..Self::default()
        }
    }

    fn channels(&self) -> usize {
        self.params.channels.as_ref().map_or(0, |c| c.count())
    }
}

/// What people see of a track: `2 (deu, AAC, 6 channels, "Kommentar")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackLabel {
    /// Number among the tracks with sound, from 1.
    pub number: usize,
    /// Language, if it is known.
    pub language: Option<String>,
    /// Name of the codec.
    pub codec: String,
    /// Number of channels; 0 if it is not known.
    pub channels: usize,
    /// Sample rate in Hz; 0 if it is not known.
    pub rate: u32,
    /// Title, if it has one.
    pub title: Option<String>,
    /// Whether it is the one that is transcribed unless another is asked for.
    pub is_default: bool,
}

impl fmt::Display for TrackLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.number)?;
        if let Some(language) = &self.language {
            write!(f, "{language}, ")?;
        }
        f.write_str(&self.codec)?;
        match self.channels {
            0 => {}
            1 => f.write_str(", 1 channel")?,
            n => write!(f, ", {n} channels")?,
        }
        if let Some(title) = &self.title {
            write!(f, ", {title:?}")?;
        }
        f.write_str(")")
    }
}

/// Returns the labels of the tracks.
pub fn labels(tracks: &[Track]) -> Vec<TrackLabel> {
    let default = default_track(tracks);
    let label = |(i, track): (usize, &Track)| TrackLabel {
        number: i + 1,
        language: track.language.clone(),
        codec: track.codec.clone(),
        channels: track.channels(),
        rate: track.params.sample_rate.unwrap_or_default(),
        title: track.title.clone(),
        is_default: default == Some(i),
    };
    tracks.iter().enumerate().map(label).collect()
}

/// Returns the index of the track that is taken unless another is asked for: one that the container
/// marks as default before others, then the one with most channels, then the first. ffmpeg and
/// players choose so.
pub fn default_track(tracks: &[Track]) -> Option<usize> {
    let rank = |(i, track): (usize, &Track)| (track.is_default, track.channels(), usize::MAX - i);
    tracks
        .iter()
        .enumerate()
        .max_by_key(|track| rank(*track))
        .map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::Channels;

    use super::*;

    fn track(is_default: bool, channels: u16) -> Track {
        let mut params = AudioCodecParameters::new();
        params.with_channels(Channels::Discrete(channels));
        Track {
            is_default,
            ..Track::new(1, params, "AAC")
        }
    }

    #[test]
    fn the_default_track_is_taken_then_the_one_with_most_channels_then_the_first() {
        let of = |tracks: &[(bool, u16)]| {
            let tracks: Vec<Track> = tracks.iter().map(|t| track(t.0, t.1)).collect();
            default_track(&tracks)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(false, 2), (true, 1), (true, 1)]), Some(1));
        assert_eq!(of(&[(true, 2), (true, 6)]), Some(1));
        assert_eq!(of(&[(false, 2), (false, 2)]), Some(0));
    }

    #[test]
    fn a_label_says_what_is_known() {
        let mut track = track(true, 6);
        assert_eq!(
            labels(&[track.clone()])[0].to_string(),
            "1 (AAC, 6 channels)"
        );
        track.language = Some("deu".into());
        track.title = Some("Ton \u{1b}[1m".into());
        let label = labels(&[track])[0].to_string();
        assert_eq!(label, "1 (deu, AAC, 6 channels, \"Ton \\u{1b}[1m\")");
    }
}
