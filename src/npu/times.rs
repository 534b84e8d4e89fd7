//! How a device spends the time of a window.

use std::time::Duration;

/// Times for a window; the rest is the CPU's work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Setting arguments and starting runs.
    pub submit: Duration,
    /// Waiting for results.
    pub wait: Duration,
    /// Synchronising the two views of buffers.
    pub sync: Duration,
    /// Number of runs.
    pub runs: usize,
}

impl std::ops::AddAssign for Times {
    fn add_assign(&mut self, other: Self) {
        let Self {
            submit,
            wait,
            sync,
            runs,
        } = other;
        self.submit += submit;
        self.wait += wait;
        self.sync += sync;
        self.runs += runs;
    }
}
