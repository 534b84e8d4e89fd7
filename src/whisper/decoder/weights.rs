//! Weights of the decoder.
//!
//! In: a model file. Out: [`DecoderWeights`], whose layers stand in memory in the order in which a
//! pass reads them.

use super::alignment_heads::AlignmentHeads;
use crate::cpu::{KvFormat, LayerNorm, Linear};
use crate::models::{ModelError, ModelFile};
use crate::whisper::Dims;
use crate::whisper::weights::{LayerSpec, Precision, layer_norm};
use ndarray::Array2;
use std::sync::Arc;

/// Weights of the decoder.
pub struct DecoderWeights {
    pub(super) file: Arc<ModelFile>,
    pub(super) dims: Dims,
    /// Positional embedding, `[n_text_ctx, n_text_state]`.
    pub(super) positions: Array2<f32>,
    pub(super) blocks: Vec<Block>,
    pub(super) ln: LayerNorm,
    pub(super) logits: Linear,
    /// Number format of cross-attention's keys and values.
    pub(super) audio: KvFormat,
    pub(super) alignment_heads: AlignmentHeads,
}

/// Weights of a decoder block.
pub(super) struct Block {
    pub(super) attn_ln: LayerNorm,
    pub(super) qkv: Linear,
    pub(super) out: Linear,
    pub(super) cross_ln: LayerNorm,
    pub(super) cross_query: Linear,
    pub(super) cross_kv: Linear,
    pub(super) cross_out: Linear,
    pub(super) mlp_ln: LayerNorm,
    pub(super) mlp: [Linear; 2],
}

impl DecoderWeights {
    /// Reads the weights.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn load(file: Arc<ModelFile>, precision: Precision) -> Result<Self, ModelError> {
        let blocks = (0..file.dims().n_text_layer)
            .map(|layer| Block::load(&file, precision, layer))
            .collect::<Result<_, _>>()?;
        let mut weights = Self {
            dims: *file.dims(),
            alignment_heads: AlignmentHeads::new(file.dims(), file.alignment_heads()),
            positions: file.array("decoder.positional_embedding")?,
            blocks,
            ln: layer_norm(&file, "decoder.ln")?,
            logits: LayerSpec::logits().load(&file, precision)?,
            audio: match precision {
                Precision::F32 => KvFormat::F16,
                Precision::Int8 => KvFormat::I8,
            },
            file: file.clone(),
        };
        weights.gather();
        let layers = LayerSpec::all(file.dims());
        for layer in layers
            .iter()
            .filter(|layer| layer.name.starts_with("decoder."))
        {
            file.release(&layer.stored_name());
        }
        Ok(weights)
    }

    /// Brings the layers together in memory, in the order in which a pass reads them.
    fn gather(&mut self) {
        let layers = self.blocks.iter_mut().flat_map(|block| {
            let [up, down] = &mut block.mlp;
            [
                &mut block.qkv,
                &mut block.out,
                &mut block.cross_query,
                &mut block.cross_out,
                up,
                down,
            ]
        });
        Linear::gather(&mut layers.chain([&mut self.logits]).collect::<Vec<_>>());
    }

    /// Number of bytes of weights that a step reads, whatever the number of its rows.
    pub(super) fn step_bytes(&self) -> usize {
        self.blocks.iter().map(Block::step_bytes).sum::<usize>() + self.logits.bytes()
    }
}

impl Block {
    fn load(file: &Arc<ModelFile>, precision: Precision, layer: usize) -> Result<Self, ModelError> {
        let linear = |name: &str| LayerSpec::of_block("decoder", layer, name).load(file, precision);
        let norm = |name: &str| layer_norm(file, &format!("decoder.blocks.{layer}.{name}"));
        Ok(Self {
            attn_ln: norm("attn_ln")?,
            qkv: LayerSpec::qkv("decoder", layer).load(file, precision)?,
            out: linear("attn.out")?,
            cross_ln: norm("cross_attn_ln")?,
            cross_query: linear("cross_attn.query")?,
            cross_kv: LayerSpec::cross_kv(layer).load(file, precision)?,
            cross_out: linear("cross_attn.out")?,
            mlp_ln: norm("mlp_ln")?,
            mlp: [linear("mlp.0")?, linear("mlp.2")?],
        })
    }

    /// Number of bytes of weights that a step reads of the block. Cross-attention's keys and values
    /// are computed once per window.
    fn step_bytes(&self) -> usize {
        let [up, down] = &self.mlp;
        [
            &self.qkv,
            &self.out,
            &self.cross_query,
            &self.cross_out,
            up,
            down,
        ]
        .into_iter()
        .map(Linear::bytes)
        .sum()
    }
}
