//! The tokens that OpenAI's decoding suppresses by default (`suppress_tokens="-1"` in
//! `decoding.py`): speaker labels and marks of non-speech, and special tokens that are never
//! sampled.

use std::collections::BTreeSet;

use super::{Tokenizer, TokenizerError};

/// Symbols of `non_speech_tokens` in openai-whisper's `tokenizer.py`, single characters first.
const SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 \
    << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Musical symbols. They may take several tokens: the first is suppressed.
const MUSIC: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";
/// Allowed within a word, suppressed at its beginning.
const WORD_BEGINNINGS: [&str; 2] = [" -", " '"];

impl Tokenizer {
    /// The tokens that OpenAI's decoding suppresses by default (`suppress_tokens="-1"`), computed
    /// from the vocabulary, ascending.
    ///
    /// # Errors
    /// Returns an error if the vocabulary cannot encode the symbols among them.
    pub(crate) fn default_suppressed(&self) -> Result<Vec<u32>, TokenizerError> {
        let mut ids: BTreeSet<u32> = self.special().never_sampled().into_iter().collect();
        for text in WORD_BEGINNINGS {
            ids.extend(self.encode(text)?.first());
        }
        for symbol in SYMBOLS.split(' ') {
            for text in [symbol.to_owned(), format!(" {symbol}")] {
                if let [token] = self.encode(&text)?[..] {
                    ids.insert(token);
                }
            }
        }
        for symbol in MUSIC.split(' ') {
            for text in [symbol.to_owned(), format!(" {symbol}")] {
                ids.extend(self.encode(&text)?.first());
            }
        }
        Ok(ids.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Vocabulary;
    use super::*;

    fn suppressed(n_vocab: usize) -> Vec<u32> {
        let vocabulary = Vocabulary::published(n_vocab).unwrap();
        Tokenizer::new(vocabulary, &[])
            .unwrap()
            .default_suppressed()
            .unwrap()
    }

    /// `suppress_ids` of the converted base model in CTranslate2 layout.
    const MULTILINGUAL: [u32; 88] = [
        1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 359,
        503, 522, 542, 873, 893, 902, 918, 922, 931, 1350, 1853, 1982, 2460, 2627, 3246, 3253,
        3268, 3536, 3846, 3961, 4183, 4667, 6585, 6647, 7273, 9061, 9383, 10428, 10929, 11938,
        12033, 12331, 12562, 13793, 14157, 14635, 15265, 15618, 16553, 16604, 18362, 18956, 20075,
        21675, 22520, 26130, 26161, 26435, 28279, 29464, 31650, 32302, 32470, 36865, 42863, 47425,
        49870, 50254, 50258, 50358, 50359, 50360, 50361, 50362,
    ];
    /// The same of tiny.en.
    const ENGLISH: [u32; 90] = [
        1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 357,
        366, 438, 532, 685, 705, 796, 930, 1058, 1220, 1267, 1279, 1303, 1343, 1377, 1391, 1635,
        1782, 1875, 2162, 2361, 2488, 3467, 4008, 4211, 4600, 4808, 5299, 5855, 6329, 7203, 9609,
        9959, 10563, 10786, 11420, 11709, 11907, 13163, 13697, 13700, 14808, 15306, 16410, 16791,
        17992, 19203, 19510, 20724, 22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283, 40493,
        40549, 47282, 49146, 50257, 50357, 50358, 50359, 50360, 50361,
    ];

    #[test]
    fn the_published_lists_come_out() {
        assert_eq!(suppressed(51865), MULTILINGUAL);
        assert_eq!(suppressed(51864), ENGLISH);
    }

    #[test]
    fn cantonese_moves_the_special_ones() {
        let tokens = suppressed(51866);
        assert_eq!(
            tokens[MULTILINGUAL.len() - 6..],
            [50258, 50359, 50360, 50361, 50362, 50363]
        );
    }
}
