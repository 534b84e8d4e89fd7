//! What an import computes once and keeps with the weights: 8-bit matrices as the kernels read
//! them, and silent tails.

use super::SAMPLES_PER_POSITION;
use super::encoder::{CpuEncoder, EncodeError, EncoderWeights, Stage};
use super::tail::{TAIL_LENGTHS, TAIL_RUNS, Tails};
use super::weights::{Compute, LayerSpec};
use crate::cpu::{Cpu, IsaError};
use crate::mel::{LogMel, Mel};
use crate::models::{Dtype, ModelError, ModelFile, NewTensor};
use std::ops::Range;
use std::sync::Arc;

/// Why the derived tensors of a model cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The weights are damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The encoder does not take a full window.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// `HEARKEN_CPU` is wrong.
    #[error(transparent)]
    Isa(#[from] IsaError),
}

/// Computes the derived tensors of a model; `progress` is told the share done, 0 to 1.
///
/// `recordings`: speech at 16 kHz, mono. A window that is longer than one of them holds the next as
/// well.
///
/// # Errors
/// Where the model is damaged.
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

/// The three tensors of a layer's 8-bit form.
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
        f32_tensor(format!("{name}.scales"), vec![n], &packed.scales),
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

fn f32_tensor(name: String, shape: Vec<usize>, values: &[f32]) -> NewTensor {
    let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    NewTensor {
        name,
        dtype: Dtype::F32,
        shape,
        data,
    }
}

/// The silent tails of all window lengths that leave room for one.
fn tails(
    file: &Arc<ModelFile>,
    recordings: &[Vec<f32>],
    progress: &mut dyn FnMut(f32),
) -> Result<Vec<NewTensor>, PrepareError> {
    let dims = *file.dims();
    let cpu = Arc::new(Cpu::new(
        std::thread::available_parallelism().map_or(1, usize::from),
    )?);
    let weights = Arc::new(EncoderWeights::load(file, Compute::F32)?);
    let mut encoder = CpuEncoder::new(cpu, weights, Tails::none(dims.n_audio_layer));
    let mut log_mel = LogMel::new(dims.n_mels);
    let mut tensors = Vec::new();
    let lengths: Vec<usize> = TAIL_LENGTHS
        .into_iter()
        .filter(|n| n + TAIL_RUNS <= dims.n_audio_ctx)
        .collect();
    for (i, n) in lengths.iter().copied().enumerate() {
        let runs = runs(n, dims.n_audio_ctx);
        let mut sum = Sum::new(
            dims.n_audio_layer,
            dims.n_audio_state,
            1.0 / recordings.len() as f32,
        );
        for j in 0..recordings.len() {
            let joined = recordings[j..].iter().chain(recordings).flatten();
            let speech: Vec<f32> = joined.copied().take(n * SAMPLES_PER_POSITION).collect();
            sum.add(
                &mut encoder,
                &log_mel.compute(&speech, 2 * dims.n_audio_ctx),
                &runs,
            )?;
            progress(
                (i * recordings.len() + j + 1) as f32 / (lengths.len() * recordings.len()) as f32,
            );
        }
        let bias: Vec<f32> = runs.iter().map(|run| (run.len() as f32).ln()).collect();
        let layered = vec![dims.n_audio_layer, TAIL_RUNS, dims.n_audio_state];
        tensors.push(f32_tensor(
            format!("tail.{n}.keys"),
            layered.clone(),
            &sum.keys,
        ));
        tensors.push(f32_tensor(format!("tail.{n}.values"), layered, &sum.values));
        tensors.push(f32_tensor(
            format!("tail.{n}.states"),
            vec![TAIL_RUNS, dims.n_audio_state],
            &sum.states,
        ));
        tensors.push(f32_tensor(format!("tail.{n}.bias"), vec![TAIL_RUNS], &bias));
    }
    Ok(tensors)
}

/// The positions behind a window of `n`, in runs as equal as can be.
fn runs(n: usize, n_audio_ctx: usize) -> Vec<Range<usize>> {
    let edge = |i: usize| n + i * (n_audio_ctx - n) / TAIL_RUNS;
    (0..TAIL_RUNS).map(|i| edge(i)..edge(i + 1)).collect()
}

/// Means over runs of positions, summed over recordings.
struct Sum {
    width: usize,
    share: f32,
    keys: Vec<f32>,
    values: Vec<f32>,
    states: Vec<f32>,
}

impl Sum {
    fn new(n_layer: usize, width: usize, share: f32) -> Self {
        let zeros = |layers: usize| vec![0.0; layers * TAIL_RUNS * width];
        Self {
            width,
            share,
            keys: zeros(n_layer),
            values: zeros(n_layer),
            states: zeros(1),
        }
    }

    fn add(
        &mut self,
        encoder: &mut CpuEncoder,
        mel: &Mel,
        runs: &[Range<usize>],
    ) -> Result<(), EncodeError> {
        let (width, share) = (self.width, self.share);
        let features = encoder.encode_with_hook(mel, &mut |stage| {
            if let Stage::Qkv(layer, qkv) = stage {
                let at = layer * TAIL_RUNS * width;
                add_means(
                    &mut self.keys[at..],
                    qkv,
                    (3 * width, width),
                    runs,
                    share,
                    width,
                );
                add_means(
                    &mut self.values[at..],
                    qkv,
                    (3 * width, 2 * width),
                    runs,
                    share,
                    width,
                );
            }
        })?;
        add_means(
            &mut self.states,
            &features.states,
            (width, 0),
            runs,
            share,
            width,
        );
        Ok(())
    }
}

/// Adds `share` × the mean over each run of the rows' values `[from, from + width)`.
fn add_means(
    to: &mut [f32],
    rows: &[f32],
    (stride, from): (usize, usize),
    runs: &[Range<usize>],
    share: f32,
    width: usize,
) {
    for (run, to) in runs.iter().zip(to.chunks_exact_mut(width)) {
        let weight = share / run.len() as f32;
        for i in run.clone() {
            let row = &rows[i * stride + from..][..width];
            to.iter_mut().zip(row).for_each(|(to, x)| *to += weight * x);
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
        let (pt, model) = (
            directory.path().join("tiny.pt"),
            directory.path().join("tiny.safetensors"),
        );
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
