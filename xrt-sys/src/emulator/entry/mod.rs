//! The ABI's functions on the emulator.
//!
//! `call` is how each of them is made: handles are looked up, faults injected, panics caught. `open`
//! is what leads to a kernel, `memory` its buffers, `runs` its runs and lists; `check` refuses what
//! hardware would not.

mod call;
mod check;
mod memory;
mod open;
mod runs;

use crate::api::Api;
use call::{abi_version, last_error};
use memory::*;
use open::*;
use runs::*;

pub(super) const API: Api = Api {
    abi_version,
    last_error,
    device_open,
    device_close,
    device_name,
    xclbin_open,
    xclbin_close,
    context_open,
    context_close,
    kernel_open,
    kernel_close,
    kernel_group,
    buffer_new,
    buffer_free,
    buffer_map,
    buffer_sync,
    run_new,
    run_free,
    run_set_scalar,
    run_set_buffer,
    run_start,
    run_wait,
    list_new,
    list_free,
    list_add,
    list_execute,
    list_wait,
    list_reset,
};
