//! A Whisper model ready to run: weights, tails and vocabulary of one model file.

use super::alignment::Aligner;
use super::decoder::{Decoder, DecoderWeights};
use super::encoder::{CpuEncoder, Encoder, EncoderFactory, EncoderWeights};
use super::tail::Tails;
use super::weights::Compute;
use crate::advice::Advice;
use crate::cpu::{Cpu, IsaError};
use crate::models::{ModelError, ModelFile};
use crate::tokenizer::{Tokenizer, TokenizerError, Vocabulary};
use std::borrow::Cow;
use std::sync::Arc;

/// A model in memory.
pub struct Whisper {
    file: Arc<ModelFile>,
    cpu: Arc<Cpu>,
    encoder: Arc<EncoderWeights>,
    decoder: Decoder,
    tails: Tails,
    encoders: Option<Arc<dyn EncoderFactory>>,
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
    Isa(#[from] IsaError),
    /// The vocabulary is damaged.
    #[error("the vocabulary of the model is damaged: {0}")]
    Tokenizer(#[from] TokenizerError),
}

impl Advice for LoadError {
    fn remedy(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Model(error) => return error.remedy(),
            Self::Isa(error) => error.remedy().into(),
Self::Tokenizer(..) => "get the model again with `hearken models fetch NAME` or `hearken models import PATH`".into(),
        })
    }
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
        let vocabulary =
            Vocabulary::new(&file.shared("vocab.bytes")?, &file.u32("vocab.offsets")?)?;
        let tokenizer = Tokenizer::new(vocabulary, &file.suppress_tokens()?)?;
        Ok(Self {
            file,
            cpu,
            encoder,
            decoder,
            tails,
            encoders: None,
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

    /// The same model with encoders from `factory`.
    pub fn with_encoders(self, factory: Arc<dyn EncoderFactory>) -> Self {
        Self {
            encoders: Some(factory),
            ..self
        }
    }

    /// A new encoder over the model's weights.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        let cpu = CpuEncoder::new(self.cpu.clone(), self.encoder.clone(), self.tails.clone());
        match &self.encoders {
            Some(factory) => factory.clone().encoder(cpu),
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
