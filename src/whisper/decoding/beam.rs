//! Beam search (OpenAI's `BeamSearchDecoder`).

use super::hypothesis::{Continuations, Hypothesis, TokenDecoder};
use super::logits::{NotFinite, log_sum_exp, top_k};
use crate::cpu::Isa;

/// Follows the `beam_size` likeliest hypotheses until `max_candidates` have ended.
pub(super) struct BeamSearchDecoder {
    isa: Isa,
    beam_size: usize,
    max_candidates: usize,
    eot: u32,
    ended: Vec<Hypothesis>,
}

/// Possible next token of a live hypothesis.
struct Candidate {
    source: usize,
    token: u32,
    sum_logprob: f64,
}

impl BeamSearchDecoder {
    pub(super) fn new(isa: Isa, beam_size: usize, patience: Option<f32>, eot: u32) -> Self {
        let max_candidates =
            (beam_size as f32 * patience.unwrap_or(1.0)).round_ties_even() as usize;
        Self {
            isa,
            beam_size,
            max_candidates: max_candidates.max(1),
            eot,
            ended: Vec::new(),
        }
    }

    /// Returns the likeliest continuations of all live hypotheses, likeliest first. One continuation
    /// of each may be the end, so `beam_size + 1` of each are enough to fill the beams.
    fn candidates(
        &self,
        live: &[Hypothesis],
        logits: &[f32],
        n_vocab: usize,
    ) -> Result<Vec<Candidate>, NotFinite> {
        let mut candidates = Vec::with_capacity(live.len() * (self.beam_size + 1));
        for (source, (row, hypothesis)) in logits.chunks_exact(n_vocab).zip(live).enumerate() {
            let normaliser = log_sum_exp(self.isa, row)?;
            let scored =
                top_k(self.isa, row, self.beam_size + 1)
                    .into_iter()
                    .map(|(token, logit)| Candidate {
                        source,
                        token,
                        sum_logprob: hypothesis.sum_logprob + f64::from(logit - normaliser),
                    });
            candidates.extend(scored);
        }
        candidates.sort_by(|a, b| b.sum_logprob.total_cmp(&a.sum_logprob));
        Ok(candidates)
    }
}

impl TokenDecoder for BeamSearchDecoder {
    fn update(
        &mut self,
        live: &[Hypothesis],
        logits: &[f32],
        n_vocab: usize,
    ) -> Result<Continuations, NotFinite> {
        let mut next = Continuations::default();
        for Candidate {
            source,
            token,
            sum_logprob,
        } in self.candidates(live, logits, n_vocab)?
        {
            let Some(hypothesis) = live.get(source) else {
                continue;
            };
            if token != self.eot {
                next.live.push(hypothesis.extended(token, sum_logprob));
                next.sources.push(source);
                if next.live.len() == self.beam_size {
                    break;
                }
            } else if self.ended.len() < self.max_candidates {
                self.ended.push(hypothesis.ended(sum_logprob));
            }
        }
        next.completed = self.ended.len() >= self.max_candidates || next.live.is_empty();
        Ok(next)
    }

    /// If fewer than `beam_size` hypotheses have ended, adds the likeliest unfinished ones.
    fn finalize(&mut self, live: Vec<Hypothesis>) -> Vec<Hypothesis> {
        let missing = self.beam_size.saturating_sub(self.ended.len());
        self.ended.extend(live.into_iter().take(missing));
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EOT: u32 = 3;

    fn isa() -> Isa {
        Isa::available()[0]
    }

    #[test]
    fn patience_sets_how_many_must_end() {
        let wanted = |beam_size, patience| {
            BeamSearchDecoder::new(isa(), beam_size, patience, EOT).max_candidates
        };
        assert_eq!(wanted(5, None), 5);
        assert_eq!(wanted(5, Some(2.0)), 10);
        assert_eq!(
            wanted(5, Some(0.5)),
            2,
            "2.5 rounds to even, as Python rounds"
        );
        assert_eq!(wanted(1, Some(0.1)), 1);
    }

    #[test]
    fn beams_are_the_likeliest_over_all_hypotheses() -> Result<(), NotFinite> {
        let mut decoder = BeamSearchDecoder::new(isa(), 2, None, EOT);
        let first = decoder.update(&[Hypothesis::default()], &[1.0, 3.0, 2.0, 0.0], 4)?;
        assert_eq!(
            first.live.iter().map(|h| h.tokens[0]).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(first.sources, [0, 0]);
        // The second hypothesis is sure of token 0, the first is torn.
        let second = decoder.update(&first.live, &[0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0], 4)?;
        assert_eq!(second.sources, [1, 0]);
        assert_eq!(second.live[0].tokens, [2, 0]);
        assert!(!second.completed);
        Ok(())
    }

    #[test]
    fn an_end_that_ranks_below_the_beams_does_not_count() -> Result<(), NotFinite> {
        let mut decoder = BeamSearchDecoder::new(isa(), 2, None, EOT);
        let next = decoder.update(
            &[Hypothesis::default()],
            &[3.0, 2.0, f32::NEG_INFINITY, 1.0],
            4,
        )?;
        assert!(decoder.ended.is_empty() && next.live.len() == 2);
        let next = decoder.update(&next.live, &[0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 9.0], 4)?;
        assert!(next.completed && decoder.ended.len() == 2);
        assert_eq!(decoder.finalize(next.live).len(), 2);
        Ok(())
    }

    #[test]
    fn unfinished_beams_stand_in_for_missing_ends() -> Result<(), NotFinite> {
        let mut decoder = BeamSearchDecoder::new(isa(), 3, None, EOT);
        let next = decoder.update(&[Hypothesis::default()], &[3.0, 2.0, 1.0, 9.0], 4)?;
        assert_eq!((decoder.ended.len(), next.live.len()), (1, 3));
        let candidates = decoder.finalize(next.live);
        let texts: Vec<&[u32]> = candidates.iter().map(|h| h.tokens.as_slice()).collect();
        assert_eq!(texts, [&[][..], &[0], &[1]]);
        Ok(())
    }

    #[test]
    fn a_search_without_continuation_is_complete() -> Result<(), NotFinite> {
        let no = f32::NEG_INFINITY;
        let mut decoder = BeamSearchDecoder::new(isa(), 4, None, EOT);
        let next = decoder.update(&[Hypothesis::default()], &[no, no, no, 0.0], 4)?;
        assert!(next.completed && next.live.is_empty() && decoder.ended.len() == 1);
        Ok(())
    }
}
