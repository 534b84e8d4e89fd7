//! Phrases to find, as a tree of words.
//!
//! In: tokens of an utterance. Out: the longest phrase that begins at the first of them.

use super::punctuation::Mark;
use super::token::{is_space, key, tokens};
use std::collections::HashMap;

/// Replacement of a phrase.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Write this text.
    Replace(String),
    /// Write these marks.
    Punctuate(&'static [Mark]),
    /// Leave it out: it is a filler.
    Drop,
}

/// Token of an utterance.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub text: &'a str,
    /// Key of comparisons.
    pub key: String,
    /// Index of its piece.
    pub piece: usize,
}

/// Phrases that begin with the same words.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    longer: HashMap<String, Phrases>,
    /// Replacement, if these words are a phrase.
    action: Option<Action>,
}

/// Result of a search.
pub(super) enum Found<'a> {
    Nothing,
    /// More words are needed to decide.
    Undecided,
    /// Phrase, and its number of tokens.
    Phrase(&'a Action, usize),
}

/// Returns the keys of a phrase's tokens without spaces.
pub(super) fn phrase(text: &str) -> Vec<String> {
    tokens(text)
        .into_iter()
        .filter(|token| !is_space(token))
        .map(key)
        .collect()
}

impl Phrases {
    /// Whether there are no phrases.
    pub fn is_empty(&self) -> bool {
        self.longer.is_empty()
    }

    /// Adds a phrase. It replaces an equal one.
    pub fn insert(&mut self, phrase: Vec<String>, action: Action) {
        let node = phrase
            .into_iter()
            .fold(self, |node, word| node.longer.entry(word).or_default());
        node.action = Some(action);
    }

    /// Adds the phrases of `others`. They replace equal ones.
    pub fn extend(&mut self, others: &Self) {
        if let Some(action) = &others.action {
            self.action = Some(action.clone());
        }
        for (word, longer) in &others.longer {
            self.longer.entry(word.clone()).or_default().extend(longer);
        }
    }

    /// Finds the longest phrase that begins at the first token, which is not a space. If `is_open`,
    /// more tokens may follow.
    pub fn find(&self, tokens: &[Token<'_>], is_open: bool) -> Found<'_> {
        let mut node = self;
        let mut found = Found::Nothing;
        for (i, token) in tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| !is_space(token.text))
        {
            node = match node.longer.get(&token.key) {
                Some(longer) => longer,
                None => return found,
            };
            if let Some(action) = &node.action {
                found = Found::Phrase(action, i + 1);
            }
        }
        if is_open && !node.longer.is_empty() {
            Found::Undecided
        } else {
            found
        }
    }
}
