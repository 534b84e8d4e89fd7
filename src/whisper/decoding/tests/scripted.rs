//! A decoder whose logits are a function of the tokens alone.

use crate::cpu::Isa;
use crate::whisper::Inference;

/// Follows sequences as a real decoder would and asks `script` for the logits after each.
pub struct Scripted<F> {
    pub n_vocab: usize,
    pub n_text_ctx: usize,
    pub script: F,
    pub sequences: Vec<Vec<u32>>,
    pub prefills: Vec<Vec<u32>>,
    pub steps: usize,
    pub rearrangements: usize,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub &'static str);

impl<F: Fn(&[u32]) -> Vec<f32>> Scripted<F> {
    pub fn new(n_vocab: usize, n_text_ctx: usize, script: F) -> Self {
        Self {
            n_vocab,
            n_text_ctx,
            script,
            sequences: Vec::new(),
            prefills: Vec::new(),
            steps: 0,
            rearrangements: 0,
        }
    }
}

impl<F: Fn(&[u32]) -> Vec<f32>> Inference for Scripted<F> {
    type Error = Misuse;

    fn isa(&self) -> Isa {
        Isa::available()[0]
    }

    fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    fn n_text_ctx(&self) -> usize {
        self.n_text_ctx
    }

    fn prefill(&mut self, tokens: &[u32], wanted: &[usize]) -> Result<Vec<f32>, Misuse> {
        if tokens.is_empty() || tokens.len() > self.n_text_ctx {
            return Err(Misuse("prefill of no tokens or more than the context"));
        }
        self.sequences = vec![tokens.to_vec()];
        self.prefills.push(tokens.to_vec());
        Ok(wanted
            .iter()
            .flat_map(|&place| (self.script)(&tokens[..=place]))
            .collect())
    }

    fn rearrange(&mut self, sources: &[usize]) {
        self.rearrangements += 1;
        self.sequences = sources
            .iter()
            .map(|&source| self.sequences[source].clone())
            .collect();
    }

    fn truncate(&mut self, len: usize) {
        self.sequences
            .iter_mut()
            .for_each(|sequence| sequence.truncate(len));
    }

    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Misuse> {
        self.steps += 1;
        if tokens.is_empty() || tokens.len() != self.sequences.len() {
            return Err(Misuse("a step needs one token for each sequence"));
        }
        for (sequence, &token) in self.sequences.iter_mut().zip(tokens) {
            sequence.push(token);
            if sequence.len() > self.n_text_ctx {
                return Err(Misuse("the sequence exceeds the context"));
            }
        }
        Ok(self
            .sequences
            .iter()
            .flat_map(|sequence| (self.script)(sequence))
            .collect())
    }
}
