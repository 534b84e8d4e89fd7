//! Devices, xclbins, contexts and kernels.

use super::call::{answer, close, give, on, text, write};
use super::check::{DATA_GROUP, INSTRUCTION_GROUP};
use crate::api;
use crate::emulator::MACHINES;
use crate::emulator::array::Array;
use crate::emulator::machine::{Call, failed, lock, misuse};
use crate::emulator::objects::{Context, Device, Kernel, Programs, Xclbin};
use crate::manifest::{File, Manifest, Role};
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

/// Name of the device.
const NAME: &CStr = c"Hearken NPU emulator (no hardware)";

pub extern "C" fn device_open(index: u32, out: *mut *mut api::Device) -> c_int {
    answer(|| {
        let machine = lock(&MACHINES).get(index as usize).cloned();
        let machine =
            machine.ok_or_else(|| failed(format!("no such device with index '{index}'")))?;
        machine.enter(Call::DeviceOpen, machine.generation())?;
        let generation = machine.generation();
        give(
            Device {
                machine,
                generation,
            },
            out,
        )
    })
}

pub extern "C" fn device_close(device: *mut api::Device) -> c_int {
    close::<Device>(device.addr(), Call::DeviceClose)
}

pub extern "C" fn device_name(device: *mut api::Device, to: *mut c_char, size: usize) -> c_int {
    on::<Device>(device.addr(), Call::DeviceName, |_, _| {
        let name = NAME.to_bytes();
        let length = name.len().min(size.saturating_sub(1));
        if to.is_null() || size == 0 {
            return Err(misuse("no room for the name"));
        }
        // SAFETY: the caller provides `size` bytes; the name and its terminator take no more.
        unsafe {
            std::ptr::copy_nonoverlapping(name.as_ptr(), to.cast(), length);
            *to.add(length) = 0;
        }
        Ok(())
    })
}

pub extern "C" fn xclbin_open(
    device: *mut api::Device,
    path: *const c_char,
    out: *mut *mut api::Xclbin,
) -> c_int {
    on::<Device>(device.addr(), Call::XclbinOpen, |device, _| {
        let path = Path::new(text(path)?);
        let directory = path.parent().unwrap_or(Path::new("."));
        let manifest = Manifest::read(directory).map_err(|e| failed(e.to_string()))?;
        let is_it = |file: &File| path.file_name() == Some(file.file.as_ref());
        let mut programs = Programs {
            gemms: manifest.gemms,
            operators: manifest.operators,
        };
        programs.gemms.retain(|overlay| is_it(&overlay.xclbin));
        programs.operators.retain(|overlay| is_it(&overlay.xclbin));
        if programs.kernel().is_empty() {
            return Err(failed(format!(
                "{}: the manifest beside it does not declare it",
                path.display()
            )));
        }
        let gemms = programs
            .gemms
            .iter()
            .map(|overlay| overlay.xclbin(directory));
        let operators = programs
            .operators
            .iter()
            .map(|overlay| overlay.xclbin(directory));
        for checked in gemms.chain(operators) {
            checked.map_err(|e| failed(e.to_string()))?;
        }
        give(Xclbin { device, programs }, out)
    })
}

pub extern "C" fn xclbin_close(xclbin: *mut api::Xclbin) -> c_int {
    close::<Xclbin>(xclbin.addr(), Call::XclbinClose)
}

pub extern "C" fn context_open(xclbin: *mut api::Xclbin, out: *mut *mut api::Context) -> c_int {
    on::<Xclbin>(xclbin.addr(), Call::ContextOpen, |xclbin, _| {
        give(
            Context {
                xclbin,
                array: Array::new(),
            },
            out,
        )
    })
}

pub extern "C" fn context_close(context: *mut api::Context) -> c_int {
    close::<Context>(context.addr(), Call::ContextClose)
}

pub extern "C" fn kernel_open(
    context: *mut api::Context,
    prefix: *const c_char,
    out: *mut *mut api::Kernel,
) -> c_int {
    on::<Context>(context.addr(), Call::KernelOpen, |context, _| {
        let prefix = text(prefix)?;
        if context.xclbin.programs.kernel().starts_with(prefix) {
            give(Kernel { context }, out)
        } else {
            Err(failed(format!(
                "the xclbin has no kernel whose name begins with {prefix}"
            )))
        }
    })
}

pub extern "C" fn kernel_close(kernel: *mut api::Kernel) -> c_int {
    close::<Kernel>(kernel.addr(), Call::KernelClose)
}

pub extern "C" fn kernel_group(kernel: *mut api::Kernel, index: u32, out: *mut u32) -> c_int {
    on::<Kernel>(kernel.addr(), Call::KernelGroup, |kernel, _| {
        let mut arguments = kernel.context.xclbin.programs.arguments();
        let group = match arguments
            .find(|argument| argument.index == index)
            .map(|argument| argument.role)
        {
            Some(Role::Instructions) => INSTRUCTION_GROUP,
            None | Some(Role::Opcode | Role::InstructionWords) => {
                return Err(misuse(format!("argument {index} is not a buffer")));
            }
            Some(_) => DATA_GROUP,
        };
        write(out, group)
    })
}
