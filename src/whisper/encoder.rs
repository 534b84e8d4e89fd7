//! The audio encoder: a log-mel spectrogram goes in, [`AudioFeatures`] come out.
//!
//! A window has any number of positions up to `n_audio_ctx`. Behind a window shorter than that stands a silent tail
//! ([`Tail`]), so that the model sees what it was trained on: 30 s whose end is silent.

use super::tail::{Tail, Tails};
use super::weights::{Compute, LayerSpec, layer_norm};
use crate::cpu::{Attention, Cpu, Epilogue, LayerNorm, Linear, MatMut, MatRef};
use crate::mel::Mel;
use crate::models::{ModelError, ModelFile};
use crate::whisper::Dims;
use std::sync::Arc;

/// What the encoder makes of a window, as the decoder's cross-attention sees it.
#[derive(Clone, Debug)]
pub struct AudioFeatures {
    /// States of the window's positions, then those of the silent tail, `[n_ctx + bias.len()][n_audio_state]`.
    pub states: Vec<f32>,
    /// Positions of the window, 20 ms each.
    pub n_ctx: usize,
    /// What cross-attention adds to the scores of the tail's positions.
    pub bias: Vec<f32>,
}

/// Something that encodes windows: the CPU, or an NPU.
pub trait Encoder: Send {
    /// Encodes a window of `mel.n_frames / 2` positions.
    ///
    /// # Errors
    /// Where the window does not fit the model or the device fails.
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError>;
}

/// A window that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The spectrogram has another shape than the model takes.
    #[error(
        "a window of {n_frames} frames × {n_mels} mel bins does not fit the model, which takes up to {max} × {want}"
    )]
    Shape {
        /// Frames of the window.
        n_frames: usize,
        /// Its mel bins.
        n_mels: usize,
        /// Most frames that the model takes.
        max: usize,
        /// Mel bins that it takes.
        want: usize,
    },
}

/// The encoder on the CPU.
pub struct CpuEncoder {
    cpu: Arc<Cpu>,
    weights: Arc<EncoderWeights>,
    tails: Tails,
    attention: Attention,
    work: Workspace,
}

/// Working memory, kept from one window to the next: fresh memory would be cleared by the system each time.
#[derive(Default)]
struct Workspace {
    padded: Vec<f32>,
    first: Vec<f32>,
    x: Vec<f32>,
    qkv: Vec<f32>,
    heads: Vec<f32>,
    hidden: Vec<f32>,
}

/// Weights of the encoder; shared by encoders.
pub struct EncoderWeights {
    dims: Dims,
    conv: [Linear; 2],
    /// `[n_audio_ctx][n_audio_state]`.
    positions: Vec<f32>,
    blocks: Vec<Block>,
    ln_post: LayerNorm,
    compute: Compute,
}

struct Block {
    attn_ln: LayerNorm,
    qkv: Linear,
    out: Linear,
    mlp_ln: LayerNorm,
    mlp: [Linear; 2],
}

/// A stage of the computation, for whoever looks on.
pub enum Stage<'a> {
    /// After the convolutions and the positional embedding, `[n_ctx][n_audio_state]`.
    Stem(&'a [f32]),
    /// Queries, keys and values of a block, `[n_ctx][3 × n_audio_state]`.
    Qkv(usize, &'a [f32]),
    /// After a block, `[n_ctx][n_audio_state]`.
    Block(usize, &'a [f32]),
}

impl EncoderWeights {
    /// Reads the weights.
    ///
    /// # Errors
    /// Where a tensor is missing or damaged.
    pub fn load(file: &Arc<ModelFile>, compute: Compute) -> Result<Self, ModelError> {
        let load = |spec: LayerSpec| spec.load(file, compute);
        let block = |layer: usize| {
            let linear = |name: &str| load(LayerSpec::of_block("encoder", layer, name));
            let norm = |name: &str| layer_norm(file, &format!("encoder.blocks.{layer}.{name}"));
            Ok(Block {
                attn_ln: norm("attn_ln")?,
                qkv: load(LayerSpec::qkv("encoder", layer))?,
                out: linear("attn.out")?,
                mlp_ln: norm("mlp_ln")?,
                mlp: [linear("mlp.0")?, linear("mlp.2")?],
            })
        };
        Ok(Self {
            dims: *file.dims(),
            conv: [load(LayerSpec::conv(1))?, load(LayerSpec::conv(2))?],
            positions: file.f32("encoder.positional_embedding")?,
            blocks: (0..file.dims().n_audio_layer).map(block).collect::<Result<_, ModelError>>()?,
            ln_post: layer_norm(file, "encoder.ln_post")?,
            compute,
        })
    }

    /// The two convolutions and the positional embedding, to `x`, `[n_ctx][n_audio_state]`.
    ///
    /// With frames along the rows and a row of zeros at both ends, the input of a convolution's output is a run of
    /// three rows: the convolution is a product over overlapping rows.
    fn stem(&self, cpu: &Cpu, mel: &Mel, (padded, first): (&mut Vec<f32>, &mut Vec<f32>), x: &mut [f32]) {
        let Dims { n_mels, n_audio_state: width, .. } = self.dims;
        let (n_frames, n_ctx) = (mel.n_frames, mel.n_frames / 2);
        let padded = sized(padded, (n_frames + 2) * n_mels);
        padded[..n_mels].fill(0.0);
        padded[n_mels..][..n_frames * n_mels].copy_from_slice(&mel.data);
        padded[(n_frames + 1) * n_mels..].fill(0.0);
        let first = sized(first, (n_frames + 2) * width);
        first[..width].fill(0.0);
        first[(n_frames + 1) * width..].fill(0.0);
        let rows = MatRef::new(padded, n_frames, 3 * n_mels, n_mels);
        let out = MatMut::dense(&mut first[width..][..n_frames * width], width);
        let gelu = Epilogue { gelu: true, accumulate: false };
        self.conv[0].apply(cpu, rows, None, out, gelu);
        x.copy_from_slice(&self.positions[..n_ctx * width]);
        let rows = MatRef::new(first, n_ctx, 3 * width, 2 * width);
        let gelu_add = Epilogue { gelu: true, accumulate: true };
        self.conv[1].apply(cpu, rows, None, MatMut::dense(x, width), gelu_add);
    }

    /// The last layer norm, and the tail's states behind the window's.
    fn finish(&self, cpu: &Cpu, x: &[f32], tail: &Tail) -> AudioFeatures {
        let width = self.dims.n_audio_state;
        let LayerNorm { weight, bias } = &self.ln_post;
        let mut states = vec![0.0; x.len() + tail.states.len()];
        for (x, out) in x.chunks_exact(width).zip(states.chunks_exact_mut(width)) {
            crate::cpu::layer_norm(cpu.level, x, weight, bias, out);
        }
        states[x.len()..].copy_from_slice(&tail.states);
        AudioFeatures { states, n_ctx: x.len() / width, bias: tail.bias.clone() }
    }
}

impl CpuEncoder {
    /// An encoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<EncoderWeights>, tails: Tails) -> Self {
        let attention = Attention::new(weights.compute == Compute::Int8);
        Self { cpu, weights, tails, attention, work: Workspace::default() }
    }

    /// As [`Encoder::encode`]; `look` is shown each stage.
    ///
    /// # Errors
    /// Where the window does not fit the model.
    pub fn encode_observed(
        &mut self,
        mel: &Mel,
        look: &mut dyn FnMut(Stage<'_>),
    ) -> Result<AudioFeatures, EncodeError> {
        let Dims { n_mels, n_audio_ctx, n_audio_state: width, .. } = self.weights.dims;
        if mel.n_mels != n_mels
            || !mel.n_frames.is_multiple_of(2)
            || mel.n_frames == 0
            || mel.n_frames > 2 * n_audio_ctx
        {
            let (n_frames, max) = (mel.n_frames, 2 * n_audio_ctx);
            return Err(EncodeError::Shape { n_frames, n_mels: mel.n_mels, max, want: n_mels });
        }
        let n_ctx = mel.n_frames / 2;
        let tail = self.tails.of(n_ctx);
        let Workspace { padded, first, x, qkv, heads, hidden } = &mut self.work;
        let x = sized(x, n_ctx * width);
        self.weights.stem(&self.cpu, mel, (padded, first), x);
        look(Stage::Stem(x));
        let qkv = sized(qkv, n_ctx * 3 * width);
        let heads = sized(heads, n_ctx * width);
        let hidden = sized(hidden, n_ctx * 4 * width);
        let (store, gelu, add) = epilogues();
        let cpu = &*self.cpu;
        for (i, block) in self.weights.blocks.iter().enumerate() {
            let rows = MatRef::dense(x, width);
            block.qkv.apply(cpu, rows, Some(&block.attn_ln), MatMut::dense(qkv, 3 * width), store);
            look(Stage::Qkv(i, qkv));
            let view = MatRef::dense(qkv, 3 * width);
            self.attention.apply(cpu, view, &tail.layers[i], MatMut::dense(heads, width));
            block.out.apply(cpu, MatRef::dense(heads, width), None, MatMut::dense(x, width), add);
            let rows = MatRef::dense(x, width);
            block.mlp[0].apply(cpu, rows, Some(&block.mlp_ln), MatMut::dense(hidden, 4 * width), gelu);
            let rows = MatRef::dense(hidden, 4 * width);
            block.mlp[1].apply(cpu, rows, None, MatMut::dense(x, width), add);
            look(Stage::Block(i, x));
        }
        Ok(self.weights.finish(&self.cpu, x, &tail))
    }
}

impl Encoder for CpuEncoder {
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError> {
        self.encode_observed(mel, &mut |_| ())
    }
}

/// The first `len` values of a buffer that grows when needed; they are what they were.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Store, store after GELU, add to what is there.
pub(super) fn epilogues() -> (Epilogue, Epilogue, Epilogue) {
    let store = Epilogue::default();
    (store, Epilogue { gelu: true, ..store }, Epilogue { accumulate: true, ..store })
}
