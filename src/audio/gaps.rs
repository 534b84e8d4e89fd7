//! Gaps in PCM: samples that are exactly zero between loud ones, as where a disk or a connection lost
//! data. Sound that ends by itself fades.

use super::levels::Count;

/// Shortest gap, in seconds. Between the pulses of the deepest voices there is less.
const SHORTEST: f64 = 0.02;
/// Time over which the level beside a gap is taken, in seconds.
const BESIDE: f64 = 0.01;
/// Time at its edge in which sound must be as loud as before or after, in seconds.
const EDGE: f64 = 0.002;
/// Mean magnitude that sound beside a gap has at least, of full scale ±1: −40 dB.
const LOUD: f32 = 0.01;
/// Share of the mean magnitude that the loudest sample at the edge has at least.
const ABRUPT: f32 = 0.5;

/// Search for gaps, through all blocks of a recording.
#[derive(Default)]
pub struct Gaps {
    /// Gaps so far.
    pub found: Count,
    /// Mean magnitude lately, and its peak, which decays.
    level: f32,
    peak: f32,
    /// Length of the present gap in frames, and whether it began abruptly.
    zeros: usize,
    began_abruptly: bool,
    /// Sound after a gap.
    after: Option<After>,
}

/// Sound after a gap, until it can be judged.
struct After {
    /// Start of the gap, in seconds.
    start: f64,
    frames: usize,
    sum: f32,
    /// Peak at the edge.
    peak: f32,
}

impl Gaps {
    /// Looks at a block of interleaved samples that begins at `seconds`.
    pub fn look_at(&mut self, samples: &[f32], rate: u32, channels: usize, seconds: f64) {
        let rate = f64::from(rate.max(1));
        let beside = ((BESIDE * rate) as usize).max(1);
        let edge = ((EDGE * rate) as usize).max(1);
        let shortest = (SHORTEST * rate) as usize;
        for (i, frame) in samples.chunks_exact(channels.max(1)).enumerate() {
            let x = frame.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            if x == 0.0 {
                if self.zeros == 0 {
                    self.began_abruptly = self.level > LOUD && self.peak > ABRUPT * self.level;
                }
                self.zeros += 1;
                if self.zeros >= shortest {
                    self.after = None;
                }
            } else if self.zeros >= shortest && self.began_abruptly {
                let start = seconds + (i as f64 - self.zeros as f64) / rate;
                self.after = Some(After {
                    start,
                    frames: 0,
                    sum: 0.0,
                    peak: 0.0,
                });
            }
            if x > 0.0 {
                self.zeros = 0;
                self.level += (x - self.level) / beside as f32;
                self.peak = x.max(self.peak * (1.0 - 1.0 / edge as f32));
            }
            if let Some(after) = &mut self.after {
                after.frames += 1;
                after.sum += x;
                if after.frames <= edge {
                    after.peak = after.peak.max(x);
                }
                if after.frames == beside {
                    let level = after.sum / beside as f32;
                    if level > LOUD && after.peak > ABRUPT * level {
                        self.found.add(1, after.start);
                    }
                    self.after = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::sample;

    fn gaps(samples: &[f32]) -> Count {
        let mut gaps = Gaps::default();
        for (i, block) in samples.chunks(1000).enumerate() {
            gaps.look_at(block, 16_000, 1, i as f64 / 16.0);
        }
        gaps.found
    }

    #[test]
    fn gaps_are_found_and_pauses_are_not() {
        let mut speech = sample();
        assert_eq!(gaps(&speech).count, 0);
        // Exact silence where nobody speaks, and at both ends.
        speech[..4_000].fill(0.0);
        for x in speech.iter_mut().filter(|x| x.abs() < 0.003) {
            *x = 0.0;
        }
        assert_eq!(gaps(&speech).count, 0);
    }

    #[test]
    fn the_place_of_a_gap_is_told() {
        // Single samples are zero, too.
        let sample = |i: i32| ((i as f32 * 0.1).sin() * 300.0).round() / 1000.0;
        let mut tone: Vec<f32> = (0..16_000).map(sample).collect();
        tone[8_000..8_800].fill(0.0);
        let found = gaps(&tone);
        assert_eq!(found.count, 1);
        assert!((found.first_seconds - 0.5).abs() < 0.001);
        let fade = |i: usize| (i as f32 - 8_400.0).abs().min(2_000.0) / 2_000.0 - 0.2;
        for (i, x) in tone.iter_mut().enumerate() {
            *x = (i as f32 * 0.1).sin() * 0.3 * fade(i).max(0.0);
        }
        assert_eq!(gaps(&tone).count, 0);
    }
}
