//! The decoder over a single window.
//!
//! In: [`AudioFeatures`], then tokens. Out: logits, through [`Inference`].

use super::decoder::{DecodeError, Decoder, Row, Workspace};
use super::encoder::AudioFeatures;
use super::inference::Inference;
use super::kv_cache::WindowCache;
use crate::cpu::Isa;

/// The decoder bound to one window, as the decoding rules use it.
pub struct Window<'a> {
    decoder: &'a Decoder,
    cache: WindowCache,
    work: Workspace,
}

impl<'a> Window<'a> {
    /// Prepares a window for decoding.
    ///
    /// # Errors
    /// Returns an error if the features are not of this model, or if there is not enough memory.
    pub fn new(decoder: &'a Decoder, features: &AudioFeatures) -> Result<Self, DecodeError> {
        let mut work = Workspace::default();
        Ok(Self {
            decoder,
            cache: decoder.prepare_window(features, None, &mut work)?,
            work,
        })
    }

    /// KV cache of the window.
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
        self.decoder.cpu().isa
    }

    fn n_vocab(&self) -> usize {
        self.decoder.dims().n_vocab
    }

    fn n_text_ctx(&self) -> usize {
        self.decoder.dims().n_text_ctx
    }

    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, DecodeError> {
        self.cache.tokens.begin();
        let rows = Row::of_one(tokens);
        self.forward(&rows, wanted)
    }

    fn rearrange(&mut self, sources: &[usize]) {
        self.cache.tokens.rearrange(sources);
    }

    fn truncate(&mut self, len: usize) {
        self.cache.tokens.truncate(len);
    }

    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, DecodeError> {
        let rows: Vec<_> = (0..)
            .zip(tokens)
            .map(|(sequence, &token)| Row {
                window: 0,
                sequence,
                token,
            })
            .collect();
        let wanted: Vec<_> = (0..rows.len()).collect();
        self.forward(&rows, &wanted)
    }
}
