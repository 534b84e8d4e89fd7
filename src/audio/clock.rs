//! Times of the 16 kHz stream: samples to seconds and back.

use super::SAMPLE_RATE;

/// Converts a number of samples at [`SAMPLE_RATE`] to seconds.
pub fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

/// Converts seconds to a number of whole samples at [`SAMPLE_RATE`], rounded down; 0 if negative.
pub const fn samples(seconds: f64) -> usize {
    (seconds * SAMPLE_RATE as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_samples_come_of_seconds_and_fractions_are_dropped() {
        assert_eq!(
            [-0.5, 0.0, 0.000_1, 0.5, 30.0].map(samples),
            [0, 0, 1, 8_000, 480_000]
        );
        assert_eq!([0, 8_000, 480_000].map(seconds), [0.0, 0.5, 30.0]);
    }

    /// Lengths of windows are kept as `f32`.
    #[test]
    fn single_precision_is_that_of_a_division_in_single_precision() {
        let half_minute = 30 * u64::from(SAMPLE_RATE);
        let equal = |n: u64| seconds(n) as f32 == n as f32 / SAMPLE_RATE as f32;
        assert!((0..=half_minute).all(equal));
    }
}
