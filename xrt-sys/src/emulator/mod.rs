//! The emulator: the ABI in Rust, stricter than hardware, for tests and for machines without
//! an NPU.
//!
//! It computes what the manifest beside an instruction stream declares, and checks what hardware
//! would answer with a hang or with wrong numbers: the host's and the device's view of a buffer are
//! two copies that only a sync brings together, and both begin with rubbish; a stream is known by
//! its hash; opcode, argument types, sizes and memory groups must be the declared ones; a buffer
//! that a run uses cannot be touched; handles are checked. Nothing is found by accident: a device
//! exists only where a program has made a [`Machine`].

mod array;
mod entry;
mod gemm;
mod machine;
mod objects;
mod overlay;

pub use machine::{Call, Effect, Fault, Machine};
pub use overlay::write_overlays;

use crate::api::Api;
use machine::lock;
use std::sync::{Arc, Mutex};

static MACHINES: Mutex<Vec<Arc<Machine>>> = Mutex::new(Vec::new());

/// Makes a machine on which these things go wrong; its device has the index that is returned.
pub fn machine(faults: &[Fault]) -> (u32, Arc<Machine>) {
    let mut machines = lock(&MACHINES);
    let machine = Machine::new(faults);
    machines.push(machine.clone());
    (machines.len() as u32 - 1, machine)
}

/// The table of the emulator's functions.
pub fn api() -> Api {
    entry::API
}

#[cfg(test)]
mod tests;
