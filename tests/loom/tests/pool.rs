//! The hand-over between the pool's callers and workers, in every order of their steps that loom
//! finds with a bounded number of preemptions, and with every value that the memory orderings let
//! a load return.
//!
//! Tasks write to loom's cells, which fail if an access is not ordered after the one before:
//! where a task runs twice, where `run` returns too early, or where an ordering is too weak for
//! the caller to see what the workers wrote.
//!
//! loom treats sequentially consistent loads and stores as acquire and release, so that it cannot
//! tell whether a parked worker wakes for a job. No test needs that: the caller does a job alone
//! if no worker comes.

use hearken_test_loom::cpu::pool::Pool;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Calls `f` once for each order of steps with at most `preemptions` threads stopped midway.
fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// Counts of how often each task of a job ran.
struct Counts(Vec<UnsafeCell<u32>>);

// SAFETY: loom fails the test if accesses to a cell are not ordered.
unsafe impl Sync for Counts {}

impl Counts {
    fn new(n_tasks: usize) -> Self {
        Self((0..n_tasks).map(|_| UnsafeCell::new(0)).collect())
    }

    fn add(&self, task: usize) {
        // SAFETY: see above.
        self.0[task].with_mut(|count| unsafe { *count += 1 });
    }

    fn all_are(&self, expected: u32) -> bool {
        self.0
            .iter()
            // SAFETY: see above.
            .all(|count| count.with(|count| unsafe { *count == expected }))
    }
}

fn job(pool: &Pool, n_tasks: usize) {
    let counts = Counts::new(n_tasks);
    pool.run(n_tasks, |i| counts.add(i));
    assert!(counts.all_are(1));
}

#[test]
fn a_pool_without_a_job_shuts_down() {
    model(3, || drop(Pool::new(3)));
}

#[test]
fn every_task_of_a_job_runs_once_before_run_returns() {
    model(3, || job(&Pool::new(2), 3));
    model(2, || job(&Pool::new(3), 2));
}

#[test]
fn consecutive_jobs_do_not_mix() {
    model(3, || {
        let pool = Pool::new(2);
        // A worker that is late for a small job must not count on with the tasks of a larger one.
        for n_tasks in [2, 4, 2] {
            job(&pool, n_tasks);
        }
    });
}

#[test]
fn callers_wait_their_turn() {
    model(3, || {
        let pool = Arc::new(Pool::new(2));
        let other = {
            let pool = pool.clone();
            loom::thread::spawn(move || job(&pool, 2))
        };
        job(&pool, 2);
        other.join().unwrap();
    });
}

#[test]
fn a_panic_reaches_the_caller_after_all_workers_have_left() {
    model(3, || {
        let pool = Pool::new(2);
        let counts = Counts::new(2);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(2, |i| {
                counts.add(i);
                if i == 1 {
                    resume_unwind(Box::new("task 1"));
                }
            });
        }));
        assert!(outcome.is_err() && counts.all_are(1));
        job(&pool, 2);
    });
}
