//! Attention weights of the *alignment heads*: cross-attention heads that follow the audio as the
//! decoder reads a text.
//!
//! In: a window and tokens. Every pass of the decoder keeps the queries of these heads with the
//! tokens, so that only tokens that no sequence of the window has are read again. Out: weights,
//! `[n_heads, n_tokens, n_positions]`.

use super::{DecodeError, Decoder, HEAD, Row, Workspace};
use crate::cpu::AttentionWeights;
use crate::whisper::Dims;
use crate::whisper::kv_cache::WindowCache;
use ndarray::Array3;

/// The alignment heads of a model.
#[derive(Debug)]
pub struct AlignmentHeads(
    /// `[layer, head]`.
    Vec<[usize; 2]>,
);

impl AlignmentHeads {
    /// Creates the heads `[layer, head]` without those that the model does not have; if none are
    /// known, all heads of the later half of the layers, as OpenAI does.
    pub(super) fn new(dims: &Dims, known: Vec<[usize; 2]>) -> Self {
        if known.is_empty() {
            let layers = dims.n_text_layer / 2..dims.n_text_layer;
            return Self(
                layers
                    .flat_map(|layer| (0..dims.n_text_head).map(move |head| [layer, head]))
                    .collect(),
            );
        }
        let exists =
            |[layer, head]: &[usize; 2]| *layer < dims.n_text_layer && *head < dims.n_text_head;
        Self(known.into_iter().filter(exists).collect())
    }

    /// Number of values of a token's queries.
    pub(super) fn query_len(&self) -> usize {
        self.0.len() * HEAD
    }

    /// Number of layers up to the last that has an alignment head.
    fn n_layers(&self) -> usize {
        self.0.iter().map(|[layer, _]| layer + 1).max().unwrap_or(0)
    }

    /// Copies the heads' queries of a layer out of `query`, `[n_text_state]`, to their places in
    /// `kept`, `[n_heads][64]`.
    pub(super) fn keep(&self, layer: usize, query: &[f32], kept: &mut [f32]) {
        for ([of, head], kept) in self.0.iter().zip(kept.chunks_exact_mut(HEAD)) {
            if *of == layer {
                kept.copy_from_slice(&query[head * HEAD..][..HEAD]);
            }
        }
    }
}

impl Decoder {
    /// Returns the attention weights of the alignment heads over the first `n_positions` encoder
    /// positions of a window while the decoder reads `tokens`, `[n_heads, n_tokens, n_positions]`.
    ///
    /// The weights of a token add up to 1 over these positions, as if the window ended there:
    /// attention to the silence behind them is left out.
    ///
    /// Reads only the tokens that follow the longest prefix which a sequence of the window has.
    /// Keeps that prefix, and drops all sequences otherwise.
    ///
    /// # Errors
    /// Returns an error if there are too many tokens, or if a token is unknown.
    pub fn alignment_weights(
        &self,
        window: &mut WindowCache,
        tokens: &[u32],
        n_positions: usize,
        work: &mut Workspace,
    ) -> Result<Array3<f32>, DecodeError> {
        let known = window.tokens.keep_prefix(tokens);
        self.read(window, &tokens[known..], work)?;
        let heads = &self.weights.alignment_heads.0;
        let shape = (heads.len(), tokens.len(), n_positions);
        let mut weights = vec![0.0; heads.len() * tokens.len() * n_positions];
        let cache = &*window;
        let slots = cache.tokens.slots(0);
        if n_positions > 0 {
            self.cpu.pool.pieces(&mut weights, n_positions, |i, out| {
                let (head, token) = (i / tokens.len(), i % tokens.len());
                let [layer, of_layer] = heads[head];
                AttentionWeights {
                    query: &cache.tokens.query(slots[token])[head * HEAD..][..HEAD],
                    panels: cache.panels(layer),
                    col: of_layer * HEAD,
                    out,
                }
                .run(self.cpu.isa);
            });
        }
        // The last layers may not have seen the tokens just read.
        window.tokens.truncate(known);
        Ok(Array3::from_shape_vec(shape, weights)?)
    }

    /// Continues sequence 0 by `tokens`, and computes no more than the queries of their alignment
    /// heads.
    fn read(
        &self,
        window: &mut WindowCache,
        tokens: &[u32],
        work: &mut Workspace,
    ) -> Result<(), DecodeError> {
        let n_layers = self.weights.alignment_heads.n_layers();
        if tokens.is_empty() || n_layers == 0 {
            return Ok(());
        }
        let rows = Row::of_one(tokens);
        let windows = &mut [window];
        let pass = self.begin(windows, &rows, work)?;
        for layer in 0..n_layers {
            self.self_attention(windows, &pass, layer, work);
            self.cross_query(windows, &pass, layer, work);
            if layer + 1 < n_layers {
                self.cross_attention(windows, &pass, layer, work);
                self.mlp(layer, work);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: Dims = Dims {
        n_mels: 80,
        n_audio_ctx: 1500,
        n_audio_state: 128,
        n_audio_head: 2,
        n_audio_layer: 4,
        n_vocab: 51_865,
        n_text_ctx: 448,
        n_text_state: 128,
        n_text_head: 2,
        n_text_layer: 4,
    };

    #[test]
    fn heads_that_are_unknown_are_those_of_the_later_layers() {
        let heads = |known: &[[usize; 2]]| AlignmentHeads::new(&DIMS, known.to_vec());
        assert_eq!(heads(&[]).0, [[2, 0], [2, 1], [3, 0], [3, 1]]);
        let known = heads(&[[1, 1], [0, 0], [1, 2], [4, 0]]);
        assert_eq!(known.0, [[1, 1], [0, 0]]);
        assert_eq!((known.query_len(), known.n_layers()), (128, 2));
    }

    #[test]
    fn queries_are_kept_head_by_head() {
        let heads = AlignmentHeads::new(&DIMS, vec![[1, 1], [0, 0]]);
        let query: Vec<f32> = (0..128).map(|i| i as f32).collect();
        let mut kept = vec![-1.0; heads.query_len()];
        heads.keep(1, &query, &mut kept);
        assert_eq!((kept[0], kept[63], kept[64]), (64.0, 127.0, -1.0));
        heads.keep(0, &query, &mut kept);
        assert_eq!((kept[0], kept[64], kept[127]), (64.0, 0.0, 63.0));
    }
}
