//! A Whisper model ready to run: weights, tails and vocabulary of one model file.

use super::alignment::Aligner;
use super::decoder::{Decoder, DecoderWeights};
use super::encoder::{CpuEncoder, Encoder, EncoderWeights};
use super::tail::Tails;
use super::tokenizer::{Tokenizer, TokenizerError};
use super::weights::Compute;
use crate::cpu::{Cpu, LevelError};
use crate::models::{ModelError, ModelFile};
use crate::npu::{Npu, NpuEncoder, SetupError};
use std::sync::Arc;

/// A model in memory.
pub struct Whisper {
    file: Arc<ModelFile>,
    cpu: Arc<Cpu>,
    encoder: Arc<EncoderWeights>,
    decoder: Decoder,
    tails: Tails,
    npu: Option<Arc<Npu>>,
    tokenizer: Tokenizer,
}

/// Why a model cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// `HEARKEN_CPU` is wrong.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The vocabulary is damaged.
    #[error(
        "the vocabulary of the model is damaged: {0}; get the model again with `hearken models fetch NAME` or `hearken models import PATH`"
    )]
    Tokenizer(#[from] TokenizerError),
    /// What an NPU needs is not there.
    #[error("the NPU cannot be used: {0}")]
    Npu(#[from] SetupError),
}

impl Whisper {
    /// Loads a model for `threads` threads.
    ///
    /// # Errors
    /// Where the file is damaged or `HEARKEN_CPU` names no instruction set of this machine.
    pub fn load(file: Arc<ModelFile>, compute: Compute, threads: usize) -> Result<Self, LoadError> {
        let cpu = Arc::new(Cpu::new(threads)?);
        let encoder = Arc::new(EncoderWeights::load(&file, compute)?);
        let decoder = Decoder::new(
            cpu.clone(),
            Arc::new(DecoderWeights::load(file.clone(), compute)?),
        );
        let tails = Tails::load(&file)?;
        let tokenizer = Tokenizer::new(
            &file.shared("vocab.bytes")?,
            &file.u32("vocab.offsets")?,
            &file.suppress_tokens()?,
        )?;
        Ok(Self {
            file,
            cpu,
            encoder,
            decoder,
            tails,
            npu: None,
            tokenizer,
        })
    }

    /// The file it came from.
    pub fn file(&self) -> &Arc<ModelFile> {
        &self.file
    }

    /// Where it computes.
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// The same model with encoders on an NPU that holds its weights.
    pub fn with_npu(self, npu: Arc<Npu>) -> Self {
        Self {
            npu: Some(npu),
            ..self
        }
    }

    /// The NPU, where there is one.
    pub fn npu(&self) -> Option<&Arc<Npu>> {
        self.npu.as_ref()
    }

    /// A new encoder over the model's weights.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        let cpu = CpuEncoder::new(self.cpu.clone(), self.encoder.clone(), self.tails.clone());
        match &self.npu {
            Some(npu) => Box::new(NpuEncoder::new(npu.clone(), cpu)),
            None => Box::new(cpu),
        }
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// What finds the times of words.
    pub fn aligner(&self) -> Aligner<'_> {
        Aligner::new(&self.decoder, &self.tokenizer, self.file.alignment_heads())
    }

    /// The vocabulary.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Positions of the window for an utterance: see [`Tails::window`].
    pub fn window(&self, n_samples: usize, longest: usize) -> usize {
        self.tails.window(n_samples, longest)
    }
}
