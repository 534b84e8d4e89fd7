//! Converts interleaved blocks at any rate to 16 kHz mono.
//!
//! Channels are mixed ([`super::downmix`]), then resampled in the frequency domain. The output does not depend on how
//! the input is cut into blocks. It begins with the input's first sample (the resampler's delay is
//! dropped) and ends with its last.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use super::downmix::Downmix;
use super::{Block, ResampleError, SAMPLE_RATE};

/// Shortest transform block, in frames of the slower side. Its Blackman-Harris² filter passes up to
/// 97 % of the slower side's Nyquist frequency.
const MIN_BLOCK: usize = 512;

/// Converts a stream to 16 kHz mono.
pub struct Resampler {
    rate: u32,
    downmix: Downmix,
    /// `None` if the input is already at 16 kHz.
    fft: Option<Fft<f32>>,
    /// Mono input that does not fill a block yet.
    pending: Vec<f32>,
    /// Output of one block.
    block: Vec<f32>,
    /// Number of frames taken so far.
    n_in: u64,
    /// Number of samples delivered so far.
    n_out: u64,
    /// Samples of the resampler's delay still to be dropped.
    to_drop: usize,
}

impl Resampler {
    /// Creates a converter for input at `rate` Hz with `channels` interleaved channels.
    ///
    /// # Errors
    /// Returns an error if the rate is zero.
    pub fn new(rate: u32, channels: usize) -> Result<Self, ResampleError> {
        let fft = if rate == SAMPLE_RATE {
            None
        } else {
            Some(make_fft(rate)?)
        };
        let to_drop = fft.as_ref().map_or(0, |f| f.output_delay());
        let block = vec![0.0; fft.as_ref().map_or(0, |f| f.output_frames_max())];
        Ok(Self {
            rate,
            downmix: Downmix::new(rate, channels),
            fft,
            pending: Vec::new(),
            block,
            n_in: 0,
            n_out: 0,
            to_drop,
        })
    }

    /// Returns true if a block has the format of this converter.
    pub fn fits(&self, block: Block<'_>) -> bool {
        (self.rate, self.downmix.channels()) == (block.rate, block.channels.max(1))
    }

    /// Takes `samples` (`[frames, channels]`, row-major, whole frames) and appends the samples that
    /// are ready to `out` (16 kHz, mono).
    ///
    /// # Errors
    /// Returns an error if the resampler rejects a block, which is not known to happen.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), ResampleError> {
        self.n_in += (samples.len() / self.downmix.channels()) as u64;
        if self.fft.is_none() {
            self.downmix.push(samples, out);
            return Ok(());
        }
        self.downmix.push(samples, &mut self.pending);
        self.convert_pending(out)
    }

    /// Appends the remaining samples to `out`. The output then has `frames * 16000 / rate` samples,
    /// rounded. Nothing may be pushed afterwards.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(block_len) = self.fft.as_ref().map(|f| f.input_frames_next()) else {
            self.downmix.finish(out);
            return Ok(());
        };
        self.downmix.finish(&mut self.pending);
        let rate = u64::from(self.rate);
        let total = (self.n_in * u64::from(SAMPLE_RATE) + rate / 2) / rate;
        while self.n_out < total {
            // Silence pushes out the last samples.
            let missing = block_len - self.pending.len() % block_len;
            self.pending.resize(self.pending.len() + missing, 0.0);
            self.convert_pending(out)?;
        }
        out.truncate(out.len().saturating_sub((self.n_out - total) as usize));
        self.n_out = total;
        Ok(())
    }

    fn convert_pending(&mut self, out: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(fft) = &mut self.fft else {
            return Ok(());
        };
        let mut used = 0;
        while self.pending.len() - used >= fft.input_frames_next() {
            let available = self.pending.len();
            let input = SequentialSlice::new(&self.pending, 1, available).map_err(block_error)?;
            let capacity = self.block.len();
            let mut output =
                SequentialSlice::new_mut(&mut self.block, 1, capacity).map_err(block_error)?;
            let at = Indexing::new().input_offset(used);
            let (taken, made) = fft
                .process_into_buffer(&input, &mut output, Some(&at))
                .map_err(block_error)?;
            used += taken;
            let dropped = self.to_drop.min(made);
            self.to_drop -= dropped;
            out.extend_from_slice(self.block.get(dropped..made).unwrap_or_default());
            self.n_out += (made - dropped) as u64;
        }
        self.pending.drain(..used);
        Ok(())
    }
}

/// Returns the transform from `rate` Hz to 16 kHz, with blocks of whole frames on both sides.
fn make_fft(rate: u32) -> Result<Fft<f32>, ResampleError> {
    let from = rate as usize;
    let to = SAMPLE_RATE as usize;
    let unit = gcd(from, to);
    let unit_in = from / unit;
    let unit_out = to / unit;
    let mut units = MIN_BLOCK.div_ceil(unit_in.min(unit_out).max(1));
    // The delay is half a block: even blocks make it a whole number of samples.
    units += units * unit_out % 2;
    Fft::new_custom(
        from,
        to,
        units * unit_in,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|source| ResampleError::Rate { rate, source })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn block_error(error: impl std::fmt::Display) -> ResampleError {
    ResampleError::Block(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    fn tone(hz: f64, rate: u32, seconds: f64) -> Vec<f32> {
        let n = (f64::from(rate) * seconds) as usize;
        (0..n)
            .map(|i| (TAU * hz * i as f64 / f64::from(rate)).sin() as f32)
            .collect()
    }

    fn convert(rate: u32, channels: usize, blocks: &[&[f32]]) -> Vec<f32> {
        let mut resampler = Resampler::new(rate, channels).expect("a rate");
        let mut out = Vec::new();
        for block in blocks {
            resampler.push(block, &mut out).expect("a block");
        }
        resampler.finish(&mut out).expect("an end");
        out
    }

    const RATES: [u32; 9] = [
        8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
    ];

    #[test]
    fn a_tone_keeps_amplitude_phase_and_length() {
        for rate in RATES {
            let out = convert(rate, 1, &[&tone(1000.0, rate, 1.5)]);
            assert!(
                out.len().abs_diff(24_000) <= 1,
                "{rate} Hz: {} samples",
                out.len()
            );
            let ideal = tone(1000.0, SAMPLE_RATE, 1.5);
            // The ends ring because the tone begins and stops abruptly.
            let worst = out.iter().zip(&ideal).skip(600).take(22_800);
            let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_removed() {
        for (hz, rate) in [
            (8_300.0, 44_100),
            (9_000.0, 22_050),
            (15_000.0, 48_000),
            (30_000.0, 96_000),
        ] {
            let out = convert(rate, 1, &[&tone(hz, rate, 1.0)]);
            let worst = out
                .iter()
                .skip(1000)
                .take(14_000)
                .fold(0.0f32, |m, x| m.max(x.abs()));
            // -80 dB.
            assert!(worst < 1e-4, "{hz} Hz at {rate} Hz leaves {worst}");
        }
    }

    #[test]
    fn channels_are_averaged() {
        let frames: Vec<f32> = (0..3000)
            .flat_map(|i| [i as f32, 2.0 * i as f32, 3.0])
            .collect();
        let mean: Vec<f32> = (0..3000).map(|i| i as f32 + 1.0).collect();
        assert_eq!(convert(SAMPLE_RATE, 3, &[&frames]), mean);
        let stereo: Vec<f32> = tone(440.0, 48_000, 0.5)
            .iter()
            .flat_map(|x| [*x, 0.5 * x])
            .collect();
        let mono: Vec<f32> = tone(440.0, 48_000, 0.5).iter().map(|x| 0.75 * x).collect();
        let from_stereo = convert(48_000, 2, &[&stereo]);
        let from_mono = convert(48_000, 1, &[&mono]);
        let mut pairs = from_stereo.iter().zip(&from_mono);
        assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn odd_rates_and_short_input_are_taken() {
        assert!(Resampler::new(0, 1).is_err());
        for rate in [1_000, 7_919, 44_099, 767_999] {
            for frames in [0usize, 1, 100] {
                let out = convert(rate, 2, &[&vec![0.5; frames * 2]]);
                let ideal = frames as f64 * 16_000.0 / f64::from(rate);
                assert!(
                    (out.len() as f64 - ideal).abs() <= 1.0,
                    "{rate} Hz, {frames} frames: {}",
                    out.len()
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_do_not_matter(
            rate in prop::sample::select(&RATES[..]),
            channels in 1usize..3,
            sizes in prop::collection::vec(0usize..4000, 1..20),
        ) {
            let total: usize = sizes.iter().sum();
            let input: Vec<f32> = (0..total * channels).map(|i| ((i * i) as f32 * 1e-3).sin()).collect();
            let mut rest = input.as_slice();
            let mut blocks = Vec::new();
            for size in sizes {
                let (block, others) = rest.split_at(size * channels);
                blocks.push(block);
                rest = others;
            }
            prop_assert_eq!(convert(rate, channels, &blocks), convert(rate, channels, &[&input]));
        }
    }
}
