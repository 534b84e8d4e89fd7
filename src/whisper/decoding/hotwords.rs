//! Hotwords: a prefix tree of their tokens, along which the decoder's logits are raised.
//!
//! In: the tokens sampled so far. Out: a bonus for tokens that begin a hotword, and a larger one
//! for tokens that continue one (contextual biasing by shallow fusion, arXiv:1808.02480, for a
//! greedy search).

use crate::tokenizer::{Tokenizer, TokenizerError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bonus of the first token of a hotword, in logits, per e-fold of its rank in the vocabulary above
/// that of the bytes. The vocabulary's merges are ranked by frequency, and a frequent token begins
/// many words that are not meant.
const BEGIN_BONUS: f32 = 0.8;
/// Number of single-byte tokens, which come first in the vocabulary.
const BYTES: f32 = 256.0;
/// Bonus of each further token. Once a hotword has begun, it is likely to be meant.
const CONTINUE_BONUS: f32 = 5.0;

/// Words whose probability is raised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hotwords {
    /// The first node is the root.
    nodes: Vec<Node>,
    /// Number of tokens of the longest word.
    depth: usize,
}

/// Children of a node, by token.
type Node = BTreeMap<u32, usize>;

impl Hotwords {
    /// Builds a tree of `words`, each one or more words in any script; empty ones are ignored. A
    /// word is expected as written, and with its first letter in upper case, as at the start of a
    /// sentence.
    ///
    /// # Errors
    /// Returns an error if the vocabulary does not have all bytes of a word. Published ones do.
    pub fn new(tokenizer: &Tokenizer, words: &[String]) -> Result<Self, TokenizerError> {
        let mut tree = Self {
            nodes: vec![Node::new()],
            depth: 0,
        };
        for word in words
            .iter()
            .map(|word| word.trim())
            .filter(|word| !word.is_empty())
        {
            for form in [word.to_owned(), capitalised(word)] {
                tree.insert(&tokenizer.encode_prompt(&form)?);
                if !form.is_ascii() {
                    // Scripts that are written without spaces.
                    tree.insert(&tokenizer.encode(&form)?);
                }
            }
        }
        Ok(tree)
    }

    /// Builds a tree that the windows of a recording share, for
    /// [`DecodingOptions::hotwords`](super::DecodingOptions::hotwords); `None` if there are no
    /// words.
    ///
    /// # Errors
    /// Returns the errors of [`Hotwords::new`].
    pub fn shared(
        tokenizer: &Tokenizer,
        words: &[String],
    ) -> Result<Option<Arc<Self>>, TokenizerError> {
        let tree = Self::new(tokenizer, words)?;
        Ok((!tree.is_empty()).then(|| Arc::new(tree)))
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.depth == 0
    }

    fn insert(&mut self, tokens: &[u32]) {
        self.depth = self.depth.max(tokens.len());
        let mut at = 0;
        for &token in tokens {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else {
                return;
            };
            at = *node.entry(token).or_insert(new);
            if at == new {
                self.nodes.push(Node::new());
            }
        }
    }

    /// Raises the logits, `[n_vocab]`, of tokens that begin a word or continue one that `sampled`
    /// ends with.
    pub(super) fn apply(&self, row: &mut [f32], sampled: &[u32]) {
        let mut raised: BTreeMap<u32, f32> = self
            .children(&[])
            .map(|token| (token, begin_bonus(token)))
            .collect();
        let longest = self.depth.saturating_sub(1).min(sampled.len());
        for begun in (1..=longest).filter_map(|len| sampled.get(sampled.len() - len..)) {
            raised.extend(self.children(begun).map(|token| (token, CONTINUE_BONUS)));
        }
        for (token, bonus) in raised {
            if let Some(logit) = row.get_mut(token as usize) {
                *logit += bonus;
            }
        }
    }

    /// Returns the tokens that may follow `tokens`, starting at the root.
    fn children(&self, tokens: &[u32]) -> impl Iterator<Item = u32> {
        let root = self.nodes.first();
        let node = tokens
            .iter()
            .try_fold(root, |node, token| Some(self.nodes.get(*node?.get(token)?)));
        node.flatten()
            .into_iter()
            .flat_map(|node| node.keys().copied())
    }
}

fn begin_bonus(token: u32) -> f32 {
    BEGIN_BONUS * (token as f32 / BYTES).max(1.0).ln()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(words: &[&[u32]]) -> Hotwords {
        let mut tree = Hotwords {
            nodes: vec![Node::new()],
            depth: 0,
        };
        words.iter().for_each(|tokens| tree.insert(tokens));
        tree
    }

    fn raised(tree: &Hotwords, sampled: &[u32]) -> Vec<f32> {
        let mut row = vec![0.0; 6];
        tree.apply(&mut row, sampled);
        row
    }

    #[test]
    fn words_are_followed_from_their_first_token() {
        let next = CONTINUE_BONUS;
        let tree = tree(&[&[1, 2, 3], &[1, 4], &[5]]);
        assert_eq!(raised(&tree, &[0, 1]), [0.0, 0.0, next, 0.0, next, 0.0]);
        assert_eq!(raised(&tree, &[1, 2]), [0.0, 0.0, 0.0, next, 0.0, 0.0]);
        assert_eq!(
            raised(&tree, &[1, 2, 3]),
            raised(&tree, &[]),
            "the word is over"
        );
        assert_eq!(
            raised(&tree, &[1, 0, 2]),
            raised(&tree, &[]),
            "another word was meant"
        );
    }

    #[test]
    fn rare_first_tokens_gain_more_than_frequent_ones() {
        let mut row = vec![0.0; 50_000];
        tree(&[&[100, 1], &[1000, 1], &[40_000, 1]]).apply(&mut row, &[7]);
        let gains = [row[100], row[1000], row[40_000]];
        assert!(
            gains[0] == 0.0 && gains[1] > 0.0 && gains[1] < gains[2] && gains[2] < CONTINUE_BONUS,
            "{gains:?}"
        );
        assert_eq!(row.iter().filter(|gain| **gain != 0.0).count(), 2);
    }

    #[test]
    fn a_word_may_begin_within_another() {
        let tree = tree(&[&[1, 1, 2], &[1, 3]]);
        let next = CONTINUE_BONUS;
        assert_eq!(raised(&tree, &[1, 1]), [0.0, next, next, next, 0.0, 0.0]);
    }

    #[test]
    fn no_words_change_nothing() {
        assert!(Hotwords::default().is_empty());
        assert_eq!(raised(&Hotwords::default(), &[1]), [0.0; 6]);
        assert_eq!(raised(&tree(&[]), &[]), [0.0; 6]);
    }

    #[test]
    fn forbidden_tokens_stay_forbidden() {
        let mut row = [f32::NEG_INFINITY; 2];
        tree(&[&[1]]).apply(&mut row, &[]);
        assert_eq!(row, [f32::NEG_INFINITY; 2], "not even NaN");
    }

    #[test]
    fn words_are_taken_as_written_and_at_the_start_of_a_sentence() -> Result<(), TokenizerError> {
        let tokenizer = Tokenizer::miniature(&[b" ", b"a", b"A", b"b"], 1, 1, true);
        let tree = Hotwords::new(&tokenizer, &["ab".to_owned(), " ".to_owned()])?;
        assert_eq!(tree.children(&[]).collect::<Vec<_>>(), [0]);
        assert_eq!(tree.children(&[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(tree.children(&[0, 2]).collect::<Vec<_>>(), [3]);
        Ok(())
    }
}
