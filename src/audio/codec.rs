//! The audio track of a container and its decoder: symphonia's, or [`OpusTrack`] for Opus.

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AC3, CODEC_ID_AC4, CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_MONKEYS_AUDIO, CODEC_ID_MP1,
    CODEC_ID_MP2, CODEC_ID_MUSEPACK, CODEC_ID_OPUS, CODEC_ID_SPEEX, CODEC_ID_TTA, CODEC_ID_WAVPACK,
    CODEC_ID_WMA,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions, CODEC_ID_NULL_AUDIO,
};
use symphonia::core::errors::Error as MediaError;
use symphonia::core::formats::{Track, TrackFlags, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::AudioError;
use super::opus::{OPUS_RATE, OpusTrack};

/// The selected track.
pub struct AudioTrack {
    /// Number in the container.
    pub id: u32,
    /// Unit of its timestamps.
    pub time_base: Option<TimeBase>,
    codec: Codec,
}

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusTrack>),
}

/// Result of decoding a packet.
pub enum Decoded {
    /// Samples at this rate in Hz with this number of channels; possibly none.
    Samples { rate: u32, channels: usize },
    /// The packet is damaged; the next one may be good.
    Damaged,
}

impl AudioTrack {
    /// Selects the default audio track if it can be decoded, otherwise the first that can. `name`
    /// is the file's.
    pub fn choose(name: &str, tracks: &[Track]) -> Result<Self, AudioError> {
        let is_audio = |t: &&Track| t.track_type() == Some(TrackType::Audio);
        let mut audio: Vec<&Track> = tracks.iter().filter(is_audio).collect();
        audio.sort_by_key(|t| !t.flags.contains(TrackFlags::DEFAULT));
        for track in &audio {
            if let Some(codec) = audio_params(track).and_then(Codec::new) {
                return Ok(Self {
                    id: track.id,
                    time_base: track.time_base,
                    codec,
                });
            }
        }
        let name = name.to_owned();
        match audio.first().and_then(|t| audio_params(t)) {
            Some(params) => Err(AudioError::UnsupportedCodec {
                name,
                codec: codec_name(params.codec),
            }),
            None => Err(AudioError::NoAudioTrack { name }),
        }
    }

    /// Decodes a packet into `samples` (interleaved), replacing their contents.
    ///
    /// # Errors
    /// Returns an error if the decoder cannot continue.
    pub fn decode(
        &mut self,
        packet: &Packet,
        samples: &mut Vec<f32>,
    ) -> Result<Decoded, MediaError> {
        samples.clear();
        match &mut self.codec {
            Codec::Opus(opus) => {
                let channels = opus.channels();
                let Some(decoded) = opus.decode(&packet.data, valid_frames(packet, self.time_base))
                else {
                    return Ok(Decoded::Damaged);
                };
                samples.extend_from_slice(decoded);
                Ok(Decoded::Samples {
                    rate: OPUS_RATE,
                    channels,
                })
            }
            Codec::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(decoded) => {
                    decoded.copy_to_vec_interleaved(samples);
                    let spec = decoded.spec();
                    Ok(Decoded::Samples {
                        rate: spec.rate(),
                        channels: spec.channels().count(),
                    })
                }
                Err(MediaError::DecodeError(_) | MediaError::IoError(_)) => Ok(Decoded::Damaged),
                Err(error) => Err(error),
            },
        }
    }
}

impl Codec {
    fn new(params: &AudioCodecParameters) -> Option<Self> {
        if params.codec == CODEC_ID_OPUS {
            return OpusTrack::new(params).map(|opus| Self::Opus(Box::new(opus)));
        }
        let codecs = symphonia::default::get_codecs();
        let decoder = codecs.make_audio_decoder(params, &AudioDecoderOptions::default());
        decoder.ok().map(Self::Symphonia)
    }
}

fn audio_params(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref()?.audio()
}

fn codec_name(id: AudioCodecId) -> String {
    match id {
        CODEC_ID_NULL_AUDIO => "unknown".into(),
        CODEC_ID_MP1 => "MPEG audio layer 1 (mp1)".into(),
        CODEC_ID_MP2 => "MPEG audio layer 2 (mp2)".into(),
        CODEC_ID_AC4 => "AC-4".into(),
        CODEC_ID_MUSEPACK => "Musepack".into(),
        CODEC_ID_WAVPACK => "WavPack".into(),
        CODEC_ID_MONKEYS_AUDIO => "Monkey's Audio".into(),
        CODEC_ID_TTA => "True Audio".into(),
        CODEC_ID_AC3 => "AC-3".into(),
        CODEC_ID_EAC3 => "E-AC-3".into(),
        CODEC_ID_DCA => "DTS".into(),
        CODEC_ID_SPEEX => "Speex".into(),
        CODEC_ID_WMA => "Windows Media Audio".into(),
        other => format!("number {other}"),
    }
}

/// Number of frames of an Opus packet that are not padding, if timestamps count frames (ogg and
/// mp4).
fn valid_frames(packet: &Packet, time_base: Option<TimeBase>) -> Option<usize> {
    let in_frames = time_base.is_some_and(|tb| tb.numer.get() == 1 && tb.denom.get() == OPUS_RATE);
    (in_frames && !packet.dur.is_zero()).then(|| packet.dur.get() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_without_a_decoder_are_named() {
        assert_eq!(codec_name(CODEC_ID_MP2), "MPEG audio layer 2 (mp2)");
        assert_eq!(codec_name(CODEC_ID_NULL_AUDIO), "unknown");
    }
}
