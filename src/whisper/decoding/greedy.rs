//! Greedy decoding: the likeliest token, or a random one at a temperature above 0 (OpenAI's
//! `GreedyDecoder`).

use super::hypothesis::{Continuations, Hypothesis, TokenDecoder};
use super::logits::{NotFinite, argmax, log_sum_exp, sample};
use crate::cpu::Isa;

/// Follows `best_of` independent hypotheses.
pub(super) struct GreedyDecoder {
    isa: Isa,
    temperature: f32,
    eot: u32,
    best_of: usize,
    random: SplitMix64,
    started: bool,
    ended: Vec<Hypothesis>,
}

impl GreedyDecoder {
    pub(super) fn new(isa: Isa, temperature: f32, eot: u32, best_of: usize, seed: u64) -> Self {
        Self {
            isa,
            temperature,
            eot,
            best_of,
            random: SplitMix64(seed),
            started: false,
            ended: Vec::new(),
        }
    }

    fn choose(&mut self, row: &[f32]) -> Result<u32, NotFinite> {
        if self.temperature == 0.0 {
            argmax(self.isa, row)
        } else {
            sample(self.isa, row, self.temperature, self.random.uniform())
        }
    }
}

impl TokenDecoder for GreedyDecoder {
    fn update(
        &mut self,
        live: &[Hypothesis],
        logits: &[f32],
        n_vocab: usize,
    ) -> Result<Continuations, NotFinite> {
        let rows: Vec<(usize, &[f32])> = logits.chunks_exact(n_vocab).enumerate().collect();
        let samples = if self.started { 1 } else { self.best_of };
        self.started = true;
        let mut next = Continuations::default();
        for (&(source, row), hypothesis) in rows.iter().zip(live) {
            let normaliser = log_sum_exp(self.isa, row)?;
            for _ in 0..samples {
                let token = self.choose(row)?;
                let logprob = row
                    .get(token as usize)
                    .map_or(f32::NEG_INFINITY, |logit| logit - normaliser);
                let sum_logprob = hypothesis.sum_logprob + f64::from(logprob);
                if token == self.eot {
                    self.ended.push(hypothesis.ended(sum_logprob));
                } else {
                    next.live.push(hypothesis.extended(token, sum_logprob));
                    next.sources.push(source);
                }
            }
        }
        next.completed = next.live.is_empty();
        Ok(next)
    }

    fn finalize(&mut self, live: Vec<Hypothesis>) -> Vec<Hypothesis> {
        self.ended.extend(live);
        std::mem::take(&mut self.ended)
    }
}

/// Random numbers for sampling: Steele, Lea & Flood's SplitMix64 (OOPSLA 2014). Unlike that of a
/// library's default generator, its sequence never changes with a version.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number in 0..1 with 53 random bits.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_equal_those_of_the_published_generator() {
        // First outputs of the reference implementation for the seed 1234567.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.uniform())));
    }

    #[test]
    fn samples_go_their_own_ways_from_the_first_token() -> Result<(), NotFinite> {
        let mut decoder = GreedyDecoder::new(Isa::available()[0], 1.0, 3, 16, 7);
        let next = decoder.update(&[Hypothesis::default()], &[0.0, 0.0, 0.0, 0.0], 4)?;
        assert_eq!(next.live.len() + decoder.ended.len(), 16);
        assert!(next.sources.iter().all(|&source| source == 0));
        assert!((0..3).all(|token| {
            next.live
                .iter()
                .any(|hypothesis| hypothesis.tokens == [token])
        }));
        let later = decoder.update(&next.live, &vec![0.0; 4 * next.live.len()], 4)?;
        assert!(
            later.live.len() + decoder.ended.len() == 16
                && later.live.iter().all(|h| h.tokens.len() == 2)
        );
        Ok(())
    }
}
