//! A Whisper model ready to run.
//!
//! In: a model file. Out: its encoder, decoder, aligner and tokenizer.

use super::alignment::Aligner;
use super::decoder::{Decoder, DecoderWeights};
use super::encoder::{CpuEncoder, Encoder, EncoderFactory, EncoderWeights};
use super::tail::Tails;
use super::weights::Precision;
use crate::advice::Advice;
use crate::cpu::{Cpu, IsaError};
use crate::models::{ModelError, ModelFile};
use crate::tokenizer::{Tokenizer, TokenizerError, Vocabulary};
use std::borrow::Cow;
use std::sync::Arc;

/// Whisper model in memory.
pub struct Whisper {
    file: Arc<ModelFile>,
    cpu: Arc<Cpu>,
    encoder: Arc<EncoderWeights>,
    decoder: Decoder,
    tails: Tails,
    /// Makes the encoders, if they do not run on the CPU.
    encoders: Option<Arc<dyn EncoderFactory>>,
    tokenizer: Tokenizer,
}

/// Error of loading a model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model file is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// `HEARKEN_CPU` is invalid.
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
            Self::Tokenizer(..) => {
                "get the model again with `hearken models fetch NAME` or `hearken models import PATH`"
                    .into()
            }
        })
    }
}

impl Whisper {
    /// Loads a model that computes with `threads` threads.
    ///
    /// # Errors
    /// Returns an error if the file is damaged, or if `HEARKEN_CPU` names an instruction set that
    /// this machine does not have.
    pub fn load(
        file: Arc<ModelFile>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self, LoadError> {
        let cpu = Arc::new(Cpu::new(threads)?);
        let encoder = Arc::new(EncoderWeights::load(&file, precision)?);
        let decoder = Decoder::new(
            cpu.clone(),
            Arc::new(DecoderWeights::load(file.clone(), precision)?),
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

    /// The file that the model was loaded from.
    pub fn file(&self) -> &Arc<ModelFile> {
        &self.file
    }

    /// The CPU that computes.
    pub(crate) fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Returns the model with encoders from `factory`.
    pub(crate) fn with_encoders(self, factory: Arc<dyn EncoderFactory>) -> Self {
        Self {
            encoders: Some(factory),
            ..self
        }
    }

    /// Creates an encoder over the model's weights.
    pub(crate) fn encoder(&self) -> Box<dyn Encoder> {
        let cpu = CpuEncoder::new(self.cpu.clone(), self.encoder.clone(), self.tails.clone());
        match &self.encoders {
            Some(factory) => factory.clone().encoder(cpu),
            None => Box::new(cpu),
        }
    }

    /// The decoder.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Creates an aligner, which finds the times of words.
    pub(crate) fn aligner(&self) -> Aligner<'_> {
        Aligner::new(&self.decoder, &self.tokenizer)
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Number of positions of the window for an utterance; see [`Tails::window`].
    pub(crate) fn window(&self, n_samples: usize, longest: usize) -> usize {
        self.tails.window(n_samples, longest)
    }
}
