//! How often an utterance is transcribed anew while it goes on.

use std::time::Duration;

/// Share of the time that may go into guesses: the rest of the machine belongs to the user.
const SHARE: f64 = 0.4;
/// The widest step in seconds: text that changes more rarely is not live any more.
const WIDEST_S: f64 = 4.0;
/// Weight of the latest guess in the running mean of what one costs.
const WEIGHT: f64 = 0.3;

/// The step between two guesses, which widens where the machine is slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    narrowest_s: f64,
    cost_s: f64,
}

impl Pace {
    /// Steps of `narrowest_s` seconds on a machine that is fast enough.
    pub fn new(narrowest_s: f64) -> Self {
        Self {
            narrowest_s,
            cost_s: 0.0,
        }
    }

    /// The step in seconds.
    pub fn step_s(&self) -> f64 {
        (self.cost_s / SHARE).min(WIDEST_S).max(self.narrowest_s)
    }

    /// Takes note of what a guess has cost.
    pub fn spent(&mut self, cost: Duration) {
        self.cost_s += WEIGHT * (cost.as_secs_f64() - self.cost_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_guesses_widen_the_step_and_fast_ones_narrow_it_again() {
        let mut pace = Pace::new(0.5);
        let mut after = |ms, n| {
            (0..n).for_each(|_| pace.spent(Duration::from_millis(ms)));
            pace.step_s()
        };
        assert_eq!(after(100, 50), 0.5);
        let slow = after(600, 50);
        assert!((slow - 1.5).abs() < 0.01, "{slow}");
        assert_eq!(after(60_000, 50), WIDEST_S);
        assert_eq!(after(100, 100), 0.5);
    }
}
