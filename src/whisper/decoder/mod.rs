//! The text decoder.
//!
//! In: tokens and a window's [`AudioFeatures`]. Out: logits, `[rows][n_vocab]`.
//!
//! One pass computes rows of any number of sequences: a prompt is several rows of one sequence,
//! beams are one row each, and rows of several windows may be mixed, so that the weights are read
//! once for all of them.

mod alignment_heads;
mod weights;

pub use weights::DecoderWeights;

use super::Dims;
use super::encoder::{AudioFeatures, epilogues, sized};
use super::kv_cache::WindowCache;
use super::weights::row_major;
use crate::advice::Advice;
use crate::cpu::{
    AttendPanels, AttendTokens, Cpu, Epilogue, MatMut, MatRef, pack_panels, panels_len,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Width of an attention head, in every Whisper size.
const HEAD: usize = 64;

/// Largest number of rows over one window that read its keys and values together.
const TOGETHER: usize = 4;

/// The decoder on the CPU.
pub struct Decoder {
    cpu: Arc<Cpu>,
    weights: Arc<DecoderWeights>,
}

/// Token that continues a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Index of the window.
    pub window: usize,
    /// Index of the sequence over the window.
    pub sequence: usize,
    /// The token.
    pub token: u32,
}

impl Row {
    /// Rows of `tokens` that continue the only sequence of the only window.
    pub fn of_one(tokens: &[u32]) -> Vec<Self> {
        let row = |&token: &u32| Self {
            window: 0,
            sequence: 0,
            token,
        };
        tokens.iter().map(row).collect()
    }
}

/// Buffers of a pass, kept from one pass to the next.
#[derive(Default)]
pub struct Workspace {
    /// `[n][2 × n_text_state]`, for one window's `n` positions.
    keys_values: Vec<f32>,
    /// Residual stream, `[rows][n_text_state]`.
    x: Vec<f32>,
    /// `[rows][3 × n_text_state]`.
    qkv: Vec<f32>,
    /// Queries of cross-attention, `[rows][n_text_state]`.
    query: Vec<f32>,
    /// Output of attention, `[rows][n_text_state]`.
    heads: Vec<f32>,
    /// `[rows][4 × n_text_state]`.
    hidden: Vec<f32>,
    /// `[wanted][n_vocab]`.
    logits: Vec<f32>,
}

/// Error of the decoder.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A sequence is longer than the model's context.
    #[error("a sequence of more than {0} tokens does not fit the model's context")]
    TooLong(usize),
    /// A token is not in the vocabulary.
    #[error("token {token} is not in the vocabulary of {n_vocab}")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// A sequence does not exist.
    #[error("window {window} has no sequence {sequence}")]
    Sequence {
        /// Index of the window.
        window: usize,
        /// Index of the sequence.
        sequence: usize,
    },
    /// There is not enough memory for a window.
    #[error("there is no memory for a window's keys and values: {0}")]
    Memory(#[from] std::io::Error),
    /// The encoder states are of another model.
    #[error("encoder states have the shape {given:?}, but the decoder expects {expected:?}")]
    Features {
        /// Shape of the states.
        given: [usize; 2],
        /// Shape that the decoder expects.
        expected: [usize; 2],
    },
    /// A buffer does not have the shape of its matrix.
    #[error("a decoder tensor has the wrong shape: {0}")]
    Layout(#[from] ndarray::ShapeError),
}

impl Advice for DecodeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Sequence { .. } | Self::Layout(..) => "please report this".into(),
            Self::Memory(..) => "close other programs or use a smaller model".into(),
            _ => return None,
        })
    }
}

/// The rows of a pass and their places in the KV cache.
struct Pass<'a> {
    rows: &'a [Row],
    /// Position of each row in its sequence.
    positions: Vec<usize>,
    /// Slot of each row in its window's token cache.
    slots: Vec<u32>,
}

impl Decoder {
    /// Creates a decoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<DecoderWeights>) -> Self {
        Self { cpu, weights }
    }

    /// The model's dimensions.
    pub fn dims(&self) -> &Dims {
        &self.weights.dims
    }

    /// The CPU that computes.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Number of bytes of weights that a step reads, whatever the number of its rows.
    pub fn step_bytes(&self) -> usize {
        self.weights.step_bytes()
    }

    /// Number of bytes of keys and values that a step reads for a window of `n` positions, the
    /// silent tail included.
    pub fn window_bytes(&self, n: usize) -> usize {
        let width = self.weights.dims.n_text_state;
        self.weights.blocks.len() * panels_len(n, width, self.weights.audio)
    }

    /// Computes the keys and values of cross-attention for a window, once for all sequences over
    /// it. The memory of `used`, the cache of a finished window, is reused.
    ///
    /// # Errors
    /// Returns an error if the features are not of this model, or if there is not enough memory.
    pub fn prepare_window(
        &self,
        features: &AudioFeatures,
        used: Option<WindowCache>,
        work: &mut Workspace,
    ) -> Result<WindowCache, DecodeError> {
        let DecoderWeights {
            dims,
            blocks,
            audio,
            alignment_heads,
            ..
        } = &*self.weights;
        let width = dims.n_text_state;
        let n = features.n_ctx + features.bias.len();
        if features.states.dim() != (n, width) {
            let (rows, cols) = features.states.dim();
            return Err(DecodeError::Features {
                given: [rows, cols],
                expected: [n, width],
            });
        }
        let mut cache = WindowCache::new(
            features.n_ctx,
            features.bias.clone(),
            blocks.len(),
            width,
            *audio,
            alignment_heads.query_len(),
            used,
        )?;
        let keys_values = sized(&mut work.keys_values, n * 2 * width);
        let states = row_major(features.states.view());
        // The blocks multiply the same states, which are packed once.
        let packed = blocks.first().map(|block| {
            block
                .cross_kv
                .pack(&self.cpu, MatRef::dense(&states, width), None)
        });
        for (i, (block, states)) in blocks.iter().zip(packed.iter().cycle()).enumerate() {
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

    /// Continues sequences. Returns the logits that follow the rows `wanted`,
    /// `[wanted.len()][n_vocab]`.
    ///
    /// Rows of the same sequence follow each other in the order of its tokens. The logits of a row
    /// do not depend on the other rows of the pass.
    ///
    /// # Errors
    /// Returns an error if a sequence gets too long or a token is unknown. The sequences are then
    /// unchanged.
    pub fn forward<'w>(
        &self,
        windows: &mut [&mut WindowCache],
        rows: &[Row],
        wanted: &[usize],
        work: &'w mut Workspace,
    ) -> Result<&'w mut [f32], DecodeError> {
        if rows.is_empty() {
            return Ok(&mut []);
        }
        let pass = self.begin(windows, rows, work)?;
        for layer in 0..self.weights.blocks.len() {
            self.self_attention(windows, &pass, layer, work);
            self.cross_query(windows, &pass, layer, work);
            self.cross_attention(windows, &pass, layer, work);
            self.mlp(layer, work);
        }
        Ok(self.logits(wanted, work))
    }

    /// Begins a pass: embeds the rows into `work.x` and gives them slots.
    fn begin<'r>(
        &self,
        windows: &mut [&mut WindowCache],
        rows: &'r [Row],
        work: &mut Workspace,
    ) -> Result<Pass<'r>, DecodeError> {
        let positions = self.positions(windows, rows)?;
        work.x.clear();
        self.embed(rows, &positions, &mut work.x)?;
        let slots = rows
            .iter()
            .map(|row| {
                windows[row.window]
                    .tokens
                    .alloc_slot(row.sequence, row.token)
            })
            .collect();
        Ok(Pass {
            rows,
            positions,
            slots,
        })
    }

    /// Returns the position of each row in its sequence.
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
            let position = if follows {
                positions[r - 1] + 1
            } else {
                windows[row.window].tokens.slots(row.sequence).len()
            };
            if position >= n_text_ctx {
                return Err(DecodeError::TooLong(n_text_ctx));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    /// Appends the sum of token and positional embeddings to `x`, `[rows][n_text_state]`.
    fn embed(
        &self,
        rows: &[Row],
        positions: &[usize],
        x: &mut Vec<f32>,
    ) -> Result<(), DecodeError> {
        for (row, position) in rows.iter().zip(positions) {
            let token = self
                .weights
                .file
                .f32_row("decoder.token_embedding.weight", row.token as usize)
                .ok_or(DecodeError::Token {
                    token: row.token,
                    n_vocab: self.weights.dims.n_vocab,
                })?;
            let position = self.weights.positions.row(*position);
            x.extend(token.iter().zip(position).map(|(t, p)| t + p));
        }
        Ok(())
    }

    /// Adds self-attention of block `layer` to `work.x`, and stores the rows' keys and values.
    fn self_attention(
        &self,
        windows: &mut [&mut WindowCache],
        pass: &Pass<'_>,
        layer: usize,
        work: &mut Workspace,
    ) {
        let cpu = &*self.cpu;
        let block = &self.weights.blocks[layer];
        let width = self.weights.dims.n_text_state;
        let (store, _, add) = epilogues();
        let qkv = sized(&mut work.qkv, pass.rows.len() * 3 * width);
        let heads = sized(&mut work.heads, pass.rows.len() * width);

        let input = MatRef::dense(&work.x, width);
        let output = MatMut::dense(qkv, 3 * width);
        block
            .qkv
            .apply(cpu, input, Some(&block.attn_ln), output, store);
        let slots = pass.rows.iter().zip(&pass.slots);
        for ((row, slot), qkv) in slots.zip(qkv.chunks_exact(3 * width)) {
            let tokens = &mut windows[row.window].tokens;
            tokens.store(cpu.isa, layer, *slot, &qkv[width..]);
        }
        self.attend_tokens(windows, pass, layer, qkv, heads);
        let output = MatMut::dense(&mut work.x, width);
        block
            .out
            .apply(cpu, MatRef::dense(heads, width), None, output, add);
    }

    /// Computes the queries of cross-attention of block `layer`, and keeps those of its alignment
    /// heads.
    fn cross_query(
        &self,
        windows: &mut [&mut WindowCache],
        pass: &Pass<'_>,
        layer: usize,
        work: &mut Workspace,
    ) {
        let block = &self.weights.blocks[layer];
        let width = self.weights.dims.n_text_state;
        let (store, _, _) = epilogues();
        let query = sized(&mut work.query, pass.rows.len() * width);
        block.cross_query.apply(
            &self.cpu,
            MatRef::dense(&work.x, width),
            Some(&block.cross_ln),
            MatMut::dense(query, width),
            store,
        );
        let slots = pass.rows.iter().zip(&pass.slots);
        for ((row, slot), query) in slots.zip(query.chunks_exact(width)) {
            let kept = windows[row.window].tokens.query_mut(*slot);
            self.weights.alignment_heads.keep(layer, query, kept);
        }
    }

    /// Adds cross-attention of block `layer` to `work.x`.
    fn cross_attention(
        &self,
        windows: &[&mut WindowCache],
        pass: &Pass<'_>,
        layer: usize,
        work: &mut Workspace,
    ) {
        let cpu = &*self.cpu;
        let block = &self.weights.blocks[layer];
        let width = self.weights.dims.n_text_state;
        let (_, _, add) = epilogues();
        let query = sized(&mut work.query, pass.rows.len() * width);
        let heads = sized(&mut work.heads, pass.rows.len() * width);

        self.attend_audio(windows, pass.rows, layer, query, heads);
        let output = MatMut::dense(&mut work.x, width);
        block
            .cross_out
            .apply(cpu, MatRef::dense(heads, width), None, output, add);
    }

    /// Adds the MLP of block `layer` to `work.x`.
    fn mlp(&self, layer: usize, work: &mut Workspace) {
        let cpu = &*self.cpu;
        let block = &self.weights.blocks[layer];
        let width = self.weights.dims.n_text_state;
        let [up, down] = &block.mlp;
        let (_, gelu, add) = epilogues();
        let hidden = sized(&mut work.hidden, work.x.len() * 4);

        let input = MatRef::dense(&work.x, width);
        let output = MatMut::dense(hidden, 4 * width);
        up.apply(cpu, input, Some(&block.mlp_ln), output, gelu);
        let output = MatMut::dense(&mut work.x, width);
        down.apply(cpu, MatRef::dense(hidden, 4 * width), None, output, add);
    }

    /// Computes the logits of the rows `wanted`, `[wanted.len()][n_vocab]`.
    fn logits<'w>(&self, wanted: &[usize], work: &'w mut Workspace) -> &'w mut [f32] {
        let width = self.weights.dims.n_text_state;
        let n_vocab = self.weights.dims.n_vocab;
        let logits = sized(&mut work.logits, wanted.len() * n_vocab);
        if wanted.is_empty() {
            return logits;
        }
        let last: Vec<f32> = wanted
            .iter()
            .flat_map(|r| &work.x[r * width..][..width])
            .copied()
            .collect();
        self.weights.logits.apply(
            &self.cpu,
            MatRef::dense(&last, width),
            Some(&self.weights.ln),
            MatMut::dense(logits, n_vocab),
            Epilogue::default(),
        );
        logits
    }

    /// Attends to the tokens of each row's sequence in block `layer`. `qkv`,
    /// `[rows][3 × n_text_state]`, starts each row with its queries; `out` is
    /// `[rows][n_text_state]`.
    fn attend_tokens(
        &self,
        windows: &[&mut WindowCache],
        pass: &Pass<'_>,
        layer: usize,
        qkv: &[f32],
        out: &mut [f32],
    ) {
        let width = self.weights.dims.n_text_state;
        let isa = self.cpu.isa;
        self.cpu
            .pool
            .tiles(MatMut::dense(out, width), (1, HEAD), |mut out, r, col| {
                let row = &pass.rows[r];
                let tokens = &windows[row.window].tokens;
                let slots = &tokens.slots(row.sequence)[..=pass.positions[r]];
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

    /// Attends to the audio of each row's window in block `layer`. `queries` and `out` are
    /// `[rows][n_text_state]`. Neighbouring rows over the same window read its keys and values
    /// together.
    fn attend_audio(
        &self,
        windows: &[&mut WindowCache],
        rows: &[Row],
        layer: usize,
        queries: &[f32],
        out: &mut [f32],
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
