//! The encoder states of openai-whisper (PyTorch, f32) for a recording, to compare a device with
//! them in one step.
//!
//! In: a directory with both, in the source `tests/data/golden`. Out: the recording's log-mel
//! spectrogram, and the similarity of states to the reference.

use crate::audio::{AudioError, FileSource, Mono16k};
use crate::mel::{LogMel, Mel};
use crate::models::{ModelError, TensorFile};
use ndarray::{Array2, s};
use std::path::Path;

/// Positions of Whisper's own window of 30 s, and the distance of those that are kept.
const POSITIONS: usize = 1500;
const EVERY: usize = 25;

/// Reference states of a recording.
pub struct Golden {
    /// The recording, padded to 30 s.
    pub mel: Mel,
    /// Every 25th position, row by row.
    states: Vec<f32>,
}

impl Golden {
    /// Number of positions that the reference is of.
    pub const N_CTX: usize = POSITIONS;

    /// Reads recording and states from a directory.
    ///
    /// # Errors
    /// Returns an error if one of the files is missing or damaged.
    pub fn read(directory: &Path, n_mels: usize) -> Result<Self, GoldenError> {
        let source = FileSource::open(&directory.join("jfk_16k.flac"))?;
        let mut stream = Mono16k::new(Box::new(source));
        let mut samples = Vec::new();
        while let Some(block) = stream.next_block()? {
            samples.extend_from_slice(block);
        }
        let states = TensorFile::open(&directory.join("jfk-base.safetensors"))?;
        Ok(Self {
            mel: LogMel::new(n_mels).compute(&samples, 2 * POSITIONS),
            states: states.f32("encoder_30s")?,
        })
    }

    /// Returns the lowest cosine similarity of any kept position to the reference's; 0 if the states
    /// do not have its shape.
    pub fn cosine(&self, states: &Array2<f32>) -> f64 {
        let width = states.ncols();
        let kept = states.slice(s![..POSITIONS.min(states.nrows());EVERY, ..]);
        if self.states.len() != kept.len() || width == 0 {
            return 0.0;
        }
        let rows = kept.rows().into_iter().zip(self.states.chunks_exact(width));
        let of = |(got, want): (ndarray::ArrayView1<'_, f32>, &[f32])| {
            let sum = |f: fn(f64, f64) -> f64| {
                let pairs = got.iter().zip(want);
                pairs
                    .map(|(a, b)| f(f64::from(*a), f64::from(*b)))
                    .sum::<f64>()
            };
            sum(|a, b| a * b) / (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt()
        };
        // A NaN, unlike with `f64::min`, must not pass.
        rows.map(of).fold(1.0, |least: f64, cosine| {
            if least.is_nan() || cosine >= least {
                least
            } else {
                cosine
            }
        })
    }
}

/// Error while reading the reference.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The recording cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The states cannot be read.
    #[error(transparent)]
    States(#[from] ModelError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_position_of_the_reference_shows() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden");
        let golden = Golden::read(Path::new(directory), 80).expect("the reference");
        assert_eq!(golden.mel.n_frames(), 3000);
        let mut states = Array2::zeros((POSITIONS, 512));
        for (i, row) in golden.states.chunks_exact(512).enumerate() {
            states
                .row_mut(i * EVERY)
                .assign(&ndarray::ArrayView1::from(row));
        }
        assert!(golden.cosine(&states) > 0.999_999);
        let mut wrong = states.clone();
        wrong.row_mut(40 * EVERY).mapv_inplace(|x| -x);
        assert!(golden.cosine(&wrong) < -0.99);
        states[[7 * EVERY, 3]] = f32::NAN;
        assert!(golden.cosine(&states).is_nan());
        assert_eq!(golden.cosine(&Array2::zeros((POSITIONS, 384))), 0.0);
    }
}
