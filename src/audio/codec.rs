//! The decoder of a track: symphonia's, or [`OpusTrack`] for Opus.

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_AC3, CODEC_ID_AC4, CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ALAC, CODEC_ID_DCA,
    CODEC_ID_EAC3, CODEC_ID_FLAC, CODEC_ID_MONKEYS_AUDIO, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3,
    CODEC_ID_MUSEPACK, CODEC_ID_OPUS, CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE,
    CODEC_ID_PCM_F64LE, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE, CODEC_ID_SPEEX, CODEC_ID_TTA,
    CODEC_ID_VORBIS, CODEC_ID_WAVPACK, CODEC_ID_WMA,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions, CODEC_ID_NULL_AUDIO,
};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::aac;
use super::opus::{OPUS_RATE, OpusTrack};
use super::track::Track;

/// A track and its decoder.
pub struct Decoder {
    /// The track.
    pub track: Track,
    codec: Codec,
    /// Layer of MPEG audio that `codec` decodes.
    layer: AudioCodecId,
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

impl Decoder {
    /// Creates the decoder of a track; `None` if there is none for its codec.
    pub fn new(track: &Track) -> Option<Self> {
        Some(Self {
            codec: Codec::new(&track.params)?,
            layer: track.params.codec,
            track: track.clone(),
        })
    }

    /// Whether its samples are stored as floating-point numbers, whose scale may be any.
    pub fn is_float(&self) -> bool {
        matches!(
            self.track.params.codec,
            CODEC_ID_PCM_F32LE | CODEC_ID_PCM_F32BE | CODEC_ID_PCM_F64LE | CODEC_ID_PCM_F64BE
        )
    }

    /// Whether its samples are stored as they are, in at least 16 bits.
    pub fn is_linear(&self) -> bool {
        const LINEAR: [AudioCodecId; 10] = [
            CODEC_ID_PCM_S16LE,
            CODEC_ID_PCM_S16BE,
            CODEC_ID_PCM_S24LE,
            CODEC_ID_PCM_S24BE,
            CODEC_ID_PCM_S32LE,
            CODEC_ID_PCM_S32BE,
            CODEC_ID_PCM_F32LE,
            CODEC_ID_PCM_F32BE,
            CODEC_ID_PCM_F64LE,
            CODEC_ID_PCM_F64BE,
        ];
        LINEAR.contains(&self.track.params.codec)
    }

    /// Decodes a packet into `samples` (interleaved), replacing their contents.
    pub fn decode(&mut self, packet: &Packet, samples: &mut Vec<f32>) -> Decoded {
        samples.clear();
        if self.is_overwritten(&packet.data) {
            return Decoded::Damaged;
        }
        self.follow_layer(&packet.data);
        let decoded = match &mut self.codec {
            Codec::Opus(opus) => {
                let channels = opus.channels();
                let valid = valid_frames(packet, self.track.time_base);
                let Some(decoded) = opus.decode(&packet.data, valid) else {
                    return Decoded::Damaged;
                };
                samples.extend_from_slice(decoded);
                Decoded::Samples {
                    rate: OPUS_RATE,
                    channels,
                }
            }
            Codec::Symphonia(decoder) => match decoder.decode(packet) {
                Ok(decoded) => {
                    decoded.copy_to_vec_interleaved(samples);
                    let spec = decoded.spec();
                    Decoded::Samples {
                        rate: spec.rate(),
                        channels: spec.channels().count(),
                    }
                }
                // Damage may look like a feature that is not supported.
                Err(_) => Decoded::Damaged,
            },
        };
        if self.track.gain != 1.0 {
            samples.iter_mut().for_each(|x| *x *= self.track.gain);
        }
        decoded
    }

    /// Whether a packet consists of zeros, which these codecs never give, but decode to some sound.
    fn is_overwritten(&self, packet: &[u8]) -> bool {
        /// Zeros at the start from which no sound follows.
        const ZEROS: usize = 16;
        let codecs = [CODEC_ID_AAC, CODEC_ID_OPUS, CODEC_ID_VORBIS];
        let starts_with_zeros = packet.first_chunk() == Some(&[0; ZEROS]);
        starts_with_zeros && codecs.contains(&self.track.params.codec)
    }

    /// Changes the decoder if a frame of MPEG audio is of another layer than stated: mp4 does not
    /// state it.
    fn follow_layer(&mut self, frame: &[u8]) {
        let is_mpeg = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3].contains(&self.layer);
        let &[0xff, second, ..] = frame else {
            return;
        };
        let layer = match second >> 1 & 3 {
            1 => CODEC_ID_MP3,
            2 => CODEC_ID_MP2,
            3 => CODEC_ID_MP1,
            _ => return,
        };
        if !is_mpeg || layer == self.layer {
            return;
        }
        let mut params = self.track.params.clone();
        params.for_codec(layer);
        if let Some(codec) = Codec::new(&params) {
            self.codec = codec;
            self.layer = layer;
        }
    }
}

impl Codec {
    fn new(params: &AudioCodecParameters) -> Option<Self> {
        if params.codec == CODEC_ID_OPUS {
            return OpusTrack::new(params).map(|opus| Self::Opus(Box::new(opus)));
        }
        let codecs = symphonia::default::get_codecs();
        let make = |params: &AudioCodecParameters| {
            let decoder = codecs.make_audio_decoder(params, &AudioDecoderOptions::default());
            decoder.ok().map(Self::Symphonia)
        };
        match &params.extra_data {
            Some(config) if params.codec == CODEC_ID_AAC => {
                let mut core = params.clone();
                core.with_extra_data(aac::core_config(config)?.into());
                make(&core)
            }
            _ => make(params),
        }
    }
}

/// Name of a codec, for people.
pub fn codec_name(id: AudioCodecId) -> String {
    match id {
        CODEC_ID_NULL_AUDIO => "unknown".into(),
        CODEC_ID_AAC => "AAC".into(),
        CODEC_ID_ALAC => "ALAC".into(),
        CODEC_ID_FLAC => "FLAC".into(),
        CODEC_ID_OPUS => "Opus".into(),
        CODEC_ID_VORBIS => "Vorbis".into(),
        CODEC_ID_ADPCM_IMA_QT => "IMA ADPCM".into(),
        CODEC_ID_MP1 => "mp1".into(),
        CODEC_ID_MP2 => "mp2".into(),
        CODEC_ID_MP3 => "mp3".into(),
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
        // The numbers of all kinds of PCM are below those of other codecs.
        other if other < CODEC_ID_VORBIS => "PCM".into(),
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
    fn codecs_are_named() {
        assert_eq!(codec_name(CODEC_ID_MP2), "mp2");
        assert_eq!(codec_name(CODEC_ID_PCM_S24BE), "PCM");
        assert_eq!(codec_name(CODEC_ID_NULL_AUDIO), "unknown");
    }
}
