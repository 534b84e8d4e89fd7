//! The audio encoder: a log-mel spectrogram goes in, [`AudioFeatures`] come out.
//!
//! A window has any number of positions up to `n_audio_ctx`. Behind a window shorter than that
//! stands a silent tail ([`Tail`]), so that the model sees what it was trained on: 30 s whose end
//! is silent.

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
    /// States of the window's positions, then those of the silent tail, `[n_ctx +
    /// bias.len()][n_audio_state]`.
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

/// Makes encoders that compute elsewhere than on the CPU, for example on an NPU.
pub trait EncoderFactory: Send + Sync {
    /// Returns an encoder that uses `cpu` for what it cannot compute itself.
    fn encoder(self: Arc<Self>, cpu: CpuEncoder) -> Box<dyn Encoder>;
}

/// A window that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The device that multiplies does not do its work.
    #[error(transparent)]
    Device(Box<dyn std::error::Error + Send + Sync>),
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

/// Working memory, kept from one window to the next: fresh memory would be cleared by the system
/// each time.
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
    /// By [`Layer::index`].
    linear: Vec<Linear>,
    /// `[n_audio_ctx][n_audio_state]`.
    positions: Vec<f32>,
    blocks: Vec<Norms>,
    ln_post: LayerNorm,
    compute: Compute,
}

/// Layer norms of a block.
struct Norms {
    attn: LayerNorm,
    mlp: LayerNorm,
}

/// A linear layer of the encoder; convolutions are such layers over overlapping rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The first or second convolution, 0 or 1.
    Conv(usize),
    /// Queries, keys and values of a block; blocks are counted from 0.
    Qkv(usize),
    /// The output of a block's attention.
    Out(usize),
    /// The first or second layer, 0 or 1, of a block's MLP: block, layer.
    Mlp(usize, usize),
}

impl Layer {
    /// Linear layers of a block.
    const PER_BLOCK: usize = 4;

    /// All of them, in the order of [`Layer::index`].
    pub fn all(dims: &Dims) -> impl Iterator<Item = Self> {
        let block = |i| [Self::Qkv(i), Self::Out(i), Self::Mlp(i, 0), Self::Mlp(i, 1)];
        [Self::Conv(0), Self::Conv(1)]
            .into_iter()
            .chain((0..dims.n_audio_layer).flat_map(block))
    }

    /// Its place among all.
    pub fn index(self) -> usize {
        match self {
            Self::Conv(i) => i,
            Self::Qkv(block) => 2 + Self::PER_BLOCK * block,
            Self::Out(block) => 3 + Self::PER_BLOCK * block,
            Self::Mlp(block, i) => 4 + Self::PER_BLOCK * block + i,
        }
    }

    /// Values of an output row and of an input row.
    pub fn shape(self, dims: &Dims) -> (usize, usize) {
        let width = dims.n_audio_state;
        match self {
            Self::Conv(0) => (width, 3 * dims.n_mels),
            Self::Conv(_) => (width, 3 * width),
            Self::Qkv(_) => (3 * width, width),
            Self::Out(_) => (width, width),
            Self::Mlp(_, 0) => (4 * width, width),
            Self::Mlp(..) => (width, 4 * width),
        }
    }

    /// Its tensors.
    pub fn spec(self) -> LayerSpec {
        match self {
            Self::Conv(i) => LayerSpec::conv(i + 1),
            Self::Qkv(block) => LayerSpec::qkv("encoder", block),
            Self::Out(block) => LayerSpec::of_block("encoder", block, "attn.out"),
            Self::Mlp(block, i) => LayerSpec::of_block("encoder", block, ["mlp.0", "mlp.2"][i]),
        }
    }
}

/// Something that computes the encoder's linear layers.
pub trait Layers {
    /// As [`Linear::apply`], for one of the layers.
    ///
    /// # Errors
    /// Where the device fails; what `out` holds then is worthless.
    fn apply(
        &mut self,
        cpu: &Cpu,
        layer: Layer,
        x: MatRef<'_>,
        norm: Option<&LayerNorm>,
        out: MatMut<'_>,
        epilogue: Epilogue,
    ) -> Result<(), EncodeError>;
}

/// The layers on the CPU.
impl Layers for &EncoderWeights {
    fn apply(
        &mut self,
        cpu: &Cpu,
        layer: Layer,
        x: MatRef<'_>,
        norm: Option<&LayerNorm>,
        out: MatMut<'_>,
        epilogue: Epilogue,
    ) -> Result<(), EncodeError> {
        self.linear[layer.index()].apply(cpu, x, norm, out, epilogue);
        Ok(())
    }
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
        let norm =
            |layer: usize, name: &str| layer_norm(file, &format!("encoder.blocks.{layer}.{name}"));
        let norms = |layer| {
            Ok(Norms {
                attn: norm(layer, "attn_ln")?,
                mlp: norm(layer, "mlp_ln")?,
            })
        };
        let linear = |layer: Layer| layer.spec().load(file, compute);
        Ok(Self {
            dims: *file.dims(),
            linear: Layer::all(file.dims())
                .map(linear)
                .collect::<Result<_, ModelError>>()?,
            positions: file.f32("encoder.positional_embedding")?,
            blocks: (0..file.dims().n_audio_layer)
                .map(norms)
                .collect::<Result<_, ModelError>>()?,
            ln_post: layer_norm(file, "encoder.ln_post")?,
            compute,
        })
    }

    /// The two convolutions and the positional embedding, to `x`, `[n_ctx][n_audio_state]`.
    ///
    /// With frames along the rows and a row of zeros at both ends, the input of a convolution's
    /// output is a run of three rows: the convolution is a product over overlapping rows.
    fn stem(
        &self,
        layers: &mut dyn Layers,
        cpu: &Cpu,
        mel: &Mel,
        (padded, first): (&mut Vec<f32>, &mut Vec<f32>),
        x: &mut [f32],
    ) -> Result<(), EncodeError> {
        let Dims {
            n_mels,
            n_audio_state: width,
            ..
        } = self.dims;
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
        let gelu = Epilogue {
            gelu: true,
            accumulate: false,
        };
        layers.apply(cpu, Layer::Conv(0), rows, None, out, gelu)?;
        x.copy_from_slice(&self.positions[..n_ctx * width]);
        let rows = MatRef::new(first, n_ctx, 3 * width, 2 * width);
        let gelu_add = Epilogue {
            gelu: true,
            accumulate: true,
        };
        layers.apply(
            cpu,
            Layer::Conv(1),
            rows,
            None,
            MatMut::dense(x, width),
            gelu_add,
        )
    }

    /// The last layer norm, and the tail's states behind the window's.
    fn finish(&self, cpu: &Cpu, x: &[f32], tail: &Tail) -> AudioFeatures {
        let width = self.dims.n_audio_state;
        let LayerNorm { weight, bias } = &self.ln_post;
        let mut states = vec![0.0; x.len() + tail.states.len()];
        for (x, out) in x.chunks_exact(width).zip(states.chunks_exact_mut(width)) {
            crate::cpu::layer_norm(cpu.isa, x, weight, bias, out);
        }
        states[x.len()..].copy_from_slice(&tail.states);
        AudioFeatures {
            states,
            n_ctx: x.len() / width,
            bias: tail.bias.clone(),
        }
    }
}

impl CpuEncoder {
    /// An encoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<EncoderWeights>, tails: Tails) -> Self {
        let attention = Attention::new(weights.compute == Compute::Int8);
        Self {
            cpu,
            weights,
            tails,
            attention,
            work: Workspace::default(),
        }
    }

    /// As [`Encoder::encode`]; `hook` is shown each stage.
    ///
    /// # Errors
    /// Where the window does not fit the model.
    pub fn encode_with_hook(
        &mut self,
        mel: &Mel,
        hook: &mut dyn FnMut(Stage<'_>),
    ) -> Result<AudioFeatures, EncodeError> {
        let weights = self.weights.clone();
        self.encode_on(&mut &*weights, mel, hook)
    }

    /// The same with linear layers that are computed elsewhere.
    ///
    /// # Errors
    /// Where the window does not fit the model or a layer fails.
    pub fn encode_on(
        &mut self,
        layers: &mut dyn Layers,
        mel: &Mel,
        hook: &mut dyn FnMut(Stage<'_>),
    ) -> Result<AudioFeatures, EncodeError> {
        let Dims {
            n_mels,
            n_audio_ctx,
            n_audio_state: width,
            ..
        } = self.weights.dims;
        if mel.n_mels != n_mels
            || !mel.n_frames.is_multiple_of(2)
            || mel.n_frames == 0
            || mel.n_frames > 2 * n_audio_ctx
        {
            let (n_frames, max) = (mel.n_frames, 2 * n_audio_ctx);
            return Err(EncodeError::Shape {
                n_frames,
                n_mels: mel.n_mels,
                max,
                want: n_mels,
            });
        }
        let n_ctx = mel.n_frames / 2;
        let tail = self.tails.of(n_ctx);
        let Workspace {
            padded,
            first,
            x,
            qkv,
            heads,
            hidden,
        } = &mut self.work;
        let (weights, cpu) = (&*self.weights, &*self.cpu);
        let x = sized(x, n_ctx * width);
        weights.stem(layers, cpu, mel, (padded, first), x)?;
        hook(Stage::Stem(x));
        let qkv = sized(qkv, n_ctx * 3 * width);
        let heads = sized(heads, n_ctx * width);
        let hidden = sized(hidden, n_ctx * 4 * width);
        let (store, gelu, add) = epilogues();
        for (i, norms) in weights.blocks.iter().enumerate() {
            let (rows, out) = (MatRef::dense(x, width), MatMut::dense(qkv, 3 * width));
            layers.apply(cpu, Layer::Qkv(i), rows, Some(&norms.attn), out, store)?;
            hook(Stage::Qkv(i, qkv));
            let view = MatRef::dense(qkv, 3 * width);
            self.attention
                .apply(cpu, view, &tail.layers[i], MatMut::dense(heads, width));
            let (rows, out) = (MatRef::dense(heads, width), MatMut::dense(x, width));
            layers.apply(cpu, Layer::Out(i), rows, None, out, add)?;
            let (rows, out) = (MatRef::dense(x, width), MatMut::dense(hidden, 4 * width));
            layers.apply(cpu, Layer::Mlp(i, 0), rows, Some(&norms.mlp), out, gelu)?;
            let (rows, out) = (MatRef::dense(hidden, 4 * width), MatMut::dense(x, width));
            layers.apply(cpu, Layer::Mlp(i, 1), rows, None, out, add)?;
            hook(Stage::Block(i, x));
        }
        Ok(weights.finish(cpu, x, &tail))
    }
}

impl Encoder for CpuEncoder {
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError> {
        self.encode_with_hook(mel, &mut |_| ())
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
    (
        store,
        Epilogue {
            gelu: true,
            ..store
        },
        Epilogue {
            accumulate: true,
            ..store
        },
    )
}
