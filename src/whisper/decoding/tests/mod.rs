//! The decoding rules over scripted decoders.

mod fallback;
mod guards;
mod openai;
mod predicted;
mod rules;
mod scripted;
mod search;

use super::*;
use crate::tokenizer::{Language, Task};
use scripted::Scripted;

const NEVER: &dyn Fn() -> bool = &|| false;

/// A vocabulary of a space and the letters a, b, …: `text` tokens, three languages, `timestamps`
/// timestamps.
fn alphabet(text: u8, timestamps: u32) -> Tokenizer {
    let letters: Vec<Vec<u8>> = (0..text)
        .map(|id| {
            if id == 0 {
                vec![b' ']
            } else {
                vec![b'a' - 1 + id]
            }
        })
        .collect();
    let letters: Vec<&[u8]> = letters.iter().map(Vec::as_slice).collect();
    Tokenizer::miniature(&letters, 3, timestamps, true)
}

/// Pseudo-random logits in 0..16 after `sequence`, which depend on its length and last two tokens.
fn hashed(seed: u32, sequence: &[u32], n_vocab: usize) -> Vec<f32> {
    let mix = |h: u32, value: u32| {
        let h = (h ^ value).wrapping_mul(0x9E37_79B1);
        h ^ (h >> 15)
    };
    let (last, before) = match sequence {
        [.., before, last] => (*last, *before),
        [last] => (*last, 0),
        [] => (0, 0),
    };
    let state = mix(mix(mix(seed, sequence.len() as u32), before), last);
    (0..n_vocab as u32)
        .map(|token| (mix(mix(state, token), 0x5BD1_E995) >> 8) as f32 / 1_048_576.0)
        .collect()
}
