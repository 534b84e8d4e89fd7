//! The checks that hardware does not make: of a run's arguments when it starts, and of buffers in
//! use.

use crate::api::{CACHEABLE, HOST_ONLY};
use crate::emulator::array::Step;
use crate::emulator::machine::{Refusal, lock, misuse};
use crate::emulator::objects::{Buffer, Run, Xclbin};
use crate::manifest::{Role, hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Memory group of instructions, as XRT reports it for an XDNA2 overlay.
pub const INSTRUCTION_GROUP: u32 = 1;
/// Memory group of data.
pub const DATA_GROUP: u32 = 0;

/// The kernels' opcode for an instruction stream in a buffer.
const OPCODE: u64 = 3;

/// Makes the checks that hardware does not, and returns the product to compute.
pub fn step(run: &Run) -> Result<Step, Refusal> {
    let xclbin = run.kernel.context.xclbin.clone();
    let overlay = &xclbin.overlay;
    if run.scalar(Role::Opcode)? != OPCODE.to_ne_bytes() {
        return Err(misuse("the opcode is not 3 in 64 bits"));
    }
    let instructions = run.buffer(Role::Instructions)?;
    let [a, b, c] = [
        run.buffer(Role::A)?,
        run.buffer(Role::B)?,
        run.buffer(Role::C)?,
    ];
    check_buffer(&instructions, &xclbin, (CACHEABLE, INSTRUCTION_GROUP))?;
    for buffer in [&a, &b, &c] {
        check_buffer(buffer, &xclbin, (HOST_ONLY, DATA_GROUP))?;
    }
    unused(&c)?;
    if Arc::ptr_eq(&a, &b) || Arc::ptr_eq(&b, &c) || Arc::ptr_eq(&a, &c) {
        return Err(misuse("two operands use one buffer"));
    }
    let sha256 = hash(&lock(&instructions.device_copy));
    let Some(stream) = overlay
        .streams
        .iter()
        .find(|stream| stream.sha256 == sha256)
        .cloned()
    else {
        return Err(misuse(
            "the instructions are not a stream that the manifest declares for this xclbin",
        ));
    };
    if run.scalar(Role::InstructionWords)? != (stream.words as u32).to_ne_bytes() {
        return Err(misuse(
            "the number of instruction words is not that of the stream, in 32 bits",
        ));
    }
    let sizes = [
        (&a, overlay.a.dtype.bytes(stream.m * stream.k)),
        (&b, overlay.b.dtype.bytes(stream.k * stream.n)),
        (&c, overlay.c.dtype.bytes(stream.m * stream.n)),
    ];
    for (buffer, bytes) in sizes {
        if buffer.host.len() < bytes {
            return Err(misuse(format!(
                "the buffer of an operand has {} bytes, not {bytes}",
                buffer.host.len()
            )));
        }
    }
    Ok(Step {
        xclbin,
        stream,
        a,
        b,
        c,
    })
}

/// Checks a buffer's device, kind and group, and that no active run writes it.
fn check_buffer(buffer: &Buffer, xclbin: &Xclbin, wanted: (u32, u32)) -> Result<(), Refusal> {
    if !Arc::ptr_eq(&buffer.device, &xclbin.device) {
        return Err(misuse("a buffer belongs to a different device"));
    }
    if (buffer.kind, buffer.group) != wanted {
        return Err(misuse("a buffer has the wrong kind or group"));
    }
    match buffer.writers.load(SeqCst) {
        0 => Ok(()),
        _ => Err(misuse("an active run writes the buffer")),
    }
}

/// Checks that no active run uses a buffer.
pub fn unused(buffer: &Buffer) -> Result<(), Refusal> {
    match buffer.users.load(SeqCst) {
        0 => Ok(()),
        _ => Err(misuse("an active run uses the buffer")),
    }
}
