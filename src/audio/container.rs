//! Detects the format of a byte stream and its stated length.

use std::io;

use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE};
use symphonia::core::errors::Error as MediaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_MP3, FORMAT_ID_WAVE};
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::AudioError;
use super::source::Bytes;

/// Audio may end this much before its stated length, in seconds, if that is in frames.
const SHORTFALL_EXACT: f64 = 0.05;
/// The same, if the stated length is rounded.
const SHORTFALL_ROUGH: f64 = 0.2;
/// Programs that write to a pipe put a length near 2 or 4 GiB into the wav header, since they do
/// not know it.
const WAV_LENGTH_UNKNOWN: u64 = 0x7fff_0000;

/// A recognised container, at its first packet.
pub struct Container {
    /// The demuxer.
    pub format: Box<dyn FormatReader>,
    /// Length of its audio.
    pub length: Option<Length>,
}

/// Length stated by a container.
#[derive(Clone, Copy)]
pub struct Length {
    /// Length in seconds.
    pub seconds: f64,
    /// How much shorter the audio may be before it counts as truncated, in seconds.
    pub tolerance: f64,
}

impl Container {
    /// Recognises the bytes called `name`. They are read forward from their start if possible.
    pub fn open(bytes: Bytes, name: &str) -> Result<Self, AudioError> {
        let io_error = |e| AudioError::from_io(name, e);
        let indexed = match bytes.seekable() {
            Some(source) => probe(source.map_err(io_error)?).ok(),
            None => None,
        };
        let indexed_length = indexed.as_deref().and_then(stated_length);
        let format = match probe(bytes.forward().map_err(io_error)?) {
            Ok(format) => format,
            Err(error) => indexed.ok_or_else(|| probe_error(name, error))?,
        };
        let length = stated_length(format.as_ref()).or(indexed_length);
        Ok(Self { format, length })
    }
}

fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, MediaError> {
    let stream = MediaSourceStream::new(source, Default::default());
    let format = FormatOptions::default();
    let meta = MetadataOptions::default();
    symphonia::default::get_probe().probe(&Hint::new(), stream, format, meta)
}

fn probe_error(name: &str, error: MediaError) -> AudioError {
    let name = name.to_owned();
    match error {
        MediaError::IoError(e) if e.kind() != io::ErrorKind::UnexpectedEof => {
            AudioError::from_io(&name, e)
        }
        MediaError::DecodeError(reason) | MediaError::LimitError(reason) => AudioError::Damaged {
            name,
            seconds: 0.0,
            reason: reason.into(),
        },
        _ => AudioError::NotAudio { name },
    }
}

fn stated_length(format: &dyn FormatReader) -> Option<Length> {
    let track = format.default_track(TrackType::Audio)?;
    let params = track.codec_params.as_ref()?.audio()?;
    let (Some(frames), Some(rate)) = (track.num_frames, params.sample_rate.filter(|&r| r > 0))
    else {
        let info = format.media_info();
        let seconds = info.time_base?.calc_duration(info.duration?)?.as_secs_f64();
        return Some(Length {
            seconds,
            tolerance: SHORTFALL_ROUGH,
        });
    };
    let id = format.format_info().format;
    if id == FORMAT_ID_WAVE && wav_bytes(frames, params) >= WAV_LENGTH_UNKNOWN {
        return None;
    }
    // Without a header that counts frames, symphonia estimates the length from the first frames and
    // the size of the file.
    let guessed = id == FORMAT_ID_ADTS || (id == FORMAT_ID_MP3 && track.delay.is_none());
    let tolerance = if guessed {
        f64::INFINITY
    } else {
        SHORTFALL_EXACT
    };
    Some(Length {
        seconds: frames as f64 / f64::from(rate),
        tolerance,
    })
}

/// Number of bytes of audio stated by a wav header.
fn wav_bytes(frames: u64, params: &AudioCodecParameters) -> u64 {
    let channels = params.channels.as_ref().map_or(1, |c| c.count()) as u64;
    let bits = match params.codec {
        CODEC_ID_PCM_F32LE => 32,
        CODEC_ID_PCM_F64LE => 64,
        _ => u64::from(params.bits_per_sample.unwrap_or(8)),
    };
    frames.saturating_mul(channels * bits / 8)
}
