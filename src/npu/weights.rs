//! The encoder's weights as an overlay takes them: packed when a model is installed on a machine
//! with overlays, or first used with an NPU, kept in a file beside the model, and mapped from there
//! ever after.

use super::layout::{pack_bfp16, pack_i8};
use crate::advice::Advice;
use crate::cpu::terms_width;
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

// The file is a safetensors file whose metadata name what the bytes depend on: the model by its
// checksum, the overlay's order of B by its declaration, the version of the packing. If any of
// these differs, or the file is damaged, it is written again.

/// Raised when the same weights are packed into other bytes.
const VERSION: &str = "1";

/// Where packed weights are kept, and what they were made from.
pub struct PackedFile {
    path: PathBuf,
    metadata: BTreeMap<String, String>,
}

impl PackedFile {
    /// The file for a model's weights as `overlay` takes them; none for a model without a checksum,
    /// of which nothing would tell that it has changed.
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

    /// Where it is, or will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The layers of a model, whose `shapes` are those that the overlay wants: rows and columns of
    /// each B.
    ///
    /// # Errors
    /// Where there is no such file, or it is damaged or stale.
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
            return Err(Defect::new(format!("its {key} is another")).of(&self.path));
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
                || !(scales.is_empty() || scales.len() == n)
            {
                return Err(
                    Defect::new(format!("tensor {} has another shape", spec.name)).of(&self.path),
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

    /// Writes the layers of a model; the file appears under its name when it is complete.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, model: &ModelFile, layers: &[PackedLayer]) -> Result<(), ModelError> {
        // Whoever packs the same model at the same time waits; what one that was killed has left is
        // written over.
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
