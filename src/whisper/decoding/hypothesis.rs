//! Hypotheses: token sequences under construction, how they grow and which of them wins.

use super::logits::NotFinite;
use super::thresholds::MIN_AVG_LOGPROB_CONTINUATION;

/// Tokens sampled after the initial ones, without the end token.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Hypothesis {
    pub tokens: Vec<u32>,
    /// Sum of the log-probabilities of the tokens, and of the end token once it is sampled.
    pub sum_logprob: f64,
    /// Whether the end token was sampled.
    pub has_ended: bool,
}

impl Hypothesis {
    /// Returns the hypothesis with one more token.
    pub(super) fn extended(&self, token: u32, sum_logprob: f64) -> Self {
        let mut tokens = Vec::with_capacity(self.tokens.len() + 1);
        tokens.extend_from_slice(&self.tokens);
        tokens.push(token);
        Self {
            tokens,
            sum_logprob,
            has_ended: false,
        }
    }

    /// Returns the hypothesis after the end token.
    pub(super) fn ended(&self, sum_logprob: f64) -> Self {
        Self {
            tokens: self.tokens.clone(),
            sum_logprob,
            has_ended: true,
        }
    }

    /// Appends what was found beyond the end of this hypothesis, if it is likely and more than a full
    /// stop. Returns the result and whether anything was appended.
    pub(super) fn continued_by(mut self, more: Self) -> (Self, bool) {
        let grows = more.tokens.len() > 1 && more.avg_logprob() >= MIN_AVG_LOGPROB_CONTINUATION;
        if grows {
            self.tokens.extend(more.tokens);
            self.sum_logprob += more.sum_logprob;
            self.has_ended = more.has_ended;
        }
        (self, grows)
    }

    /// Mean log-probability of a token, including the end token (`avg_logprob` in openai-whisper's
    /// `decoding.py`).
    pub(super) fn avg_logprob(&self) -> f32 {
        (self.sum_logprob / (self.tokens.len() + 1) as f64) as f32
    }
}

/// Live hypotheses after a step.
#[derive(Debug, Default)]
pub(super) struct Continuations {
    pub live: Vec<Hypothesis>,
    /// For each of them, the index of the hypothesis that it continues.
    pub sources: Vec<usize>,
    /// Whether enough hypotheses have ended.
    pub completed: bool,
}

/// Strategy of choosing the next tokens: OpenAI's `TokenDecoder`.
pub(super) trait TokenDecoder: Send {
    /// Continues the `live` hypotheses from filtered logits, `[live.len()][n_vocab]`. The first call
    /// has a single, empty hypothesis.
    fn update(
        &mut self,
        live: &[Hypothesis],
        logits: &[f32],
        n_vocab: usize,
    ) -> Result<Continuations, NotFinite>;

    /// Returns the candidates, given the hypotheses that are still live at the end.
    fn finalize(&mut self, live: Vec<Hypothesis>) -> Vec<Hypothesis>;
}

/// Returns the candidate with the highest penalised log-probability, the first of equals (OpenAI's
/// `MaximumLikelihoodRanker`).
pub(super) fn most_likely(candidates: Vec<Hypothesis>, length_penalty: Option<f32>) -> Hypothesis {
    let score = |candidate: &Hypothesis| {
        let length = candidate.tokens.len() as f64;
        let penalty = match length_penalty {
            // An empty text counts as one token, to avoid a division by zero.
            None => length.max(1.0),
            Some(alpha) => ((5.0 + length) / 6.0).powf(f64::from(alpha)),
        };
        candidate.sum_logprob / penalty
    };
    let better = |best: Hypothesis, next: Hypothesis| {
        if score(&next) > score(&best) {
            next
        } else {
            best
        }
    };
    candidates.into_iter().reduce(better).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hypothesis(length: u32, sum_logprob: f64) -> Hypothesis {
        Hypothesis {
            tokens: (0..length).collect(),
            sum_logprob,
            has_ended: true,
        }
    }

    #[test]
    fn the_penalty_decides_between_short_and_long() {
        let rank = |penalty| {
            most_likely(vec![hypothesis(1, -2.0), hypothesis(4, -3.0)], penalty)
                .tokens
                .len()
        };
        assert_eq!(rank(None), 4, "per token -2 against -0.75");
        assert_eq!(rank(Some(0.0)), 1, "no penalty: -2 against -3");
        assert_eq!(rank(Some(1.0)), 1, "(5 + n) / 6: -2 against -2");
        assert_eq!(rank(Some(0.9)), 1);
    }

    #[test]
    fn an_empty_text_can_be_ranked() {
        let best = most_likely(vec![hypothesis(0, -0.5), hypothesis(2, -4.0)], None);
        assert_eq!(best.tokens.len(), 0);
        assert_eq!(best.avg_logprob(), -0.5);
        assert_eq!(most_likely(Vec::new(), None), Hypothesis::default());
    }
}
