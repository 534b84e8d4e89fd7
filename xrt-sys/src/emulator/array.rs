//! The array of a context: a thread that executes runs one after another.
//!
//! In: [`Job`]s, whose buffers must not be touched until they are done. Out: results in the
//! buffers' device copies.

use super::gemm::gemm;
use super::machine::{Effect, lock};
use super::objects::Buffer;
use super::operators::{attention_keys, operate};
use crate::api::{COMPLETED, FAILED, TIMED_OUT};
use crate::manifest::{Operator, OperatorStream, Overlay, Stream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a run computes.
pub enum Program {
    /// A matrix product.
    Gemm(Box<(Overlay, Stream)>),
    /// Another operator.
    Operator(Operator, OperatorStream),
}

impl Program {
    /// Whether the result may replace an operand.
    pub fn writes_in_place(&self) -> bool {
        matches!(self, Self::Operator(Operator::Residual, _))
    }

    /// Checks operands that a device would follow blindly.
    pub fn check(&self, operands: &[Arc<Buffer>]) -> Result<(), String> {
        match self {
            Self::Operator(Operator::Attention, stream) => {
                attention_keys(stream, &lock(&operands[1].device_copy)).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// A run to compute: operands and result, which may be one of them.
pub struct Step {
    pub program: Program,
    pub operands: Vec<Arc<Buffer>>,
    pub result: Arc<Buffer>,
}

impl Step {
    fn compute(&self) {
        let operands: Vec<_> = self.operands.iter().map(|b| lock(&b.device_copy)).collect();
        let result = match &self.program {
            Program::Gemm(product) => gemm(&product.0, &product.1, &operands[0], &operands[1]),
            Program::Operator(operator, stream) => {
                let operands: Vec<&[u8]> = operands.iter().map(|data| &data[..]).collect();
                operate(*operator, stream, &operands)
            }
        };
        drop(operands);
        lock(&self.result.device_copy)[..result.len()].copy_from_slice(&result);
    }

    /// Changes the first element of the result.
    fn corrupt(&self) {
        for byte in &mut lock(&self.result.device_copy)[..4] {
            *byte ^= 0x41;
        }
    }

    /// Marks the buffers as in use, or as free again.
    fn mark(&self, count: fn(&AtomicUsize)) {
        self.operands
            .iter()
            .chain([&self.result])
            .for_each(|buffer| count(&buffer.users));
        count(&self.result.writers);
    }
}

/// A value that another thread waits for.
#[derive(Default)]
pub struct Signal {
    value: Mutex<Option<u32>>,
    changed: Condvar,
}

impl Signal {
    fn set(&self, value: u32) {
        *lock(&self.value) = Some(value);
        self.changed.notify_all();
    }

    /// Returns the value, or [`TIMED_OUT`].
    pub fn wait(&self, time: Duration) -> u32 {
        let guard = lock(&self.value);
        let waited = self
            .changed
            .wait_timeout_while(guard, time, |value| value.is_none());
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .unwrap_or(TIMED_OUT)
    }

    pub fn is_set(&self) -> bool {
        lock(&self.value).is_some()
    }
}

/// Products to execute in order, and the fault to inject.
struct Job {
    steps: Vec<Step>,
    effect: Option<Effect>,
    done: Arc<Signal>,
}

/// A context's share of the array.
pub struct Array {
    jobs: Option<Sender<Job>>,
    aborted: Arc<Signal>,
    worker: Option<JoinHandle<()>>,
}

impl Array {
    pub fn new() -> Self {
        let (jobs, queue) = channel();
        let aborted = Arc::new(Signal::default());
        let is_aborted = aborted.clone();
        Self {
            jobs: Some(jobs),
            aborted,
            worker: Some(std::thread::spawn(move || work(&queue, &is_aborted))),
        }
    }

    /// Submits products; the signal reports how they end.
    pub fn submit(&self, steps: Vec<Step>, effect: Option<Effect>) -> Arc<Signal> {
        for step in &steps {
            step.mark(|count| _ = count.fetch_add(1, SeqCst));
        }
        let done = Arc::new(Signal::default());
        if let Some(jobs) = &self.jobs {
            // The worker lives until the array is dropped.
            let _ = jobs.send(Job {
                steps,
                effect,
                done: done.clone(),
            });
        }
        done
    }
}

impl Drop for Array {
    /// Stops the current run: closing a context removes its runs from the array.
    fn drop(&mut self) {
        self.aborted.set(0);
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has nothing left to clean up.
            let _ = worker.join();
        }
    }
}

fn work(queue: &Receiver<Job>, aborted: &Signal) {
    for Job {
        steps,
        effect,
        done,
    } in queue
    {
        match effect {
            Some(Effect::Hang) => {
                aborted.wait(Duration::MAX);
            }
            Some(Effect::Slow(time)) => {
                aborted.wait(time);
            }
            _ => {}
        }
        let state = match effect {
            _ if aborted.is_set() => FAILED,
            Some(Effect::Fail) => FAILED,
            _ => {
                steps.iter().for_each(Step::compute);
                if effect == Some(Effect::Corrupt) {
                    steps.iter().for_each(Step::corrupt);
                }
                COMPLETED
            }
        };
        for step in &steps {
            step.mark(|count| _ = count.fetch_sub(1, SeqCst));
        }
        drop(steps);
        done.set(state);
    }
}
