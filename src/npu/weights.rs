//! The encoder's weights in the layout of an overlay: packed when a model is installed on a machine
//! with overlays, or on first use with an NPU; stored in a file next to the model, and
//! memory-mapped from then on.

use super::layout::{pack_bfp16, pack_i8};
use crate::advice::Advice;
use crate::cpu::{LayerNorm, terms_width};
use crate::models::{
    Defect, Dtype, Entry, ModelError, ModelFile, Store, TensorFile, npu_weights, part_of,
    write_tensors,
};
use crate::whisper::{Layer, row_major};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempPath;
use tracing::{info, warn};
use xrt_sys::manifest::{Overlay, Type};

/// Weights of a linear layer.
pub struct PackedLayer {
    /// B in the layout of the overlay.
    pub data: Bytes,
    /// Number of rows, padded to a shape of the overlay.
    pub k: usize,
    /// Number of columns, padded in the same way.
    pub n: usize,
    /// Factor for each of the layer's own columns; empty for bfp16.
    pub scales: Vec<f32>,
    /// Bias for each of the layer's own columns.
    pub bias: Vec<f32>,
}

/// What a block has beside its buffers of activations.
pub struct BlockWeights {
    /// Queries, keys and values; attention's output; the MLP's two layers.
    pub layers: [PackedLayer; 4],
    /// Norms before attention and before the MLP.
    pub norms: [LayerNorm; 2],
}

/// A product for which the overlays have no instruction stream.
#[derive(Debug, thiserror::Error)]
#[error("the overlay {overlay} has no stream for {name}: k {k}, n {n}")]
pub struct NoStream {
    overlay: String,
    name: String,
    k: usize,
    n: usize,
}

/// Error while packing weights.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The model is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The overlay does not cover the model.
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

/// Loads all linear layers of the encoder, in the order of [`Layer::index`], from the file next to
/// the model. The file is written first if it is missing, stale or damaged.
///
/// # Errors
/// Returns an error if a tensor is damaged, or the overlay does not support a layer's shape. If the
/// file cannot be written, this is logged and the weights stay in memory.
pub fn load(file: &Arc<ModelFile>, overlay: &Overlay) -> Result<Vec<PackedLayer>, PackError> {
    let begun = Instant::now();
    let shapes = shapes(file, overlay)?;
    let Some(kept) = PackedFile::of(file, overlay) else {
        return pack(file, overlay, &shapes);
    };
    if let Ok(layers) = kept.read(file, overlay, &shapes) {
        info!(
            "NPU weights read from {} in {} ms",
            kept.path().display(),
            begun.elapsed().as_millis()
        );
        return Ok(layers);
    }
    let packed = pack(file, overlay, &shapes)?;
    info!("NPU weights packed in {} ms", begun.elapsed().as_millis());
    let again = kept
        .write(file, &packed)
        .and_then(|()| kept.read(file, overlay, &shapes));
    Ok(again.unwrap_or_else(|error| {
        warn!(
            "the NPU weights are packed at every start because they cannot be stored: {}",
            error.explain()
        );
        packed
    }))
}

/// Writes the file of packed weights next to the model if it is missing, stale or damaged. Returns
/// its path; `None` for a model without a checksum, whose weights are packed at every start.
///
/// # Errors
/// Returns an error if a tensor is damaged, the overlay does not support a layer's shape, or the
/// file cannot be written.
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

/// Packs the blocks for products that take activations in one term, with their norms: what the array
/// needs to compute whole blocks.
///
/// # Errors
/// Returns an error if a tensor is damaged, or the overlay does not support a layer's shape as it is.
pub fn pack_blocks(
    file: &Arc<ModelFile>,
    overlay: &Overlay,
) -> Result<Vec<BlockWeights>, PackError> {
    let pack = |layer: Layer| -> Result<PackedLayer, PackError> {
        let (n, k) = layer.shape(file.dims());
        let spec = layer.spec();
        if !overlay.streams.iter().any(|s| (s.k, s.n) == (k, n)) {
            return Err(NoStream {
                overlay: overlay.name.clone(),
                name: spec.name,
                k,
                n,
            }
            .into());
        }
        let weights = spec.weights(file)?;
        let data = pack_bfp16(&row_major(weights.view()), k, (k, n), &overlay.b.layout);
        Ok(PackedLayer {
            data: data.into(),
            k,
            n,
            scales: Vec::new(),
            bias: spec.bias(file)?,
        })
    };
    let norm = |block: usize, name: &str| -> Result<LayerNorm, PackError> {
        let name = format!("encoder.blocks.{block}.{name}");
        Ok(LayerNorm {
            weight: file.f32(&format!("{name}.weight"))?,
            bias: file.f32(&format!("{name}.bias"))?,
        })
    };
    let block = |i: usize| -> Result<BlockWeights, PackError> {
        Ok(BlockWeights {
            layers: [
                pack(Layer::Qkv(i))?,
                pack(Layer::Out(i))?,
                pack(Layer::Mlp(i, 0))?,
                pack(Layer::Mlp(i, 1))?,
            ],
            norms: [norm(i, "attn_ln")?, norm(i, "mlp_ln")?],
        })
    };
    (0..file.dims().n_audio_layer).map(block).collect()
}

/// Returns the shape of each layer's B.
fn shapes(file: &ModelFile, overlay: &Overlay) -> Result<Vec<(usize, usize)>, NoStream> {
    Layer::all(file.dims())
        .map(|layer| shape(file, overlay, layer))
        .collect()
}

/// Returns the rows and columns of B, padded to the smallest shape of the overlay that holds them.
fn shape(file: &ModelFile, overlay: &Overlay, layer: Layer) -> Result<(usize, usize), NoStream> {
    let (n, k) = layer.shape(file.dims());
    let k = depth(overlay, k);
    let padded = overlay
        .streams
        .iter()
        .filter(|s| s.n >= n && s.k >= k)
        .map(|s| (s.k, s.n))
        .min_by_key(|(k, n)| k * n);
    let no_stream = || NoStream {
        overlay: overlay.name.clone(),
        name: layer.spec().name,
        k,
        n,
    };
    padded.ok_or_else(no_stream)
}

/// Returns the rows of B for a layer with inputs of `k` values: activations in bf16 come in two
/// terms, which are multiplied by the same weights.
fn depth(overlay: &Overlay, k: usize) -> usize {
    if overlay.b.dtype == Type::I8 {
        k
    } else {
        terms_width(k)
    }
}

/// Returns the weights `[n][k]` for both terms, `[n][terms_width(k)]`.
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
    let (n, k) = layer.shape(file.dims());
    let spec = layer.spec();
    let layout = &overlay.b.layout;
    let (data, scales) = match overlay.b.dtype {
        // The same numbers that the CPU multiplies.
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
        n: padded.1,
        scales,
        bias: spec.bias(file)?,
    })
}

// The file is a safetensors file whose metadata name everything that the bytes depend on: the model
// by its checksum, the overlay's order of B by its declaration, and the version of the packing. If
// any of these differs, or the file is damaged, it is written again.

/// Incremented if the same weights are packed into different bytes.
const VERSION: &str = "1";

/// File of packed weights, and what it was made from.
pub struct PackedFile {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
}

impl PackedFile {
    /// Returns the file for a model's weights in the layout of `overlay`; `None` for a model
    /// without a checksum, since changes to it could not be detected.
    pub fn of(model: &ModelFile, overlay: &Overlay) -> Option<Self> {
        let checksum = model.metadata("data_sha256")?;
        let order = serde_json::to_string(&overlay.b).ok()?;
        let metadata = [
            ("format", "hearken-npu-weights"),
            ("version", VERSION),
            ("model", checksum),
            ("b", &order),
        ];
        let format = if overlay.a.dtype == Type::I8 {
            "int8"
        } else {
            "bf16"
        };
        Some(Self {
            path: npu_weights(model.path(), format),
            metadata: metadata
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        })
    }

    /// Path of the file, which may not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the layers of a model; `shapes` are the rows and columns of each B that the overlay
    /// needs.
    ///
    /// # Errors
    /// Returns an error if the file is missing, damaged or stale.
    pub fn read(
        &self,
        model: &ModelFile,
        overlay: &Overlay,
        shapes: &[(usize, usize)],
    ) -> Result<Vec<PackedLayer>, ModelError> {
        let file = Arc::new(TensorFile::open(&self.path)?);
        if let Some((key, _)) = self
            .metadata
            .iter()
            .find(|(key, value)| file.metadata(key) != Some(value))
        {
            return Err(Defect::new(format!("its {key} differs")).of(&self.path));
        }
        file.verify()?;
        let layer = |(layer, &(k, n)): (Layer, &(usize, usize))| {
            let spec = layer.spec();
            let data = file.shared(&spec.name)?;
            let scales = match overlay.b.dtype {
                Type::I8 => file.f32(&scales_name(&spec.name))?,
                _ => Vec::new(),
            };
            if data.len() != overlay.b.dtype.bytes(k * n)
                || !(scales.is_empty() || scales.len() == layer.shape(model.dims()).0)
            {
                return Err(
                    Defect::new(format!("tensor {} has the wrong shape", spec.name)).of(&self.path),
                );
            }
            Ok(PackedLayer {
                data,
                k,
                n,
                scales,
                bias: spec.bias(model)?,
            })
        };
        Layer::all(model.dims()).zip(shapes).map(layer).collect()
    }

    /// Writes the layers of a model; the file appears under its name only when complete.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn write(&self, model: &ModelFile, layers: &[PackedLayer]) -> Result<(), ModelError> {
        // A process that packs the same model at the same time waits; leftovers of a killed one are
        // overwritten.
        let _lock = Store::lock_of(model.path())?;
        let part = TempPath::try_from_path(part_of(&self.path))
            .map_err(ModelError::write(&self.path, 0))?;
        let mut entries = Vec::new();
        for (spec, layer) in Layer::all(model.dims()).map(Layer::spec).zip(layers) {
            entries.push(entry(
                spec.name.clone(),
                Dtype::U8,
                layer.data.len(),
                &layer.data,
            ));
            if !layer.scales.is_empty() {
                let bytes = bytemuck::cast_slice(&layer.scales);
                entries.push(entry(
                    scales_name(&spec.name),
                    Dtype::F32,
                    layer.scales.len(),
                    bytes,
                ));
            }
        }
        write_tensors(&part, self.metadata.clone(), entries, &mut |_| ())?;
        part.persist(&self.path)
            .map_err(|e| ModelError::write(&self.path, 0)(e.error))
    }
}

fn scales_name(layer: &str) -> String {
    format!("{layer}.scales")
}

fn entry(name: String, dtype: Dtype, len: usize, bytes: &[u8]) -> Entry<'_> {
    Entry {
        name,
        dtype,
        shape: vec![len],
        bytes: Box::new(move || Ok(Cow::from(bytes))),
    }
}
