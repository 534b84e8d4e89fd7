//! The words of a hypothesis that follow words which an earlier hypothesis has settled.
//!
//! In: settled words, and all words of a later hypothesis of the same speech. Out: how many of the
//! latter cover the speech of the former.

use crate::text::{Word, common_prefix};

/// Cost of a second between the ends of two texts, in words.
const COST_PER_SECOND: f64 = 0.5;

/// Similarity of their letters from which two words may be the same one, one of them cut short.
const MIN_SIMILARITY: f64 = 0.5;

/// Returns how many leading words of `found` cover the speech of `settled`: the prefix with the
/// smallest word edit distance plus a penalty for the difference of their end times. Replacing a
/// word by another costs as much as their letters differ, at most as much as leaving one out.
pub fn continuation(settled: &[Word], found: &[Word]) -> usize {
    let n_agreed = common_prefix(settled, found);
    let Some(last) = settled.get(n_agreed..).and_then(<[Word]>::last) else {
        return n_agreed;
    };
    let first_start_s = found.first().map(|word| word.start_s);
    let ends_s = first_start_s
        .into_iter()
        .chain(found.iter().map(|word| word.end_s));
    let lost = std::iter::once(0.0).chain(found.iter().map(|word| cost_of_losing(word, last)));
    let mut best = 0;
    let mut least = f64::INFINITY;
    for (n, ((distance, end_s), lost)) in distances(settled, found)
        .into_iter()
        .zip(ends_s)
        .zip(lost)
        .enumerate()
    {
        let cost = distance + lost + COST_PER_SECOND * (end_s - last.end_s).abs();
        if cost < least {
            best = n;
            least = cost;
        }
    }
    best
}

/// Returns the word edit distances of `settled` to the first 0, 1, … words of `found`
/// (Levenshtein).
fn distances(settled: &[Word], found: &[Word]) -> Vec<f64> {
    let mut distances: Vec<f64> = (0..=found.len()).map(|n| n as f64).collect();
    for word in settled {
        let mut row = vec![distances.first().map_or(0.0, |distance| distance + 1.0)];
        for (other, pair) in found.iter().zip(distances.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal + 1.0 - word.similarity(other);
            let left = row.last().copied().unwrap_or(f64::INFINITY);
            row.push(replaced.min(above + 1.0).min(left + 1.0));
        }
        distances = row;
    }
    distances
}

/// Returns the cost of a prefix that ends with `word`. A different word whose middle lies after the
/// `last` settled word says more than the settled ones, and would be lost.
fn cost_of_losing(word: &Word, last: &Word) -> f64 {
    let middle_s = (word.start_s + word.end_s) / 2.0;
    let says_more = middle_s > last.end_s && word.similarity(last) < MIN_SIMILARITY;
    if says_more { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{join, split};
    use crate::tokenizer::Language;

    /// Returns words of 0.3 s each.
    fn spoken(text: &str) -> Vec<Word> {
        let mut words = split(text, Language::ENGLISH);
        for (i, word) in words.iter_mut().enumerate() {
            (word.start_s, word.end_s) = (0.3 * i as f64, 0.3 * (i + 1) as f64);
        }
        words
    }

    #[test]
    fn words_that_follow_settled_ones_are_found_after_other_words() {
        let rest = |settled: &str, found: &str| {
            let found = spoken(found);
            join(&found[continuation(&spoken(settled), &found)..])
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
        let (mut settled, found) = (
            spoken(" please enter agent"),
            spoken(" please enter your agent number"),
        );
        settled[2].end_s = found[3].end_s;
        assert_eq!(
            join(&found[continuation(&settled, &found)..]),
            " number",
            "a word was left out"
        );
        let (mut settled, mut found) = (spoken(" Mistress Fitz"), spoken(" Mistress Fitz-Ooth to"));
        (settled[1].end_s, found[1].end_s) = (0.5, 0.8);
        assert_eq!(
            join(&found[continuation(&settled, &found)..]),
            " to",
            "a part of a word is that word"
        );
        settled[1] = split(" um", Language::ENGLISH).remove(0).later(0.3);
        (found[1].start_s, found[1].end_s) = (1.2, 1.5);
        assert_eq!(
            join(&found[continuation(&settled, &found)..]),
            " Fitz-Ooth to",
            "it was said much later"
        );
    }

    #[test]
    fn a_word_after_all_settled_ones_is_not_lost() {
        let mut settled = spoken(" and so my and so my");
        settled[5].end_s = 2.32;
        let mut found = spoken(" And so my fellow Americans");
        for (word, (start_s, end_s)) in
            found[2..]
                .iter_mut()
                .zip([(1.37, 2.2), (2.2, 2.56), (2.56, 3.12)])
        {
            (word.start_s, word.end_s) = (start_s, end_s);
        }
        assert_eq!(
            join(&found[continuation(&settled, &found)..]),
            " fellow Americans"
        );
    }
}
