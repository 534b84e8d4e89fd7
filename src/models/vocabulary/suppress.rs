//! The tokens that OpenAI's decoding suppresses unless told otherwise (`suppress_tokens="-1"` in
//! `decoding.py`): marks of speakers and of things other than speech, and the special tokens that
//! are never spoken.

use std::collections::{BTreeSet, HashMap};

use super::{Vocabulary, bpe, openai};

/// Symbols of `non_speech_tokens` in openai-whisper's `tokenizer.py`, single characters first.
const SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 \
    << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Musical symbols, which may take several tokens: the first is suppressed.
const MUSIC: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";
/// Fine within a word, suppressed where one begins.
const WORD_BEGINNINGS: [&str; 2] = [" -", " '"];

/// The suppressed tokens' ids, ascending.
pub(super) fn tokens(vocabulary: &Vocabulary) -> Vec<u32> {
    let ranks = vocabulary.ranks();
    let mut ids: BTreeSet<u32> = openai::never_sampled(vocabulary.tokens.len())
        .into_iter()
        .collect();
    ids.extend(
        WORD_BEGINNINGS
            .iter()
            .filter_map(|text| encode(text, &ranks).first().copied()),
    );
    for (symbols, only_single) in [(SYMBOLS, true), (MUSIC, false)] {
        for symbol in symbols.split(' ') {
            for text in [symbol.to_owned(), format!(" {symbol}")] {
                let tokens = encode(&text, &ranks);
                if tokens.len() == 1 || !only_single {
                    ids.extend(tokens.first());
                }
            }
        }
    }
    ids.into_iter().collect()
}

/// The symbols are all punctuation, which tiktoken's pattern keeps in one piece: no splitting into
/// words is needed.
fn encode(text: &str, ranks: &HashMap<&[u8], u32>) -> Vec<u32> {
    bpe::encode(text.as_bytes(), ranks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(tokens(&Vocabulary::openai(51865).unwrap()), MULTILINGUAL);
        assert_eq!(tokens(&Vocabulary::openai(51864).unwrap()), ENGLISH);
    }

    #[test]
    fn cantonese_moves_the_special_ones() {
        let tokens = tokens(&Vocabulary::openai(51866).unwrap());
        assert_eq!(
            tokens[MULTILINGUAL.len() - 6..],
            [50258, 50359, 50360, 50361, 50362, 50363]
        );
    }
}
