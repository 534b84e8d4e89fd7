//! OpenAI's logit filters, which decide which tokens may come next, and the bonus of hotwords.

use super::hotwords::Hotwords;
use super::logits::{log_sum_exp, mask, max};
use super::options::DecodingOptions;
use crate::cpu::Isa;
use crate::tokenizer::{SpecialTokens, TIMESTAMP_SECONDS, Tokenizer};
use std::sync::Arc;

/// Filters of one window. They take a row of raw logits, `[n_vocab]`, and the tokens sampled so
/// far, raise the logits of hotwords, and then set those of forbidden tokens to −∞.
pub(super) struct LogitFilters {
    blank: Vec<u32>,
    suppressed: Vec<u32>,
    hotwords: Option<Arc<Hotwords>>,
    timestamps: Option<TimestampRules>,
}

impl LogitFilters {
    pub(super) fn new(isa: Isa, tokenizer: &Tokenizer, options: &DecodingOptions) -> Self {
        let special = tokenizer.special();
        let blank = if options.suppress_blank {
            tokenizer.blank().into_iter().chain([special.eot]).collect()
        } else {
            Vec::new()
        };
        let timestamps =
            (!options.without_timestamps).then(|| TimestampRules::new(isa, special, options));
        Self {
            blank,
            suppressed: suppressed(tokenizer, options),
            hotwords: options.hotwords.clone(),
            timestamps,
        }
    }

    /// Filters one row in place. `sampled` holds the tokens after the initial ones.
    pub(super) fn apply(&self, row: &mut [f32], sampled: &[u32]) {
        if let Some(hotwords) = &self.hotwords {
            hotwords.apply(row, sampled);
        }
        if sampled.is_empty() {
            forbid(row, &self.blank);
        }
        forbid(row, &self.suppressed);
        if let Some(rules) = &self.timestamps {
            rules.apply(row, sampled);
        }
    }
}

fn forbid(row: &mut [f32], tokens: &[u32]) {
    for &token in tokens {
        if let Some(logit) = row.get_mut(token as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Returns the tokens of the caller's list and the special tokens that cannot be in a transcript.
fn suppressed(tokenizer: &Tokenizer, options: &DecodingOptions) -> Vec<u32> {
    let special = tokenizer.special();
    let mut tokens = options.suppress_tokens.tokens.clone();
    if options.suppress_tokens.non_speech {
        tokens.extend_from_slice(tokenizer.non_speech_tokens());
    }
    tokens.extend([
        special.transcribe,
        special.translate,
        special.sot,
        special.sot_prev,
        special.sot_lm,
    ]);
    tokens.push(special.no_speech);
    tokens
}

/// Keeps timestamps in pairs and in order (`ApplyTimestampRules` in openai-whisper's
/// `decoding.py`).
struct TimestampRules {
    isa: Isa,
    eot: u32,
    no_timestamps: u32,
    begin: u32,
    n_vocab: u32,
    /// Latest timestamp token allowed first.
    max_initial: Option<u32>,
    /// Latest timestamp token allowed.
    max: Option<u32>,
}

impl TimestampRules {
    fn new(isa: Isa, special: &SpecialTokens, options: &DecodingOptions) -> Self {
        // A timestamp is an integer number of steps. Rounding corrects the error of 1.02 in f32.
        let token = |seconds: f32| {
            let steps = (f64::from(seconds) / TIMESTAMP_SECONDS).round() as u32;
            special.timestamp_begin.saturating_add(steps)
        };
        Self {
            isa,
            eot: special.eot,
            no_timestamps: special.no_timestamps,
            begin: special.timestamp_begin,
            n_vocab: special.n_vocab,
            max_initial: options.max_initial_timestamp.map(token),
            max: options.max_timestamp.map(token),
        }
    }

    fn apply(&self, row: &mut [f32], sampled: &[u32]) {
        forbid(row, &[self.no_timestamps]);
        self.pair(row, sampled);
        self.ascend(row, sampled);
        if sampled.is_empty() {
            mask(row, 0..self.begin);
            self.forbid_after(row, self.max_initial);
        }
        self.forbid_after(row, self.max);
        self.prefer_timestamps(row);
    }

    fn is_timestamp(&self, token: u32) -> bool {
        token >= self.begin
    }

    /// Ensures that the end of a segment is followed by the start of the next or by the end of the
    /// text.
    fn pair(&self, row: &mut [f32], sampled: &[u32]) {
        if self.ends_segment(sampled) {
            mask(row, 0..self.eot);
        } else if sampled.last().is_some_and(|&last| self.is_timestamp(last)) {
            mask(row, self.begin..self.n_vocab);
        }
    }

    /// Whether the last token is a timestamp after text, which ends a segment.
    fn ends_segment(&self, sampled: &[u32]) -> bool {
        matches!(sampled, [.., before, last] if self.is_timestamp(*last) && !self.is_timestamp(*before))
    }

    /// Ensures that timestamps never go back, and that no segment is empty, which could continue
    /// forever.
    fn ascend(&self, row: &mut [f32], sampled: &[u32]) {
        if let Some(&last) = sampled
            .iter()
            .rev()
            .find(|&&token| self.is_timestamp(token))
        {
            let next = if self.ends_segment(sampled) {
                last
            } else {
                last.saturating_add(1)
            };
            mask(row, self.begin..next);
        }
    }

    fn forbid_after(&self, row: &mut [f32], latest: Option<u32>) {
        if let Some(latest) = latest {
            mask(row, latest.saturating_add(1)..self.n_vocab);
        }
    }

    /// Requires a timestamp if all timestamps together are likelier than the likeliest other token.
    /// Probabilities share their normaliser, so logits are compared.
    fn prefer_timestamps(&self, row: &mut [f32]) {
        let Some((others, timestamps)) = row.split_at_mut_checked(self.begin as usize) else {
            return;
        };
        if log_sum_exp(self.isa, timestamps).is_ok_and(|together| together > max(self.isa, others))
        {
            others.fill(f32::NEG_INFINITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::decoding::options::SuppressTokens;

    const FORBIDDEN: f32 = f32::NEG_INFINITY;

    /// Three text tokens (the second a space), one language, six timestamps.
    fn tokenizer() -> Tokenizer {
        Tokenizer::miniature(&[b"a", b" ", b"b"], 1, 6, true)
    }

    /// Returns the tokens that remain if all logits are equal except those of `likely`.
    fn allowed(options: &DecodingOptions, sampled: &[u32], likely: &[u32]) -> Vec<u32> {
        let tokenizer = tokenizer();
        let mut row = vec![0.0; tokenizer.n_vocab()];
        for &token in likely {
            row[token as usize] = 10.0;
        }
        LogitFilters::new(Isa::available()[0], &tokenizer, options).apply(&mut row, sampled);
        (0..)
            .zip(row)
            .filter(|&(_, logit)| logit != FORBIDDEN)
            .map(|(token, _)| token)
            .collect()
    }

    #[test]
    fn blanks_are_forbidden_at_the_start_only() {
        let options = DecodingOptions {
            without_timestamps: true,
            ..DecodingOptions::default()
        };
        let special = tokenizer().special().clone();
        let start = allowed(&options, &[], &[]);
        assert!(!start.contains(&1) && !start.contains(&special.eot) && start.contains(&0));
        let later = allowed(&options, &[0], &[]);
        assert!(later.contains(&1) && later.contains(&special.eot));
        let lax = DecodingOptions {
            suppress_blank: false,
            ..options
        };
        assert!(allowed(&lax, &[], &[]).contains(&1));
    }

    #[test]
    fn special_tokens_and_listed_tokens_are_never_sampled() {
        let suppress_tokens = SuppressTokens {
            non_speech: false,
            tokens: vec![2, 9999],
        };
        let options = DecodingOptions {
            without_timestamps: true,
            suppress_tokens,
            ..DecodingOptions::default()
        };
        let special = tokenizer().special().clone();
        let left = allowed(&options, &[0], &[]);
        for token in [
            2,
            special.sot,
            special.sot_prev,
            special.sot_lm,
            special.no_speech,
            special.translate,
        ] {
            assert!(!left.contains(&token), "{token}");
        }
        assert!(left.contains(&0));
    }

    #[test]
    fn a_transcript_begins_with_an_early_timestamp() {
        let t = tokenizer().special().timestamp_begin;
        let options = DecodingOptions {
            max_initial_timestamp: Some(0.04),
            ..DecodingOptions::default()
        };
        assert_eq!(allowed(&options, &[], &[0]), [t, t + 1, t + 2]);
        let capped = DecodingOptions {
            max_timestamp: Some(0.02),
            ..options
        };
        assert_eq!(allowed(&capped, &[], &[0]), [t, t + 1]);
        let free = DecodingOptions {
            max_initial_timestamp: None,
            ..DecodingOptions::default()
        };
        assert_eq!(
            allowed(&free, &[], &[0]),
            [t, t + 1, t + 2, t + 3, t + 4, t + 5]
        );
    }

    #[test]
    fn timestamps_come_in_pairs_and_ascend() {
        let special = tokenizer().special().clone();
        let (eot, t) = (special.eot, special.timestamp_begin);
        let options = DecodingOptions::default();
        let timestamps = |tokens: Vec<u32>| {
            tokens
                .into_iter()
                .filter(|&token| token >= t)
                .collect::<Vec<_>>()
        };
        // After the first timestamp: text. It may end at once, as OpenAI's.
        let after_start = allowed(&options, &[t + 1], &[0]);
        assert!(
            timestamps(after_start.clone()).is_empty()
                && after_start.contains(&0)
                && after_start.contains(&eot)
        );
        // Within text: text, or a later timestamp.
        assert_eq!(
            timestamps(allowed(&options, &[t + 1, 0], &[0])),
            [t + 2, t + 3, t + 4, t + 5]
        );
        // After a segment: no text; the next begins where it ended or later.
        let after_end = allowed(&options, &[t + 1, 0, t + 3], &[eot]);
        assert!(after_end.iter().all(|&token| token >= eot) && after_end.contains(&eot));
        assert_eq!(timestamps(after_end), [t + 3, t + 4, t + 5]);
        // After the next begins: text.
        assert!(timestamps(allowed(&options, &[t + 1, 0, t + 3, t + 3], &[0])).is_empty());
        // Later timestamps of the segment must exceed its start.
        assert_eq!(
            timestamps(allowed(&options, &[t, 0, t + 3, t + 3, 0], &[0])),
            [t + 4, t + 5]
        );
    }

    #[test]
    fn timestamps_that_are_likelier_together_displace_text() {
        let t = tokenizer().special().timestamp_begin;
        let options = DecodingOptions::default();
        // Five timestamps of logit 0 weigh ln 5 = 1.6 together.
        assert_eq!(
            allowed(&options, &[t, 0], &[]),
            [t + 1, t + 2, t + 3, t + 4, t + 5]
        );
        assert!(allowed(&options, &[t, 0], &[0]).contains(&0));
        // Those after the end of the window do not count.
        let short = DecodingOptions {
            max_timestamp: Some(0.02),
            ..options
        };
        assert!(allowed(&short, &[t, 0], &[]).contains(&0));
    }
}
