//! Measures how much of some audio is sound rather than silence.

use super::clock;

/// Samples per frame: 16 ms.
const FRAME: usize = 256;
/// A frame is sound if its level is at most this far below the loud ones, in dB.
const RANGE_DB: f32 = 25.0;
/// Share of the frames that are above the level that counts as loud.
const LOUD_SHARE: f32 = 0.05;

/// Returns the seconds of `samples` (16 kHz, mono) whose level is close to that of the loudest
/// twentieth: for speech in quiet, its length without pauses; for noise, its whole length.
pub fn sound_seconds(samples: &[f32]) -> f32 {
    let power = |frame: &[f32]| frame.iter().map(|x| x * x).sum::<f32>();
    let powers: Vec<f32> = samples.chunks_exact(FRAME).map(power).collect();
    let mut sorted = powers.clone();
    sorted.sort_by(f32::total_cmp);
    let place = (sorted.len() as f32 * (1.0 - LOUD_SHARE)) as usize;
    let Some(loud) = sorted.get(place).filter(|loud| **loud > 0.0) else {
        return 0.0;
    };
    let floor = loud * 10f32.powf(-RANGE_DB / 10.0);
    let frames = powers.iter().filter(|power| **power > floor).count();
    clock::seconds((frames * FRAME) as u64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(seconds: f32, amplitude: f32) -> Vec<f32> {
        (0..(seconds * 16_000.0) as usize)
            .map(|i| amplitude * (i as f32 * 0.3).sin())
            .collect()
    }

    #[test]
    fn pauses_do_not_count() {
        let samples = [tone(1.0, 0.3), tone(3.0, 0.001), tone(1.0, 0.1)].concat();
        assert!((sound_seconds(&samples) - 2.0).abs() < 0.05);
    }

    #[test]
    fn silence_is_none_and_steady_noise_all() {
        assert_eq!(sound_seconds(&[]), 0.0);
        assert_eq!(sound_seconds(&[0.0; 16_000]), 0.0);
        assert!((sound_seconds(&tone(2.0, 0.01)) - 2.0).abs() < 0.05);
    }
}
