//! How a call of the ABI is made: looks up its handle, injects faults, catches panics, and keeps the
//! reason of a failure for the thread.

use crate::api::{self, ABI_VERSION, OK};
use crate::emulator::machine::{Call, Effect, Refusal, failed, misuse};
use crate::emulator::objects::{Object, find, register, release};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

pub extern "C" fn abi_version() -> u32 {
    ABI_VERSION
}

pub extern "C" fn last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.borrow().as_ptr())
}

/// Converts the result of a function to a status and a text.
pub fn answer(work: impl FnOnce() -> Result<(), Refusal>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let Refusal { code, text } = match outcome {
        Ok(Ok(())) => return OK,
        Ok(Err(refusal)) => refusal,
        Err(_) => failed("the emulator panicked"),
    };
    keep_reason(&text);
    code
}

/// Keeps a reason for `last_error`.
pub fn keep_reason(text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    LAST_ERROR.with(|last| *last.borrow_mut() = text);
}

/// Looks up a handle, counts the call and runs the work; counts broken rules on the machine.
pub fn on<T: Object>(
    handle: usize,
    call: Call,
    work: impl FnOnce(Arc<T>, Option<Effect>) -> Result<(), Refusal>,
) -> c_int {
    answer(|| {
        let object = find::<T>(handle)?;
        let machine = object.device().machine.clone();
        let generation = object.device().generation;
        let effect = machine.enter(call, generation)?;
        let outcome = work(object, effect);
        if outcome
            .as_ref()
            .is_err_and(|refusal| refusal.code == api::MISUSE)
        {
            machine.note_misuse();
        }
        outcome
    })
}

/// Releases a handle.
pub fn close<T: Object>(handle: usize, call: Call) -> c_int {
    on::<T>(handle, call, |object, _| {
        drop(object);
        release::<T>(handle)
    })
}

/// Writes a new handle to the caller's pointer.
pub fn give<T: Object, H>(object: T, out: *mut *mut H) -> Result<(), Refusal> {
    if out.is_null() {
        return Err(misuse("no place for the handle"));
    }
    // SAFETY: the caller provides a place for a handle.
    unsafe { *out = std::ptr::without_provenance_mut(register(object)) };
    Ok(())
}

/// Returns a text that the caller provides.
pub fn text<'a>(text: *const c_char) -> Result<&'a str, Refusal> {
    if text.is_null() {
        return Err(misuse("null pointer instead of a text"));
    }
    // SAFETY: the caller provides a terminated text that outlives the call.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| misuse("a text is not UTF-8"))
}

/// Writes a result to the caller's pointer.
pub fn write<T>(out: *mut T, value: T) -> Result<(), Refusal> {
    if out.is_null() {
        return Err(misuse("no place for the result"));
    }
    // SAFETY: the caller provides a place for it.
    unsafe { *out = value };
    Ok(())
}
