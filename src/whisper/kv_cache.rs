//! KV cache of the decoder: keys and values of a window's audio, and of the token sequences over it.

use crate::cpu::{Isa, KvFormat, LargePages, Panels, panels_len, to_f16};
use std::io;

/// Keys and values of a window: of its audio, and of the token sequences over it.
#[derive(Debug)]
pub struct WindowCache {
    /// Keys and values of cross-attention, block by block.
    audio: LargePages,
    /// Number of encoder positions, including the silent tail.
    n: usize,
    /// Number format of `audio`.
    stored: KvFormat,
    /// Number of bytes of a block.
    per_layer: usize,
    /// Number of blocks.
    n_layers: usize,
    /// Attention score biases of the last positions, those of the silent tail.
    pub(super) bias: Vec<f32>,
    /// Keys and values of the sequences.
    pub(super) tokens: TokenCache,
}

impl WindowCache {
    /// Allocates a cache for a window of `n_ctx` positions and a tail of `bias.len()`, for
    /// `n_layers` blocks of `n_state` values, and `query_len` values of queries for each token.
    /// Reuses the memory of `used` if it is large enough.
    pub(super) fn new(
        n_ctx: usize,
        bias: Vec<f32>,
        n_layers: usize,
        n_state: usize,
        stored: KvFormat,
        query_len: usize,
        used: Option<Self>,
    ) -> io::Result<Self> {
        let n = n_ctx + bias.len();
        let per_layer = panels_len(n, n_state, stored);
        let len = n_layers * per_layer;
        let (audio, tokens) = match used {
            Some(mut used)
                if used.audio.len() >= len
                    && used.tokens.fits(n_layers, 2 * n_state, query_len) =>
            {
                // Sequences over the previous audio are not valid over this one.
                used.tokens.rearrange(&[]);
                (used.audio, used.tokens)
            }
            _ => (
                LargePages::new(len)?,
                TokenCache::new(n_layers, 2 * n_state, query_len),
            ),
        };
        Ok(Self {
            audio,
            n,
            stored,
            per_layer,
            n_layers,
            bias,
            tokens,
        })
    }

    /// Keys and values of the audio in a block.
    pub(super) fn panels(&self, layer: usize) -> Panels<'_> {
        Panels {
            data: &self.audio[layer * self.per_layer..][..self.per_layer],
            n: self.n,
            stored: self.stored,
        }
    }

    /// Keys and values of the audio in a block, for writing.
    pub(super) fn panels_mut(&mut self, layer: usize) -> &mut [u8] {
        &mut self.audio[layer * self.per_layer..][..self.per_layer]
    }

    /// Drops all sequences and begins an empty one with index 0.
    pub fn begin(&mut self) {
        self.tokens.begin();
    }

    /// Number of encoder positions without the silent tail.
    pub(super) fn n_ctx(&self) -> usize {
        self.n - self.bias.len()
    }

    /// Number of bytes of the audio's keys and values.
    pub fn bytes(&self) -> usize {
        self.n_layers * self.per_layer
    }
}

/// Keys and values of self-attention for the sequences over a window, in half precision.
///
/// Each token's row has a slot. Sequences with a common prefix share its slots, so that following a
/// beam copies no keys.
#[derive(Debug)]
pub(super) struct TokenCache {
    /// For each decoder block, the rows `[slots][keys | values]`, 2 × n_text_state wide.
    layers: Vec<Vec<u16>>,
    row_len: usize,
    /// Queries of the alignment heads, `[slots][query_len]`.
    queries: Vec<f32>,
    query_len: usize,
    /// The token of each slot.
    tokens: Vec<u32>,
    /// The slots of each sequence's tokens.
    sequences: Vec<Vec<u32>>,
    /// Places that no sequence holds any more.
    free: Vec<u32>,
    n_slots: u32,
}

impl TokenCache {
    /// Creates an empty cache for `n_layers` blocks of rows of `row_len` values, and queries of
    /// `query_len` values.
    pub fn new(n_layers: usize, row_len: usize, query_len: usize) -> Self {
        Self {
            layers: vec![Vec::new(); n_layers],
            row_len,
            queries: Vec::new(),
            query_len,
            tokens: Vec::new(),
            sequences: Vec::new(),
            free: Vec::new(),
            n_slots: 0,
        }
    }

    /// Whether the cache has `n_layers` blocks of rows of `row_len` values, and queries of
    /// `query_len` values.
    fn fits(&self, n_layers: usize, row_len: usize, query_len: usize) -> bool {
        self.layers.len() == n_layers && self.row_len == row_len && self.query_len == query_len
    }

    /// Drops all sequences and begins an empty one.
    pub fn begin(&mut self) {
        self.sequences = vec![Vec::new()];
        self.free = (0..self.n_slots).rev().collect();
    }

    /// Replaces sequence i with a copy of the former sequence `sources[i]`.
    pub fn rearrange(&mut self, sources: &[usize]) {
        self.sequences = sources
            .iter()
            .filter_map(|s| self.sequences.get(*s).cloned())
            .collect();
        self.free_unused();
    }

    /// Shortens the sequences to `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        for sequence in &mut self.sequences {
            sequence.truncate(len);
        }
        self.free_unused();
    }

    /// Drops all but the longest prefix of `tokens` that a sequence begins with, which becomes the
    /// only sequence. Returns its length.
    pub fn keep_prefix(&mut self, tokens: &[u32]) -> usize {
        let common = |slots: &Vec<u32>| {
            let own = slots.iter().map(|slot| self.tokens[*slot as usize]);
            own.zip(tokens).take_while(|(a, b)| a == *b).count()
        };
        let lengths = self.sequences.iter().map(common).enumerate();
        let Some((longest, len)) = lengths.max_by_key(|(_, len)| *len) else {
            self.begin();
            return 0;
        };
        self.rearrange(&[longest]);
        self.truncate(len);
        len
    }

    /// Frees the slots that no sequence holds.
    fn free_unused(&mut self) {
        let mut held = vec![false; self.n_slots as usize];
        for slot in self.sequences.iter().flatten() {
            held[*slot as usize] = true;
        }
        self.free = (0..self.n_slots)
            .rev()
            .filter(|slot| !held[*slot as usize])
            .collect();
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// The slots of a sequence's tokens; empty if there is no such sequence.
    pub fn slots(&self, sequence: usize) -> &[u32] {
        self.sequences.get(sequence).map_or(&[], Vec::as_slice)
    }

    /// Allocates a slot for `token`, the next one of a sequence.
    pub fn alloc_slot(&mut self, sequence: usize, token: u32) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            for rows in &mut self.layers {
                rows.resize(rows.len() + self.row_len, 0);
            }
            self.queries
                .resize(self.queries.len() + self.query_len, 0.0);
            self.tokens.push(token);
            self.n_slots += 1;
            self.n_slots - 1
        });
        self.tokens[slot as usize] = token;
        if let Some(sequence) = self.sequences.get_mut(sequence) {
            sequence.push(slot);
        }
        slot
    }

    /// Stores a token's keys and values of a block.
    pub fn store(&mut self, isa: Isa, layer: usize, slot: u32, row: &[f32]) {
        to_f16(
            isa,
            row,
            &mut self.layers[layer][slot as usize * self.row_len..][..self.row_len],
        );
    }

    /// The queries of a slot's token.
    pub fn query(&self, slot: u32) -> &[f32] {
        &self.queries[slot as usize * self.query_len..][..self.query_len]
    }

    /// The queries of a slot's token, for writing.
    pub fn query_mut(&mut self, slot: u32) -> &mut [f32] {
        &mut self.queries[slot as usize * self.query_len..][..self.query_len]
    }

    /// All rows of a block.
    pub fn rows(&self, layer: usize) -> &[u16] {
        &self.layers[layer]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_prefixes_are_shared_and_freed_slots_are_reused() {
        let mut cache = TokenCache::new(2, 16, 4);
        cache.begin();
        assert_eq!((cache.alloc_slot(0, 7), cache.alloc_slot(0, 7)), (0, 1));
        cache.rearrange(&[0, 0, 0]);
        let ends = [
            cache.alloc_slot(0, 7),
            cache.alloc_slot(1, 7),
            cache.alloc_slot(2, 7),
        ];
        assert_eq!((ends, cache.slots(2)), ([2, 3, 4], &[0, 1, 4][..]));
        cache.rearrange(&[2, 2]);
        assert_eq!((cache.alloc_slot(0, 7), cache.alloc_slot(1, 7)), (2, 3));
        assert_eq!(
            (cache.slots(0), cache.slots(1)),
            (&[0, 1, 4, 2][..], &[0, 1, 4, 3][..])
        );
        cache.truncate(1);
        assert_eq!((cache.slots(0), cache.slots(1)), (&[0][..], &[0][..]));
        assert_eq!((cache.alloc_slot(0, 7), cache.n_slots), (1, 5));
        cache.begin();
        assert_eq!(
            (cache.len(), cache.alloc_slot(0, 7), cache.rows(1).len()),
            (1, 0, 80)
        );
    }

    #[test]
    fn the_longest_prefix_that_a_sequence_has_is_kept() {
        let mut cache = TokenCache::new(1, 16, 4);
        assert_eq!((cache.keep_prefix(&[1]), cache.len()), (0, 1));
        cache.alloc_slot(0, 1);
        cache.alloc_slot(0, 2);
        cache.rearrange(&[0, 0]);
        cache.alloc_slot(0, 3);
        let slot = cache.alloc_slot(1, 4);
        cache.query_mut(slot).fill(4.0);
        assert_eq!(cache.keep_prefix(&[1, 2, 4, 5]), 3);
        assert_eq!((cache.len(), cache.slots(0)), (1, &[0, 1, 3][..]));
        assert_eq!(cache.query(slot), [4.0; 4]);
        assert_eq!(cache.keep_prefix(&[1, 9]), 1);
        assert_eq!(cache.slots(0), [0]);
        assert_eq!(cache.alloc_slot(0, 8), 1, "freed");
        assert_eq!(cache.keep_prefix(&[8]), 0, "a token at another position");
    }
}
