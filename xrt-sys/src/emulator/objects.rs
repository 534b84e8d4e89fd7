//! What the emulator's handles stand for.
//!
//! A handle is a number that names an entry of one table, so that one that was released, or is of
//! another type, is found out instead of followed.

use super::array::{Array, Signal};
use super::machine::{Machine, Refusal, lock, misuse};
use crate::manifest::{Overlay, Role};
use std::alloc::{Layout, alloc, dealloc};
use std::any::Any;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A device that was opened.
pub struct Device {
    pub machine: Arc<Machine>,
    pub generation: u32,
}

/// An xclbin that the device knows.
pub struct Xclbin {
    pub device: Arc<Device>,
    pub overlay: Overlay,
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

/// A buffer: what the host sees and what the device sees, apart until they are synced.
pub struct Buffer {
    pub device: Arc<Device>,
    pub kind: u32,
    pub group: u32,
    pub host: HostCopy,
    pub device_copy: Mutex<Vec<u8>>,
    /// Runs under way that read or write it.
    pub users: AtomicUsize,
    /// Those that write it.
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

/// Where a run or list stands.
#[derive(Default)]
pub struct Progress {
    pub is_listed: bool,
    /// What was started last.
    pub done: Option<Arc<Signal>>,
    /// Whether somebody was told that its time was up: it may then be released while it goes on.
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

/// Something that belongs to a device.
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

/// Memory that the host reads and writes through a raw pointer, in whole pages as XRT's is.
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
    /// Memory filled with `fill`, where there is so much.
    pub fn new(bytes: usize, fill: u8) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, PAGE)
            .ok()
            .filter(|layout| layout.size() > 0)?;
        // SAFETY: the size is not 0.
        let data = NonNull::new(unsafe { alloc(layout) })?;
        // SAFETY: so many bytes were allocated.
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
            // SAFETY: it was allocated with this layout, and handles that lead to it are released.
            unsafe { dealloc(self.data.as_ptr(), layout) };
        }
    }
}

static OBJECTS: Mutex<BTreeMap<usize, Arc<dyn Any + Send + Sync>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// A new handle.
pub fn register<T: Object>(object: T) -> usize {
    let handle = 16 * NEXT.fetch_add(1, Ordering::Relaxed);
    object.device().machine.count_object(1);
    lock(&OBJECTS).insert(handle, Arc::new(object));
    handle
}

/// What a handle stands for.
pub fn find<T: Object>(handle: usize) -> Result<Arc<T>, Refusal> {
    let object = lock(&OBJECTS).get(&handle).cloned();
    object
        .and_then(|object| object.downcast().ok())
        .ok_or_else(|| misuse(format!("this is no handle of a {}", T::NAME)))
}

/// Takes a handle out of the table; the object dies with it.
pub fn release<T: Object>(handle: usize) -> Result<(), Refusal> {
    let object = find::<T>(handle)?;
    let machine = object.device().machine.clone();
    let mut objects = lock(&OBJECTS);
    // The table's and ours; any other is a child's or a run's.
    if Arc::strong_count(&object) > 2 {
        drop(objects);
        return Err(misuse(format!(
            "the {} is still in use by something made from it",
            T::NAME
        )));
    }
    let entry = objects.remove(&handle);
    drop(objects);
    machine.count_object(-1);
    // The last reference: an array that runs is stopped here, outside the table's lock.
    drop((entry, object));
    Ok(())
}

impl Run {
    /// A buffer argument by its role, or why it is none.
    pub fn buffer(&self, role: Role) -> Result<Arc<Buffer>, Refusal> {
        let index = self.kernel.context.xclbin.overlay.argument(role);
        match lock(&self.arguments).get(&index) {
            Some(Value::Buffer(buffer)) => Ok(buffer.clone()),
            Some(Value::Scalar(_)) => Err(misuse(format!(
                "argument {index} ({role:?}) is a number, not a buffer"
            ))),
            None => Err(misuse(format!("argument {index} ({role:?}) is not set"))),
        }
    }

    /// A number's bytes by its role.
    pub fn scalar(&self, role: Role) -> Result<Vec<u8>, Refusal> {
        let index = self.kernel.context.xclbin.overlay.argument(role);
        match lock(&self.arguments).get(&index) {
            Some(Value::Scalar(bytes)) => Ok(bytes.clone()),
            Some(Value::Buffer(_)) => Err(misuse(format!(
                "argument {index} ({role:?}) is a buffer, not a number"
            ))),
            None => Err(misuse(format!("argument {index} ({role:?}) is not set"))),
        }
    }
}
