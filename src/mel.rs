//! Log-mel spectrogram as OpenAI's Whisper computes it.
//!
//! In: 16 kHz mono samples of one window. Out: a [`Mel`], `[n_mels, n_frames]`.
//!
//! The definition follows openai-whisper's `audio.py`: a periodic Hann window of 400 samples every
//! 160 samples, frames centred on their sample with reflected ends, power spectrum, Slaney mel
//! filters, log10 floored at 1e-10, dynamic range limited to 8 decades below the window's maximum,
//! then (x + 4) / 4. OpenAI ships the filters as a file made with librosa; this module computes
//! them from librosa's formulas.
//!
//! A window is zero-padded to its full length. Frames that cover only padding get the floor value
//! without a transform.

use std::sync::Arc;

use ndarray::{Array2, ShapeBuilder};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::SAMPLE_RATE;

/// Samples in one analysis window (`N_FFT` of openai-whisper): 25 ms.
pub const N_FFT: usize = 400;
/// Samples from one frame to the next (`HOP_LENGTH` of openai-whisper): 10 ms.
pub const HOP_LENGTH: usize = 160;
/// Bins of the one-sided spectrum.
const N_BINS: usize = N_FFT / 2 + 1;
/// Smallest mel energy before the logarithm (`torch.clamp(mel_spec, min=1e-10)`).
const MIN_ENERGY: f32 = 1e-10;
/// Decades kept below the maximum (`torch.maximum(log_spec, log_spec.max() - 8.0)`).
const DYNAMIC_RANGE: f32 = 8.0;

/// Log-mel spectrogram of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Mel {
    /// Values, `[n_mels, n_frames]`. [`LogMel`] stores them frame by frame (Fortran order): the
    /// encoder's first convolution is a matrix product over neighbouring frames.
    pub values: Array2<f32>,
}

impl Mel {
    /// Number of mel bins.
    pub fn n_mels(&self) -> usize {
        self.values.nrows()
    }

    /// Number of frames of 10 ms.
    pub fn n_frames(&self) -> usize {
        self.values.ncols()
    }
}

/// Computes log-mel spectrograms. Holds the filters, the plan of the transform and its buffers.
pub struct LogMel {
    n_mels: usize,
    filters: Vec<Triangle>,
    hann: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    windowed: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl LogMel {
    /// Prepares to compute `n_mels` bins: 80, or 128 for large-v3 and later.
    pub fn new(n_mels: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(N_FFT);
        Self {
            n_mels,
            filters: slaney_filters(n_mels),
            hann: periodic_hann(),
            windowed: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; N_BINS],
            fft,
        }
    }

    /// Returns the spectrogram of a window of `n_frames` frames (10 ms each) that starts with
    /// `samples` (16 kHz, mono) and is silent after them. Samples beyond `n_frames * HOP_LENGTH`
    /// are ignored.
    pub fn compute(&mut self, samples: &[f32], n_frames: usize) -> Mel {
        let window_len = n_frames * HOP_LENGTH;
        let samples = &samples[..samples.len().min(window_len)];
        let n_touched = frames_touching(samples.len());

        let floor = MIN_ENERGY.log10();
        let mut values = Array2::from_elem((self.n_mels, n_frames).f(), floor);
        for (t, mut frame) in values.columns_mut().into_iter().take(n_touched).enumerate() {
            self.load_frame(samples, window_len, t);
            self.transform();
            for (value, filter) in frame.iter_mut().zip(&self.filters) {
                *value = filter.energy(&self.power).max(MIN_ENERGY).log10();
            }
        }
        compress(&mut values, floor);
        Mel { values }
    }

    /// Writes the windowed samples of frame `t` to the input of the transform.
    fn load_frame(&mut self, samples: &[f32], window_len: usize, t: usize) {
        let centre = t * HOP_LENGTH;
        let inside = centre
            .checked_sub(N_FFT / 2)
            .and_then(|start| samples.get(start..start + N_FFT));
        if let Some(inside) = inside {
            for ((out, x), w) in self.windowed.iter_mut().zip(inside).zip(&self.hann) {
                *out = x * w;
            }
            return;
        }
        for (i, (out, w)) in self.windowed.iter_mut().zip(&self.hann).enumerate() {
            *out = reflected(samples, window_len, centre + i) * w;
        }
    }

    /// Computes the power spectrum of the loaded frame.
    fn transform(&mut self) {
        // The only possible error is a buffer of the wrong length; the plan made these buffers.
        let done = self.fft.process_with_scratch(
            &mut self.windowed,
            &mut self.spectrum,
            &mut self.scratch,
        );
        debug_assert!(done.is_ok());
        for (p, c) in self.power.iter_mut().zip(&self.spectrum) {
            *p = c.norm_sqr();
        }
    }
}

/// Number of leading frames whose window reaches into the first `n_samples` samples.
///
/// The first coefficient of the Hann window is zero, so a frame that starts on the last sample
/// does not see it.
fn frames_touching(n_samples: usize) -> usize {
    if n_samples == 0 {
        0
    } else {
        (n_samples + N_FFT / 2 - 1).div_ceil(HOP_LENGTH)
    }
}

/// Sample at `index - N_FFT / 2` of the window, mirrored at both of its ends (without repeating
/// the end samples).
fn reflected(samples: &[f32], window_len: usize, index: usize) -> f32 {
    let mut at = index.abs_diff(N_FFT / 2);
    if at >= window_len {
        at = (2 * window_len).saturating_sub(at + 2);
    }
    samples.get(at).copied().unwrap_or(0.0)
}

/// Limits the dynamic range and scales to roughly −1 … 1.5.
fn compress(log_energies: &mut Array2<f32>, floor: f32) {
    let max = log_energies.fold(floor, |max, x| max.max(*x));
    log_energies.mapv_inplace(|x| (x.max(max - DYNAMIC_RANGE) + 4.0) / 4.0);
}

/// `torch.hann_window(400)`, which is periodic: sin²(πi/400).
fn periodic_hann() -> Vec<f32> {
    (0..N_FFT)
        .map(|i| {
            (std::f64::consts::PI * i as f64 / N_FFT as f64)
                .sin()
                .powi(2) as f32
        })
        .collect()
}

/// Mel filter: weights of consecutive spectrum bins.
struct Triangle {
    first_bin: usize,
    weights: Vec<f32>,
}

impl Triangle {
    fn energy(&self, power: &[f32]) -> f32 {
        let bins = power.get(self.first_bin..).unwrap_or_default();
        bins.iter().zip(&self.weights).map(|(p, w)| p * w).sum()
    }
}

/// The mel filter bank of `librosa.filters.mel(sr=16000, n_fft=400, n_mels)`: triangles between
/// points equally spaced on Slaney's mel scale, each divided by its width ("slaney" normalisation).
fn slaney_filters(n_mels: usize) -> Vec<Triangle> {
    let nyquist = f64::from(SAMPLE_RATE) / 2.0;
    let top = hz_to_mel(nyquist);
    let edge = |i: usize| mel_to_hz(top * i as f64 / (n_mels + 1) as f64);
    (0..n_mels)
        .map(|m| {
            let (low, mid, high) = (edge(m), edge(m + 1), edge(m + 2));
            let weight = |bin: usize| {
                let hz = nyquist * bin as f64 / (N_BINS - 1) as f64;
                let triangle = ((hz - low) / (mid - low)).min((high - hz) / (high - mid));
                (triangle.max(0.0) * 2.0 / (high - low)) as f32
            };
            let first_bin = (0..N_BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(N_BINS);
            let weights = (first_bin..N_BINS)
                .map(weight)
                .take_while(|&w| w > 0.0)
                .collect();
            Triangle { first_bin, weights }
        })
        .collect()
}

/// Slaney's mel scale (Auditory Toolbox, as in librosa): 200/3 Hz per mel below 1 kHz, 27 mels per
/// factor of 6.4 above.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const LOG_START_HZ: f64 = 1000.0;
const LOG_START_MEL: f64 = LOG_START_HZ / HZ_PER_MEL;
/// Natural logarithm of the frequency ratio per mel above 1 kHz: ln(6.4) / 27.
fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < LOG_START_HZ {
        hz / HZ_PER_MEL
    } else {
        LOG_START_MEL + (hz / LOG_START_HZ).ln() / log_step()
    }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < LOG_START_MEL {
        mel * HZ_PER_MEL
    } else {
        LOG_START_HZ * ((mel - LOG_START_MEL) * log_step()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_constant_floor() {
        for samples in [vec![], vec![0.0; 5000]] {
            let mel = LogMel::new(80).compute(&samples, 64);
            assert_eq!(mel.values, Array2::from_elem((80, 64), -1.5));
        }
    }

    #[test]
    fn padding_frames_equal_transformed_zeros() {
        let tone: Vec<f32> = (0..7777).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut padded = tone.clone();
        padded.resize(100 * HOP_LENGTH, 0.0);
        let mut log_mel = LogMel::new(80);
        assert_eq!(log_mel.compute(&tone, 100), log_mel.compute(&padded, 100));
    }

    #[test]
    fn any_length_is_accepted() {
        let mut log_mel = LogMel::new(128);
        for n_frames in [0, 1, 2, 3, 10] {
            for len in [0, 1, 159, 160, 199, 200, 201, 400, 5000] {
                let mel = log_mel.compute(&vec![0.5; len], n_frames);
                assert_eq!((mel.n_mels(), mel.n_frames()), (128, n_frames));
                assert!(mel.values.iter().all(|x| x.is_finite()));
            }
        }
    }

    #[test]
    fn a_tone_peaks_in_its_bin() {
        let hz = 1000.0;
        let tone: Vec<f32> = (0..16_000)
            .map(|i| (i as f32 * hz * 2.0 * std::f32::consts::PI / 16_000.0).sin())
            .collect();
        let mel = LogMel::new(80).compute(&tone, 100);
        let frame = mel.values.column(50);
        let peak = (0..80)
            .max_by(|&a, &b| frame[a].total_cmp(&frame[b]))
            .unwrap_or(0);
        // 15 mels at 1 kHz; the 80 centres lie top / 81 mels apart.
        let expected = (15.0 / (hz_to_mel(8000.0) / 81.0)).round() as usize - 1;
        assert_eq!(peak, expected);
    }
}
