//! Runs and lists of runs.

use super::call::{give, keep_reason, on, write};
use super::check::step;
use crate::api::{self, FAILED, TIMED_OUT};
use crate::emulator::machine::{Call, Refusal, lock, misuse};
use crate::emulator::objects::{
    Context, Device, Kernel, List, Object, Progress, Run, Value, find, release,
};
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub extern "C" fn run_new(kernel: *mut api::Kernel, out: *mut *mut api::Run) -> c_int {
    on::<Kernel>(kernel.addr(), Call::RunNew, |kernel, _| {
        give(
            Run {
                kernel,
                arguments: Mutex::default(),
                progress: Mutex::default(),
            },
            out,
        )
    })
}

pub extern "C" fn run_free(run: *mut api::Run) -> c_int {
    on::<Run>(run.addr(), Call::RunFree, |object, _| {
        releasable(object.device(), &lock(&object.progress))?;
        drop(object);
        release::<Run>(run.addr())
    })
}

/// Checks that a run or list may be released: it is done, a wait for it has timed out, or the
/// device has disappeared.
fn releasable(device: &Device, progress: &Progress) -> Result<(), Refusal> {
    let is_gone = device.generation != device.machine.generation();
    if progress.is_under_way() && !progress.is_given_up && !is_gone {
        Err(misuse("it is active and was not waited for"))
    } else {
        Ok(())
    }
}

pub extern "C" fn run_set_scalar(
    run: *mut api::Run,
    index: u32,
    value: *const c_void,
    bytes: usize,
) -> c_int {
    on::<Run>(run.addr(), Call::RunSetScalar, |run, _| {
        if value.is_null() || bytes == 0 || bytes > 8 {
            return Err(misuse("a scalar must not be empty"));
        }
        // SAFETY: the caller provides that many bytes.
        let value = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), bytes) }.to_vec();
        set(&run, index, Value::Scalar(value))
    })
}

pub extern "C" fn run_set_buffer(
    run: *mut api::Run,
    index: u32,
    buffer: *mut api::Buffer,
) -> c_int {
    on::<Run>(run.addr(), Call::RunSetBuffer, |run, _| {
        set(&run, index, Value::Buffer(find(buffer.addr())?))
    })
}

fn set(run: &Run, index: u32, value: Value) -> Result<(), Refusal> {
    if lock(&run.progress).is_under_way() {
        return Err(misuse("the run is active"));
    }
    if !run
        .kernel
        .context
        .xclbin
        .programs
        .arguments()
        .any(|argument| argument.index == index)
    {
        return Err(misuse(format!("the kernel has no argument {index}")));
    }
    lock(&run.arguments).insert(index, value);
    Ok(())
}

pub extern "C" fn run_start(run: *mut api::Run) -> c_int {
    on::<Run>(run.addr(), Call::RunStart, |run, effect| {
        let mut progress = lock(&run.progress);
        if progress.is_listed {
            return Err(misuse("a run in a list cannot be started on its own"));
        }
        if progress.is_under_way() {
            return Err(misuse("the run is already active"));
        }
        let done = run.kernel.context.array.submit(vec![step(&run)?], effect);
        *progress = Progress {
            done: Some(done),
            ..Progress::default()
        };
        Ok(())
    })
}

pub extern "C" fn run_wait(run: *mut api::Run, milliseconds: u32, state: *mut u32) -> c_int {
    on::<Run>(run.addr(), Call::RunWait, |run, _| {
        wait(&run.progress, milliseconds, state)
    })
}

fn wait(progress: &Mutex<Progress>, milliseconds: u32, state: *mut u32) -> Result<(), Refusal> {
    let Some(done) = lock(progress).done.clone() else {
        return Err(misuse("nothing was started"));
    };
    if milliseconds == 0 {
        return Err(misuse("the waiting time is zero"));
    }
    let reached = done.wait(Duration::from_millis(milliseconds.into()));
    lock(progress).is_given_up = reached == TIMED_OUT;
    if reached == FAILED {
        keep_reason("its state is ERROR: injected fault");
    }
    write(state, reached)
}

pub extern "C" fn list_new(context: *mut api::Context, out: *mut *mut api::List) -> c_int {
    on::<Context>(context.addr(), Call::ListNew, |context, _| {
        give(
            List {
                context,
                runs: Mutex::default(),
                progress: Mutex::default(),
            },
            out,
        )
    })
}

pub extern "C" fn list_free(list: *mut api::List) -> c_int {
    on::<List>(list.addr(), Call::ListFree, |object, _| {
        releasable(object.device(), &lock(&object.progress))?;
        unlist(&object);
        drop(object);
        release::<List>(list.addr())
    })
}

fn unlist(list: &List) {
    for run in lock(&list.runs).drain(..) {
        lock(&run.progress).is_listed = false;
    }
}

pub extern "C" fn list_add(list: *mut api::List, run: *mut api::Run) -> c_int {
    on::<List>(list.addr(), Call::ListAdd, |list, _| {
        let run = find::<Run>(run.addr())?;
        if !Arc::ptr_eq(&run.kernel.context, &list.context) {
            return Err(misuse(
                "the run belongs to a different context than the list",
            ));
        }
        let mut progress = lock(&run.progress);
        if progress.is_listed || progress.is_under_way() || lock(&list.progress).is_under_way() {
            return Err(misuse(
                "the run or the list is active, or the run is already in a list",
            ));
        }
        progress.is_listed = true;
        lock(&list.runs).push(run.clone());
        Ok(())
    })
}

pub extern "C" fn list_execute(list: *mut api::List) -> c_int {
    on::<List>(list.addr(), Call::ListExecute, |list, effect| {
        let mut progress = lock(&list.progress);
        if progress.is_under_way() {
            return Err(misuse("the list is already active"));
        }
        let steps = lock(&list.runs)
            .iter()
            .map(|run| step(run))
            .collect::<Result<Vec<_>, _>>()?;
        if steps.is_empty() {
            return Err(misuse("the list is empty"));
        }
        *progress = Progress {
            done: Some(list.context.array.submit(steps, effect)),
            ..Progress::default()
        };
        Ok(())
    })
}

pub extern "C" fn list_wait(list: *mut api::List, milliseconds: u32, state: *mut u32) -> c_int {
    on::<List>(list.addr(), Call::ListWait, |list, _| {
        wait(&list.progress, milliseconds, state)
    })
}

pub extern "C" fn list_reset(list: *mut api::List) -> c_int {
    on::<List>(list.addr(), Call::ListReset, |list, _| {
        if lock(&list.progress).is_under_way() {
            return Err(misuse("the list is active"));
        }
        unlist(&list);
        Ok(())
    })
}
