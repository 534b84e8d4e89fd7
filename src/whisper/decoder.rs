//! The text decoder: tokens and a window's [`AudioFeatures`] go in, logits come out.
//!
//! One pass takes rows of any number of sequences: a prompt is several rows of one, beams are one row of each, and
//! windows may be mixed, so that the weights are read once for all of them.

use super::encoder::{AudioFeatures, epilogues};
use super::kv_cache::{CrossKeysValues, Rows, Sequence};
use super::weights::{Compute, LayerSpec, layer_norm};
use super::{Dims, Inference};
use crate::cpu::{Cpu, Epilogue, LayerNorm, Linear, MatMut, MatRef, attend_rows};
use crate::models::{ModelError, ModelFile};
use std::sync::Arc;

/// Weights of the decoder.
pub struct DecoderWeights {
    file: Arc<ModelFile>,
    dims: Dims,
    /// `[n_text_ctx][n_text_state]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    ln: LayerNorm,
    logits: Linear,
}

struct Block {
    attn_ln: LayerNorm,
    qkv: Linear,
    out: Linear,
    cross_ln: LayerNorm,
    cross_query: Linear,
    cross_kv: Linear,
    cross_out: Linear,
    mlp_ln: LayerNorm,
    mlp: [Linear; 2],
}

/// The decoder on the CPU.
pub struct Decoder {
    cpu: Arc<Cpu>,
    weights: Arc<DecoderWeights>,
}

/// A token that a sequence is continued with.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which sequence.
    pub sequence: usize,
    /// The token.
    pub token: u32,
}

/// What the decoder cannot do.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A sequence is longer than the model's context.
    #[error("a sequence of more than {0} tokens does not fit the model's context")]
    TooLong(usize),
    /// A token that the vocabulary does not have.
    #[error("token {token} is not in the vocabulary of {n_vocab}")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// Features of another width.
    #[error("encoder states are {0} values wide, the decoder takes {1}")]
    Features(usize, usize),
}

impl DecoderWeights {
    /// Reads the weights.
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
    pub fn load(file: Arc<ModelFile>, compute: Compute) -> Result<Self, ModelError> {
        let load = |spec: LayerSpec| spec.load(&file, compute);
        let block = |layer: usize| {
            let linear = |name: &str| load(LayerSpec::of_block("decoder", layer, name));
            let norm = |name: &str| layer_norm(&file, &format!("decoder.blocks.{layer}.{name}"));
            Ok(Block {
                attn_ln: norm("attn_ln")?,
                qkv: load(LayerSpec::qkv("decoder", layer))?,
                out: linear("attn.out")?,
                cross_ln: norm("cross_attn_ln")?,
                cross_query: linear("cross_attn.query")?,
                cross_kv: load(LayerSpec::cross_kv(layer))?,
                cross_out: linear("cross_attn.out")?,
                mlp_ln: norm("mlp_ln")?,
                mlp: [linear("mlp.0")?, linear("mlp.2")?],
            })
        };
        Ok(Self {
            dims: *file.dims(),
            positions: file.f32("decoder.positional_embedding")?,
            blocks: (0..file.dims().n_text_layer).map(block).collect::<Result<_, ModelError>>()?,
            ln: layer_norm(&file, "decoder.ln")?,
            logits: load(LayerSpec::logits())?,
            file,
        })
    }
}

impl Decoder {
    /// A decoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<DecoderWeights>) -> Self {
        Self { cpu, weights }
    }

    /// Computes cross-attention's keys and values of a window: once for all sequences over it.
    ///
    /// # Errors
    /// Where the features are not this model's.
    pub fn cross(&self, features: &AudioFeatures) -> Result<Arc<CrossKeysValues>, DecodeError> {
        let width = self.weights.dims.n_text_state;
        let n = features.n_ctx + features.bias.len();
        if features.states.len() != n * width {
            return Err(DecodeError::Features(features.states.len() / n.max(1), width));
        }
        let layer = |block: &Block| {
            let mut rows = vec![0.0; n * 2 * width];
            let states = MatRef::dense(&features.states, width);
            let out = MatMut::dense(&mut rows, 2 * width);
            block.cross_kv.apply(&self.cpu, states, None, out, Epilogue::default());
            Rows::new(rows)
        };
        let layers = self.weights.blocks.iter().map(layer).collect();
        Ok(Arc::new(CrossKeysValues { layers, n, bias: features.bias.clone() }))
    }

    /// Continues sequences and returns the logits after the rows `wanted`, `[wanted.len()][n_vocab]`.
    ///
    /// Rows of the same sequence follow each other in the order of its tokens.
    ///
    /// # Errors
    /// Where a sequence gets too long or a token is unknown; the sequences are as before then.
    pub fn forward(&self, sequences: &mut [Sequence], rows: &[Row], wanted: &[usize]) -> Result<Vec<f32>, DecodeError> {
        let width = self.weights.dims.n_text_state;
        let positions = self.positions(sequences, rows)?;
        let mut x = self.embed(rows, &positions)?;
        let mut qkv = vec![0.0; rows.len() * 3 * width];
        let mut query = vec![0.0; rows.len() * width];
        let mut heads = vec![0.0; rows.len() * width];
        let mut hidden = vec![0.0; rows.len() * 4 * width];
        let (store, gelu, add) = epilogues();
        let cpu = &*self.cpu;
        for (i, block) in self.weights.blocks.iter().enumerate() {
            let from = MatRef::dense(&x, width);
            block.qkv.apply(cpu, from, Some(&block.attn_ln), MatMut::dense(&mut qkv, 3 * width), store);
            for (row, qkv) in rows.iter().zip(qkv.chunks_exact(3 * width)) {
                sequences[row.sequence].layers[i].push(&qkv[width..]);
            }
            self.attend(MatRef::new(&qkv, rows.len(), width, 3 * width), &mut heads, |r| {
                (&sequences[rows[r].sequence].layers[i], positions[r] + 1, &[])
            });
            block.out.apply(cpu, MatRef::dense(&heads, width), None, MatMut::dense(&mut x, width), add);

            let from = MatRef::dense(&x, width);
            block.cross_query.apply(cpu, from, Some(&block.cross_ln), MatMut::dense(&mut query, width), store);
            self.attend(MatRef::dense(&query, width), &mut heads, |r| {
                let cross = &sequences[rows[r].sequence].cross;
                (&cross.layers[i], cross.n, &cross.bias)
            });
            block.cross_out.apply(cpu, MatRef::dense(&heads, width), None, MatMut::dense(&mut x, width), add);

            let from = MatRef::dense(&x, width);
            block.mlp[0].apply(cpu, from, Some(&block.mlp_ln), MatMut::dense(&mut hidden, 4 * width), gelu);
            let from = MatRef::dense(&hidden, 4 * width);
            block.mlp[1].apply(cpu, from, None, MatMut::dense(&mut x, width), add);
        }
        rows.iter().for_each(|row| sequences[row.sequence].len += 1);
        let last: Vec<f32> = wanted.iter().flat_map(|r| x[r * width..][..width].iter().copied()).collect();
        let n_vocab = self.weights.dims.n_vocab;
        let mut logits = vec![0.0; wanted.len() * n_vocab];
        let out = MatMut::dense(&mut logits, n_vocab);
        self.weights.logits.apply(cpu, MatRef::dense(&last, width), Some(&self.weights.ln), out, store);
        Ok(logits)
    }

    /// The position of each row in its sequence.
    fn positions(&self, sequences: &[Sequence], rows: &[Row]) -> Result<Vec<usize>, DecodeError> {
        let n_text_ctx = self.weights.dims.n_text_ctx;
        let mut next: Vec<usize> = sequences.iter().map(|s| s.len).collect();
        let position = |row: &Row| {
            let position = next[row.sequence];
            next[row.sequence] += 1;
            if position < n_text_ctx { Ok(position) } else { Err(DecodeError::TooLong(n_text_ctx)) }
        };
        rows.iter().map(position).collect()
    }

    /// Token and positional embeddings, `[rows][n_text_state]`.
    fn embed(&self, rows: &[Row], positions: &[usize]) -> Result<Vec<f32>, DecodeError> {
        let Dims { n_text_state: width, n_vocab, .. } = self.weights.dims;
        let mut x = Vec::with_capacity(rows.len() * width);
        for (row, position) in rows.iter().zip(positions) {
            let unknown = DecodeError::Token { token: row.token, n_vocab };
            let tokens = self.weights.file.f32_row("decoder.token_embedding.weight", row.token as usize);
            let token = tokens.ok_or(unknown)?;
            let position = &self.weights.positions[position * width..][..width];
            x.extend(token.iter().zip(position).map(|(t, p)| t + p));
        }
        Ok(x)
    }

    /// Attention of each row (queries `[rows][n_text_state]`) over the keys and values that `of` gives: where they
    /// lie, how many there are, and the biases of the last ones.
    fn attend<'a>(
        &self,
        queries: MatRef<'_>,
        out: &mut [f32],
        of: impl Fn(usize) -> (&'a Rows, usize, &'a [f32]) + Sync,
    ) {
        let width = self.weights.dims.n_text_state;
        self.cpu.pool.tiles(MatMut::dense(out, width), (1, 64), |mut out, row, col| {
            let (rows, n, bias) = of(row);
            let (keys, values) = rows.head(n, width, col / 64);
            let query = &queries.row(row)[col..][..64];
            attend_rows(&self.cpu, query, keys, values, bias, &mut Vec::new(), out.row(0));
        });
    }
}

/// The decoder over one window, as the decoding rules use it.
pub struct Window<'a> {
    decoder: &'a Decoder,
    cross: Arc<CrossKeysValues>,
    sequences: Vec<Sequence>,
}

impl<'a> Window<'a> {
    /// Begins the decoding of a window.
    ///
    /// # Errors
    /// Where the features are not this model's.
    pub fn new(decoder: &'a Decoder, features: &AudioFeatures) -> Result<Self, DecodeError> {
        Ok(Self { decoder, cross: decoder.cross(features)?, sequences: Vec::new() })
    }
}

impl Inference for Window<'_> {
    type Error = DecodeError;

    fn n_vocab(&self) -> usize {
        self.decoder.weights.dims.n_vocab
    }

    fn n_text_ctx(&self) -> usize {
        self.decoder.weights.dims.n_text_ctx
    }

    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, DecodeError> {
        self.sequences = vec![Sequence::new(self.cross.clone())];
        let rows: Vec<_> = tokens.iter().map(|&token| Row { sequence: 0, token }).collect();
        self.decoder.forward(&mut self.sequences, &rows, wanted)
    }

    fn rearrange(&mut self, sources: &[usize]) {
        let mut uses = vec![0usize; self.sequences.len()];
        sources.iter().for_each(|s| uses[*s] += 1);
        let mut old: Vec<_> = std::mem::take(&mut self.sequences).into_iter().map(Some).collect();
        let take = |s: &usize| {
            uses[*s] -= 1;
            // The last use takes the cache itself, the others copy it.
            if uses[*s] == 0 { old[*s].take() } else { old[*s].clone() }
        };
        self.sequences = sources.iter().filter_map(take).collect();
    }

    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, DecodeError> {
        let row = |(sequence, &token): (usize, &u32)| Row { sequence, token };
        let rows: Vec<_> = tokens.iter().enumerate().map(row).collect();
        let wanted: Vec<_> = (0..rows.len()).collect();
        self.decoder.forward(&mut self.sequences, &rows, &wanted)
    }
}
