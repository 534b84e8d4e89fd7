//! From tensors of a model file to layers that the kernels take.
//!
//! The only place that knows how OpenAI's tensors are put together: queries, keys and values
//! stacked into one product, convolution kernels turned into matrices over consecutive frames.

use crate::cpu::quantize_rows;
use crate::cpu::{LayerNorm, Linear, PackedI8, pack_i8};
use crate::models::{ModelError, ModelFile};
use crate::whisper::Dims;
use std::sync::Arc;

/// The number format of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// 32-bit floating point: the reference.
    F32,
    /// 8-bit weights with a scale for each output, 8-bit activations with a scale for each row.
    Int8,
}

impl Compute {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// A linear layer: the tensors whose rows are stacked to make it.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// Name of the layer, under which its 8-bit form is stored.
    pub name: String,
    /// Tensors without `.weight` and `.bias`, top to bottom.
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

    /// A layer of a block that is one tensor: `attn.out`, `mlp.0` and so on.
    pub fn of_block(side: &str, layer: usize, name: &str) -> Self {
        Self::single(&format!("{side}.blocks.{layer}.{name}"))
    }

    /// The logits: the token embedding as a linear layer.
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

    /// Weights `[n][k]`, row-major, and k. A convolution's inner order is tap, then channel: frames
    /// follow each other in memory.
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
    pub fn weights(&self, file: &ModelFile) -> Result<(Vec<f32>, usize), ModelError> {
        let mut stacked = Vec::new();
        let mut k = 0;
        for part in &self.parts {
            let name = format!("{part}.weight");
            let values = file.f32(&name)?;
            let shape = file.tensor(&name)?.shape();
            k = shape[1..].iter().product();
            match *shape {
                [_, channels, taps] => {
                    for kernel in values.chunks_exact(channels * taps) {
                        stacked.extend(
                            (0..taps * channels)
                                .map(|i| kernel[i % channels * taps + i / channels]),
                        );
                    }
                }
                _ => stacked.extend(values),
            }
        }
        Ok((stacked, k))
    }

    /// Bias `[n]`; zeros for the parts that have none (keys, the logits).
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
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
    /// Where a tensor is missing or damaged.
    pub fn quantized(&self, file: &ModelFile) -> Result<PackedI8, ModelError> {
        let (weights, k) = self.weights(file)?;
        let n = weights.len() / k;
        let (whole, scales) = quantize_rows(&weights, n, k);
        Ok(pack_i8(&whole, &scales, n, k))
    }

    /// The layer, ready to use; 8-bit weights come from the map of the file where the file has
    /// them.
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
    pub fn load(&self, file: &Arc<ModelFile>, compute: Compute) -> Result<Linear, ModelError> {
        let bias = self.bias(file)?;
        let n = bias.len();
        Ok(match compute {
            Compute::F32 => {
                let (weights, k) = self.weights(file)?;
                Linear::f32(&weights, bias, n, k)
            }
            Compute::Int8 => Linear::i8(self.packed_i8(file, n)?, bias, n),
        })
    }

    /// The 8-bit form, of `n` outputs: the file's where it has one, computed otherwise.
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
    pub fn packed_i8(&self, file: &Arc<ModelFile>, n: usize) -> Result<PackedI8, ModelError> {
        self.stored_i8(file, n)?
            .map_or_else(|| self.quantized(file), Ok)
    }

    /// Name of the tensor that holds its 8-bit form.
    pub fn stored_name(&self) -> String {
        format!("{}.i8", self.name)
    }

    /// The 8-bit form, of `n` outputs, that the import has left in the file.
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

/// A layer norm.
///
/// # Errors
/// Where a tensor is missing or damaged.
pub fn layer_norm(file: &ModelFile, name: &str) -> Result<LayerNorm, ModelError> {
    Ok(LayerNorm {
        weight: file.f32(&format!("{name}.weight"))?,
        bias: file.f32(&format!("{name}.bias"))?,
    })
}
