//! Metrics of how well a session keeps up, readable from any thread.

use crate::sync::LockExt;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Number of latest times of a kind that percentiles cover.
const KEPT: usize = 200;

/// Metrics of a session.
#[derive(Debug, Default)]
pub struct SessionMetrics(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    audio_s: f64,
    busy_s: f64,
    step_s: f64,
    backlog_s: f64,
    finals: Latest,
    committed: Latest,
}

/// The latest [`KEPT`] times of a kind, in seconds.
#[derive(Debug, Default)]
struct Latest(VecDeque<f64>);

impl Latest {
    fn push(&mut self, seconds: f64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(seconds);
    }

    /// Returns the nearest-rank percentiles of these shares; 0 if there are no times.
    fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |share: f64| ((share * sorted.len() as f64).ceil() as usize).saturating_sub(1);
        shares.map(|share| sorted.get(rank(share)).copied().unwrap_or(0.0))
    }
}

/// Metrics at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MetricsSnapshot {
    /// Seconds of audio processed.
    pub audio_s: f64,
    /// Seconds of work per second of audio.
    pub real_time_factor: f64,
    /// Seconds between two interim passes.
    pub step_s: f64,
    /// Seconds of audio waiting to be processed.
    pub backlog_s: f64,
    /// Median of the time from the end of an utterance to its text, in seconds.
    pub final_p50_s: f64,
    /// 95th percentile of the same.
    pub final_p95_s: f64,
    /// Median of the time from the end of a word until a partial commits it, in seconds.
    pub committed_p50_s: f64,
    /// 95th percentile of the same.
    pub committed_p95_s: f64,
}

impl SessionMetrics {
    /// Records what the engine has done.
    pub fn processed(&self, audio_s: f64, busy: Duration, step_s: f64, backlog_s: f64) {
        let mut inner = self.lock();
        inner.audio_s = audio_s;
        inner.busy_s = busy.as_secs_f64();
        inner.step_s = step_s;
        inner.backlog_s = backlog_s;
    }

    /// Records how long a final took.
    pub fn finished(&self, latency: Duration) {
        self.lock().finals.push(latency.as_secs_f64());
    }

    /// Notes how long after its end a word was committed.
    pub fn committed(&self, lag_s: f64) {
        self.lock().committed.push(lag_s);
    }

    /// Returns the current metrics.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let inner = self.lock();
        let [final_p50_s, final_p95_s] = inner.finals.percentiles([0.5, 0.95]);
        let [committed_p50_s, committed_p95_s] = inner.committed.percentiles([0.5, 0.95]);
        MetricsSnapshot {
            audio_s: inner.audio_s,
            real_time_factor: if inner.audio_s > 0.0 {
                inner.busy_s / inner.audio_s
            } else {
                0.0
            },
            step_s: inner.step_s,
            backlog_s: inner.backlog_s,
            final_p50_s,
            final_p95_s,
            committed_p50_s,
            committed_p95_s,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock_unpoisoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_latest() {
        let metrics = SessionMetrics::default();
        assert_eq!(metrics.snapshot(), MetricsSnapshot::default());
        (0..1000).for_each(|_| metrics.finished(Duration::from_secs(9)));
        (1..=KEPT as u64).for_each(|ms| metrics.finished(Duration::from_millis(ms)));
        let now = metrics.snapshot();
        assert_eq!((now.final_p50_s, now.final_p95_s), (0.1, 0.19));
        assert_eq!(
            (now.committed_p50_s, now.committed_p95_s),
            (0.0, 0.0),
            "they are kept apart"
        );
        [1.5, 0.5, 1.0]
            .iter()
            .for_each(|lag_s| metrics.committed(*lag_s));
        let now = metrics.snapshot();
        assert_eq!((now.committed_p50_s, now.committed_p95_s), (1.0, 1.5));
    }

    #[test]
    fn the_real_time_factor_is_work_over_audio() {
        let metrics = SessionMetrics::default();
        metrics.processed(20.0, Duration::from_secs(5), 0.5, 0.1);
        assert_eq!(metrics.snapshot().real_time_factor, 0.25);
    }
}
