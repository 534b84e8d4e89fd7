//! The format description of wav files (`WAVEFORMATEX`), which w64 and mkv use, too.
//!
//! In: its bytes. Out: the codec and the sizes of its blocks.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, CODEC_ID_NULL_AUDIO};

use super::pcm::{self, Layout, PACKET_FRAMES};

/// Channels that a recording may have.
const MAX_CHANNELS: u16 = 256;

/// Format of the audio in a wav file.
pub struct WaveFormat {
    /// What its decoder needs to know; the codec is null if there is no decoder.
    pub params: AudioCodecParameters,
    /// Name of the codec.
    pub codec: String,
    /// How samples are stored.
    pub layout: Layout,
    /// Whether the data are MPEG audio, with headers of its own.
    pub is_mpeg_audio: bool,
    /// Whether the samples are 32 bits wide of which at most 24 are used.
    pub is_padded: bool,
}

impl WaveFormat {
    /// Reads the description; `None` if it is too short or states no channels or rate.
    pub fn parse(bytes: &[u8], big_endian: bool) -> Option<Self> {
        let field = |at: usize| -> Option<u16> {
            let two = *bytes.get(at..)?.first_chunk::<2>()?;
            Some(if big_endian {
                u16::from_be_bytes(two)
            } else {
                u16::from_le_bytes(two)
            })
        };
        let four = *bytes.get(4..)?.first_chunk::<4>()?;
        let rate = if big_endian {
            u32::from_be_bytes(four)
        } else {
            u32::from_le_bytes(four)
        };
        let channels = field(2)?;
        let align = usize::from(field(12)?);
        let bits = field(14).unwrap_or(8);
        if rate == 0 || channels == 0 || channels > MAX_CHANNELS {
            return None;
        }
        let mut tag = field(0)?;
        let mut valid_bits = bits;
        if tag == 0xfffe {
            // Extensible: the format is the start of a GUID.
            valid_bits = field(18).filter(|valid| *valid > 0).unwrap_or(bits);
            tag = field(24)?;
        }
        let mut params = AudioCodecParameters::new();
        params
            .with_sample_rate(rate)
            .with_channels(Channels::Discrete(channels));
        let mut format = Self {
            params,
            codec: String::new(),
            layout: Layout {
                rate,
                block_len: align.max(1),
                block_frames: 1,
            },
            is_mpeg_audio: matches!(tag, 0x50 | 0x55),
            is_padded: false,
        };
        let n = usize::from(channels);
        match tag {
            1 | 3 => format.set_pcm(tag == 3, bits, n, big_endian),
            6 => format.set_bytes("A-law PCM", CODEC_ID_PCM_ALAW, n),
            7 => format.set_bytes("µ-law PCM", CODEC_ID_PCM_MULAW, n),
            2 => {
                let frames = align.checked_sub(7 * n)? * 2 / n + 2;
                format.set_adpcm("Microsoft ADPCM", CODEC_ID_ADPCM_MS, field(18), frames);
            }
            0x11 => {
                let frames = align.checked_sub(4 * n)? * 2 / n + 1;
                format.set_adpcm("IMA ADPCM", CODEC_ID_ADPCM_IMA_WAV, field(18), frames);
            }
            _ => {
                format.codec = tag_name(tag);
                format.params.for_codec(CODEC_ID_NULL_AUDIO);
            }
        }
        format.is_padded = format.params.codec == CODEC_ID_PCM_S32LE && bits.min(valid_bits) <= 24;
        Some(format)
    }

    fn set_pcm(&mut self, is_float: bool, bits: u16, channels: usize, big_endian: bool) {
        let stated = usize::from(bits).div_ceil(8);
        // A sample may be kept in more bytes than it has; the size of a frame tells.
        let aligned = self.layout.block_len / channels;
        let is_wider =
            self.layout.block_len.is_multiple_of(channels) && (stated..=4).contains(&aligned);
        let width = if is_wider { aligned } else { stated };
        let codec = match (is_float, width) {
            (false, 1) => CODEC_ID_PCM_U8,
            _ => pcm::codec(is_float, width, big_endian).unwrap_or(CODEC_ID_NULL_AUDIO),
        };
        self.codec = format!("{bits}-bit {}", if is_float { "float PCM" } else { "PCM" });
        self.params.for_codec(codec);
        self.layout.block_len = width.max(1) * channels;
    }

    /// Sets a codec with one byte for each sample.
    fn set_bytes(&mut self, name: &str, codec: AudioCodecId, channels: usize) {
        self.codec = name.into();
        self.params.for_codec(codec);
        self.layout.block_len = channels;
    }

    fn set_adpcm(&mut self, name: &str, codec: AudioCodecId, stated: Option<u16>, fits: usize) {
        let frames = stated.map(usize::from).filter(|n| (2..=fits).contains(n));
        self.layout.block_frames = frames.unwrap_or(fits) as u64;
        self.codec = name.into();
        self.params
            .for_codec(codec)
            .with_frames_per_block(self.layout.block_frames)
            .with_max_frames_per_packet(PACKET_FRAMES + self.layout.block_frames);
    }
}

/// Returns the name of a codec by its registered number.
fn tag_name(tag: u16) -> String {
    match tag {
        0x20 => "Yamaha ADPCM".into(),
        0x22 => "TrueSpeech".into(),
        0x31 | 0x32 => "GSM 6.10".into(),
        0x38 | 0x57 => "AMR".into(),
        0x58 => "AMR-WB".into(),
        0x40 | 0x45 | 0x64 => "G.726".into(),
        0x42 => "G.723.1".into(),
        0x50 => "MPEG audio layer 2 (mp2)".into(),
        0x55 => "mp3".into(),
        0x65 | 0x28f => "G.722".into(),
        0x83 => "G.729".into(),
        0xff | 0x1600 | 0x1602 | 0x1610 | 0xa106 => "AAC".into(),
        0x160..=0x163 => "Windows Media Audio".into(),
        0x270 => "ATRAC3".into(),
        0x2000 => "AC-3".into(),
        0x2001 => "DTS".into(),
        0x704f => "Opus".into(),
        0xa109 => "Speex".into(),
        0xf1ac => "FLAC".into(),
        other => format!("number {other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(tag: u16, bits: u16, channels: u16, align: u16) -> Option<WaveFormat> {
        let fields = [tag, channels, 16_000, 0, 0, 0, align, bits];
        let bytes: Vec<u8> = fields.iter().flat_map(|x| x.to_le_bytes()).collect();
        WaveFormat::parse(&bytes, false)
    }

    #[test]
    fn the_width_of_a_sample_is_that_of_a_frame() {
        let width = |bits, align| format(1, bits, 2, align).expect("valid").layout.block_len / 2;
        assert_eq!(width(24, 6), 3);
        assert_eq!(width(24, 8), 4);
        assert_eq!(width(12, 4), 2);
        // A frame that is too small, or missing, says nothing.
        assert_eq!(width(16, 2), 2);
        assert_eq!(width(16, 0), 2);
        assert!(format(1, 24, 2, 8).expect("valid").is_padded);
        assert!(!format(1, 32, 2, 8).expect("valid").is_padded);
    }

    #[test]
    fn unknown_codecs_are_named_and_nonsense_is_refused() {
        assert_eq!(format(0x31, 0, 1, 65).expect("valid").codec, "GSM 6.10");
        assert!(format(1, 16, 0, 2).is_none());
        assert!(format(2, 4, 2, 3).is_none());
        assert!(WaveFormat::parse(&[1, 0, 1], false).is_none());
    }
}
