//! The objects behind the emulator's handles.
//!
//! A handle is a number that names an entry of one table, so that a handle that was released or has
//! the wrong type is detected instead of followed.

use super::array::{Array, Signal};
use super::machine::{Machine, Refusal, lock, misuse};
use crate::manifest::{Argument, OperatorOverlay, Overlay, Role};
use std::alloc::{Layout, alloc, dealloc};
use std::any::Any;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// An open device.
pub struct Device {
    pub machine: Arc<Machine>,
    pub generation: u32,
}

/// An xclbin registered with the device.
pub struct Xclbin {
    pub device: Arc<Device>,
    /// What its streams compute: all overlays that name it.
    pub programs: Programs,
}

/// The overlays of one xclbin.
pub struct Programs {
    pub gemms: Vec<Overlay>,
    pub operators: Vec<OperatorOverlay>,
}

impl Programs {
    /// Prefix of the kernel's name.
    pub fn kernel(&self) -> &str {
        let gemms = self.gemms.iter().map(|overlay| &overlay.kernel);
        let mut names = gemms.chain(self.operators.iter().map(|overlay| &overlay.kernel));
        names.next().map_or("", String::as_str)
    }

    /// Arguments of the kernel: an argument may have different roles in different streams.
    pub fn arguments(&self) -> impl Iterator<Item = &Argument> {
        let gemms = self.gemms.iter().flat_map(|overlay| &overlay.arguments);
        gemms.chain(self.operators.iter().flat_map(|overlay| &overlay.arguments))
    }

    /// Index of an argument that all streams have in common.
    fn index(&self, role: Role) -> Result<u32, Refusal> {
        let found = self.arguments().find(|argument| argument.role == role);
        found
            .map(|argument| argument.index)
            .ok_or_else(|| misuse(format!("the kernel has no argument {role:?}")))
    }
}

/// A hardware context.
pub struct Context {
    pub xclbin: Arc<Xclbin>,
    pub array: Array,
}

/// A kernel.
pub struct Kernel {
    pub context: Arc<Context>,
}

/// A buffer: the host's and the device's view, separate until they are synchronised.
pub struct Buffer {
    pub device: Arc<Device>,
    pub kind: u32,
    pub group: u32,
    pub host: HostCopy,
    pub device_copy: Mutex<Vec<u8>>,
    /// Active runs that read or write it.
    pub users: AtomicUsize,
    /// Active runs that write it.
    pub writers: AtomicUsize,
}

/// An argument of a run.
#[derive(Clone)]
pub enum Value {
    Scalar(Vec<u8>),
    Buffer(Arc<Buffer>),
}

/// A run.
pub struct Run {
    pub kernel: Arc<Kernel>,
    pub arguments: Mutex<BTreeMap<u32, Value>>,
    pub progress: Mutex<Progress>,
}

/// State of a run or list.
#[derive(Default)]
pub struct Progress {
    pub is_listed: bool,
    /// What was started last.
    pub done: Option<Arc<Signal>>,
    /// Whether a wait has timed out: it may then be released while it is active.
    pub is_given_up: bool,
}

impl Progress {
    pub fn is_under_way(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !done.is_set())
    }
}

/// A list of runs.
pub struct List {
    pub context: Arc<Context>,
    pub runs: Mutex<Vec<Arc<Run>>>,
    pub progress: Mutex<Progress>,
}

/// An object that belongs to a device.
pub trait Object: Any + Send + Sync {
    const NAME: &str;
    fn device(&self) -> &Device;
}

macro_rules! objects {
    ($($type:ty, $name:literal, $self:ident => $device:expr;)*) => {$(
        impl Object for $type {
            const NAME: &str = $name;
            fn device(&$self) -> &Device {
                $device
            }
        }
    )*};
}

objects! {
    Device, "device", self => self;
    Xclbin, "xclbin", self => &self.device;
    Context, "context", self => &self.xclbin.device;
    Kernel, "kernel", self => &self.context.xclbin.device;
    Buffer, "buffer", self => &self.device;
    Run, "run", self => &self.kernel.context.xclbin.device;
    List, "list", self => &self.context.xclbin.device;
}

/// Memory that the host accesses through a raw pointer, in whole pages as with XRT.
pub struct HostCopy {
    data: NonNull<u8>,
    bytes: usize,
}

const PAGE: usize = 4096;

// SAFETY: the memory is reached through `pointer` by the interface's caller, who may not use a
// handle from two threads at once, and by `hx_buffer_sync`, which is such a call.
unsafe impl Send for HostCopy {}
// SAFETY: as above.
unsafe impl Sync for HostCopy {}

impl HostCopy {
    /// Allocates memory filled with `fill`; `None` if there is not enough.
    pub fn new(bytes: usize, fill: u8) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, PAGE)
            .ok()
            .filter(|layout| layout.size() > 0)?;
        // SAFETY: the size is not 0.
        let data = NonNull::new(unsafe { alloc(layout) })?;
        // SAFETY: this number of bytes was allocated.
        unsafe { data.write_bytes(fill, bytes) };
        Some(Self { data, bytes })
    }

    pub fn pointer(&self) -> *mut u8 {
        self.data.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.bytes
    }
}

impl Drop for HostCopy {
    fn drop(&mut self) {
        if let Ok(layout) = Layout::from_size_align(self.bytes, PAGE) {
            // SAFETY: it was allocated with this layout, and the handles that refer to it are
            // released.
            unsafe { dealloc(self.data.as_ptr(), layout) };
        }
    }
}

static OBJECTS: Mutex<BTreeMap<usize, Arc<dyn Any + Send + Sync>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Creates a handle.
pub fn register<T: Object>(object: T) -> usize {
    let handle = 16 * NEXT.fetch_add(1, Ordering::Relaxed);
    object.device().machine.count_object(1);
    lock(&OBJECTS).insert(handle, Arc::new(object));
    handle
}

/// Returns the object behind a handle.
pub fn find<T: Object>(handle: usize) -> Result<Arc<T>, Refusal> {
    let object = lock(&OBJECTS).get(&handle).cloned();
    object
        .and_then(|object| object.downcast().ok())
        .ok_or_else(|| misuse(format!("not a handle of a {}", T::NAME)))
}

/// Removes a handle from the table and drops its object.
pub fn release<T: Object>(handle: usize) -> Result<(), Refusal> {
    let object = find::<T>(handle)?;
    let machine = object.device().machine.clone();
    let mut objects = lock(&OBJECTS);
    // The table's reference and ours; any other belongs to a child or a run.
    if Arc::strong_count(&object) > 2 {
        drop(objects);
        return Err(misuse(format!(
            "the {} is still used by an object made from it",
            T::NAME
        )));
    }
    let entry = objects.remove(&handle);
    drop(objects);
    machine.count_object(-1);
    // The last reference: an array that is running is stopped here, outside the table's lock.
    drop((entry, object));
    Ok(())
}

impl Run {
    /// Returns a buffer argument by its role, or the reason why it is not one.
    pub fn buffer(&self, role: Role) -> Result<Arc<Buffer>, Refusal> {
        self.buffer_at(self.kernel.context.xclbin.programs.index(role)?, role)
    }

    /// Returns a buffer argument by its index.
    pub fn buffer_at(&self, index: u32, role: Role) -> Result<Arc<Buffer>, Refusal> {
        match lock(&self.arguments).get(&index) {
            Some(Value::Buffer(buffer)) => Ok(buffer.clone()),
            Some(Value::Scalar(_)) => Err(misuse(format!(
                "argument {index} ({role:?}) is a number, not a buffer"
            ))),
            None => Err(misuse(format!("argument {index} ({role:?}) is not set"))),
        }
    }

    /// Returns the bytes of a scalar by its role.
    pub fn scalar(&self, role: Role) -> Result<Vec<u8>, Refusal> {
        let index = self.kernel.context.xclbin.programs.index(role)?;
        match lock(&self.arguments).get(&index) {
            Some(Value::Scalar(bytes)) => Ok(bytes.clone()),
            Some(Value::Buffer(_)) => Err(misuse(format!(
                "argument {index} ({role:?}) is a buffer, not a number"
            ))),
            None => Err(misuse(format!("argument {index} ({role:?}) is not set"))),
        }
    }
}
