//! The emulator: the ABI in Rust, stricter than hardware, for tests and for machines without an
//! NPU.
//!
//! It computes what the manifest next to an instruction stream declares, and rejects what would
//! make hardware hang or compute wrong numbers. The host's and the device's view of a buffer are
//! two copies that only a sync brings together, and both start with garbage. Streams are recognised
//! by their hash; opcode, argument types, sizes and memory groups must be the declared ones; a
//! buffer that a run uses cannot be touched; handles are checked. The emulator is never found by
//! accident: a device exists only if the program has created a [`Machine`].

mod array;
mod entry;
mod gemm;
mod machine;
mod objects;
mod operators;
mod overlay;

pub use machine::{Call, Effect, Fault, Machine};
pub use overlay::{write_one_context, write_overlays};

use crate::api::Api;
use machine::lock;
use std::sync::{Arc, Mutex};

static MACHINES: Mutex<Vec<Arc<Machine>>> = Mutex::new(Vec::new());

/// Creates a machine with these faults; returns the index of its device, too.
pub fn machine(faults: &[Fault]) -> (u32, Arc<Machine>) {
    let mut machines = lock(&MACHINES);
    let machine = Machine::new(faults);
    machines.push(machine.clone());
    (machines.len() as u32 - 1, machine)
}

/// Returns the table of the emulator's functions.
pub fn api() -> Api {
    entry::API
}

#[cfg(test)]
mod tests;
