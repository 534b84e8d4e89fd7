//! The ABI's functions, as a table that either implementation provides.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

/// Version of the ABI; both sides must have the same.
pub const ABI_VERSION: u32 = 2;

/// Success.
pub const OK: c_int = 0;
/// The runtime, the driver or the device failed.
pub const ERROR: c_int = -1;
/// The caller broke a rule of the interface.
pub const MISUSE: c_int = -2;

/// The run is done.
pub const COMPLETED: u32 = 0;
/// The time is over; the run may still be active.
pub const TIMED_OUT: u32 = 1;
/// The run failed or was aborted.
pub const FAILED: u32 = 2;

/// Device heap, for instructions.
pub const CACHEABLE: u32 = 0;
/// Host memory that the device reads, for data.
pub const HOST_ONLY: u32 = 1;

/// From the host's view to the device.
pub const TO_DEVICE: u32 = 0;
/// From the device to the host's view.
pub const FROM_DEVICE: u32 = 1;

/// Declares the type of a handle.
macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            opaque: [u8; 0],
        }
    )*};
}

handles! {
    /// A device.
    Device
    /// An xclbin registered with a device.
    Xclbin
    /// A hardware context: a share of the array, configured by an xclbin.
    Context
    /// A kernel of a context.
    Kernel
    /// A buffer.
    Buffer
    /// An invocation of a kernel.
    Run
    /// Runs that are submitted together.
    List
}

/// Declares the table, and how it is filled from a shared object.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $symbol:literal: fn($($arg:ty),*) -> $out:ty;)*) => {
        /// The ABI's functions; `include/hearken_xrt.h` documents them.
        #[derive(Clone, Copy)]
        pub struct Api {
            $($(#[$doc])* pub $name: unsafe extern "C" fn($($arg),*) -> $out,)*
        }

        impl Api {
            /// Reads all functions from a shared object.
            fn resolve(library: &libloading::Library) -> Result<Self, libloading::Error> {
                // SAFETY: the symbols have these types in the version of the header that `load` has
                // checked.
                unsafe { Ok(Self { $($name: *library.get($symbol)?,)* }) }
            }
        }
    };
}

table! {
    /// Version of the implementation's ABI.
    abi_version = b"hx_abi_version\0": fn() -> u32;
    /// Reason why this thread's last call failed.
    last_error = b"hx_last_error\0": fn() -> *const c_char;
    /// Opens a device.
    device_open = b"hx_device_open\0": fn(u32, *mut *mut Device) -> c_int;
    /// Closes a device.
    device_close = b"hx_device_close\0": fn(*mut Device) -> c_int;
    /// Name of a device.
    device_name = b"hx_device_name\0": fn(*mut Device, *mut c_char, usize) -> c_int;
    /// Reads and registers an xclbin.
    xclbin_open = b"hx_xclbin_open\0": fn(*mut Device, *const c_char, *mut *mut Xclbin) -> c_int;
    /// Closes an xclbin.
    xclbin_close = b"hx_xclbin_close\0": fn(*mut Xclbin) -> c_int;
    /// Opens a hardware context.
    context_open = b"hx_context_open\0": fn(*mut Xclbin, *mut *mut Context) -> c_int;
    /// Closes a context.
    context_close = b"hx_context_close\0": fn(*mut Context) -> c_int;
    /// Opens a kernel.
    kernel_open = b"hx_kernel_open\0": fn(*mut Context, *const c_char, *mut *mut Kernel) -> c_int;
    /// Closes a kernel.
    kernel_close = b"hx_kernel_close\0": fn(*mut Kernel) -> c_int;
    /// Memory group of an argument.
    kernel_group = b"hx_kernel_group\0": fn(*mut Kernel, u32, *mut u32) -> c_int;
    /// Allocates a buffer.
    buffer_new = b"hx_buffer_new\0": fn(*mut Device, usize, u32, u32, *mut *mut Buffer) -> c_int;
    /// Frees a buffer.
    buffer_free = b"hx_buffer_free\0": fn(*mut Buffer) -> c_int;
    /// Returns the host's view of a buffer.
    buffer_map = b"hx_buffer_map\0": fn(*mut Buffer, *mut *mut c_void) -> c_int;
    /// Synchronises the two views of a buffer.
    buffer_sync = b"hx_buffer_sync\0": fn(*mut Buffer, u32, usize, usize) -> c_int;
    /// Creates a run.
    run_new = b"hx_run_new\0": fn(*mut Kernel, *mut *mut Run) -> c_int;
    /// Frees a run.
    run_free = b"hx_run_free\0": fn(*mut Run) -> c_int;
    /// Sets a scalar argument.
    run_set_scalar = b"hx_run_set_scalar\0": fn(*mut Run, u32, *const c_void, usize) -> c_int;
    /// Sets a buffer argument.
    run_set_buffer = b"hx_run_set_buffer\0": fn(*mut Run, u32, *mut Buffer) -> c_int;
    /// Starts a run.
    run_start = b"hx_run_start\0": fn(*mut Run) -> c_int;
    /// Waits for a run.
    run_wait = b"hx_run_wait\0": fn(*mut Run, u32, *mut u32) -> c_int;
    /// Creates a list of runs.
    list_new = b"hx_list_new\0": fn(*mut Context, *mut *mut List) -> c_int;
    /// Frees a list.
    list_free = b"hx_list_free\0": fn(*mut List) -> c_int;
    /// Adds a run to a list.
    list_add = b"hx_list_add\0": fn(*mut List, *mut Run) -> c_int;
    /// Submits a list.
    list_execute = b"hx_list_execute\0": fn(*mut List) -> c_int;
    /// Waits for a list.
    list_wait = b"hx_list_wait\0": fn(*mut List, u32, *mut u32) -> c_int;
    /// Removes all runs from a list.
    list_reset = b"hx_list_reset\0": fn(*mut List) -> c_int;
}

/// Error while loading the runtime.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The shared object, or a library that it needs, cannot be loaded.
    #[error("{} cannot be loaded: {source}", path.display())]
    Load {
        /// The shared object.
        path: PathBuf,
        /// Error of the dynamic linker.
        source: libloading::Error,
    },
    /// The shared object belongs to a different version of this program.
    #[error("{} has version {found} of the ABI, not {ABI_VERSION}", path.display())]
    Version {
        /// The shared object.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

impl ApiError {
    /// Returns what the user can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Load { .. } => "install the shim and XRT 2.17 or newer (docs/npu.md)",
            Self::Version { .. } => "build and install it again",
        }
    }
}

impl Api {
    /// Loads the shim, which is never unloaded: any thread may hold its handles.
    ///
    /// # Errors
    /// Returns an error if the shim or XRT is missing or has a different version.
    pub fn load(path: &Path) -> Result<Self, ApiError> {
        let load = |source| ApiError::Load {
            path: path.to_owned(),
            source,
        };
        // SAFETY: loading runs the initialisers of the shim and of XRT, which are made for that.
        let library = unsafe { libloading::Library::new(path) }.map_err(load)?;
        // SAFETY: this function exists and has this type in every version of the ABI.
        let found = unsafe {
            library
                .get::<unsafe extern "C" fn() -> u32>(b"hx_abi_version\0")
                .map_err(load)?()
        };
        if found != ABI_VERSION {
            return Err(ApiError::Version {
                path: path.to_owned(),
                found,
            });
        }
        let api = Self::resolve(&library).map_err(load)?;
        std::mem::forget(library);
        Ok(api)
    }

    /// Returns the reason why this thread's last call failed.
    pub fn error_text(&self) -> String {
        // SAFETY: the pointer is null, or a terminated text that is valid until the thread's next
        // call.
        unsafe {
            let text = (self.last_error)();
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        }
    }
}
