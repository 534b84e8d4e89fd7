//! The file of packed weights beside a model, from which they are copied to the device without
//! being packed again.
//!
//! In: layers as they were packed. Out: the same layers, their bytes in the map of the file. It is
//! a safetensors file whose metadata name what the bytes depend on: the model by its checksum, the
//! overlay's order of B by its declaration, the version of the packing. A file in which any of
//! these differs, or that is damaged, is written anew.

use super::weights::PackedLayer;
use crate::models::{
    Defect, Dtype, Entry, ModelError, ModelFile, Store, TensorFile, npu_weights, part_of,
    write_tensors,
};
use crate::whisper::Layer;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempPath;
use xrt_sys::manifest::{Overlay, Type};

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
