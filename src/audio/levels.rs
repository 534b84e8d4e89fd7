//! Checks the values of samples: brings those in another scale to ±1, replaces what is no sound, and
//! tells sound from bytes that were taken for sound.

/// Magnitude from which a value is not taken for a sample at full scale ±1: 18 dB above it.
const FAR_ABOVE: f32 = 8.0;
/// Share of values that far above full scale, in the first seconds, from which the scale is another
/// one.
pub const SCALED_SHARE: f64 = 0.001;
/// The same in a later block, where a fault is more likely.
pub const LATER_SCALED_SHARE: f64 = 0.2;
/// Largest value in any scale: that of 32-bit integers.
const MAX_MAGNITUDE: f32 = 4.3e9;
/// Largest single value that is still a sample, if the scale is ±1.
const MAX_SPIKE: f32 = 1e3;
/// Share of invalid values from which all of it is taken for something else than sound.
const INVALID_SHARE: f64 = 0.25;

/// Frames in a piece that is judged by itself.
const PIECE: usize = 1024;
/// Level from which a piece is loud, as root mean square: −12 dB. Random integers have −5 dB.
const LOUD: f64 = 0.25;
/// Level below which a piece says nothing, as root mean square.
const SILENT: f64 = 1e-4;
/// Correlation of neighbouring samples below which a piece is white: three times that of noise.
const WHITE: f64 = 0.1;
/// Distances at which samples are compared.
const LAGS: std::ops::RangeInclusive<usize> = 1..=3;
/// Number of white pieces from which a recording can be judged.
const ENOUGH: u64 = 8;

/// State of the checks.
pub struct Levels {
    /// Factor that brings samples to ±1.
    gain: f32,
    /// Values that were no numbers or far beyond full scale.
    pub invalid: Count,
    /// Number of values so far.
    total: u64,
    /// Seconds so far.
    seconds: f64,
    /// Number of pieces so far, all of them white; `None` once one was not.
    white: Option<u64>,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            gain: 1.0,
            invalid: Count::default(),
            total: 0,
            seconds: 0.0,
            white: Some(0),
        }
    }
}

impl Levels {
    /// Finds the scale of the samples that come next, by the share of them that is far too large.
    /// Only floating-point numbers have a scale.
    pub fn find_scale<'a>(&mut self, blocks: impl Iterator<Item = &'a [f32]>, share: f64) {
        let (mut count, mut above, mut peak) = (0_u64, 0_u64, 0_f32);
        for x in blocks.flatten() {
            let x = (x * self.gain).abs();
            if x <= MAX_MAGNITUDE {
                count += 1;
                above += u64::from(x > FAR_ABOVE);
                peak = peak.max(x);
            }
        }
        if above as f64 > share * count as f64 {
            // A power of two changes no sample's precision.
            self.gain *= 0.5_f32.powf(peak.log2().ceil());
        }
    }

    /// Checks a block of interleaved samples, and brings them to ±1.
    pub fn apply(&mut self, samples: &mut [f32], rate: u32, channels: usize) {
        let max = if self.gain == 1.0 {
            MAX_SPIKE
        } else {
            MAX_MAGNITUDE
        };
        let per_second = f64::from(rate.max(1)) * channels.max(1) as f64;
        for (i, x) in samples.iter_mut().enumerate() {
            // Also false for NaN.
            if x.abs() <= max {
                *x *= self.gain;
            } else {
                *x = 0.0;
                self.invalid.add(1, self.seconds + i as f64 / per_second);
            }
        }
        self.total += samples.len() as u64;
        self.seconds += samples.len() as f64 / per_second;
        if let Some(n) = self.white {
            self.white = white_pieces(samples, channels.max(1)).map(|more| n + more);
        }
    }

    /// Whether all of it was no sound: white noise near full scale from end to end, or values that
    /// are no samples.
    pub fn is_garbage(&self) -> bool {
        let is_noise = self.white.is_some_and(|n| n >= ENOUGH);
        is_noise || self.invalid.count as f64 > INVALID_SHARE * self.total.max(1) as f64
    }
}

/// Number of pieces that are loud and white; `None` if one has another sound. The first channel
/// stands for all.
fn white_pieces(samples: &[f32], channels: usize) -> Option<u64> {
    let mut n = 0;
    for piece in samples.chunks_exact(PIECE * channels) {
        let x: Vec<f64> = piece
            .iter()
            .step_by(channels)
            .map(|x| f64::from(*x))
            .collect();
        let product = |lag: usize| {
            let later = x.iter().skip(lag);
            x.iter().zip(later).map(|(a, b)| a * b).sum::<f64>()
        };
        let power = product(0);
        let level = (power / PIECE as f64).sqrt();
        if level < SILENT {
            continue;
        }
        let is_white = LAGS
            .into_iter()
            .all(|lag| product(lag).abs() < WHITE * power);
        if level < LOUD || !is_white {
            return None;
        }
        n += 1;
    }
    Some(n)
}

/// Counter that remembers the first occurrence.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    /// Number of occurrences.
    pub count: u64,
    /// Position of the first one, in seconds.
    pub first_seconds: f64,
}

impl Count {
    /// Counts `count` more, the first of them at `seconds`.
    pub fn add(&mut self, count: u64, seconds: f64) {
        if self.count == 0 {
            self.first_seconds = seconds;
        }
        self.count += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::sample;

    fn checked(samples: &[f32]) -> (Levels, Vec<f32>) {
        let mut levels = Levels::default();
        levels.find_scale([samples].into_iter(), SCALED_SHARE);
        let mut out = samples.to_vec();
        for block in out.chunks_mut(4096) {
            levels.apply(block, 16_000, 1);
        }
        (levels, out)
    }

    #[test]
    fn every_scale_is_brought_to_one_and_that_of_one_is_kept() {
        let speech = sample();
        let (levels, same) = checked(&speech);
        assert!(same == speech && !levels.is_garbage());
        for scale in [30.0, 300.0, 32_768.0, 8_388_608.0, 2_147_483_648.0] {
            let scaled: Vec<f32> = speech.iter().map(|x| x * scale).collect();
            let (levels, out) = checked(&scaled);
            let peak = out.iter().fold(0_f32, |peak, x| peak.max(x.abs()));
            assert!((0.5..=1.0).contains(&peak), "{scale}: {peak}");
            assert_eq!(levels.invalid.count, 0);
        }
    }

    #[test]
    fn a_few_wild_values_change_no_scale() {
        let mut speech = sample();
        (speech[10], speech[20], speech[30]) = (1e20, f32::NAN, -5e4);
        let (levels, out) = checked(&speech);
        assert_eq!(levels.invalid.count, 3);
        assert!(out[31..] == speech[31..] && !levels.is_garbage());
    }

    #[test]
    fn bytes_taken_for_sound_are_recognised_and_noise_in_a_recording_is_not() {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let bytes: Vec<f32> = (0..64_000).map(|_| noise()).collect();
        assert!(checked(&bytes).0.is_garbage());
        let quiet: Vec<f32> = bytes.iter().map(|x| x * 0.2).collect();
        assert!(!checked(&quiet).0.is_garbage());
        assert!(!checked(&[bytes, sample()].concat()).0.is_garbage());
        assert!(checked(&vec![f32::NAN; 4_000]).0.is_garbage());
    }
}
