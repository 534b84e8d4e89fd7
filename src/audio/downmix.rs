//! Mixes interleaved channels to mono: their mean, or the loudest channel if they cancel.
//!
//! A cable or a recorder that inverts one channel makes the mean of both silence, or noise. The
//! levels are compared over fixed intervals of 20 ms, so the output does not depend on how the
//! input is cut into blocks. As long as the channels do not cancel, the output is exactly the mean.
//!
//! In: samples `[frames, channels]`, row-major. Out: one sample per frame, at most 100 ms later
//! while the channels begin to cancel, 20 ms later otherwise.

use std::iter::{Copied, Skip, StepBy};
use std::slice::Iter;

/// Length of the intervals, as a fraction of a second. One interval covers at least one period of
/// any voice.
const INTERVALS_PER_SECOND: usize = 50;
/// Number of consecutive intervals after which the channels are taken to cancel, so that a moment
/// in which ordinary stereo happens to cancel changes nothing.
const MIN_RUN: usize = 5;
/// Power of the mean, relative to the loudest channel, below which the channels cancel: −20 dB.
const CANCELS: f64 = 0.01;
/// Power of the mean, relative to the loudest channel, from which they no longer do: −14 dB.
const ADDS_UP: f64 = 0.04;
/// Power below which an interval is silence: −80 dBFS, a few steps of 16 bits. What is left in
/// silence is rounding, whose phase means nothing.
const SILENCE: f64 = 1e-8;
/// Power, relative to that of the sound that cancelled, from which an interval can show that the
/// channels no longer cancel: −10 dB. In pauses each channel has noise of its own, which adds up.
const LOUD: f64 = 0.1;
/// Decay of the power of the sound that cancelled, per interval: 1 dB per second.
const DECAY: f64 = 0.9954;
/// Power of another channel, relative to the chosen one, from which the other is taken: 6 dB.
const LOUDER: f64 = 4.0;
/// Length of the cross-fade from one choice to the next, as a fraction of a second: 5 ms.
const FADES_PER_SECOND: usize = 200;

/// What the output is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mix {
    Mean,
    Channel(usize),
}

/// Mixes a stream to mono.
pub(super) struct Downmix {
    channels: usize,
    /// Frames of an interval.
    interval: usize,
    /// Frames of a cross-fade.
    fade: usize,
    mix: Mix,
    /// Power of the sound that cancelled, decaying.
    cancelled: f64,
    /// Input that is not mixed yet: intervals that cancel but do not make a run, then an incomplete
    /// one.
    pending: Vec<f32>,
    /// Number of intervals in `pending` that cancel.
    run: usize,
}

impl Downmix {
    /// Creates a mixer for `channels` channels at `rate` Hz.
    pub fn new(rate: u32, channels: usize) -> Self {
        let rate = rate as usize;
        Self {
            channels: channels.max(1),
            interval: (rate / INTERVALS_PER_SECOND).max(1),
            fade: rate / FADES_PER_SECOND,
            mix: Mix::Mean,
            cancelled: 0.0,
            pending: Vec::new(),
            run: 0,
        }
    }

    /// Number of channels, at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Takes whole frames and appends the samples that are ready to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if self.channels == 1 {
            out.extend_from_slice(samples);
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(samples);
        let len = self.interval * self.channels;
        let mut mixed = 0;
        let mut decided = self.run * len;
        while let Some(interval) = pending.get(decided..decided + len) {
            decided += len;
            if let Some(mix) = self.decide(interval) {
                let ready = pending.get(mixed..decided).unwrap_or_default();
                self.mix(ready, mix, out);
                mixed = decided;
            }
        }
        pending.drain(..mixed);
        self.pending = pending;
    }

    /// Appends the remaining samples to `out`.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let pending = std::mem::take(&mut self.pending);
        self.run = 0;
        self.mix(&pending, self.mix, out);
    }

    /// Decides what to make of an interval and those pending before it; `None` if the next one
    /// matters.
    fn decide(&mut self, interval: &[f32]) -> Option<Mix> {
        let mean = power(interval.chunks_exact(self.channels).map(mean));
        let (loudest, peak) = self.loudest(interval);
        let cancels = peak > SILENCE && mean < CANCELS * peak;
        self.cancelled *= DECAY;
        if cancels {
            self.cancelled = self.cancelled.max(peak);
        }
        match self.mix {
            Mix::Mean if cancels && self.run + 1 < MIN_RUN => {
                self.run += 1;
                None
            }
            Mix::Mean => {
                self.run = 0;
                Some(if cancels {
                    Mix::Channel(loudest)
                } else {
                    Mix::Mean
                })
            }
            Mix::Channel(chosen) => {
                let chosen_power = power(channel(interval, chosen, self.channels));
                Some(if mean >= ADDS_UP * peak && peak > LOUD * self.cancelled {
                    Mix::Mean
                } else if peak > LOUDER * chosen_power {
                    Mix::Channel(loudest)
                } else {
                    Mix::Channel(chosen)
                })
            }
        }
    }

    /// Returns the loudest channel, the first of equals, and its power.
    fn loudest(&self, interval: &[f32]) -> (usize, f64) {
        let powers = (0..self.channels).map(|c| (c, power(channel(interval, c, self.channels))));
        powers.fold(
            (0, 0.0),
            |best, next| if next.1 > best.1 { next } else { best },
        )
    }

    /// Appends whole frames to `out`, with a cross-fade if the mix changes.
    fn mix(&mut self, samples: &[f32], to: Mix, out: &mut Vec<f32>) {
        let from = std::mem::replace(&mut self.mix, to);
        let mut frames = samples.chunks_exact(self.channels);
        if from != to {
            for (i, frame) in frames.by_ref().take(self.fade).enumerate() {
                let share = (i + 1) as f32 / (self.fade + 1) as f32;
                out.push(from.of(frame) * (1.0 - share) + to.of(frame) * share);
            }
        }
        out.extend(frames.map(|frame| to.of(frame)));
    }
}

impl Mix {
    fn of(self, frame: &[f32]) -> f32 {
        match self {
            Self::Mean => mean(frame),
            Self::Channel(channel) => frame.get(channel).copied().unwrap_or_default(),
        }
    }
}

fn mean(frame: &[f32]) -> f32 {
    let scale = 1.0 / frame.len() as f32;
    frame.iter().sum::<f32>() * scale
}

fn channel(samples: &[f32], index: usize, channels: usize) -> StepBy<Skip<Copied<Iter<'_, f32>>>> {
    samples.iter().copied().skip(index).step_by(channels)
}

/// Returns the mean square of samples without their mean: cheap inputs add a constant to both
/// channels, which never cancels.
fn power(samples: impl Iterator<Item = f32>) -> f64 {
    let (n, sum, squares) = samples.fold((0.0, 0.0, 0.0), |(n, sum, squares), x| {
        let x = f64::from(x);
        (n + 1.0, sum + x, squares + x * x)
    });
    ((squares - sum * sum / n) / n).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::sample;

    const RATE: u32 = 16_000;
    /// Time until an inverted channel is recognised and faded in.
    const ONSET: usize = RATE as usize / 50 + RATE as usize / 200;

    /// Samples until the recording is louder than silence.
    const BEGUN: usize = 4_000;

    /// White noise of the given amplitude.
    fn noise(n: usize, amplitude: f32, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            amplitude * ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        };
        (0..n).map(|_| next()).collect()
    }

    fn interleave(channels: &[&[f32]]) -> Vec<f32> {
        let frames = channels.first().map_or(0, |c| c.len());
        (0..frames)
            .flat_map(|i| channels.iter().map(move |c| c[i]))
            .collect()
    }

    fn scaled(samples: &[f32], gain: f32) -> Vec<f32> {
        samples.iter().map(|x| x * gain).collect()
    }

    fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    fn averaged(samples: &[f32], channels: usize) -> Vec<f32> {
        samples.chunks_exact(channels).map(mean).collect()
    }

    fn downmixed(channels: usize, blocks: &[&[f32]]) -> Vec<f32> {
        let mut downmix = Downmix::new(RATE, channels);
        let mut out = Vec::new();
        for block in blocks {
            downmix.push(block, &mut out);
        }
        downmix.finish(&mut out);
        out
    }

    /// Level of the difference relative to `wanted`, in dB.
    fn error_db(got: &[f32], wanted: &[f32]) -> f64 {
        let difference = got.iter().zip(wanted).map(|(a, b)| a - b);
        10.0 * (power(difference) / power(wanted.iter().copied())).log10()
    }

    #[test]
    fn an_inverted_channel_does_not_silence_the_other() {
        let left = sample();
        for gain in [-1.0, -0.98, -0.9] {
            let right = scaled(&left, gain);
            let out = downmixed(2, &[&interleave(&[&left, &right])]);
            assert_eq!(out.len(), left.len());
            assert!(out[BEGUN..] == left[BEGUN..], "{gain}");
            // Until then there is next to nothing.
            assert!(error_db(&out, &left) < -60.0, "{gain}");
            let out = downmixed(2, &[&interleave(&[&right, &left])]);
            assert!(out[BEGUN..] == left[BEGUN..] || out[BEGUN..] == right[BEGUN..]);
        }
    }

    #[test]
    fn noise_and_an_offset_do_not_hide_an_inverted_channel() {
        let clean = sample();
        // 40 dB below the speech, which pauses for two seconds.
        let amplitude = 0.01 * (3.0 * power(clean.iter().copied())).sqrt() as f32;
        let clean = [clean.clone(), vec![0.0; 32_000], clean].concat();
        let noises = [1, 2].map(|seed| noise(clean.len(), amplitude, seed));
        let left = sum(&clean, &noises[0]);
        let right = sum(&scaled(&clean, -1.0), &noises[1]);
        for offset in [0.0, 0.2] {
            let [left, right] = [&left, &right]
                .map(|samples| samples.iter().map(|x| x + offset).collect::<Vec<_>>());
            let out = downmixed(2, &[&interleave(&[&left, &right])]);
            // Either channel will do.
            let error = error_db(&out, &clean).min(error_db(&out, &scaled(&clean, -1.0)));
            assert!(error < -20.0, "{offset}: {error} dB");
            // Once recognised, nothing is lost, soft sounds and the pause included.
            let after = out.len() / 4..;
            let same =
                out[after.clone()] == left[after.clone()] || out[after.clone()] == right[after];
            assert!(same, "{offset}");
        }
    }

    #[test]
    fn a_part_with_an_inverted_channel_is_heard_and_the_rest_averaged() {
        let left = sample();
        let third = left.len() / 3;
        let mut right = scaled(&left, 0.8);
        for x in &mut right[third..2 * third] {
            *x *= -1.2;
        }
        let stereo = interleave(&[&left, &right]);
        let out = downmixed(2, &[&stereo]);
        let mean = averaged(&stereo, 2);
        assert!(out[..third - ONSET] == mean[..third - ONSET]);
        let inside = third + ONSET..2 * third - ONSET;
        assert!(out[inside.clone()] == left[inside]);
        // The mean returns with the first loud sound.
        let returned = (2 * third..).find(|i| out[*i..*i + 1000] == mean[*i..*i + 1000]);
        let returned = returned.expect("the mean") - 2 * third;
        assert!(returned < RATE as usize / 2, "{returned} samples later");
        assert!(out[2 * third + returned..] == mean[2 * third + returned..]);
        // No step is larger than speech itself has, so nothing clicks.
        let steepest = |x: &[f32]| {
            x.windows(2)
                .map(|w| (w[1] - w[0]).abs())
                .fold(0.0, f32::max)
        };
        assert!(steepest(&out) <= steepest(&left));
    }

    #[test]
    fn ordinary_stereo_is_averaged_bit_for_bit() {
        let voice = sample();
        let hiss = [1, 2].map(|seed| noise(voice.len(), 1e-3, seed));
        let left = sum(&voice, &hiss[0]);
        let late = [vec![0.0; 8], voice[..voice.len() - 8].to_vec()].concat();
        let silence = vec![0.0; voice.len()];
        for right in [
            voice.clone(),
            sum(&voice, &hiss[1]),
            sum(&scaled(&voice, 0.3), &hiss[1]),
            sum(&scaled(&voice, -0.5), &hiss[1]),
            sum(&late, &hiss[1]),
            hiss[1].clone(),
            silence.clone(),
        ] {
            let stereo = interleave(&[&left, &right]);
            assert_eq!(downmixed(2, &[&stereo]), averaged(&stereo, 2));
            let centre = interleave(&[&left, &right, &voice, &silence, &right, &left]);
            assert_eq!(downmixed(6, &[&centre]), averaged(&centre, 6));
        }
        // Steps of 16 bits that happen to cancel are silence.
        let dither: Vec<f32> = (0..48_000)
            .flat_map(|i| [(i % 2) as f32, -((i % 2) as f32)])
            .collect();
        let dither = scaled(&dither, 1.0 / 32_768.0);
        assert_eq!(downmixed(2, &[&dither]), averaged(&dither, 2));
    }

    #[test]
    fn a_moment_of_cancellation_in_ordinary_stereo_changes_nothing() {
        let left = sample();
        let mut right = left.clone();
        // Shorter than a run.
        for x in &mut right[40_000..41_500] {
            *x = -*x;
        }
        let stereo = interleave(&[&left, &right]);
        assert_eq!(downmixed(2, &[&stereo]), averaged(&stereo, 2));
    }

    #[test]
    fn of_more_channels_the_loudest_is_taken_too() {
        let voice = sample();
        let (a, b) = (scaled(&voice, 0.5), scaled(&voice, -1.5));
        let out = downmixed(3, &[&interleave(&[&a, &voice, &b])]);
        assert!(out[BEGUN..] == b[BEGUN..]);
        // The sound moves to channels that cancel each other, as those before did.
        let half = voice.len() / 2;
        let silence = vec![0.0; voice.len()];
        let [early, mut late] = [voice.clone(), voice.clone()];
        late[..half].fill(0.0);
        let early = [&early[..half], &silence[half..]].concat();
        let inverse = |x: &[f32]| scaled(x, -1.0);
        let channels = [&early[..], &inverse(&early), &late, &inverse(&late)];
        let out = downmixed(4, &[&interleave(&channels)]);
        let away = out[half + ONSET..] == late[half + ONSET..];
        assert!(away && out[BEGUN..half - ONSET] == early[BEGUN..half - ONSET]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn blocks_do_not_matter(
            parts in prop::collection::vec((-1.1f32..1.0, 0.0f32..0.7, 1usize..9000), 1..6),
            sizes in prop::collection::vec(0usize..3000, 1..40),
            channels in 2usize..4,
        ) {
            let mut input = Vec::new();
            for (gain, amplitude, n) in parts {
                // Half of all parts cancel.
                let gain = if gain < 0.0 { -1.0 } else { gain };
                for i in 0..n {
                    let x = (TAU * 300.0 * i as f64 / f64::from(RATE)).sin() as f32 * amplitude;
                    input.extend([x, gain * x].into_iter().cycle().take(channels));
                }
            }
            let whole = downmixed(channels, &[&input]);
            prop_assert_eq!(whole.len(), input.len() / channels);
            let mut rest = input.as_slice();
            let mut blocks = Vec::new();
            for size in sizes {
                let (block, others) = rest.split_at((size * channels).min(rest.len()));
                blocks.push(block);
                rest = others;
            }
            blocks.push(rest);
            prop_assert_eq!(downmixed(channels, &blocks), whole);
        }
    }
}
