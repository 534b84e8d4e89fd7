//! Splits text into words, signs and spaces.

use fancy_regex::Regex;
use std::sync::LazyLock;

/// In this order: a space; a character of a script that is written without spaces, with its marks
/// (ー belongs to no script); a word of any other script, including the signs that join its parts,
/// as in "well-known", "example.com" or "3.5"; a sign. An apostrophe is a sign, so that a name is
/// found in "Jon's" and "d'Alembert".
const TOKENS: &str = r"(?sx)
    \s+
    | [\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー] \p{M}*
    | [\w--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]]+
      (?: [.,:-] [\w--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]]+ )*
    | .";

static EXPRESSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TOKENS).ok());

/// Splits text into words, signs and spaces. Joined, they are the text again.
pub fn tokens(text: &str) -> Vec<&str> {
    let mut tokens: Vec<&str> = Vec::new();
    let mut end = 0;
    for found in EXPRESSION
        .iter()
        .flat_map(|expression| expression.find_iter(text))
        .map_while(Result::ok)
    {
        tokens.push(found.as_str());
        end = found.end();
    }
    // A rest that does not match is one token.
    tokens.extend(text.get(end..).filter(|rest| !rest.is_empty()));
    tokens
}

/// Whether a token is a space.
pub(super) fn is_space(token: &str) -> bool {
    token.starts_with(char::is_whitespace)
}

/// Whether a token is a word, or a character of a script without spaces.
pub fn is_word(token: &str) -> bool {
    token.contains(char::is_alphanumeric)
}

/// Returns the key of comparisons: case and the shape of an apostrophe do not matter.
pub(super) fn key(token: &str) -> String {
    match token {
        "’" => "'".to_owned(),
        token => token.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_every_script_are_separated() {
        for (text, wanted) in [
            (" Hello,  you", vec![" ", "Hello", ",", "  ", "you"]),
            (
                "Jon’s well-known 3.5, e.g. 1,000",
                vec![
                    "Jon",
                    "’",
                    "s",
                    " ",
                    "well-known",
                    " ",
                    "3.5",
                    ",",
                    " ",
                    "e.g",
                    ".",
                    " ",
                    "1,000",
                ],
            ),
            ("我用GitHub写。", vec!["我", "用", "GitHub", "写", "。"]),
            ("スター 2024年", vec!["ス", "タ", "ー", " ", "2024", "年"]),
            ("नमस्ते दुनिया", vec!["नमस्ते", " ", "दुनिया"]),
            ("ที่นี่", vec!["ที่", "นี่"]),
            ("안녕하세요 세계", vec!["안녕하세요", " ", "세계"]),
            ("C++", vec!["C", "+", "+"]),
        ] {
            assert_eq!(tokens(text), wanted);
        }
    }

    proptest! {
        #[test]
        fn no_character_is_lost(text in ".{0,60}") {
            prop_assert_eq!(tokens(&text).concat(), text);
        }
    }
}
