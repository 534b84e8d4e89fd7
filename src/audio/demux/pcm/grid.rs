//! Where in a row of bytes samples begin.
//!
//! Bytes that are missing or were inserted shift all samples after them, which then sound like loud
//! white noise. Neighbouring samples of sound are alike, those of noise are not: that tells where
//! samples begin. Blocks of ADPCM have headers, which tell it, too.

use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32BE,
    CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE, CODEC_ID_PCM_S24LE,
    CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

/// Frames that are judged together.
const PIECE: usize = 256;
/// Mean difference of neighbouring samples, of full scale ±1, from which a piece is suspicious.
/// Loud speech has 0.1; random numbers have 0.67.
const SUSPICIOUS: f64 = 0.3;
/// Mean difference from which a piece is no sound, wherever its samples begin.
const NOISE: f64 = 0.55;
/// Factor by which another beginning must be smoother.
const SMOOTHER: f64 = 4.0;
/// Smallest step of Microsoft's ADPCM.
const MIN_STEP: i16 = 16;
/// Mean difference of what is taken for samples after damage.
const SMOOTH: f64 = 0.15;
/// Largest value of floating-point samples, and difference to what is no number.
const MOST: f32 = 4.0;
/// Pieces tried in each piece's length while searching.
const STEPS: usize = 4;

/// Shape of samples in a row.
pub enum Grid {
    /// Numbers of this codec and width in bytes, of this many channels.
    Numbers {
        codec: AudioCodecId,
        width: usize,
        frame_len: usize,
    },
    /// One byte for a sample, of which 0 is loud.
    LoudZero,
    /// Blocks of ADPCM of this length with headers.
    Blocks {
        is_ima: bool,
        channels: usize,
        len: usize,
    },
}

impl Grid {
    /// Returns the shape of frames or blocks of `block_len` bytes; `None` if they have none.
    pub fn new(params: &AudioCodecParameters, block_len: usize) -> Option<Self> {
        let channels = params.channels.as_ref().map_or(1, |c| c.count()).max(1);
        let codec = params.codec;
        match codec {
            CODEC_ID_PCM_U8 | CODEC_ID_PCM_ALAW | CODEC_ID_PCM_MULAW => Some(Self::LoudZero),
            CODEC_ID_ADPCM_IMA_WAV | CODEC_ID_ADPCM_MS => Some(Self::Blocks {
                is_ima: codec == CODEC_ID_ADPCM_IMA_WAV,
                channels,
                len: block_len,
            }),
            _ => {
                let width = width(codec)?;
                (width * channels == block_len).then_some(Self::Numbers {
                    codec,
                    width,
                    frame_len: block_len,
                })
            }
        }
    }

    /// Returns the number of bytes at the start of `bytes` that are samples; all of them if nothing
    /// speaks against it.
    pub fn fitting(&self, bytes: &[u8]) -> usize {
        let len = self.piece_len();
        let fits = |at: &usize| self.fits(bytes.get(*at..).unwrap_or_default());
        let pieces = (0..bytes.len() / len).map(|i| i * len);
        pieces
            .into_iter()
            .find(|at| !fits(at))
            .unwrap_or(bytes.len())
    }

    /// Returns where after damage at the start of `bytes` samples begin.
    pub fn search(&self, bytes: &[u8]) -> Option<usize> {
        let len = self.piece_len();
        match *self {
            Self::Numbers { frame_len, .. } => {
                let step = len / STEPS / frame_len * frame_len;
                let places = (0..bytes.len().saturating_sub(2 * len)).step_by(step.max(1));
                places.into_iter().find_map(|at| {
                    let rough = |at: usize| self.roughness(bytes.get(at..).unwrap_or_default());
                    let best = (at..at + frame_len)
                        .map(|at| (at, rough(at)))
                        .min_by(|a, b| a.1.total_cmp(&b.1))?;
                    let goes_on = rough(best.0 + len) < SUSPICIOUS;
                    (best.1 < SMOOTH && goes_on).then_some(best.0)
                })
            }
            Self::LoudZero => bytes.iter().position(|x| *x != 0),
            Self::Blocks { .. } => {
                /// Blocks that must follow each other.
                const BLOCKS: usize = 6;
                let is_block = |at: usize| {
                    let rest = bytes.get(at..).unwrap_or_default();
                    rest.is_empty() || self.fits(rest)
                };
                (1..bytes.len().saturating_sub(len))
                    .find(|at| (0..BLOCKS).all(|i| is_block((at + i * len).min(bytes.len()))))
            }
        }
    }

    fn piece_len(&self) -> usize {
        match *self {
            Self::Numbers { frame_len, .. } => PIECE * frame_len,
            Self::LoudZero => PIECE,
            Self::Blocks { len, .. } => len.max(1),
        }
    }

    /// Whether the piece at the start of `bytes` consists of samples.
    fn fits(&self, bytes: &[u8]) -> bool {
        let len = self.piece_len();
        match *self {
            Self::Numbers {
                codec, frame_len, ..
            } => {
                let rough = self.roughness(bytes);
                if rough < SUSPICIOUS || bytes.len() < len + frame_len {
                    return true;
                }
                // Numbers of another scale than ±1 are as rough as noise.
                let is_noise = rough > NOISE && !is_float(codec);
                let others = (1..frame_len).map(|at| bytes.get(at..).unwrap_or_default());
                let smoothest = others
                    .map(|rest| self.roughness(rest))
                    .fold(f64::INFINITY, f64::min);
                !is_noise && smoothest * SMOOTHER > rough
            }
            Self::LoudZero => bytes.iter().take(len).any(|x| *x != 0),
            Self::Blocks {
                is_ima, channels, ..
            } => {
                if is_ima {
                    let header = bytes.get(..channels * 4).unwrap_or_default();
                    let mut parts = header.chunks_exact(4);
                    return parts.all(|part| matches!(part, [_, _, 0..=88, 0]));
                }
                // Indices of predictors, then steps.
                let (indices, rest) = bytes.split_at(channels.min(bytes.len()));
                let mut steps = rest.as_chunks::<2>().0.iter().take(channels);
                indices.iter().all(|x| *x <= 6) && steps.all(|x| i16::from_le_bytes(*x) >= MIN_STEP)
            }
        }
    }

    /// Mean difference of neighbouring samples in the piece at the start of `bytes`; 0 if it is not
    /// there as a whole.
    fn roughness(&self, bytes: &[u8]) -> f64 {
        let Self::Numbers {
            codec,
            width,
            frame_len,
        } = *self
        else {
            return 0.0;
        };
        let Some(piece) = bytes.get(..PIECE * frame_len) else {
            return 0.0;
        };
        let samples = piece.chunks_exact(width).map(|x| value(codec, x));
        let later = piece
            .get(frame_len..)
            .unwrap_or_default()
            .chunks_exact(width)
            .map(|x| value(codec, x));
        // What is no number differs from all.
        let difference = |(a, b): (f32, f32)| {
            if (a - b).is_nan() {
                MOST
            } else {
                (a - b).abs()
            }
        };
        let sum: f32 = samples.zip(later).map(difference).sum();
        f64::from(sum) / ((PIECE - 1) * frame_len / width) as f64
    }
}

/// Bytes of a sample; `None` if its codec is not one of numbers wider than a byte.
fn width(codec: AudioCodecId) -> Option<usize> {
    match codec {
        CODEC_ID_PCM_S16LE | CODEC_ID_PCM_S16BE => Some(2),
        CODEC_ID_PCM_S24LE | CODEC_ID_PCM_S24BE => Some(3),
        CODEC_ID_PCM_S32LE | CODEC_ID_PCM_S32BE | CODEC_ID_PCM_F32LE | CODEC_ID_PCM_F32BE => {
            Some(4)
        }
        CODEC_ID_PCM_F64LE | CODEC_ID_PCM_F64BE => Some(8),
        _ => None,
    }
}

fn is_float(codec: AudioCodecId) -> bool {
    [
        CODEC_ID_PCM_F32LE,
        CODEC_ID_PCM_F32BE,
        CODEC_ID_PCM_F64LE,
        CODEC_ID_PCM_F64BE,
    ]
    .contains(&codec)
}

/// Value of a sample at full scale ±1, as exact as is needed here. It is no number (NaN) also if it
/// is so small that no program writes it.
fn value(codec: AudioCodecId, bytes: &[u8]) -> f32 {
    /// Smallest floating-point number but for zero.
    const LEAST: f32 = 1e-37;
    let clamp = |x: f32| {
        if x != 0.0 && x.abs() < LEAST {
            f32::NAN
        } else {
            x.clamp(-MOST, MOST)
        }
    };
    let int = |high: u8, low: u8| f32::from(i16::from_be_bytes([high, low])) / 32_768.0;
    match (codec, bytes) {
        (CODEC_ID_PCM_F32LE, &[a, b, c, d]) => clamp(f32::from_le_bytes([a, b, c, d])),
        (CODEC_ID_PCM_F32BE, &[a, b, c, d]) => clamp(f32::from_be_bytes([a, b, c, d])),
        (CODEC_ID_PCM_F64LE, &[a, b, c, d, e, f, g, h]) => {
            clamp(f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32)
        }
        (CODEC_ID_PCM_F64BE, &[a, b, c, d, e, f, g, h]) => {
            clamp(f64::from_be_bytes([a, b, c, d, e, f, g, h]) as f32)
        }
        (CODEC_ID_PCM_S16LE | CODEC_ID_PCM_S24LE | CODEC_ID_PCM_S32LE, &[.., low, high]) => {
            int(high, low)
        }
        (_, &[high, low, ..]) => int(high, low),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::Channels;

    use super::*;
    use crate::audio::sample;

    fn grid(codec: AudioCodecId, channels: u16, block_len: usize) -> Grid {
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_channels(Channels::Discrete(channels));
        Grid::new(&params, block_len).expect("a shape")
    }

    /// A second of the shared recording in which someone speaks, as bytes.
    fn speech(bytes: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
        let samples = sample();
        samples[8_000..24_000]
            .iter()
            .flat_map(|x| bytes(*x))
            .collect()
    }

    #[test]
    fn samples_are_found_again_after_bytes_that_are_missing_or_were_inserted() {
        let s16 = speech(|x| ((x * 32_768.0) as i16).to_le_bytes().into());
        let s24 = speech(|x| ((x * 8_388_608.0) as i32).to_be_bytes()[1..].into());
        // Of numbers that were integers, the last byte is zero.
        let f32s = speech(|x| ((x * 32_768.0).round() / 32_768.0).to_be_bytes().into());
        for (codec, width, bytes) in [
            (CODEC_ID_PCM_S16LE, 2, s16),
            (CODEC_ID_PCM_S24BE, 3, s24),
            (CODEC_ID_PCM_F32BE, 4, f32s),
        ] {
            let grid = grid(codec, 1, width);
            assert_eq!(grid.fitting(&bytes), bytes.len());
            for shift in 1..width {
                let fits = grid.fitting(&bytes[shift..]);
                assert!(
                    fits < bytes.len() - shift,
                    "{width} bytes, shifted by {shift}"
                );
                let at = grid.search(&bytes[shift + fits..]).expect("samples");
                assert_eq!((shift + fits + at) % width, 0);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_samples_are_skipped() {
        let grid = grid(CODEC_ID_PCM_S16LE, 1, 2);
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..9_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let sound = speech(|x| ((x * 32_768.0) as i16).to_le_bytes().into());
        let bytes = [noise.as_slice(), &sound].concat();
        assert_eq!(grid.fitting(&bytes), 0);
        let at = grid.search(&bytes).expect("samples");
        assert!(
            (8_500..=9_600).contains(&at) && at.is_multiple_of(2),
            "{at}"
        );
        assert_eq!(grid.search(&noise), None);
    }

    #[test]
    fn zeros_are_no_samples_if_they_are_loud() {
        let grid = grid(CODEC_ID_PCM_MULAW, 1, 1);
        let bytes = [[0xff; 512], [0; 512], [0x7f; 512]].concat();
        assert_eq!(grid.fitting(&bytes), 512);
        assert_eq!(grid.search(&bytes[512..]), Some(512));
    }

    #[test]
    fn blocks_are_found_by_their_headers() {
        let grid = grid(CODEC_ID_ADPCM_IMA_WAV, 1, 36);
        let block: Vec<u8> = [1, 2, 88, 0].into_iter().chain([0xa5; 32]).collect();
        let mut bytes = block.repeat(6);
        bytes.insert(50, 0xa5);
        assert_eq!(grid.fitting(&bytes), 72);
        assert_eq!(grid.search(&bytes[72..]), Some(1));
    }
}
