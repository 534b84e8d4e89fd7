//! The silent tail: compressed silence padding behind a window shorter than the 30 s that Whisper
//! was trained on.
//!
//! In: the tail tensors of a model file. Out: [`Tail`]s by window length, and the window length
//! for an utterance.
//!
//! A window of n positions is encoded as if 1500 − n positions of silence followed it. The keys,
//! values and final states of those positions depend little on the utterance. They are taken from
//! full windows of shipped recordings in which speech lasts until just before position n and
//! silence follows, averaged over the recordings, and merged: a run of m neighbours becomes the
//! mean of its keys and the mean of its values, and ln m is added to its attention score, so that
//! softmax gives it the weight of its m members.

use super::SAMPLES_PER_POSITION;
use crate::cpu::KeysValues;
use crate::models::{ModelError, ModelFile};
use ndarray::{Array2, Array3};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of runs that the positions of a tail are merged into.
pub const TAIL_RUNS: usize = 32;

/// Window lengths that have a tail, in positions: multiples of 32 from 2.56 s, because steps of 64
/// would cost up to 50 % more work there, and multiples of 64 from 5.12 s to 15.36 s.
pub const TAIL_LENGTHS: [usize; 13] = [
    128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640, 704, 768,
];

/// Default length of the longest window, in positions: 15.36 s. Of the lengths up to 30 s it has
/// the lowest word error rate, for recordings (docs/accuracy.md) and for live text
/// (docs/streaming.md).
pub const LONGEST_WINDOW: usize = 768;

/// Silence kept behind an utterance within its window, in positions: 0.3 s.
const MARGIN: usize = 15;

/// Silent tail behind windows of one length.
#[derive(Debug, Default)]
pub struct Tail {
    /// Keys, values and score biases for each encoder block.
    pub layers: Vec<KeysValues>,
    /// Final encoder states, `[bias.len(), n_audio_state]`.
    pub states: Array2<f32>,
    /// Attention score biases of the tail's positions.
    pub bias: Vec<f32>,
}

/// Silent tails of a model, by window length in positions.
#[derive(Clone)]
pub struct Tails {
    by_length: BTreeMap<usize, Arc<Tail>>,
    none: Arc<Tail>,
}

impl Tails {
    /// Returns no tails: every window stands alone.
    pub fn none(n_audio_layer: usize) -> Self {
        let none = Tail {
            layers: vec![KeysValues::default(); n_audio_layer],
            ..Tail::default()
        };
        Self {
            by_length: BTreeMap::new(),
            none: Arc::new(none),
        }
    }

    /// Reads the tails that the import has computed.
    ///
    /// # Errors
    /// Returns an error if a tensor is damaged.
    pub fn load(file: &ModelFile) -> Result<Self, ModelError> {
        let mut tails = Self::none(file.dims().n_audio_layer);
        for n in TAIL_LENGTHS {
            if file.has(&format!("tail.{n}.states")) {
                tails.by_length.insert(n, Arc::new(Tail::load(file, n)?));
            }
        }
        Ok(tails)
    }

    /// The tail behind a window of `n_ctx` positions, which is empty if there is none.
    pub fn of(&self, n_ctx: usize) -> Arc<Tail> {
        self.by_length.get(&n_ctx).unwrap_or(&self.none).clone()
    }

    /// Number of positions of the window for an utterance of `n_samples` at 16 kHz, at most
    /// `longest`: the shortest window that has a silent tail and holds the utterance plus 0.3 s,
    /// or `longest` if there is none.
    pub fn window(&self, n_samples: usize, longest: usize) -> usize {
        let needed = n_samples.div_ceil(SAMPLES_PER_POSITION) + MARGIN;
        let fitting = self.by_length.range(needed..).next().map(|(n, _)| *n);
        fitting
            .filter(|n| self.by_length.contains_key(&longest) && *n <= longest)
            .unwrap_or(longest)
    }
}

impl Tail {
    /// Reads the tail behind windows of `n` positions.
    fn load(file: &ModelFile, n: usize) -> Result<Self, ModelError> {
        let width = file.dims().n_audio_state;
        let layered = [file.dims().n_audio_layer, TAIL_RUNS, width];
        file.expect_shape(&format!("tail.{n}.keys"), &layered)?;
        file.expect_shape(&format!("tail.{n}.values"), &layered)?;
        file.expect_shape(&format!("tail.{n}.states"), &[TAIL_RUNS, width])?;
        file.expect_shape(&format!("tail.{n}.bias"), &[TAIL_RUNS])?;
        let keys: Array3<f32> = file.array(&format!("tail.{n}.keys"))?;
        let values: Array3<f32> = file.array(&format!("tail.{n}.values"))?;
        let bias = file.f32(&format!("tail.{n}.bias"))?;
        let layers = keys.outer_iter().zip(values.outer_iter());
        Ok(Self {
            layers: layers
                .map(|(keys, values)| KeysValues {
                    keys: keys.iter().copied().collect(),
                    values: values.iter().copied().collect(),
                    bias: bias.clone(),
                })
                .collect(),
            states: file.array(&format!("tail.{n}.states"))?,
            bias,
        })
    }
}
