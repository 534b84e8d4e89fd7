//! Text as words that can be compared: hypotheses of the same speech differ in case and punctuation from one moment
//! to the next.

use crate::whisper::tokenizer::Language;

/// Languages written without spaces, by code: their characters stand for words.
const WITHOUT_SPACES: [&str; 7] = ["zh", "ja", "th", "lo", "my", "km", "yue"];

/// A word, or a character of a language without spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written, with the space before it and the punctuation after it.
    pub text: String,
    /// What it is compared by: its letters and digits in lower case.
    key: String,
}

impl Word {
    fn new(text: String) -> Self {
        let key = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        Self { text, key }
    }

    /// Whether it is the same word but for case and punctuation.
    pub fn is_like(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// Splits `text`; the words' texts put together are the text again.
pub fn split(text: &str, language: Language) -> Vec<Word> {
    let by_character = WITHOUT_SPACES.contains(&language.code());
    let mut words: Vec<String> = Vec::new();
    let mut after_space = true;
    for c in text.chars() {
        let opens = if by_character { c.is_alphanumeric() } else { c.is_whitespace() && !after_space };
        match words.last_mut() {
            Some(word) if !opens => word.push(c),
            _ => words.push(c.to_string()),
        }
        after_space = c.is_whitespace();
    }
    words.into_iter().map(Word::new).collect()
}

/// How many words the two begin with in common.
pub fn common_prefix(a: &[Word], b: &[Word]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a.is_like(b)).count()
}

/// The words' text.
pub fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_punctuation_do_not_matter() {
        let (a, b) = (split(" And so, my", Language::ENGLISH), split(" and So my fellow", Language::ENGLISH));
        assert_eq!(a.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), [" And", " so,", " my"]);
        assert_eq!(common_prefix(&a, &b), 3);
    }

    #[test]
    fn languages_without_spaces_go_by_character() -> Result<(), Box<dyn std::error::Error>> {
        let words = split("你好，世界。", "zh".parse()?);
        assert_eq!(words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), ["你", "好，", "世", "界。"]);
        Ok(())
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in ".{0,80}") {
            prop_assert_eq!(join(&split(&text, Language::ENGLISH)), text);
        }
    }
}
