//! The time between two interim passes.
//!
//! In: the cost of each pass. Out: the step to the next.

use std::time::Duration;

/// Share of the time that may go into passes: the rest of the machine belongs to the user.
const MAX_SHARE: f64 = 0.4;
/// Longest step in seconds: text that changes less often is no longer live.
const MAX_STEP_S: f64 = 4.0;
/// Weight of the latest pass in the running mean of the costs.
const WEIGHT: f64 = 0.3;

/// Step between two interim passes, longer on a slow machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    min_step_s: f64,
    cost_s: f64,
}

impl Pace {
    /// Creates a pace with steps of `min_step_s` seconds as long as the machine is fast enough.
    pub fn new(min_step_s: f64) -> Self {
        Self {
            min_step_s,
            cost_s: 0.0,
        }
    }

    /// Current step in seconds.
    pub fn step_s(&self) -> f64 {
        (self.cost_s / MAX_SHARE)
            .min(MAX_STEP_S)
            .max(self.min_step_s)
    }

    /// Takes the cost of a pass.
    pub fn spent(&mut self, cost: Duration) {
        self.cost_s += WEIGHT * (cost.as_secs_f64() - self.cost_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_passes_lengthen_the_step_and_fast_ones_shorten_it_again() {
        let mut pace = Pace::new(0.5);
        let mut after = |ms, n| {
            (0..n).for_each(|_| pace.spent(Duration::from_millis(ms)));
            pace.step_s()
        };
        assert_eq!(after(100, 50), 0.5);
        let slow = after(600, 50);
        assert!((slow - 1.5).abs() < 0.01, "{slow}");
        assert_eq!(after(60_000, 50), MAX_STEP_S);
        assert_eq!(after(100, 100), 0.5);
    }
}
