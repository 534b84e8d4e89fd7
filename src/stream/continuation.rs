//! Where the speech of settled words ends in a later hypothesis of the same utterance.

use crate::text::{Word, common_prefix};
use std::iter;

/// What a second is worth in finding where two texts part, in words.
const SECOND: f64 = 0.5;

/// Similarity of their letters from which two words may be the same one, one of them cut short.
const ALIKE: f64 = 0.5;

/// How many words of `heard` say what `settled` says, if in other words: those with the smallest
/// edit distance to it, and the distance in time between the ends of both added. A word for another
/// costs what their letters differ by, at most as much as a word left out.
pub fn continuation(settled: &[Word], heard: &[Word]) -> usize {
    let agreed = common_prefix(settled, heard);
    let Some(last) = settled.get(agreed..).and_then(<[Word]>::last) else {
        return agreed;
    };
    // Levenshtein's distances of the settled words to the first 0, 1, ... of those heard.
    let mut distances: Vec<f64> = (0..=heard.len()).map(|n| n as f64).collect();
    for word in settled {
        let mut row = vec![distances.first().map_or(0.0, |distance| distance + 1.0)];
        for (other, above) in heard.iter().zip(distances.windows(2)) {
            let &[diagonal, above] = above else { continue };
            let replaced = diagonal + 1.0 - word.similarity(other);
            let left = row.last().copied().unwrap_or(f64::INFINITY);
            row.push(replaced.min(above + 1.0).min(left + 1.0));
        }
        distances = row;
    }
    let ends = heard
        .first()
        .map(|word| word.start_s)
        .into_iter()
        .chain(heard.iter().map(|word| word.end_s));
    // Another word whose middle lies behind all that is settled says more than that.
    let is_more = |word: &Word| {
        let middle_s = (word.start_s + word.end_s) / 2.0;
        middle_s > last.end_s && word.similarity(last) < ALIKE
    };
    let lost = iter::once(0.0).chain(
        heard
            .iter()
            .map(|word| if is_more(word) { 1.0 } else { 0.0 }),
    );
    let costs = distances.iter().zip(ends).zip(lost);
    let costs =
        costs.map(|((words, end_s), lost)| words + lost + SECOND * (end_s - last.end_s).abs());
    costs
        .enumerate()
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or(0, |(n, _)| n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{join, split};
    use crate::tokenizer::Language;

    /// Words of 0.3 s each.
    fn spoken(text: &str) -> Vec<Word> {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            (word.start_s, word.end_s) = (0.3 * i as f64, 0.3 * (i + 1) as f64);
        }
        words
    }

    #[test]
    fn what_follows_settled_words_is_found_behind_others() {
        let rest = |settled: &str, heard: &str| {
            let heard = spoken(heard);
            join(&heard[continuation(&spoken(settled), &heard)..])
        };
        assert_eq!(rest("", " and so"), " and so");
        assert_eq!(rest(" And so", " and, so my fellow"), " my fellow");
        assert_eq!(
            rest(" some song out", " Some sung out, tear down, tear down"),
            " tear down, tear down"
        );
        assert_eq!(
            rest(" that there are arrangement", " that their arrangement on"),
            " on"
        );
        assert_eq!(rest(" and so my", ""), "");
        let (mut settled, heard) = (
            spoken(" please enter agent"),
            spoken(" please enter your agent number"),
        );
        settled[2].end_s = heard[3].end_s;
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " number",
            "a word was left out"
        );
        let (mut settled, mut heard) = (spoken(" Mistress Fitz"), spoken(" Mistress Fitz-Ooth to"));
        (settled[1].end_s, heard[1].end_s) = (0.5, 0.8);
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " to",
            "a part of a word is that word"
        );
        settled[1] = split(" um", Language::ENGLISH).remove(0).later(0.3);
        (heard[1].start_s, heard[1].end_s) = (1.2, 1.5);
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " Fitz-Ooth to",
            "it is said much later"
        );
    }

    #[test]
    fn a_word_behind_all_that_is_settled_is_not_lost() {
        let mut settled = spoken(" and so my and so my");
        settled[5].end_s = 2.32;
        let mut heard = spoken(" And so my fellow Americans");
        for (word, (start_s, end_s)) in
            heard[2..]
                .iter_mut()
                .zip([(1.37, 2.2), (2.2, 2.56), (2.56, 3.12)])
        {
            (word.start_s, word.end_s) = (start_s, end_s);
        }
        assert_eq!(
            join(&heard[continuation(&settled, &heard)..]),
            " fellow Americans"
        );
    }
}
