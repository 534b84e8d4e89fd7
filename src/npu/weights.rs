//! The encoder's weights as an overlay takes them: packed when a model is installed on a machine
//! with overlays, or first used with an NPU, kept in a file beside the model, and mapped from there
//! ever after.

use super::layout::{pack_bfp16, pack_i8};
use super::packed_file::PackedFile;
use crate::advice::Advice;
use crate::cpu::terms_width;
use crate::models::{ModelError, ModelFile};
use crate::whisper::{Layer, row_major};
use bytes::Bytes;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};
use xrt_sys::manifest::{Overlay, Type};

/// A linear layer's weights.
pub struct PackedLayer {
    /// B as the overlay reads it.
    pub data: Bytes,
    /// Its rows, filled up to a shape that the overlay has.
    pub k: usize,
    /// Its columns.
    pub n: usize,
    /// A factor for each column; empty for bfp16.
    pub scales: Vec<f32>,
    /// Bias for each column.
    pub bias: Vec<f32>,
}

/// A product that the overlays have no instruction stream for.
#[derive(Debug, thiserror::Error)]
#[error("the overlay {overlay} has no stream for {name}: k {k}, n {n}")]
pub struct NoStream {
    overlay: String,
    name: String,
    k: usize,
    n: usize,
}

/// Why weights cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The model is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The overlay does not serve it.
    #[error(transparent)]
    NoStream(#[from] NoStream),
}

impl Advice for PackError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Model(error) => return error.remedy(),
            Self::NoStream(_) => "build the overlays for this model (kernels/build)".into(),
        })
    }
}

/// All linear layers of the encoder, in the order of [`Layer::index`]: from the file beside the
/// model, which is written first where it is not there, stale or damaged.
///
/// # Errors
/// Where a tensor is damaged, or a layer's shape is none of the overlay's. That the file cannot be
/// written is told in the log, and the weights stay in memory.
pub fn load(file: &Arc<ModelFile>, overlay: &Overlay) -> Result<Vec<PackedLayer>, PackError> {
    let begun = Instant::now();
    let shapes = shapes(file, overlay)?;
    let Some(kept) = PackedFile::of(file, overlay) else {
        return pack(file, overlay, &shapes);
    };
    if let Ok(layers) = kept.read(file, overlay, &shapes) {
        info!(
            "the NPU's weights are read from {} in {} ms",
            kept.path().display(),
            begun.elapsed().as_millis()
        );
        return Ok(layers);
    }
    let packed = pack(file, overlay, &shapes)?;
    info!(
        "the NPU's weights are packed in {} ms",
        begun.elapsed().as_millis()
    );
    let again = kept
        .write(file, &packed)
        .and_then(|()| kept.read(file, overlay, &shapes));
    Ok(again.unwrap_or_else(|error| {
        warn!(
            "the NPU's weights are packed at every start, since they cannot be kept: {}",
            error.explain()
        );
        packed
    }))
}

/// Writes the file of packed weights beside the model where it is not there, stale or damaged.
/// Gives its path; none for a model without a checksum, whose weights are packed at every start.
///
/// # Errors
/// Where a tensor is damaged, a layer's shape is none of the overlay's, or the file cannot be
/// written.
pub fn keep(file: &Arc<ModelFile>, overlay: &Overlay) -> Result<Option<PathBuf>, PackError> {
    let shapes = shapes(file, overlay)?;
    let Some(kept) = PackedFile::of(file, overlay) else {
        return Ok(None);
    };
    if kept.read(file, overlay, &shapes).is_err() {
        kept.write(file, &pack(file, overlay, &shapes)?)?;
    }
    Ok(Some(kept.path().to_owned()))
}

/// The shape of each layer's B.
fn shapes(file: &ModelFile, overlay: &Overlay) -> Result<Vec<(usize, usize)>, NoStream> {
    Layer::all(file.dims())
        .map(|layer| shape(file, overlay, layer))
        .collect()
}

/// Rows of B, filled up to a shape that the overlay has, and its columns.
fn shape(file: &ModelFile, overlay: &Overlay, layer: Layer) -> Result<(usize, usize), NoStream> {
    let (n, k) = layer.shape(file.dims());
    let k = depth(overlay, k);
    let padded = overlay
        .streams
        .iter()
        .filter(|s| s.n == n && s.k >= k)
        .map(|s| s.k)
        .min();
    let no_stream = || NoStream {
        overlay: overlay.name.clone(),
        name: layer.spec().name,
        k,
        n,
    };
    Ok((padded.ok_or_else(no_stream)?, n))
}

/// Rows of B for a layer of inputs of `k` values: activations in bf16 come in two terms, which meet
/// the same weights.
fn depth(overlay: &Overlay, k: usize) -> usize {
    if overlay.b.dtype == Type::I8 {
        k
    } else {
        terms_width(k)
    }
}

/// Weights `[n][k]` for both terms, `[n][terms_width(k)]`.
fn for_terms(weights: &[f32], k: usize) -> Vec<f32> {
    let mut both = vec![0.0; weights.len() / k * terms_width(k)];
    for (i, term) in both.chunks_exact_mut(terms_width(k) / 2).enumerate() {
        term[..k].copy_from_slice(&weights[i / 2 * k..][..k]);
    }
    both
}

fn pack(
    file: &Arc<ModelFile>,
    overlay: &Overlay,
    shapes: &[(usize, usize)],
) -> Result<Vec<PackedLayer>, PackError> {
    let layers = Layer::all(file.dims()).zip(shapes);
    Ok(layers
        .map(|(layer, shape)| pack_layer(file, overlay, layer, *shape))
        .collect::<Result<_, _>>()?)
}

fn pack_layer(
    file: &Arc<ModelFile>,
    overlay: &Overlay,
    layer: Layer,
    padded: (usize, usize),
) -> Result<PackedLayer, ModelError> {
    let ((n, k), spec, layout) = (layer.shape(file.dims()), layer.spec(), &overlay.b.layout);
    let (data, scales) = match overlay.b.dtype {
        // The very numbers that the CPU multiplies.
        Type::I8 => {
            let packed = spec.packed_i8(file, n)?;
            (
                pack_i8(&packed.rows(n, k), k, padded, layout),
                packed.scales,
            )
        }
        _ => {
            let weights = for_terms(&row_major(spec.weights(file)?.view()), k);
            (
                pack_bfp16(&weights, terms_width(k), padded, layout),
                Vec::new(),
            )
        }
    };
    Ok(PackedLayer {
        data: data.into(),
        k: padded.0,
        n,
        scales,
        bias: spec.bias(file)?,
    })
}
