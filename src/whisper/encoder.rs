//! The audio encoder.
//!
//! In: the log-mel spectrogram of a window ([`Mel`]). Out: [`AudioFeatures`], the encoder states
//! that the decoder's cross-attention reads.
//!
//! A window may have any number of positions up to `n_audio_ctx`. A shorter window is followed by
//! compressed silence padding ([`Tail`]), so that the model sees what it was trained on: 30 s whose
//! end is silent.

use super::tail::{Tail, Tails};
use super::weights::{LayerSpec, Precision, layer_norm};
use crate::advice::Advice;
use crate::cpu::{Attention, Cpu, Epilogue, LayerNorm, Linear, MatMut, MatRef};
use crate::mel::Mel;
use crate::models::{ModelError, ModelFile};
use crate::whisper::Dims;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeError, s};
use std::borrow::Cow;
use std::sync::Arc;

/// Encoder states of a window, as the decoder's cross-attention reads them.
#[derive(Clone, Debug)]
pub struct AudioFeatures {
    /// States of the window's positions, followed by those of the silent tail, `[n_ctx +
    /// bias.len(), n_audio_state]`.
    pub states: Array2<f32>,
    /// Number of positions of the window, 20 ms each, without the tail.
    pub n_ctx: usize,
    /// Attention score biases of the tail's positions.
    pub bias: Vec<f32>,
}

/// Encodes windows, on the CPU or an NPU.
pub trait Encoder: Send {
    /// Encodes a window of `mel.n_frames() / 2` positions.
    ///
    /// # Errors
    /// Returns an error if the window does not fit the model or the device fails.
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError>;
}

/// Makes encoders that compute elsewhere than on the CPU, for example on an NPU.
pub trait EncoderFactory: Send + Sync {
    /// Returns an encoder that uses `cpu` for what it cannot compute itself.
    fn encoder(self: Arc<Self>, cpu: CpuEncoder) -> Box<dyn Encoder>;
}

/// Error of encoding a window.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The device that computes the matrix products failed.
    #[error(transparent)]
    Device(Box<dyn std::error::Error + Send + Sync>),
    /// The shape of the spectrogram does not fit the model.
    #[error(
        "a window of {n_frames} frames × {n_mels} mel bins does not fit the model, which takes up to {max} × {want}"
    )]
    Shape {
        /// Number of frames of the window.
        n_frames: usize,
        /// Number of its mel bins.
        n_mels: usize,
        /// Largest number of frames that the model accepts.
        max: usize,
        /// Number of mel bins that the model expects.
        want: usize,
    },
    /// A buffer does not have the shape of its matrix.
    #[error("an encoder tensor has the wrong shape: {0}")]
    Layout(#[from] ShapeError),
}

impl Advice for EncodeError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        matches!(self, Self::Layout(..)).then(|| "please report this".into())
    }
}

/// The encoder on the CPU.
pub struct CpuEncoder {
    cpu: Arc<Cpu>,
    weights: Arc<EncoderWeights>,
    tails: Tails,
    attention: Attention,
    work: Workspace,
}

/// Buffers kept from one window to the next: the system would clear fresh memory each time.
#[derive(Default)]
struct Workspace {
    padded: Vec<f32>,
    first: Vec<f32>,
    x: Vec<f32>,
    qkv: Vec<f32>,
    heads: Vec<f32>,
    hidden: Vec<f32>,
}

/// Weights of the encoder, shared by all encoders of a model.
pub struct EncoderWeights {
    dims: Dims,
    /// By [`Layer::index`].
    linear: Vec<Linear>,
    /// Positional embedding, `[n_audio_ctx, n_audio_state]`.
    positions: Array2<f32>,
    blocks: Vec<Norms>,
    ln_post: LayerNorm,
    precision: Precision,
}

/// Layer norms of a block.
struct Norms {
    attn: LayerNorm,
    mlp: LayerNorm,
}

/// Linear layer of the encoder. A convolution is a linear layer over overlapping rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The first or second convolution, 0 or 1.
    Conv(usize),
    /// Queries, keys and values of a block, counted from 0.
    Qkv(usize),
    /// The output projection of a block's attention.
    Out(usize),
    /// The first or second layer, 0 or 1, of a block's MLP: block, layer.
    Mlp(usize, usize),
}

impl Layer {
    /// Number of linear layers in a block.
    const PER_BLOCK: usize = 4;

    /// All layers, in the order of [`Layer::index`].
    pub fn all(dims: &Dims) -> impl Iterator<Item = Self> {
        let block = |i| [Self::Qkv(i), Self::Out(i), Self::Mlp(i, 0), Self::Mlp(i, 1)];
        [Self::Conv(0), Self::Conv(1)]
            .into_iter()
            .chain((0..dims.n_audio_layer).flat_map(block))
    }

    /// Index of the layer among all layers.
    pub fn index(self) -> usize {
        match self {
            Self::Conv(i) => i,
            Self::Qkv(block) => 2 + Self::PER_BLOCK * block,
            Self::Out(block) => 3 + Self::PER_BLOCK * block,
            Self::Mlp(block, i) => 4 + Self::PER_BLOCK * block + i,
        }
    }

    /// Length of an output row and of an input row.
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

    /// The tensors that make up the layer.
    pub fn spec(self) -> LayerSpec {
        match self {
            Self::Conv(i) => LayerSpec::conv(i + 1),
            Self::Qkv(block) => LayerSpec::qkv("encoder", block),
            Self::Out(block) => LayerSpec::of_block("encoder", block, "attn.out"),
            Self::Mlp(block, i) => LayerSpec::of_block("encoder", block, ["mlp.0", "mlp.2"][i]),
        }
    }
}

/// Computes the linear layers of the encoder, on the CPU or an NPU.
pub trait Layers {
    /// Computes one of the layers; the arguments are those of [`Linear::apply`].
    ///
    /// # Errors
    /// Returns an error if the device fails. The contents of `out` are then undefined.
    fn apply(
        &mut self,
        cpu: &Cpu,
        layer: Layer,
        x: MatRef<'_>,
        norm: Option<&LayerNorm>,
        out: MatMut<'_>,
        epilogue: Epilogue,
    ) -> Result<(), EncodeError>;

    /// Computes all blocks of a window without a tail, in place of `x`, `[n_ctx][width]`; `None` if
    /// they are to be computed layer by layer.
    fn blocks(&mut self, _x: &mut [f32], _width: usize) -> Option<Result<(), EncodeError>> {
        None
    }
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

/// Intermediate result of the encoder, passed to hooks: tails are made of [`Stage::Qkv`], and tests
/// compare the others with openai-whisper.
#[cfg_attr(not(test), allow(dead_code))]
pub enum Stage<'a> {
    /// After the convolutions and the positional embedding, `[n_ctx, n_audio_state]`.
    Stem(ArrayView2<'a, f32>),
    /// Queries, keys and values of a block, `[n_ctx, 3 × n_audio_state]`.
    Qkv(usize, ArrayView2<'a, f32>),
    /// After a block, `[n_ctx, n_audio_state]`.
    Block(usize, ArrayView2<'a, f32>),
}

impl EncoderWeights {
    /// Reads the weights.
    ///
    /// # Errors
    /// Returns an error if a tensor is missing or damaged.
    pub fn load(file: &Arc<ModelFile>, precision: Precision) -> Result<Self, ModelError> {
        let norm =
            |layer: usize, name: &str| layer_norm(file, &format!("encoder.blocks.{layer}.{name}"));
        let norms = |layer| {
            Ok(Norms {
                attn: norm(layer, "attn_ln")?,
                mlp: norm(layer, "mlp_ln")?,
            })
        };
        let linear = |layer: Layer| layer.spec().load(file, precision);
        Ok(Self {
            dims: *file.dims(),
            linear: Layer::all(file.dims())
                .map(linear)
                .collect::<Result<_, ModelError>>()?,
            positions: file.array("encoder.positional_embedding")?,
            blocks: (0..file.dims().n_audio_layer)
                .map(norms)
                .collect::<Result<_, ModelError>>()?,
            ln_post: layer_norm(file, "encoder.ln_post")?,
            precision,
        })
    }

    /// Returns the number of positions of a window, if the window fits the model.
    fn positions_of(&self, mel: &Mel) -> Result<usize, EncodeError> {
        let Dims {
            n_mels,
            n_audio_ctx,
            ..
        } = self.dims;
        let n_frames = mel.n_frames();
        let fits = mel.n_mels() == n_mels
            && n_frames > 0
            && n_frames.is_multiple_of(2)
            && n_frames <= 2 * n_audio_ctx;
        if !fits {
            return Err(EncodeError::Shape {
                n_frames,
                n_mels: mel.n_mels(),
                max: 2 * n_audio_ctx,
                want: n_mels,
            });
        }
        Ok(n_frames / 2)
    }

    /// Computes the two convolutions and adds the positional embedding. The result is `work.x`,
    /// `[n_ctx][n_audio_state]`.
    ///
    /// With one frame per row and a row of zeros at both ends, the input of one output of a
    /// convolution is a run of three rows: the convolution is a product over overlapping rows.
    fn stem(
        &self,
        layers: &mut dyn Layers,
        cpu: &Cpu,
        mel: &Mel,
        work: &mut Workspace,
    ) -> Result<(), EncodeError> {
        let n_mels = self.dims.n_mels;
        let width = self.dims.n_audio_state;
        let n_frames = mel.n_frames();
        let n_ctx = n_frames / 2;

        let padded = sized(&mut work.padded, (n_frames + 2) * n_mels);
        let mut frames = ArrayViewMut2::from_shape((n_frames + 2, n_mels), &mut *padded)?;
        frames.row_mut(0).fill(0.0);
        frames
            .slice_mut(s![1..=n_frames, ..])
            .assign(&mel.values.t());
        frames.row_mut(n_frames + 1).fill(0.0);
        let first = sized(&mut work.first, (n_frames + 2) * width);
        first[..width].fill(0.0);
        first[(n_frames + 1) * width..].fill(0.0);
        let gelu = Epilogue {
            gelu: true,
            accumulate: false,
        };
        layers.apply(
            cpu,
            Layer::Conv(0),
            MatRef::new(padded, n_frames, 3 * n_mels, n_mels),
            None,
            MatMut::dense(&mut first[width..][..n_frames * width], width),
            gelu,
        )?;

        let x = sized(&mut work.x, n_ctx * width);
        ArrayViewMut2::from_shape((n_ctx, width), &mut *x)?
            .assign(&self.positions.slice(s![..n_ctx, ..]));
        let gelu_add = Epilogue {
            gelu: true,
            accumulate: true,
        };
        layers.apply(
            cpu,
            Layer::Conv(1),
            MatRef::new(first, n_ctx, 3 * width, 2 * width),
            None,
            MatMut::dense(x, width),
            gelu_add,
        )
    }

    /// Applies the last layer norm to `x`, `[n_ctx][n_audio_state]`, and appends the states of the
    /// tail.
    fn finish(&self, cpu: &Cpu, x: &[f32], tail: &Tail) -> Result<AudioFeatures, EncodeError> {
        let width = self.dims.n_audio_state;
        let n_ctx = x.len() / width;
        let n = n_ctx + tail.bias.len();
        let LayerNorm { weight, bias } = &self.ln_post;
        let mut states = vec![0.0; n * width];
        for (x, out) in x.chunks_exact(width).zip(states.chunks_exact_mut(width)) {
            crate::cpu::layer_norm(cpu.isa, x, weight, bias, out);
        }
        let mut states = Array2::from_shape_vec((n, width), states)?;
        for (mut row, tail) in states
            .rows_mut()
            .into_iter()
            .skip(n_ctx)
            .zip(tail.states.rows())
        {
            row.assign(&tail);
        }
        Ok(AudioFeatures {
            states,
            n_ctx,
            bias: tail.bias.clone(),
        })
    }
}

impl CpuEncoder {
    /// Creates an encoder over these weights.
    pub fn new(cpu: Arc<Cpu>, weights: Arc<EncoderWeights>, tails: Tails) -> Self {
        let attention = Attention::new(weights.precision == Precision::Int8);
        Self {
            cpu,
            weights,
            tails,
            attention,
            work: Workspace::default(),
        }
    }

    /// Encodes a window as [`Encoder::encode`] does, and passes each stage to `hook`.
    ///
    /// # Errors
    /// Returns an error if the window does not fit the model.
    pub fn encode_with_hook(
        &mut self,
        mel: &Mel,
        hook: &mut dyn FnMut(Stage<'_>),
    ) -> Result<AudioFeatures, EncodeError> {
        let weights = self.weights.clone();
        self.encode_on(&mut &*weights, mel, hook)
    }

    /// Encodes a window with linear layers that are computed by `layers`.
    ///
    /// # Errors
    /// Returns an error if the window does not fit the model or a layer fails.
    pub fn encode_on(
        &mut self,
        layers: &mut dyn Layers,
        mel: &Mel,
        hook: &mut dyn FnMut(Stage<'_>),
    ) -> Result<AudioFeatures, EncodeError> {
        let weights = &*self.weights;
        let cpu = &*self.cpu;
        let width = weights.dims.n_audio_state;
        let n_ctx = weights.positions_of(mel)?;
        let tail = self.tails.of(n_ctx);
        weights.stem(layers, cpu, mel, &mut self.work)?;
        let Workspace {
            x,
            qkv,
            heads,
            hidden,
            ..
        } = &mut self.work;
        let x = sized(x, n_ctx * width);
        let qkv = sized(qkv, n_ctx * 3 * width);
        let heads = sized(heads, n_ctx * width);
        let hidden = sized(hidden, n_ctx * 4 * width);
        hook(Stage::Stem(ArrayView2::from_shape((n_ctx, width), &*x)?));
        if tail.bias.is_empty()
            && let Some(done) = layers.blocks(x, width)
        {
            done?;
            return weights.finish(cpu, x, &tail);
        }
        let (store, gelu, add) = epilogues();
        for (i, norms) in weights.blocks.iter().enumerate() {
            let input = MatRef::dense(x, width);
            let output = MatMut::dense(qkv, 3 * width);
            layers.apply(cpu, Layer::Qkv(i), input, Some(&norms.attn), output, store)?;
            let view = ArrayView2::from_shape((n_ctx, 3 * width), &*qkv)?;
            hook(Stage::Qkv(i, view));

            let input = MatRef::dense(qkv, 3 * width);
            let output = MatMut::dense(heads, width);
            self.attention.apply(cpu, input, &tail.layers[i], output);

            let input = MatRef::dense(heads, width);
            let output = MatMut::dense(x, width);
            layers.apply(cpu, Layer::Out(i), input, None, output, add)?;

            let input = MatRef::dense(x, width);
            let output = MatMut::dense(hidden, 4 * width);
            layers.apply(cpu, Layer::Mlp(i, 0), input, Some(&norms.mlp), output, gelu)?;

            let input = MatRef::dense(hidden, 4 * width);
            let output = MatMut::dense(x, width);
            layers.apply(cpu, Layer::Mlp(i, 1), input, None, output, add)?;
            hook(Stage::Block(
                i,
                ArrayView2::from_shape((n_ctx, width), &*x)?,
            ));
        }
        weights.finish(cpu, x, &tail)
    }
}

impl Encoder for CpuEncoder {
    fn encode(&mut self, mel: &Mel) -> Result<AudioFeatures, EncodeError> {
        self.encode_with_hook(mel, &mut |_| ())
    }
}

/// Returns the first `len` values of a buffer, which grows if needed. Old values are kept.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Returns the epilogues that store, store after GELU, and add to the output.
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
