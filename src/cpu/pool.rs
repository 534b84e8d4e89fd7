//! Resident threads for fork-join work that takes microseconds.
//!
//! A job is a number of tasks; whoever is free takes the next one, the caller included. Workers
//! that find nothing to do spin for at most [`SPIN`], then park, so that an idle program uses no
//! CPU. The caller never waits for a worker that has not taken part: a job is closed as soon as its
//! tasks are taken, and late risers find it closed.

use crate::cpu::matrix::MatMut;
use crate::cpu::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Builder, Instant, JoinHandle, Mutex, Thread, YIELD,
    park, spin_loop, yield_now,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// How long a worker looks for work before it parks.
const SPIN: Duration = Duration::from_millis(1);

/// The pool. One job runs at a time; further callers wait their turn.
pub struct Pool {
    shared: Arc<Shared>,
    turn: Mutex<()>,
    workers: Vec<JoinHandle<()>>,
    handles: Vec<Thread>,
}

struct Shared {
    /// Bits 0–15: workers inside the job; bit 16: it is open; above: its number.
    state: AtomicU64,
    /// The job; valid while the state is open or a worker is inside.
    job: Mutex<Option<Job>>,
    /// The next task that nobody has taken.
    next: AtomicUsize,
    /// Workers parked or about to park.
    sleepers: AtomicUsize,
    panicked: AtomicBool,
    quit: AtomicBool,
}

const OPEN: u64 = 1 << 16;
const INSIDE: u64 = OPEN - 1;

#[derive(Clone, Copy)]
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    n_tasks: usize,
}

// SAFETY: the closure behind the pointer is Sync, and `Pool::run` keeps it alive until no worker is
// inside.
unsafe impl Send for Job {}

impl Pool {
    /// A pool in which `threads` threads work, the caller of [`Self::run`] being one of them.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: Mutex::new(None),
            next: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            quit: AtomicBool::new(false),
        });
        let workers: Vec<_> = (1..threads)
            .map_while(|i| {
                let shared = shared.clone();
                let name = format!("hearken-cpu-{i}");
                // A system that refuses a thread leaves fewer workers, and the same results.
                Builder::new().name(name).spawn(move || shared.work()).ok()
            })
            .collect();
        let handles = workers.iter().map(|w| w.thread().clone()).collect();
        Self {
            shared,
            turn: Mutex::new(()),
            workers,
            handles,
        }
    }

    /// Threads that work, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task` with 0 … `n_tasks` − 1, each once, in any order and on any thread, and returns
    /// when all are done.
    ///
    /// # Panics
    /// Where a task panics.
    pub fn run(&self, n_tasks: usize, task: impl Fn(usize) + Sync) {
        if n_tasks <= 1 || self.workers.is_empty() {
            (0..n_tasks).for_each(task);
            return;
        }
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let task: &(dyn Fn(usize) + Sync) = &task;
        self.shared.open(task, n_tasks);
        if self.shared.sleepers.load(SeqCst) > 0 {
            self.handles.iter().for_each(Thread::unpark);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.shared.take_tasks(task, n_tasks)));
        self.shared.close();
        let worker_panicked = self.shared.panicked.swap(false, SeqCst);
        drop(turn);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        assert!(!worker_panicked, "a task of the thread pool panicked");
    }

    /// Calls `f` with each tile of at most `rows` × `cols` of `out`, and the row and column it
    /// begins at.
    pub fn tiles(
        &self,
        out: MatMut<'_>,
        (rows, cols): (usize, usize),
        f: impl Fn(MatMut<'_>, usize, usize) + Sync,
    ) {
        self.run(out.tiles(rows, cols), |i| {
            // SAFETY: `run` calls with each i once, `out` is owned here and not used otherwise.
            let (tile, row, col) = unsafe { out.tile(i, rows, cols) };
            f(tile, row, col);
        });
    }

    /// Calls `f` with the index of each piece of at most `len` of `data` and the piece.
    pub fn pieces<T: Send>(&self, data: &mut [T], len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        let pieces: Vec<_> = data
            .chunks_mut(len)
            .map(|piece| Mutex::new(Some(piece)))
            .collect();
        self.run(pieces.len(), |i| {
            let piece = pieces[i]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(piece) = piece {
                f(i, piece);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.quit.store(true, SeqCst);
        self.handles.iter().for_each(Thread::unpark);
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks; there is nothing to hear from it.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn open(&self, task: &(dyn Fn(usize) + Sync), n_tasks: usize) {
        // SAFETY: only the lifetime changes; `close` waits until no worker can reach the pointer
        // any more.
        let task: *const (dyn Fn(usize) + Sync) = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task)
        };
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(Job { task, n_tasks });
        self.next.store(0, Relaxed);
        let number = self.state.load(Relaxed) / (2 * OPEN) + 1;
        self.state.store(number * 2 * OPEN + OPEN, SeqCst);
    }

    /// Ends the job: nobody may enter any more, and those inside are waited for.
    fn close(&self) {
        self.state.fetch_and(!OPEN, AcqRel);
        let mut spins = 0u32;
        while self.state.load(Acquire) & INSIDE > 0 {
            spins += 1;
            if spins.is_multiple_of(YIELD) {
                // The worker may have lost its core.
                yield_now();
            }
            spin_loop();
        }
    }

    fn take_tasks(&self, task: &(dyn Fn(usize) + Sync), n_tasks: usize) {
        loop {
            let i = self.next.fetch_add(1, Relaxed);
            if i >= n_tasks {
                return;
            }
            task(i);
        }
    }

    fn work(&self) {
        let mut last = 0;
        let mut idle_since = Instant::now();
        let mut spins = 0u32;
        while !self.quit.load(Relaxed) {
            let state = self.state.load(Acquire);
            let number = state / (2 * OPEN);
            if state & OPEN > 0 && number != last {
                if self
                    .state
                    .compare_exchange_weak(state, state + 1, AcqRel, Relaxed)
                    .is_ok()
                {
                    last = number;
                    self.take_part();
                    self.state.fetch_sub(1, Release);
                    idle_since = Instant::now();
                }
                continue;
            }
            spin_loop();
            spins = spins.wrapping_add(1);
            if spins.is_multiple_of(YIELD) {
                // Whoever has work may be waiting for this core.
                yield_now();
                if idle_since.elapsed() > SPIN {
                    self.sleep(last);
                    idle_since = Instant::now();
                }
            }
        }
    }

    fn take_part(&self) {
        let job = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Job { task, n_tasks }) = job else {
            return;
        };
        // SAFETY: this worker is counted as inside, so `Pool::run`, which owns the closure, has not
        // returned.
        let task = unsafe { &*task };
        if catch_unwind(AssertUnwindSafe(|| self.take_tasks(task, n_tasks))).is_err() {
            self.panicked.store(true, SeqCst);
        }
    }

    fn sleep(&self, last: u64) {
        self.sleepers.fetch_add(1, SeqCst);
        // Whoever opens a job after this line sees the sleeper; whoever did before is seen here.
        let state = self.state.load(SeqCst);
        if (state & OPEN == 0 || state / (2 * OPEN) == last) && !self.quit.load(SeqCst) {
            park();
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whatever_the_number_of_threads() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for n in [0, 1, 2, 7, 1000] {
                let counts: Vec<_> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                pool.run(n, |i| {
                    counts[i].fetch_add(1, Relaxed);
                });
                assert!(
                    counts.iter().all(|c| c.load(Relaxed) == 1),
                    "{threads} threads, {n} tasks"
                );
            }
        }
    }

    #[test]
    fn many_small_jobs_from_several_callers() {
        let pool = Pool::new(3);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        pool.run(4, |i| {
                            total.fetch_add(i, Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Relaxed), 3 * 2000 * 6);
    }

    #[test]
    fn parked_workers_wake_and_a_panic_reaches_the_caller() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(5));
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(8, |i| assert!(i != 5, "task 5"));
            }));
            assert!(result.is_err());
            pool.run(8, |_| {});
        }
    }

    #[test]
    fn tiles_cover_a_matrix_once() {
        let pool = Pool::new(2);
        let mut data = vec![0.0; 10 * 12];
        pool.tiles(
            MatMut::new(&mut data, 10, 9, 12),
            (4, 5),
            |mut tile, row, col| {
                for r in 0..tile.rows() {
                    for (c, x) in tile.row(r).iter_mut().enumerate() {
                        *x += ((row + r) * 100 + col + c) as f32 + 1.0;
                    }
                }
            },
        );
        for (i, x) in data.iter().enumerate() {
            let (r, c) = (i / 12, i % 12);
            assert_eq!(
                *x,
                if c < 9 {
                    (r * 100 + c) as f32 + 1.0
                } else {
                    0.0
                }
            );
        }
    }
}
