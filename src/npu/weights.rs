//! The encoder's weights as an overlay takes them: packed once, when a model is loaded, and kept for the case that the
//! device has to be opened again.

use super::layout::{pack_bfp16, pack_i8};
use crate::models::{ModelError, ModelFile};
use crate::whisper::Layer;
use std::sync::Arc;
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
pub fn pack(file: &Arc<ModelFile>, overlay: &Overlay) -> Result<Vec<PackedLayer>, PackError> {
    Layer::all(file.dims()).map(|layer| pack_layer(file, overlay, layer)).collect()
}

fn pack_layer(file: &Arc<ModelFile>, overlay: &Overlay, layer: Layer) -> Result<PackedLayer, PackError> {
    let (n, k) = layer.shape(file.dims());
    let spec = layer.spec();
    let padded = overlay.streams.iter().filter(|s| s.n == n && s.k >= k).map(|s| s.k).min();
    let no_stream = || NoStream { overlay: overlay.name.clone(), name: spec.name.clone(), k, n };
    let padded = (padded.ok_or_else(no_stream)?, n);
    let layout = &overlay.b.layout;
    let (data, scales) = match overlay.b.dtype {
        // The very numbers that the CPU multiplies.
        Type::I8 => {
            let packed = spec.packed_i8(file, n)?;
            (pack_i8(&packed.rows(n, k), k, padded, layout), packed.scales)
        }
        _ => (pack_bfp16(&spec.weights(file)?.0, k, padded, layout), Vec::new()),
    };
    Ok(PackedLayer { data, k: padded.0, n, scales, bias: spec.bias(file)? })
}
