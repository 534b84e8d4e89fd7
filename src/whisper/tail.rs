//! The silent tail: what stands behind a window shorter than the 30 s that Whisper was trained on.
//!
//! A window of n positions is encoded as if 1500 − n positions of silence followed. Their keys,
//! values and final states depend little on the utterance; they are taken from full windows of
//! shipped recordings in which speech goes on to just before position n and silence follows,
//! averaged over the recordings, and merged: a run of m neighbours becomes the mean of its keys and
//! of its values, and ln m is added to its attention score, so that softmax gives it the weight of
//! its m members.

use super::SAMPLES_PER_POSITION;
use crate::cpu::KeysValues;
use crate::models::{ModelError, ModelFile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Positions that a tail is merged into.
pub const TAIL_RUNS: usize = 32;

/// Window lengths that have a tail, in positions: multiples of 32 from 2.56 s, where a step of 64
/// would be up to half as much work again, and of 64 from 5.12 s to 15.36 s.
pub const TAIL_LENGTHS: [usize; 13] = [
    128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640, 704, 768,
];

/// Positions of the longest window, unless another is asked for: 15.36 s. Of the lengths up to 30 s
/// it is the one with the lowest word error rate (docs/accuracy.md), for recordings as for live
/// text (docs/streaming.md).
pub const LONGEST_WINDOW: usize = 768;

/// Silence that an utterance keeps behind it within its window, in positions: 0.3 s.
const MARGIN: usize = 15;

/// The silent tail behind windows of one length.
#[derive(Debug, Default)]
pub struct Tail {
    /// Keys, values and score biases for each encoder block.
    pub layers: Vec<KeysValues>,
    /// Final states, `[bias.len()][n_audio_state]`.
    pub states: Vec<f32>,
    /// What attention adds to the scores of the tail's positions.
    pub bias: Vec<f32>,
}

/// The tails of a model, by window length in positions.
#[derive(Clone)]
pub struct Tails {
    by_length: BTreeMap<usize, Arc<Tail>>,
    none: Arc<Tail>,
}

impl Tails {
    /// No tails: every window stands alone.
    pub fn none(n_audio_layer: usize) -> Self {
        let layers = vec![KeysValues::default(); n_audio_layer];
        Self {
            by_length: BTreeMap::new(),
            none: Arc::new(Tail {
                layers,
                ..Tail::default()
            }),
        }
    }

    /// Reads the tails that the import has computed.
    ///
    /// # Errors
    /// Where a tensor is damaged.
    pub fn load(file: &ModelFile) -> Result<Self, ModelError> {
        let dims = file.dims();
        let mut tails = Self::none(dims.n_audio_layer);
        for n in TAIL_LENGTHS {
            if !file.has(&format!("tail.{n}.states")) {
                continue;
            }
            let part = |name: &str, shape: &[usize]| {
                let name = format!("tail.{n}.{name}");
                file.expect_shape(&name, shape)
                    .and_then(|()| file.f32(&name))
            };
            let layered = [dims.n_audio_layer, TAIL_RUNS, dims.n_audio_state];
            let (keys, values) = (part("keys", &layered)?, part("values", &layered)?);
            let (states, bias) = (part("states", &layered[1..])?, part("bias", &[TAIL_RUNS])?);
            let per_layer = TAIL_RUNS * dims.n_audio_state;
            let layer = |(k, v): (&[f32], &[f32])| KeysValues {
                keys: k.to_vec(),
                values: v.to_vec(),
                bias: bias.clone(),
            };
            let layers = keys
                .chunks(per_layer)
                .zip(values.chunks(per_layer))
                .map(layer)
                .collect();
            tails.by_length.insert(
                n,
                Arc::new(Tail {
                    layers,
                    states,
                    bias,
                }),
            );
        }
        Ok(tails)
    }

    /// The tail behind a window of `n_ctx` positions; an empty one where there is none.
    pub fn of(&self, n_ctx: usize) -> Arc<Tail> {
        self.by_length.get(&n_ctx).unwrap_or(&self.none).clone()
    }

    /// Positions of the window for an utterance of `n_samples` at 16 kHz, at most `longest`: the
    /// shortest that has a silent tail and holds the utterance with 0.3 s behind it; `longest`
    /// where there is none.
    pub fn window(&self, n_samples: usize, longest: usize) -> usize {
        let needed = n_samples.div_ceil(SAMPLES_PER_POSITION) + MARGIN;
        let fitting = self.by_length.range(needed..).next().map(|(n, _)| *n);
        fitting
            .filter(|n| self.by_length.contains_key(&longest) && *n <= longest)
            .unwrap_or(longest)
    }
}
