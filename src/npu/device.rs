//! Safe owners over the C ABI of `xrt-sys`: devices, contexts, kernels, buffers, runs and lists,
//! which release themselves in the right order.
//!
//! Every object holds its parent, so a parent is never released before its children. Buffers belong
//! to a context, which is closed before they are freed: a run that hangs may write to them until
//! then.

use crate::sync::LockExt;
use bytemuck::Pod;
use std::ffi::{CString, c_int};
use std::path::Path;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing::warn;
use xrt_sys::{Api, COMPLETED, FROM_DEVICE, MISUSE, OK, TIMED_OUT, TO_DEVICE};

/// The kernels' opcode for instructions in a buffer (mlir-aie's and XRT's `ERT_START_NPU`
/// convention).
pub const OPCODE: u64 = 3;

/// Failure of a device.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// The runtime, the driver or the device reported a failure.
    #[error("the NPU failed in {call}: {reason}")]
    Failed {
        /// The call that failed.
        call: &'static str,
        /// Reason given by the runtime.
        reason: String,
    },
    /// Hearken broke a rule of the interface.
    #[error("invalid use of the NPU in {call}: {reason}; please report this")]
    Misused {
        /// The call that was refused.
        call: &'static str,
        /// The rule.
        reason: String,
    },
    /// A run did not end in time.
    #[error("the NPU did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// A run ended without a result.
    #[error("a run on the NPU failed: {0}")]
    Aborted(String),
    /// The overlays do not cover the model, or cannot be read.
    #[error("{0}")]
    Overlay(String),
}

/// Calls a function of the ABI and turns its status into a result.
macro_rules! call {
    ($api:expr, $name:ident($($arg:expr),* $(,)?)) => {
        // SAFETY: handles come from the ABI and are alive while their owner is. One thread at a
        // time uses a handle: a `Handle` is not `Sync`, so it is reached through its only owner
        // (`&mut`) or through a mutex (`Shared`) that is locked during the call. Other pointers
        // refer to data that outlives the call.
        checked(&$api, stringify!($name), unsafe { ($api.$name)($($arg),*) })
    };
}

fn checked(api: &Api, call: &'static str, code: c_int) -> Result<(), DeviceError> {
    match code {
        OK => Ok(()),
        MISUSE => Err(DeviceError::Misused {
            call,
            reason: api.error_text(),
        }),
        _ => Err(DeviceError::Failed {
            call,
            reason: api.error_text(),
        }),
    }
}

/// Releases a handle. A failure is only logged: the object is left to the runtime.
fn released(outcome: Result<(), DeviceError>) {
    if let Err(error) = outcome {
        warn!("{error}");
    }
}

/// A handle that one thread at a time may use: it can be moved between threads, but not shared.
struct Handle<T>(*mut T);

// SAFETY: the ABI requires that two threads do not use a handle at once, not that it stays on one
// thread. Without `Sync`, a reference to a handle stays on its thread.
unsafe impl<T> Send for Handle<T> {}

/// A handle from which others are made, by the thread that holds the lock.
type Shared<T> = Mutex<Handle<T>>;

fn shared<T>(raw: *mut T) -> Shared<T> {
    Mutex::new(Handle(raw))
}

/// Defines how an owner is released.
macro_rules! releases {
    ($($owner:ty, $function:ident;)*) => {$(
        impl Drop for $owner {
            fn drop(&mut self) {
                released(call!(self.api(), $function(self.raw.lock_unpoisoned().0)));
            }
        }
    )*};
}

releases! {
    Device, device_close;
    Xclbin, xclbin_close;
    RawContext, context_close;
    RawKernel, kernel_close;
    RawBuffer, buffer_free;
}

/// Time for an active run if its owner is dropped because something else has failed: far more than
/// a run takes.
const LAST_WAIT: Duration = Duration::from_millis(100);

impl Drop for Run {
    fn drop(&mut self) {
        if self.is_under_way {
            // The result does not matter, since the run is released next; closing the context
            // removes a run that hangs.
            let _ = self.wait(LAST_WAIT);
        }
        released(call!(self.api(), run_free(self.raw.0)));
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if self.is_under_way {
            let _ = self.wait(LAST_WAIT);
        }
        released(call!(self.api(), list_free(self.raw.0)));
    }
}

/// An open device.
pub struct Device {
    api: Api,
    raw: Shared<xrt_sys::Device>,
}

impl Device {
    /// Opens a device.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn open(api: Api, index: u32) -> Result<Arc<Self>, DeviceError> {
        let mut raw = null_mut();
        call!(api, device_open(index, &mut raw))?;
        Ok(Arc::new(Self {
            api,
            raw: shared(raw),
        }))
    }

    /// Returns the name of the device.
    ///
    /// # Errors
    /// Returns an error if it does not answer.
    pub fn name(&self) -> Result<String, DeviceError> {
        let mut name = [0u8; 128];
        call!(
            self.api,
            device_name(
                self.raw.lock_unpoisoned().0,
                name.as_mut_ptr().cast(),
                name.len()
            )
        )?;
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        Ok(String::from_utf8_lossy(&name[..end]).into_owned())
    }

    fn api(&self) -> Api {
        self.api
    }
}

struct Xclbin {
    device: Arc<Device>,
    raw: Shared<xrt_sys::Xclbin>,
}

impl Xclbin {
    fn api(&self) -> Api {
        self.device.api
    }
}

/// The context itself, closed before its buffers are freed.
struct RawContext {
    raw: Shared<xrt_sys::Context>,
    xclbin: Arc<Xclbin>,
}

impl RawContext {
    fn api(&self) -> Api {
        self.xclbin.api()
    }
}

/// A share of the array, configured by an xclbin, with the buffers of its runs.
struct Context {
    // Dropped in this order.
    raw: RawContext,
    buffers: Mutex<Vec<Arc<RawBuffer>>>,
}

/// The kernel itself.
struct RawKernel {
    raw: Shared<xrt_sys::Kernel>,
    context: Arc<Context>,
}

impl RawKernel {
    fn api(&self) -> Api {
        self.context.raw.api()
    }
}

/// A kernel in a separate context.
#[derive(Clone)]
pub struct Kernel(Arc<RawKernel>);

impl Kernel {
    /// Registers an xclbin, opens a context for it, and opens its first kernel whose name begins
    /// with `prefix`.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn open(device: &Arc<Device>, xclbin: &Path, prefix: &str) -> Result<Self, DeviceError> {
        let text = |text: &str| {
            CString::new(text)
                .map_err(|_| DeviceError::Overlay(format!("the name {text:?} contains a NUL")))
        };
        let path = text(&xclbin.to_string_lossy())?;
        let prefix = text(prefix)?;
        let api = device.api;
        let mut raw = null_mut();
        call!(
            api,
            xclbin_open(device.raw.lock_unpoisoned().0, path.as_ptr(), &mut raw)
        )?;
        let xclbin = Arc::new(Xclbin {
            device: device.clone(),
            raw: shared(raw),
        });
        let mut raw = null_mut();
        call!(api, context_open(xclbin.raw.lock_unpoisoned().0, &mut raw))?;
        let raw = RawContext {
            raw: shared(raw),
            xclbin,
        };
        let context = Arc::new(Context {
            raw,
            buffers: Mutex::default(),
        });
        let mut raw = null_mut();
        call!(
            api,
            kernel_open(
                context.raw.raw.lock_unpoisoned().0,
                prefix.as_ptr(),
                &mut raw
            )
        )?;
        Ok(Self(Arc::new(RawKernel {
            raw: shared(raw),
            context,
        })))
    }

    /// Allocates a buffer of `len` bytes for the kernel's argument `index`, in memory of this kind
    /// ([`xrt_sys::CACHEABLE`] or [`xrt_sys::HOST_ONLY`]). It is freed after the context is closed.
    ///
    /// # Errors
    /// Returns an error if there is not enough memory.
    pub fn buffer(&self, len: usize, kind: u32, index: u32) -> Result<Buffer, DeviceError> {
        let api = self.0.api();
        let context = &self.0.context;
        let device = context.raw.xclbin.device.clone();
        let mut group = 0;
        let mut raw = null_mut();
        let mut pointer = null_mut();
        call!(
            api,
            kernel_group(self.0.raw.lock_unpoisoned().0, index, &mut group)
        )?;
        call!(
            api,
            buffer_new(device.raw.lock_unpoisoned().0, len, kind, group, &mut raw)
        )?;
        let raw = Arc::new(RawBuffer {
            raw: shared(raw),
            device,
        });
        call!(api, buffer_map(raw.raw.lock_unpoisoned().0, &mut pointer))?;
        if pointer.is_null() || !pointer.addr().is_multiple_of(ALIGNMENT) {
            let reason = "the buffer's memory is not aligned".to_owned();
            return Err(DeviceError::Failed {
                call: "buffer_map",
                reason,
            });
        }
        context.buffers.lock_unpoisoned().push(raw.clone());
        Ok(Buffer {
            raw,
            data: Handle(pointer.cast()),
            len,
        })
    }

    /// Creates a run of the kernel.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn run(&self) -> Result<Run, DeviceError> {
        let mut raw = null_mut();
        call!(
            self.0.api(),
            run_new(self.0.raw.lock_unpoisoned().0, &mut raw)
        )?;
        Ok(Run {
            raw: Handle(raw),
            kernel: self.clone(),
            is_under_way: false,
        })
    }

    /// Creates a list of runs in the kernel's context.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn list(&self) -> Result<List, DeviceError> {
        let mut raw = null_mut();
        call!(
            self.0.api(),
            list_new(self.0.context.raw.raw.lock_unpoisoned().0, &mut raw)
        )?;
        Ok(List {
            raw: Handle(raw),
            kernel: self.clone(),
            is_under_way: false,
        })
    }
}

/// The buffer itself.
struct RawBuffer {
    raw: Shared<xrt_sys::Buffer>,
    device: Arc<Device>,
}

impl RawBuffer {
    fn api(&self) -> Api {
        self.device.api
    }
}

/// Minimum alignment of buffers in bytes: a cache line. XRT allocates whole pages.
const ALIGNMENT: usize = 64;

/// A buffer with separate views for host and device: writes end and reads begin with a sync.
pub struct Buffer {
    raw: Arc<RawBuffer>,
    data: Handle<u8>,
    len: usize,
}

impl Buffer {
    /// Calls `write` to fill the first `len` bytes, and makes them visible to the device. Returns
    /// the time that the sync took.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    ///
    /// # Panics
    /// Panics if the buffer is shorter.
    pub fn write(
        &mut self,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<Duration, DeviceError> {
        assert!(len <= self.len, "write past the end of a device buffer");
        // SAFETY: the memory holds `self.len` bytes, lives as long as the buffer, and is only
        // reached through this owner.
        write(unsafe { std::slice::from_raw_parts_mut(self.data.0, len) });
        self.sync(len, TO_DEVICE)
    }

    /// Returns the first `len` bytes as the device has written them, and the time that the sync
    /// took.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    ///
    /// # Panics
    /// Panics if the buffer is shorter.
    pub fn read(&mut self, len: usize) -> Result<(&[u8], Duration), DeviceError> {
        assert!(len <= self.len, "read past the end of a device buffer");
        let time = self.sync(len, FROM_DEVICE)?;
        // SAFETY: as in `write`.
        Ok((
            unsafe { std::slice::from_raw_parts(self.data.0, len) },
            time,
        ))
    }

    fn sync(&self, len: usize, direction: u32) -> Result<Duration, DeviceError> {
        let begun = Instant::now();
        call!(
            self.raw.api(),
            buffer_sync(self.raw.raw.lock_unpoisoned().0, direction, len, 0)
        )?;
        Ok(begun.elapsed())
    }
}

/// A run of a kernel; it can be started any number of times.
pub struct Run {
    raw: Handle<xrt_sys::Run>,
    kernel: Kernel,
    is_under_way: bool,
}

impl Run {
    fn api(&self) -> Api {
        self.kernel.0.api()
    }

    /// Sets a scalar argument of 32 or 64 bits.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn set_scalar<T: Pod>(&mut self, index: u32, value: T) -> Result<(), DeviceError> {
        call!(
            self.api(),
            run_set_scalar(self.raw.0, index, (&raw const value).cast(), size_of::<T>())
        )
    }

    /// Sets a buffer argument.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn set_buffer(&mut self, index: u32, buffer: &Buffer) -> Result<(), DeviceError> {
        call!(
            self.api(),
            run_set_buffer(self.raw.0, index, buffer.raw.raw.lock_unpoisoned().0)
        )
    }

    /// Starts the run.
    ///
    /// # Errors
    /// Returns an error if the device refuses.
    pub fn start(&mut self) -> Result<(), DeviceError> {
        call!(self.api(), run_start(self.raw.0))?;
        self.is_under_way = true;
        Ok(())
    }

    /// Waits until the run is done.
    ///
    /// # Errors
    /// Returns an error if it fails or is not done in time.
    pub fn wait(&mut self, time: Duration) -> Result<(), DeviceError> {
        let mut state = 0;
        call!(
            self.api(),
            run_wait(self.raw.0, milliseconds(time), &mut state)
        )?;
        self.is_under_way = state == TIMED_OUT;
        ended(&self.api(), state, time)
    }
}

/// Runs that are submitted together.
pub struct List {
    raw: Handle<xrt_sys::List>,
    kernel: Kernel,
    is_under_way: bool,
}

impl List {
    fn api(&self) -> Api {
        self.kernel.0.api()
    }

    /// Executes the runs in this order and waits until all are done.
    ///
    /// # Errors
    /// Returns an error if one fails, or they are not done in time.
    pub fn execute<'a>(
        &mut self,
        runs: impl IntoIterator<Item = &'a mut Run>,
        time: Duration,
    ) -> Result<(), DeviceError> {
        for run in runs {
            call!(self.api(), list_add(self.raw.0, run.raw.0))?;
        }
        call!(self.api(), list_execute(self.raw.0))?;
        self.is_under_way = true;
        self.wait(time)?;
        call!(self.api(), list_reset(self.raw.0))
    }

    fn wait(&mut self, time: Duration) -> Result<(), DeviceError> {
        let mut state = 0;
        call!(
            self.api(),
            list_wait(self.raw.0, milliseconds(time), &mut state)
        )?;
        self.is_under_way = state == TIMED_OUT;
        ended(&self.api(), state, time)
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn ended(api: &Api, state: u32, time: Duration) -> Result<(), DeviceError> {
    match state {
        COMPLETED => Ok(()),
        TIMED_OUT => Err(DeviceError::TimedOut(time)),
        _ => Err(DeviceError::Aborted(api.error_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compile if the type is `Sync`, since two implementations then apply.
    macro_rules! assert_not_sync {
        ($type:ty) => {
            const _: fn() = || {
                trait AmbiguousIfSync<A> {
                    fn check() {}
                }
                struct IsSync;
                impl<T: ?Sized> AmbiguousIfSync<()> for T {}
                impl<T: ?Sized + Sync> AmbiguousIfSync<IsSync> for T {}
                let _ = <$type as AmbiguousIfSync<_>>::check;
            };
        };
    }

    assert_not_sync!(Handle<xrt_sys::Run>);
    assert_not_sync!(Run);
    assert_not_sync!(List);
    assert_not_sync!(Buffer);

    /// Owners can be moved to the thread that uses the device; parents are shared behind their
    /// locks.
    #[test]
    fn owners_move_between_threads_and_parents_are_shared() {
        fn moves<T: Send>() {}
        fn is_shared<T: Send + Sync>() {}
        moves::<Run>();
        moves::<List>();
        moves::<Buffer>();
        is_shared::<Device>();
        is_shared::<Kernel>();
    }
}
