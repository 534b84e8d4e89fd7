//! Linear layers from the tensors of a model file.
//!
//! In: OpenAI's tensors. Out: [`Linear`] layers for the kernels. Only this module knows how the
//! tensors are combined: queries, keys and values are stacked into one product, and convolution
//! kernels become matrices over consecutive frames.

use crate::cpu::{LayerNorm, Linear, PackedI8, pack_i8, quantize_rows};
use crate::models::{Defect, ModelError, ModelFile};
use crate::whisper::Dims;
use ndarray::{Array2, ArrayD, ArrayView2, Axis, ShapeError, concatenate};
use std::borrow::Cow;
use std::sync::Arc;

/// Number format of the CPU's matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point: the reference.
    F32,
    /// 8-bit weights with one scale per output, 8-bit activations with one scale per row.
    Int8,
}

impl Precision {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// Linear layer as a list of tensors whose rows are stacked.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// Name under which the 8-bit form of the layer is stored.
    pub name: String,
    /// Names of the tensors without `.weight` and `.bias`, top to bottom.
    parts: Vec<String>,
}

impl LayerSpec {
    fn new(block: &str, name: &str, parts: &[&str]) -> Self {
        let part = |part: &&str| format!("{block}{part}");
        Self {
            name: format!("{block}{name}"),
            parts: parts.iter().map(part).collect(),
        }
    }

    fn single(name: &str) -> Self {
        Self::new("", name, &[name])
    }

    /// Convolution `i` (1 or 2) of the encoder's stem.
    pub fn conv(i: usize) -> Self {
        Self::single(&format!("encoder.conv{i}"))
    }

    /// Queries, keys and values of self-attention.
    pub fn qkv(side: &str, layer: usize) -> Self {
        let block = format!("{side}.blocks.{layer}.attn.");
        Self::new(&block, "qkv", &["query", "key", "value"])
    }

    /// Keys and values of cross-attention.
    pub fn cross_kv(layer: usize) -> Self {
        Self::new(
            &format!("decoder.blocks.{layer}.cross_attn."),
            "kv",
            &["key", "value"],
        )
    }

    /// Layer of a block that is a single tensor, such as `attn.out` or `mlp.0`.
    pub fn of_block(side: &str, layer: usize, name: &str) -> Self {
        Self::single(&format!("{side}.blocks.{layer}.{name}"))
    }

    /// The logits: the token embedding used as a linear layer.
    pub fn logits() -> Self {
        Self::single("decoder.token_embedding")
    }

    /// All layers of a model.
    pub fn all(dims: &Dims) -> Vec<Self> {
        let mut all = vec![Self::conv(1), Self::conv(2)];
        for (side, layers) in [
            ("encoder", dims.n_audio_layer),
            ("decoder", dims.n_text_layer),
        ] {
            for layer in 0..layers {
                all.push(Self::qkv(side, layer));
                let mut names = vec!["attn.out", "mlp.0", "mlp.2"];
                if side == "decoder" {
                    all.push(Self::cross_kv(layer));
                    names.extend(["cross_attn.query", "cross_attn.out"]);
                }
                all.extend(names.iter().map(|name| Self::of_block(side, layer, name)));
            }
        }
        all.push(Self::logits());
        all
    }

    /// Weights `[n, k]`. The inner order of a convolution is tap, then channel: frames follow each
    /// other in memory.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn weights(&self, file: &ModelFile) -> Result<Array2<f32>, ModelError> {
        let mut parts = self
            .parts
            .iter()
            .map(|part| matrix(file, &format!("{part}.weight")))
            .collect::<Result<Vec<_>, _>>()?;
        if parts.len() == 1 {
            // The logits' 100 MB need no copy.
            return Ok(parts.swap_remove(0));
        }
        let views: Vec<ArrayView2<f32>> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &views).map_err(|e| misshapen(file, &self.name, &e))
    }

    /// Bias `[n]`, zero for parts without one (keys, the logits).
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn bias(&self, file: &ModelFile) -> Result<Vec<f32>, ModelError> {
        let mut stacked = Vec::new();
        for part in &self.parts {
            let name = format!("{part}.bias");
            if file.has(&name) {
                stacked.extend(file.f32(&name)?);
            } else {
                let rows = file.tensor(&format!("{part}.weight"))?.shape()[0];
                stacked.resize(stacked.len() + rows, 0.0);
            }
        }
        Ok(stacked)
    }

    /// The 8-bit form of the weights.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn quantized(&self, file: &ModelFile) -> Result<PackedI8, ModelError> {
        let weights = self.weights(file)?;
        let (n, k) = weights.dim();
        let (values, scales) = quantize_rows(&row_major(weights.view()), n, k);
        Ok(pack_i8(&values, &scales, n, k))
    }

    /// Loads the layer. If the file has 8-bit weights, they stay in its memory map.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn load(&self, file: &Arc<ModelFile>, precision: Precision) -> Result<Linear, ModelError> {
        let bias = self.bias(file)?;
        let n = bias.len();
        Ok(match precision {
            Precision::F32 => {
                let weights = self.weights(file)?;
                Linear::f32(&row_major(weights.view()), bias, n, weights.ncols())
            }
            Precision::Int8 => Linear::i8(self.packed_i8(file, n)?, bias, n),
        })
    }

    /// The 8-bit form, of `n` outputs: read from the file if it is there, computed otherwise.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn packed_i8(&self, file: &Arc<ModelFile>, n: usize) -> Result<PackedI8, ModelError> {
        self.stored_i8(file, n)?
            .map_or_else(|| self.quantized(file), Ok)
    }

    /// Name of the tensor that holds the 8-bit form.
    pub fn stored_name(&self) -> String {
        format!("{}.i8", self.name)
    }

    /// The 8-bit form, of `n` outputs, if the import has stored it in the file.
    fn stored_i8(&self, file: &Arc<ModelFile>, n: usize) -> Result<Option<PackedI8>, ModelError> {
        let name = self.stored_name();
        let [scales, offsets] = ["scales", "offsets"].map(|part| format!("{name}.{part}"));
        if !file.has(&name) {
            return Ok(None);
        }
        let weights = file.tensor(&format!("{}.weight", self.parts[0]))?;
        let k = weights.shape()[1..]
            .iter()
            .product::<usize>()
            .next_multiple_of(16);
        let n = n.next_multiple_of(16);
        file.expect_shape(&name, &[n / 16, k / 4, 16, 4])?;
        file.expect_shape(&scales, &[n])?;
        file.expect_shape(&offsets, &[n])?;
        let (scales, offsets) = (file.f32(&scales)?, file.i32(&offsets)?);
        Ok(Some(PackedI8 {
            panels: file.shared(&name)?,
            scales,
            offsets,
            k,
        }))
    }
}

/// Reads a weight tensor as a matrix: `[n, k]` as it is, a convolution's `[n, channels, taps]` as
/// `[n, taps × channels]`.
fn matrix(file: &ModelFile, name: &str) -> Result<Array2<f32>, ModelError> {
    let mut tensor: ArrayD<f32> = file.array(name)?;
    if tensor.ndim() == 3 {
        tensor.swap_axes(1, 2);
        tensor = tensor.as_standard_layout().into_owned();
    }
    let n = tensor.shape().first().copied().unwrap_or(0);
    let k = tensor.len() / n.max(1);
    tensor
        .into_shape_with_order((n, k))
        .map_err(|e| misshapen(file, name, &e))
}

fn misshapen(file: &ModelFile, name: &str, error: &ShapeError) -> ModelError {
    Defect::new(format!("tensor {name}: {error}")).of(file.path())
}

/// Reads a layer norm.
///
/// # Errors
/// Returns an error if a tensor is missing or damaged.
pub fn layer_norm(file: &ModelFile, name: &str) -> Result<LayerNorm, ModelError> {
    Ok(LayerNorm {
        weight: file.f32(&format!("{name}.weight"))?,
        bias: file.f32(&format!("{name}.bias"))?,
    })
}

/// Values of a matrix row by row, as the kernels take them: borrowed if they are stored in this
/// order, copied otherwise.
pub fn row_major(matrix: ArrayView2<'_, f32>) -> Cow<'_, [f32]> {
    match matrix.to_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(matrix.iter().copied().collect()),
    }
}
