//! The ABI's functions on the emulator: checks handles, injects faults, catches panics.

use super::MACHINES;
use super::array::{Array, Step};
use super::machine::{Call, Effect, Refusal, failed, lock, misuse};
use super::objects::{
    Buffer, Context, Device, HostCopy, Kernel, List, Object, Progress, Run, Value, Xclbin,
};
use super::objects::{find, register, release};
use crate::api::{
    self, ABI_VERSION, Api, CACHEABLE, FROM_DEVICE, HOST_ONLY, OK, TIMED_OUT, TO_DEVICE,
};
use crate::manifest::{Manifest, Overlay, Role, hash};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// Name of the device.
const NAME: &CStr = c"Hearken NPU emulator (no hardware)";

/// Memory group of instructions, as XRT reports it for an XDNA2 overlay.
const INSTRUCTION_GROUP: u32 = 1;
/// Memory group of data.
const DATA_GROUP: u32 = 0;

/// The kernels' opcode for an instruction stream in a buffer.
const OPCODE: u64 = 3;

/// Initial contents of the two views of a buffer: as bf16, one is tiny and the other huge, so that
/// a missing sync shows.
const HOST_RUBBISH: u8 = 0xa5;
const DEVICE_RUBBISH: u8 = 0x5a;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Converts the result of a function to a status and a text.
fn answer(work: impl FnOnce() -> Result<(), Refusal>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let Refusal { code, text } = match outcome {
        Ok(Ok(())) => return OK,
        Ok(Err(refusal)) => refusal,
        Err(_) => failed("the emulator panicked"),
    };
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    LAST_ERROR.with(|last| *last.borrow_mut() = text);
    code
}

/// Looks up a handle, counts the call and runs the work; counts broken rules on the machine.
fn on<T: Object>(
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
fn close<T: Object>(handle: usize, call: Call) -> c_int {
    on::<T>(handle, call, |object, _| {
        drop(object);
        release::<T>(handle)
    })
}

/// Writes a new handle to the caller's pointer.
fn give<T: Object, H>(object: T, out: *mut *mut H) -> Result<(), Refusal> {
    if out.is_null() {
        return Err(misuse("no place for the handle"));
    }
    // SAFETY: the caller provides a place for a handle.
    unsafe { *out = std::ptr::without_provenance_mut(register(object)) };
    Ok(())
}

fn text<'a>(text: *const c_char) -> Result<&'a str, Refusal> {
    if text.is_null() {
        return Err(misuse("null pointer instead of a text"));
    }
    // SAFETY: the caller provides a terminated text that outlives the call.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| misuse("a text is not UTF-8"))
}

extern "C" fn abi_version() -> u32 {
    ABI_VERSION
}

extern "C" fn last_error() -> *const c_char {
    LAST_ERROR.with(|last| last.borrow().as_ptr())
}

extern "C" fn device_open(index: u32, out: *mut *mut api::Device) -> c_int {
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

extern "C" fn device_close(device: *mut api::Device) -> c_int {
    close::<Device>(device.addr(), Call::DeviceClose)
}

extern "C" fn device_name(device: *mut api::Device, to: *mut c_char, size: usize) -> c_int {
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

extern "C" fn xclbin_open(
    device: *mut api::Device,
    path: *const c_char,
    out: *mut *mut api::Xclbin,
) -> c_int {
    on::<Device>(device.addr(), Call::XclbinOpen, |device, _| {
        let path = Path::new(text(path)?);
        let directory = path.parent().unwrap_or(Path::new("."));
        let manifest = Manifest::read(directory).map_err(|e| failed(e.to_string()))?;
        let of_path = |overlay: &Overlay| path.file_name() == Some(overlay.xclbin.file.as_ref());
        let Some(overlay) = manifest.gemms.into_iter().find(of_path) else {
            return Err(failed(format!(
                "{}: the manifest beside it does not declare it",
                path.display()
            )));
        };
        overlay
            .xclbin(directory)
            .map_err(|e| failed(e.to_string()))?;
        give(Xclbin { device, overlay }, out)
    })
}

extern "C" fn xclbin_close(xclbin: *mut api::Xclbin) -> c_int {
    close::<Xclbin>(xclbin.addr(), Call::XclbinClose)
}

extern "C" fn context_open(xclbin: *mut api::Xclbin, out: *mut *mut api::Context) -> c_int {
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

extern "C" fn context_close(context: *mut api::Context) -> c_int {
    close::<Context>(context.addr(), Call::ContextClose)
}

extern "C" fn kernel_open(
    context: *mut api::Context,
    prefix: *const c_char,
    out: *mut *mut api::Kernel,
) -> c_int {
    on::<Context>(context.addr(), Call::KernelOpen, |context, _| {
        let prefix = text(prefix)?;
        if context.xclbin.overlay.kernel.starts_with(prefix) {
            give(Kernel { context }, out)
        } else {
            Err(failed(format!(
                "the xclbin has no kernel whose name begins with {prefix}"
            )))
        }
    })
}

extern "C" fn kernel_close(kernel: *mut api::Kernel) -> c_int {
    close::<Kernel>(kernel.addr(), Call::KernelClose)
}

extern "C" fn kernel_group(kernel: *mut api::Kernel, index: u32, out: *mut u32) -> c_int {
    on::<Kernel>(kernel.addr(), Call::KernelGroup, |kernel, _| {
        let arguments = &kernel.context.xclbin.overlay.arguments;
        let group = match arguments
            .iter()
            .find(|argument| argument.index == index)
            .map(|argument| argument.role)
        {
            Some(Role::Instructions) => INSTRUCTION_GROUP,
            Some(Role::A | Role::B | Role::C) => DATA_GROUP,
            _ => return Err(misuse(format!("argument {index} is not a buffer"))),
        };
        write(out, group)
    })
}

fn write<T>(out: *mut T, value: T) -> Result<(), Refusal> {
    if out.is_null() {
        return Err(misuse("no place for the result"));
    }
    // SAFETY: the caller provides a place for it.
    unsafe { *out = value };
    Ok(())
}

extern "C" fn buffer_new(
    device: *mut api::Device,
    bytes: usize,
    kind: u32,
    group: u32,
    out: *mut *mut api::Buffer,
) -> c_int {
    on::<Device>(device.addr(), Call::BufferNew, |device, _| {
        let wanted = if kind == CACHEABLE {
            INSTRUCTION_GROUP
        } else {
            DATA_GROUP
        };
        if bytes == 0 || !matches!(kind, CACHEABLE | HOST_ONLY) || group != wanted {
            return Err(misuse(format!(
                "no buffer of {bytes} bytes of kind {kind} in group {group}"
            )));
        }
        let host = HostCopy::new(bytes, HOST_RUBBISH)
            .ok_or_else(|| failed(format!("cannot allocate {bytes} bytes")))?;
        let device_copy = Mutex::new(vec![DEVICE_RUBBISH; bytes]);
        give(
            Buffer {
                device,
                kind,
                group,
                host,
                device_copy,
                users: AtomicUsize::new(0),
                writers: AtomicUsize::new(0),
            },
            out,
        )
    })
}

extern "C" fn buffer_free(buffer: *mut api::Buffer) -> c_int {
    on::<Buffer>(buffer.addr(), Call::BufferFree, |object, _| {
        unused(&object)?;
        drop(object);
        release::<Buffer>(buffer.addr())
    })
}

fn unused(buffer: &Buffer) -> Result<(), Refusal> {
    match buffer.users.load(SeqCst) {
        0 => Ok(()),
        _ => Err(misuse("an active run uses the buffer")),
    }
}

extern "C" fn buffer_map(buffer: *mut api::Buffer, out: *mut *mut c_void) -> c_int {
    on::<Buffer>(buffer.addr(), Call::BufferMap, |buffer, _| {
        write(out, buffer.host.pointer().cast())
    })
}

extern "C" fn buffer_sync(
    buffer: *mut api::Buffer,
    direction: u32,
    bytes: usize,
    offset: usize,
) -> c_int {
    on::<Buffer>(buffer.addr(), Call::BufferSync, |buffer, _| {
        unused(&buffer)?;
        if offset
            .checked_add(bytes)
            .is_none_or(|end| end > buffer.host.len())
        {
            return Err(misuse("the range to sync exceeds the buffer"));
        }
        let mut device = lock(&buffer.device_copy);
        let device = &mut device[offset..][..bytes];
        // SAFETY: the range lies within the memory, which no other call uses at the same time.
        let host =
            unsafe { std::slice::from_raw_parts_mut(buffer.host.pointer().add(offset), bytes) };
        match direction {
            TO_DEVICE => device.copy_from_slice(host),
            FROM_DEVICE => host.copy_from_slice(device),
            _ => return Err(misuse("unknown direction of a sync")),
        }
        Ok(())
    })
}

extern "C" fn run_new(kernel: *mut api::Kernel, out: *mut *mut api::Run) -> c_int {
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

extern "C" fn run_free(run: *mut api::Run) -> c_int {
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

extern "C" fn run_set_scalar(
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

extern "C" fn run_set_buffer(run: *mut api::Run, index: u32, buffer: *mut api::Buffer) -> c_int {
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
        .overlay
        .arguments
        .iter()
        .any(|argument| argument.index == index)
    {
        return Err(misuse(format!("the kernel has no argument {index}")));
    }
    lock(&run.arguments).insert(index, value);
    Ok(())
}

extern "C" fn run_start(run: *mut api::Run) -> c_int {
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

/// Makes the checks that hardware does not, and returns the product to compute.
fn step(run: &Run) -> Result<Step, Refusal> {
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

extern "C" fn run_wait(run: *mut api::Run, milliseconds: u32, state: *mut u32) -> c_int {
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
    write(state, reached)
}

extern "C" fn list_new(context: *mut api::Context, out: *mut *mut api::List) -> c_int {
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

extern "C" fn list_free(list: *mut api::List) -> c_int {
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

extern "C" fn list_add(list: *mut api::List, run: *mut api::Run) -> c_int {
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

extern "C" fn list_execute(list: *mut api::List) -> c_int {
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

extern "C" fn list_wait(list: *mut api::List, milliseconds: u32, state: *mut u32) -> c_int {
    on::<List>(list.addr(), Call::ListWait, |list, _| {
        wait(&list.progress, milliseconds, state)
    })
}

extern "C" fn list_reset(list: *mut api::List) -> c_int {
    on::<List>(list.addr(), Call::ListReset, |list, _| {
        if lock(&list.progress).is_under_way() {
            return Err(misuse("the list is active"));
        }
        unlist(&list);
        Ok(())
    })
}
