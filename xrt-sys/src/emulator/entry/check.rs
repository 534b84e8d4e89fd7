//! The checks that hardware does not make: of a run's arguments when it starts, and of buffers in
//! use.

use crate::api::{CACHEABLE, HOST_ONLY};
use crate::emulator::array::{Program, Step};
use crate::emulator::machine::{Refusal, lock, misuse};
use crate::emulator::objects::{Buffer, Programs, Run, Xclbin};
use crate::emulator::operators::sizes;
use crate::manifest::{Role, hash};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Memory group of instructions, as XRT reports it for an XDNA2 overlay.
pub const INSTRUCTION_GROUP: u32 = 1;
/// Memory group of data.
pub const DATA_GROUP: u32 = 0;

/// The kernels' opcode for an instruction stream in a buffer.
const OPCODE: u64 = 3;

/// Makes the checks that hardware does not, and returns what to compute.
pub fn step(run: &Run) -> Result<Step, Refusal> {
    let xclbin = run.kernel.context.xclbin.clone();
    if run.scalar(Role::Opcode)? != OPCODE.to_ne_bytes() {
        return Err(misuse("the opcode is not 3 in 64 bits"));
    }
    let instructions = run.buffer(Role::Instructions)?;
    check_buffer(&instructions, &xclbin, (CACHEABLE, INSTRUCTION_GROUP))?;
    let sha256 = hash(&lock(&instructions.device_copy));
    let (program, words, operands) = program(&xclbin.programs, &sha256)?;
    if run.scalar(Role::InstructionWords)? != (words as u32).to_ne_bytes() {
        return Err(misuse(
            "the number of instruction words is not that of the stream, in 32 bits",
        ));
    }
    let mut buffers = Vec::new();
    for Operand { index, role, bytes } in operands {
        let buffer = run.buffer_at(index, role)?;
        check_buffer(&buffer, &xclbin, (HOST_ONLY, DATA_GROUP))?;
        let is_in_place = role == Role::Out && program.writes_in_place();
        if !is_in_place && buffers.iter().any(|other| Arc::ptr_eq(other, &buffer)) {
            return Err(misuse("two operands use one buffer"));
        }
        if buffer.host.len() < bytes {
            return Err(misuse(format!(
                "the buffer of an operand has {} bytes, not {bytes}",
                buffer.host.len()
            )));
        }
        buffers.push(buffer);
    }
    let result = buffers
        .pop()
        .ok_or_else(|| misuse("the stream has no operands"))?;
    unused(&result)?;
    program.check(&buffers).map_err(misuse)?;
    Ok(Step {
        program,
        operands: buffers,
        result,
    })
}

/// A data argument of a stream.
struct Operand {
    index: u32,
    role: Role,
    bytes: usize,
}

/// Returns what the stream with this hash computes, its length in words, and its operands; the
/// result is the last.
fn program(programs: &Programs, sha256: &str) -> Result<(Program, u64, Vec<Operand>), Refusal> {
    for overlay in &programs.gemms {
        if let Some(stream) = overlay.streams.iter().find(|s| s.sha256 == sha256) {
            let operand = |role, bytes| Operand {
                index: overlay.argument(role),
                role,
                bytes,
            };
            let operands = vec![
                operand(Role::A, overlay.a.dtype.bytes(stream.m * stream.k)),
                operand(Role::B, overlay.b.dtype.bytes(stream.k * stream.n)),
                operand(Role::C, overlay.c.dtype.bytes(stream.m * stream.n)),
            ];
            let words = stream.words;
            let program = Program::Gemm(Box::new((overlay.clone(), stream.clone())));
            return Ok((program, words, operands));
        }
    }
    for overlay in &programs.operators {
        if let Some(stream) = overlay.streams.iter().find(|s| s.sha256 == sha256) {
            let roles = overlay.operator.roles();
            let sizes = sizes(overlay.operator, stream);
            let operand = |(&role, bytes): (&Role, usize)| {
                let index = overlay.argument(role);
                let missing = || misuse(format!("the kernel has no argument {role:?}"));
                Ok(Operand {
                    index: index.ok_or_else(missing)?,
                    role,
                    bytes,
                })
            };
            let operands = roles.iter().zip(sizes).map(operand);
            let program = Program::Operator(overlay.operator, stream.clone());
            return Ok((program, stream.words, operands.collect::<Result<_, _>>()?));
        }
    }
    Err(misuse(
        "the instructions are not a stream that the manifest declares for this xclbin",
    ))
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
