//! The encoder's weights as an overlay takes them: packed once, when a model is loaded, and kept for the case that the
//! device has to be opened again.

use super::layout::{pack_bfp16, pack_i8};
use crate::models::{ModelError, ModelFile, quantize_rows};
use crate::whisper::{Layer, LayerSpec};
use xrt_sys::manifest::{Overlay, Type};

/// A linear layer's weights.
pub struct PackedLayer {
    /// B as the overlay reads it.
    pub data: Vec<u8>,
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
#[error(
    "the overlay {overlay} has no stream for {name}: k {k}, n {n}; build the overlays for this model (kernels/build)"
)]
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

/// Packs all linear layers of the encoder, in the order of [`Layer::index`].
///
/// # Errors
/// Where a tensor is damaged, or a layer's shape is none of the overlay's.
pub fn pack(file: &ModelFile, overlay: &Overlay) -> Result<Vec<PackedLayer>, PackError> {
    Layer::all(file.dims()).map(|layer| pack_layer(file, overlay, &layer.spec())).collect()
}

fn pack_layer(file: &ModelFile, overlay: &Overlay, spec: &LayerSpec) -> Result<PackedLayer, PackError> {
    let (weights, k) = spec.weights(file)?;
    let n = weights.len() / k;
    let padded = overlay.streams.iter().filter(|s| s.n == n && s.k >= k).map(|s| s.k).min();
    let padded_k = padded.ok_or_else(|| NoStream { overlay: overlay.name.clone(), name: spec.name.clone(), k, n })?;
    let layout = &overlay.b.layout;
    let (data, scales) = match overlay.b.dtype {
        Type::I8 => {
            let (whole, scales) = quantize_rows(&weights, n, k);
            (pack_i8(&whole, k, (padded_k, n), layout), scales)
        }
        _ => (pack_bfp16(&weights, k, (padded_k, n), layout), Vec::new()),
    };
    Ok(PackedLayer { data, k: padded_k, n, scales, bias: spec.bias(file)? })
}
