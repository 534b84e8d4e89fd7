//! The text decoder: tokens and a window's [`AudioFeatures`] go in, logits come out.
//!
//! One pass takes rows of any number of sequences: a prompt is several rows of one, beams are one
//! row of each, and windows may be mixed, so that the weights are read once for all of them.

use super::attention_capture::AttentionCapture;
use super::encoder::{AudioFeatures, epilogues, sized};
use super::kv_cache::WindowCache;
use super::weights::{Compute, LayerSpec, layer_norm};
use super::{Dims, Inference};
use crate::advice::Advice;
use crate::cpu::{
    AttendPanels, AttendTokens, Cpu, Epilogue, Isa, KvFormat, LayerNorm, Linear, MatMut, MatRef,
    pack_panels, panels_len,
};
use crate::models::{ModelError, ModelFile};
use std::borrow::Cow;
use std::sync::Arc;

/// Width of a head, in every Whisper size.
const HEAD: usize = 64;

/// Rows over one window that read its keys and values together.
const TOGETHER: usize = 4;

/// Weights of the decoder.
pub struct DecoderWeights {
    file: Arc<ModelFile>,
    dims: Dims,
    /// `[n_text_ctx][n_text_state]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    ln: LayerNorm,
    logits: Linear,
    /// How cross-attention's keys and values are stored.
    audio: KvFormat,
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
    /// Over which window.
    pub window: usize,
    /// Which of its sequences.
    pub sequence: usize,
    /// The token.
    pub token: u32,
}

/// Working memory of a pass; kept from one to the next.
#[derive(Default)]
pub struct Workspace {
    keys_values: Vec<f32>,
    x: Vec<f32>,
    qkv: Vec<f32>,
    query: Vec<f32>,
    heads: Vec<f32>,
    hidden: Vec<f32>,
    logits: Vec<f32>,
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
    /// A sequence that was not begun.
    #[error("window {window} has no sequence {sequence}")]
    Sequence {
        /// The window.
        window: usize,
        /// The sequence.
        sequence: usize,
    },
    /// No memory for a window.
    #[error("there is no memory for a window's keys and values: {0}")]
    Memory(#[from] std::io::Error),
    /// Features of another width.
    #[error("encoder states are {0} values wide, the decoder takes {1}")]
    Features(usize, usize),
}

impl Advice for DecodeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Sequence { .. } => "please report this".into(),
            Self::Memory(..) => "close other programs or take a smaller model".into(),
            _ => return None,
        })
    }
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
        let mut weights = Self {
            dims: *file.dims(),
            positions: file.f32("decoder.positional_embedding")?,
            blocks: (0..file.dims().n_text_layer)
                .map(block)
                .collect::<Result<_, ModelError>>()?,
            ln: layer_norm(&file, "decoder.ln")?,
            logits: load(LayerSpec::logits())?,
            audio: match compute {
                Compute::F32 => KvFormat::F16,
                Compute::Int8 => KvFormat::I8,
            },
            file: file.clone(),
        };
        let Self { blocks, logits, .. } = &mut weights;
        // In the order in which a pass reads them.
        let layers = blocks.iter_mut().flat_map(|block| {
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
        Linear::gather(&mut layers.chain([logits]).collect::<Vec<_>>());
        let layers = LayerSpec::all(file.dims())
            .into_iter()
            .filter(|layer| layer.name.starts_with("decoder."));
        layers.for_each(|layer| file.release(&layer.stored_name()));
        Ok(weights)
    }
}

impl Decoder {
    /// A decoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<DecoderWeights>) -> Self {
        Self { cpu, weights }
    }

    /// The model's dimensions.
    pub fn dims(&self) -> &Dims {
        &self.weights.dims
    }

    /// Where it computes.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Bytes of weights that a step reads, whatever the number of its rows.
    pub fn step_bytes(&self) -> usize {
        let of_block = |block: &Block| {
            let own = [
                &block.qkv,
                &block.out,
                &block.cross_query,
                &block.cross_out,
                &block.mlp[0],
                &block.mlp[1],
            ];
            own.into_iter().map(Linear::bytes).sum::<usize>()
        };
        self.weights.blocks.iter().map(of_block).sum::<usize>() + self.weights.logits.bytes()
    }

    /// Bytes of keys and values that a step reads of a window of so many positions, the silent
    /// tail's among them.
    pub fn window_bytes(&self, n: usize) -> usize {
        let DecoderWeights {
            dims,
            blocks,
            audio,
            ..
        } = &*self.weights;
        blocks.len() * panels_len(n, dims.n_text_state, *audio)
    }

    /// Computes cross-attention's keys and values of a window, once for all sequences over it.
    /// `used`, that of a window that is done, gives its memory.
    ///
    /// # Errors
    /// Where the features are not this model's, or there is no memory.
    pub fn prepare_window(
        &self,
        features: &AudioFeatures,
        used: Option<WindowCache>,
        work: &mut Workspace,
    ) -> Result<WindowCache, DecodeError> {
        let width = self.weights.dims.n_text_state;
        let n = features.n_ctx + features.bias.len();
        if features.states.len() != n * width {
            return Err(DecodeError::Features(
                features.states.len() / n.max(1),
                width,
            ));
        }
        let DecoderWeights { blocks, audio, .. } = &*self.weights;
        let size = (blocks.len(), width);
        let mut cache =
            WindowCache::new(features.n_ctx, features.bias.clone(), size, *audio, used)?;
        let keys_values = sized(&mut work.keys_values, n * 2 * width);
        let states = MatRef::dense(&features.states, width);
        let states = blocks
            .first()
            .map(|block| block.cross_kv.pack(&self.cpu, states, None));
        for (i, (block, states)) in blocks.iter().zip(states.iter().cycle()).enumerate() {
            let out = MatMut::dense(keys_values, 2 * width);
            block
                .cross_kv
                .apply_packed(&self.cpu, states, out, Epilogue::default());
            pack_panels(
                &self.cpu,
                MatRef::dense(keys_values, 2 * width),
                *audio,
                cache.panels_mut(i),
            );
        }
        Ok(cache)
    }

    /// Continues sequences and returns the logits after the rows `wanted`,
    /// `[wanted.len()][n_vocab]`.
    ///
    /// Rows of the same sequence follow each other in the order of its tokens. A row's logits do
    /// not depend on the rows that are computed with it.
    ///
    /// # Errors
    /// Where a sequence gets too long or a token is unknown; the sequences are as before then.
    pub fn forward<'w>(
        &self,
        windows: &mut [&mut WindowCache],
        rows: &[Row],
        wanted: &[usize],
        work: &'w mut Workspace,
    ) -> Result<&'w mut [f32], DecodeError> {
        self.forward_with_attention(windows, rows, wanted, None, work)
    }

    /// As [`Decoder::forward`]; `attention` holds afterwards what its heads attended to in each row.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn forward_with_attention<'w>(
        &self,
        windows: &mut [&mut WindowCache],
        rows: &[Row],
        wanted: &[usize],
        mut attention: Option<&mut AttentionCapture>,
        work: &'w mut Workspace,
    ) -> Result<&'w mut [f32], DecodeError> {
        let width = self.weights.dims.n_text_state;
        let positions = self.positions(windows, rows)?;
        if let Some(attention) = &mut attention {
            attention.begin(rows.len());
        }
        if rows.is_empty() {
            return Ok(&mut []);
        }
        work.x.clear();
        self.embed(rows, &positions, &mut work.x)?;
        let slots: Vec<_> = rows
            .iter()
            .map(|row| windows[row.window].tokens.alloc_slot(row.sequence))
            .collect();
        let Workspace {
            x,
            qkv,
            query,
            heads,
            hidden,
            logits,
            ..
        } = work;
        let x = &mut x[..];
        let qkv = sized(qkv, rows.len() * 3 * width);
        let query = sized(query, rows.len() * width);
        let heads = sized(heads, rows.len() * width);
        let hidden = sized(hidden, rows.len() * 4 * width);
        let (store, gelu, add) = epilogues();
        let cpu = &*self.cpu;
        for (i, block) in self.weights.blocks.iter().enumerate() {
            let from = MatRef::dense(x, width);
            block.qkv.apply(
                cpu,
                from,
                Some(&block.attn_ln),
                MatMut::dense(qkv, 3 * width),
                store,
            );
            for ((row, slot), qkv) in rows.iter().zip(&slots).zip(qkv.chunks_exact(3 * width)) {
                windows[row.window]
                    .tokens
                    .store(cpu.isa, i, *slot, &qkv[width..]);
            }
            self.attend_tokens(windows, rows, &positions, i, (qkv, &mut *heads));
            block.out.apply(
                cpu,
                MatRef::dense(heads, width),
                None,
                MatMut::dense(x, width),
                add,
            );

            let from = MatRef::dense(x, width);
            block.cross_query.apply(
                cpu,
                from,
                Some(&block.cross_ln),
                MatMut::dense(query, width),
                store,
            );
            if let Some(attention) = &mut attention {
                let panels = |row: usize| windows[rows[row].window].panels(i);
                attention.record(cpu, i, MatRef::dense(query, width), panels);
            }
            self.attend_audio(windows, rows, i, (query, &mut *heads));
            block.cross_out.apply(
                cpu,
                MatRef::dense(heads, width),
                None,
                MatMut::dense(x, width),
                add,
            );

            let from = MatRef::dense(x, width);
            block.mlp[0].apply(
                cpu,
                from,
                Some(&block.mlp_ln),
                MatMut::dense(hidden, 4 * width),
                gelu,
            );
            block.mlp[1].apply(
                cpu,
                MatRef::dense(hidden, 4 * width),
                None,
                MatMut::dense(x, width),
                add,
            );
        }
        let n_vocab = self.weights.dims.n_vocab;
        let last: Vec<f32> = wanted
            .iter()
            .flat_map(|r| &x[r * width..][..width])
            .copied()
            .collect();
        let logits = sized(logits, wanted.len() * n_vocab);
        if wanted.is_empty() {
            return Ok(logits);
        }
        let out = MatMut::dense(logits, n_vocab);
        self.weights.logits.apply(
            cpu,
            MatRef::dense(&last, width),
            Some(&self.weights.ln),
            out,
            store,
        );
        Ok(logits)
    }

    /// The position of each row in its sequence.
    fn positions(
        &self,
        windows: &[&mut WindowCache],
        rows: &[Row],
    ) -> Result<Vec<usize>, DecodeError> {
        let n_text_ctx = self.weights.dims.n_text_ctx;
        let mut positions: Vec<usize> = Vec::with_capacity(rows.len());
        for (r, row) in rows.iter().enumerate() {
            let known = windows
                .get(row.window)
                .is_some_and(|window| row.sequence < window.tokens.len());
            if !known {
                return Err(DecodeError::Sequence {
                    window: row.window,
                    sequence: row.sequence,
                });
            }
            let follows =
                r > 0 && (rows[r - 1].window, rows[r - 1].sequence) == (row.window, row.sequence);
            let begun = || windows[row.window].tokens.slots(row.sequence).len();
            let position = if follows {
                positions[r - 1] + 1
            } else {
                begun()
            };
            if position >= n_text_ctx {
                return Err(DecodeError::TooLong(n_text_ctx));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    /// Token and positional embeddings, `[rows][n_text_state]`.
    fn embed(
        &self,
        rows: &[Row],
        positions: &[usize],
        x: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        let Dims {
            n_text_state: width,
            n_vocab,
            ..
        } = self.weights.dims;
        for (row, position) in rows.iter().zip(positions) {
            let unknown = DecodeError::Token {
                token: row.token,
                n_vocab,
            };
            let tokens = self
                .weights
                .file
                .f32_row("decoder.token_embedding.weight", row.token as usize);
            let token = tokens.ok_or(unknown)?;
            let position = &self.weights.positions[position * width..][..width];
            x.extend(token.iter().zip(position).map(|(t, p)| t + p));
        }
        Ok(())
    }

    /// Self-attention of block `layer`: queries at the front of rows `[3 × n_text_state]`, to
    /// `[n_text_state]`.
    fn attend_tokens(
        &self,
        windows: &[&mut WindowCache],
        rows: &[Row],
        positions: &[usize],
        layer: usize,
        (qkv, out): (&[f32], &mut [f32]),
    ) {
        let width = self.weights.dims.n_text_state;
        let isa = self.cpu.isa;
        self.cpu
            .pool
            .tiles(MatMut::dense(out, width), (1, HEAD), |mut out, r, col| {
                let tokens = &windows[rows[r].window].tokens;
                let slots = &tokens.slots(rows[r].sequence)[..=positions[r]];
                let query = &qkv[r * 3 * width + col..][..HEAD];
                AttendTokens {
                    query,
                    cache: tokens.rows(layer),
                    col,
                    width,
                    places: slots,
                    out: out.row(0),
                }
                .run(isa);
            });
    }

    /// Cross-attention of block `layer`: queries `[rows][n_text_state]` to the same shape.
    /// Neighbouring rows over the same window read its keys and values together.
    fn attend_audio(
        &self,
        windows: &[&mut WindowCache],
        rows: &[Row],
        layer: usize,
        (queries, out): (&[f32], &mut [f32]),
    ) {
        let width = self.weights.dims.n_text_state;
        let isa = self.cpu.isa;
        let together = if rows.windows(2).any(|pair| pair[0].window == pair[1].window) {
            TOGETHER
        } else {
            1
        };
        self.cpu.pool.tiles(
            MatMut::dense(out, width),
            (together, HEAD),
            |mut out, row, col| {
                let mut first = 0;
                for run in rows[row..][..out.rows()].chunk_by(|a, b| a.window == b.window) {
                    let window = &*windows[run[0].window];
                    let queries = MatRef::dense(queries, width);
                    let tile = out.reborrow();
                    let attend = AttendPanels {
                        queries,
                        at: (row, col),
                        panels: window.panels(layer),
                        bias: &window.bias,
                        out: tile,
                        rows: (first, run.len()),
                    };
                    attend.run(isa);
                    first += run.len();
                }
            },
        );
    }
}

/// The decoder over one window, as the decoding rules use it.
pub struct Window<'a> {
    decoder: &'a Decoder,
    cache: WindowCache,
    work: Workspace,
}

impl<'a> Window<'a> {
    /// Begins the decoding of a window.
    ///
    /// # Errors
    /// Where the features are not this model's, or there is no memory.
    pub fn new(decoder: &'a Decoder, features: &AudioFeatures) -> Result<Self, DecodeError> {
        let mut work = Workspace::default();
        Ok(Self {
            decoder,
            cache: decoder.prepare_window(features, None, &mut work)?,
            work,
        })
    }

    /// The window's audio, and the sequences over it.
    pub fn cache(&mut self) -> &mut WindowCache {
        &mut self.cache
    }

    fn forward(&mut self, rows: &[Row], wanted: &[usize]) -> Result<Vec<f32>, DecodeError> {
        let logits = self
            .decoder
            .forward(&mut [&mut self.cache], rows, wanted, &mut self.work)?;
        Ok(logits.to_vec())
    }
}

impl Inference for Window<'_> {
    type Error = DecodeError;

    fn isa(&self) -> Isa {
        self.decoder.cpu.isa
    }

    fn n_vocab(&self) -> usize {
        self.decoder.weights.dims.n_vocab
    }

    fn n_text_ctx(&self) -> usize {
        self.decoder.weights.dims.n_text_ctx
    }

    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, DecodeError> {
        self.cache.tokens.begin();
        let rows: Vec<_> = tokens
            .iter()
            .map(|&token| Row {
                window: 0,
                sequence: 0,
                token,
            })
            .collect();
        self.forward(&rows, wanted)
    }

    fn rearrange(&mut self, sources: &[usize]) {
        self.cache.tokens.rearrange(sources);
    }

    fn truncate(&mut self, len: usize) {
        self.cache.tokens.truncate(len);
    }

    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, DecodeError> {
        let row = |(sequence, &token): (usize, &u32)| Row {
            window: 0,
            sequence,
            token,
        };
        let rows: Vec<_> = tokens.iter().enumerate().map(row).collect();
        let wanted: Vec<_> = (0..rows.len()).collect();
        self.forward(&rows, &wanted)
    }
}
