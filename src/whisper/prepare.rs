//! Tensors that an import derives once and stores with the weights: 8-bit matrices in the layout of
//! the kernels, and silent tails.
//!
//! In: an imported model file and recordings of speech. Out: tensors to add to the file.

use super::SAMPLES_PER_POSITION;
use super::encoder::{CpuEncoder, EncodeError, EncoderWeights, Stage};
use super::tail::{TAIL_LENGTHS, TAIL_RUNS, Tails};
use super::weights::{LayerSpec, Precision};
use crate::cpu::{Cpu, IsaError};
use crate::mel::{LogMel, Mel};
use crate::models::{Dims, Dtype, ModelError, ModelFile, NewTensor};
use ndarray::{Array2, Array3, ArrayView, ArrayView2, ArrayViewMut2, Axis, Dimension, s};
use std::ops::Range;
use std::sync::Arc;

/// Error of computing the derived tensors of a model.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The weights are damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The encoder does not accept a full window.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// `HEARKEN_CPU` is invalid.
    #[error(transparent)]
    Isa(#[from] IsaError),
}

/// Computes the derived tensors of a model. `progress` receives the share done, 0 to 1.
///
/// `recordings`: speech at 16 kHz, mono. A window that is longer than a recording continues with
/// the next one.
///
/// # Errors
/// Returns an error if the model is damaged.
pub fn derive(
    file: &ModelFile,
    recordings: &[Vec<f32>],
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<NewTensor>, PrepareError> {
    let mut tensors = Vec::new();
    for spec in LayerSpec::all(file.dims()) {
        tensors.extend(packed(&spec, file)?);
    }
    let shared = Arc::new(ModelFile::open(file.path())?);
    tensors.extend(tails(&shared, recordings, progress)?);
    Ok(tensors)
}

/// Returns the three tensors of the 8-bit form of a layer.
fn packed(spec: &LayerSpec, file: &ModelFile) -> Result<[NewTensor; 3], ModelError> {
    let packed = spec.quantized(file)?;
    let n = packed.scales.len();
    let name = format!("{}.i8", spec.name);
    let offsets = packed
        .offsets
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    Ok([
        f32_tensor(
            format!("{name}.scales"),
            ArrayView::from(&packed.scales[..]),
        ),
        NewTensor {
            name: format!("{name}.offsets"),
            dtype: Dtype::I32,
            shape: vec![n],
            data: offsets,
        },
        NewTensor {
            name,
            dtype: Dtype::I8,
            shape: vec![n / 16, packed.k / 4, 16, 4],
            data: packed.panels.to_vec(),
        },
    ])
}

fn f32_tensor<D: Dimension>(name: String, values: ArrayView<'_, f32, D>) -> NewTensor {
    NewTensor {
        name,
        dtype: Dtype::F32,
        shape: values.shape().to_vec(),
        data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// Computes the silent tails of all window lengths that leave room for one.
fn tails(
    file: &Arc<ModelFile>,
    recordings: &[Vec<f32>],
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<NewTensor>, PrepareError> {
    let dims = *file.dims();
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = Arc::new(Cpu::new(n_threads)?);
    let weights = Arc::new(EncoderWeights::load(file, Precision::F32)?);
    let mut encoder = CpuEncoder::new(cpu, weights, Tails::none(dims.n_audio_layer));
    let mut log_mel = LogMel::new(dims.n_mels);
    let lengths: Vec<usize> = TAIL_LENGTHS
        .into_iter()
        .filter(|n| n + TAIL_RUNS <= dims.n_audio_ctx)
        .collect();
    let n_windows = lengths.len() * recordings.len();
    let mut tensors = Vec::new();
    for (i, n) in lengths.iter().copied().enumerate() {
        let runs = runs(n, dims.n_audio_ctx);
        let mut sum = Sum::new(&dims, 1.0 / recordings.len() as f32);
        for j in 0..recordings.len() {
            let joined = recordings[j..].iter().chain(recordings).flatten();
            let speech: Vec<f32> = joined.copied().take(n * SAMPLES_PER_POSITION).collect();
            let mel = log_mel.compute(&speech, 2 * dims.n_audio_ctx);
            sum.add(&mut encoder, &mel, &runs)?;
            progress((i * recordings.len() + j + 1) as f32 / n_windows as f32);
        }
        let bias: Vec<f32> = runs.iter().map(|run| (run.len() as f32).ln()).collect();
        tensors.extend([
            f32_tensor(format!("tail.{n}.keys"), sum.keys.view()),
            f32_tensor(format!("tail.{n}.values"), sum.values.view()),
            f32_tensor(format!("tail.{n}.states"), sum.states.view()),
            f32_tensor(format!("tail.{n}.bias"), ArrayView::from(&bias[..])),
        ]);
    }
    Ok(tensors)
}

/// Returns the positions behind a window of `n`, in runs of nearly equal length.
fn runs(n: usize, n_audio_ctx: usize) -> Vec<Range<usize>> {
    let edge = |i: usize| n + i * (n_audio_ctx - n) / TAIL_RUNS;
    (0..TAIL_RUNS).map(|i| edge(i)..edge(i + 1)).collect()
}

/// Means over runs of positions, summed over recordings.
struct Sum {
    /// Weight of a recording.
    share: f32,
    /// `[n_audio_layer, TAIL_RUNS, n_audio_state]`.
    keys: Array3<f32>,
    /// `[n_audio_layer, TAIL_RUNS, n_audio_state]`.
    values: Array3<f32>,
    /// `[TAIL_RUNS, n_audio_state]`.
    states: Array2<f32>,
}

impl Sum {
    fn new(dims: &Dims, share: f32) -> Self {
        let layered = (dims.n_audio_layer, TAIL_RUNS, dims.n_audio_state);
        Self {
            share,
            keys: Array3::zeros(layered),
            values: Array3::zeros(layered),
            states: Array2::zeros((TAIL_RUNS, dims.n_audio_state)),
        }
    }

    /// Encodes a window and adds its means.
    fn add(
        &mut self,
        encoder: &mut CpuEncoder,
        mel: &Mel,
        runs: &[Range<usize>],
    ) -> Result<(), EncodeError> {
        let Self {
            share,
            keys,
            values,
            states,
        } = self;
        let width = states.ncols();
        let features = encoder.encode_with_hook(mel, &mut |stage| {
            if let Stage::Qkv(layer, qkv) = stage {
                // Queries, keys and values stand side by side in each row.
                let layer_keys = keys.index_axis_mut(Axis(0), layer);
                add_means(
                    layer_keys,
                    qkv.slice(s![.., width..2 * width]),
                    runs,
                    *share,
                );
                let layer_values = values.index_axis_mut(Axis(0), layer);
                add_means(layer_values, qkv.slice(s![.., 2 * width..]), runs, *share);
            }
        })?;
        add_means(states.view_mut(), features.states.view(), runs, *share);
        Ok(())
    }
}

/// Adds `share` × the mean over each run of `rows` to a row of `sums`, `[runs.len(), width]`.
fn add_means(
    mut sums: ArrayViewMut2<'_, f32>,
    rows: ArrayView2<'_, f32>,
    runs: &[Range<usize>],
    share: f32,
) {
    for (run, mut sum) in runs.iter().zip(sums.rows_mut()) {
        let weight = share / run.len() as f32;
        for row in rows.slice(s![run.clone(), ..]).rows() {
            sum.scaled_add(weight, &row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Origin, import, synthetic};

    #[test]
    fn a_model_of_short_windows_has_tails_for_those_that_leave_room() {
        let dims = crate::whisper::Dims {
            n_audio_ctx: 190,
            ..synthetic::dims()
        };
        let directory = tempfile::tempdir().expect("a directory");
        let pt = directory.path().join("tiny.pt");
        let model = directory.path().join("tiny.safetensors");
        synthetic::write_pt(&pt, &dims, &synthetic::model(&dims));
        let origin = Origin {
            name: "tiny".to_owned(),
            source: "nowhere".to_owned(),
            dims: None,
        };
        import(&pt, &model, &origin, &|_, _| Ok(Vec::new()), &mut |_, _| ()).expect("an import");
        let file = ModelFile::open(&model).expect("a model");
        let tone: Vec<f32> = (0..32_000).map(|i| (i as f32 * 0.3).sin()).collect();
        let derived = derive(&file, &[tone], &mut |_| ()).expect("tensors");
        let names: Vec<&str> = derived
            .iter()
            .map(|t| t.name.as_str())
            .filter(|name| name.starts_with("tail"))
            .collect();
        assert_eq!(
            names,
            [
                "tail.128.keys",
                "tail.128.values",
                "tail.128.states",
                "tail.128.bias"
            ]
        );
    }

    #[test]
    fn runs_cover_the_tail_once() {
        for n in TAIL_LENGTHS {
            let runs = runs(n, 1500);
            assert_eq!(runs.len(), TAIL_RUNS);
            assert!(runs[0].start == n && runs[TAIL_RUNS - 1].end == 1500);
            assert!(
                runs.windows(2)
                    .all(|w| w[0].end == w[1].start && !w[0].is_empty())
            );
        }
    }
}
