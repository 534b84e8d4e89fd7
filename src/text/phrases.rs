//! Phrases to look for, as a tree of words: the longest that is there wins.

use super::punctuation::Mark;
use super::token::{is_space, key, tokens};
use std::collections::HashMap;

/// What to do about a phrase.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Write this.
    Replace(String),
    /// Write these marks.
    Punctuate(&'static [Mark]),
}

/// A token of an utterance.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub text: &'a str,
    /// What it is compared by.
    pub key: String,
    /// Number of the piece that it belongs to.
    pub piece: usize,
}

/// The phrases that begin with some words.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    longer: HashMap<String, Phrases>,
    /// What to do where these words are a phrase.
    action: Option<Action>,
}

/// What begins at a token.
pub(super) enum Found<'a> {
    Nothing,
    /// The next word decides.
    Undecided,
    /// A phrase of so many tokens.
    Phrase(&'a Action, usize),
}

/// The keys of a phrase's tokens, spaces left out.
pub(super) fn phrase(text: &str) -> Vec<String> {
    tokens(text)
        .into_iter()
        .filter(|token| !is_space(token))
        .map(key)
        .collect()
}

impl Phrases {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.longer.is_empty()
    }

    /// Adds a phrase, in place of an equal one.
    pub fn insert(&mut self, phrase: Vec<String>, action: Action) {
        let node = phrase
            .into_iter()
            .fold(self, |node, word| node.longer.entry(word).or_default());
        node.action = Some(action);
    }

    /// Adds the phrases of `others`, in place of equal ones.
    pub fn extend(&mut self, others: &Self) {
        if let Some(action) = &others.action {
            self.action = Some(action.clone());
        }
        for (word, longer) in &others.longer {
            self.longer.entry(word.clone()).or_default().extend(longer);
        }
    }

    /// The longest phrase that begins at the first of the tokens, which is no space; more tokens
    /// may follow them where `is_open`.
    pub fn find(&self, tokens: &[Token<'_>], is_open: bool) -> Found<'_> {
        let (mut node, mut found) = (self, Found::Nothing);
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
