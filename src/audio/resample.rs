//! From interleaved blocks at any rate to 16 kHz mono.
//!
//! Channels are averaged, then resampled in the frequency domain. The output does not depend on how the input is cut
//! into blocks, begins with the input's first sample (the resampler's delay is dropped) and ends with its last.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use super::{Block, ResampleError, SAMPLE_RATE};

/// Shortest transform block, in frames of the slower side. Its Blackman-Harris² filter passes up to 97 % of the
/// slower side's Nyquist frequency.
const MIN_BLOCK: usize = 512;

/// Converts a stream to 16 kHz mono.
pub struct Resampler {
    rate: u32,
    channels: usize,
    /// `None` where the input is at 16 kHz already.
    fft: Option<Fft<f32>>,
    /// Mono input that does not fill a block yet.
    pending: Vec<f32>,
    /// Output of one block.
    block: Vec<f32>,
    /// Frames taken in.
    n_in: u64,
    /// Samples given out.
    n_out: u64,
    /// Samples of the resampler's delay still to be dropped.
    to_drop: usize,
}

impl Resampler {
    /// A converter for input at `rate` Hz with `channels` interleaved channels.
    ///
    /// # Errors
    /// When the rate is zero.
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
            channels: channels.max(1),
            fft,
            pending: Vec::new(),
            block,
            n_in: 0,
            n_out: 0,
            to_drop,
        })
    }

    /// Whether a block has the format this converter was made for.
    pub fn fits(&self, block: Block<'_>) -> bool {
        (self.rate, self.channels) == (block.rate, block.channels.max(1))
    }

    /// Takes `samples` (`[frames, channels]`, row-major, whole frames) and appends what is ready to `out` (16 kHz,
    /// mono).
    ///
    /// # Errors
    /// When the resampler refuses a block; it is not known to.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), ResampleError> {
        self.n_in += (samples.len() / self.channels) as u64;
        let scale = 1.0 / self.channels as f32;
        let mono = samples
            .chunks_exact(self.channels)
            .map(|frame| frame.iter().sum::<f32>() * scale);
        if self.fft.is_none() {
            out.extend(mono);
            return Ok(());
        }
        self.pending.extend(mono);
        self.convert_pending(out)
    }

    /// Appends what is still inside to `out`. The output then has `frames * 16000 / rate` samples, rounded. Nothing
    /// may be pushed afterwards.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(block_len) = self.fft.as_ref().map(|f| f.input_frames_next()) else {
            return Ok(());
        };
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

/// The transform of `rate` Hz to 16 kHz with blocks of whole frames on both sides.
fn make_fft(rate: u32) -> Result<Fft<f32>, ResampleError> {
    let (from, to) = (rate as usize, SAMPLE_RATE as usize);
    let unit = gcd(from, to);
    let (unit_in, unit_out) = (from / unit, to / unit);
    let mut units = MIN_BLOCK.div_ceil(unit_in.min(unit_out).max(1));
    // The delay is half a block: an even one makes it whole samples.
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
