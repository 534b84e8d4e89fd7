//! How well a session keeps up: counters that any thread may read.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Latencies that percentiles are taken over: the latest ones.
const KEPT: usize = 200;

/// Figures of a session.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    audio_s: f64,
    busy_s: f64,
    step_s: f64,
    backlog_s: f64,
    finals: Vec<Duration>,
    n_finals: usize,
}

/// Figures at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Snapshot {
    /// Seconds of audio heard.
    pub audio_s: f64,
    /// Seconds of work for a second of audio.
    pub real_time_factor: f64,
    /// Seconds between two guesses.
    pub step_s: f64,
    /// Seconds of audio that wait to be heard.
    pub backlog_s: f64,
    /// Median of the time from the end of an utterance to its text, in seconds.
    pub final_p50_s: f64,
    /// 95th percentile of the same.
    pub final_p95_s: f64,
}

impl Figures {
    /// Notes what the engine has done.
    pub fn heard(&self, audio_s: f64, busy: Duration, step_s: f64, backlog_s: f64) {
        let mut inner = self.lock();
        (inner.audio_s, inner.busy_s, inner.step_s, inner.backlog_s) = (audio_s, busy.as_secs_f64(), step_s, backlog_s);
    }

    /// Notes how long a final took.
    pub fn finished(&self, latency: Duration) {
        let mut inner = self.lock();
        let at = inner.n_finals % KEPT;
        match inner.finals.get_mut(at) {
            Some(oldest) => *oldest = latency,
            None => inner.finals.push(latency),
        }
        inner.n_finals += 1;
    }

    /// The figures now.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        let mut sorted = inner.finals.clone();
        sorted.sort();
        Snapshot {
            audio_s: inner.audio_s,
            real_time_factor: if inner.audio_s > 0.0 { inner.busy_s / inner.audio_s } else { 0.0 },
            step_s: inner.step_s,
            backlog_s: inner.backlog_s,
            final_p50_s: percentile(&sorted, 0.5),
            final_p95_s: percentile(&sorted, 0.95),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nearest-rank percentile of sorted durations, in seconds; 0 where there are none.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_latest() {
        let figures = Figures::default();
        assert_eq!(figures.snapshot(), Snapshot::default());
        (0..1000).for_each(|_| figures.finished(Duration::from_secs(9)));
        (1..=KEPT as u64).for_each(|ms| figures.finished(Duration::from_millis(ms)));
        let now = figures.snapshot();
        assert_eq!((now.final_p50_s, now.final_p95_s), (0.1, 0.19));
    }

    #[test]
    fn the_real_time_factor_is_work_over_audio() {
        let figures = Figures::default();
        figures.heard(20.0, Duration::from_secs(5), 0.5, 0.1);
        assert_eq!(figures.snapshot().real_time_factor, 0.25);
    }
}
