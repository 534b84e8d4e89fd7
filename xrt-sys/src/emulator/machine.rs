//! An emulated machine: which faults occur on it, and when.

use crate::api::{ERROR, MISUSE};
use std::ffi::c_int;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Declares the ABI's calls that reach a device.
macro_rules! calls {
    ($($name:ident = $text:literal)*) => {
        /// A call of the ABI; each can be made to fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call {
            $(#[doc = concat!("`hx_", $text, "`")] $name,)*
        }

        impl Call {
            /// All calls.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name without `hx_`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

calls! {
    DeviceOpen = "device_open"
    DeviceClose = "device_close"
    DeviceName = "device_name"
    XclbinOpen = "xclbin_open"
    XclbinClose = "xclbin_close"
    ContextOpen = "context_open"
    ContextClose = "context_close"
    KernelOpen = "kernel_open"
    KernelClose = "kernel_close"
    KernelGroup = "kernel_group"
    BufferNew = "buffer_new"
    BufferFree = "buffer_free"
    BufferMap = "buffer_map"
    BufferSync = "buffer_sync"
    RunNew = "run_new"
    RunFree = "run_free"
    RunSetScalar = "run_set_scalar"
    RunSetBuffer = "run_set_buffer"
    RunStart = "run_start"
    RunWait = "run_wait"
    ListNew = "list_new"
    ListFree = "list_free"
    ListAdd = "list_add"
    ListExecute = "list_execute"
    ListWait = "list_wait"
    ListReset = "list_reset"
}

/// Effect of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The call fails.
    Error,
    /// The device disappears: this call, all later ones for its handles, and this number of
    /// attempts to open it again fail.
    Vanish(u32),
    /// The run or list that the call starts fails.
    Fail,
    /// The run or list that the call starts never ends.
    Hang,
    /// The run or list that the call starts takes this much longer.
    Slow(Duration),
    /// The run or list that the call starts ends as if it were right, with a wrong result.
    Corrupt,
}

/// A fault at the `nth` call (from 1) of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Kind of call.
    pub call: Call,
    /// Number of the call.
    pub nth: u64,
    /// What happens.
    pub effect: Effect,
}

impl FromStr for Fault {
    type Err = String;

    /// `CALL:NTH:EFFECT`, e.g. `run_wait:3:error`, `run_start:100:vanish=2`, `run_start:1:slow=200`
    /// (milliseconds).
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let mut parts = text.trim().split(':');
            let call = parts.next()?;
            let call = Call::ALL
                .iter()
                .copied()
                .find(|known| known.name() == call)?;
            let nth = parts.next()?.parse().ok().filter(|n| *n > 0)?;
            let effect = parts.next()?;
            let effect = match effect.split_once('=') {
                None if effect == "error" => Effect::Error,
                None if effect == "vanish" => Effect::Vanish(u32::MAX),
                None if effect == "fail" => Effect::Fail,
                None if effect == "hang" => Effect::Hang,
                None if effect == "corrupt" => Effect::Corrupt,
                Some(("vanish", opens)) => Effect::Vanish(opens.parse().ok()?),
                Some(("slow", ms)) => Effect::Slow(Duration::from_millis(ms.parse().ok()?)),
                _ => return None,
            };
            parts.next().is_none().then_some(Self { call, nth, effect })
        };
        parse().ok_or_else(|| {
            format!("invalid fault '{text}': use CALL:NTH:EFFECT, e.g. run_start:100:vanish, run_wait:3:error, run_start:1:slow=200")
        })
    }
}

/// Reason why a call fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: c_int,
    pub text: String,
}

/// Machine with one device.
#[derive(Debug, Default)]
pub struct Machine {
    faults: Mutex<Vec<Fault>>,
    calls: Mutex<Vec<u64>>,
    /// Number of times that the device has disappeared; handles from before are dead.
    vanished: AtomicU32,
    /// Remaining attempts to open it that fail.
    away: AtomicU32,
    misuses: AtomicU64,
    objects: AtomicUsize,
}

impl Machine {
    pub(super) fn new(faults: &[Fault]) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults.to_vec()),
            calls: Mutex::new(vec![0; Call::ALL.len()]),
            ..Self::default()
        })
    }

    /// Number of calls, including those that failed.
    pub fn calls(&self, call: Call) -> u64 {
        lock(&self.calls)[call as usize]
    }

    /// Number of calls that broke a rule of the interface.
    pub fn misuses(&self) -> u64 {
        self.misuses.load(Relaxed)
    }

    /// Number of handles that were not released.
    pub fn objects(&self) -> usize {
        self.objects.load(Relaxed)
    }

    /// Makes the device disappear now; this number of attempts to open it fail.
    pub fn vanish(&self, opens: u32) {
        self.vanished.fetch_add(1, Relaxed);
        self.away.store(opens, Relaxed);
    }

    /// Adds a fault; its calls are counted from the start of the machine.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// Generation of a device that is opened now.
    pub(super) fn generation(&self) -> u32 {
        self.vanished.load(Relaxed)
    }

    /// Counts a call for a handle of a generation; returns the effect on the run or list that it
    /// starts.
    pub(super) fn enter(&self, call: Call, generation: u32) -> Result<Option<Effect>, Refusal> {
        let nth = {
            let mut calls = lock(&self.calls);
            calls[call as usize] += 1;
            calls[call as usize]
        };
        let due = lock(&self.faults)
            .iter()
            .find(|fault| fault.call == call && fault.nth == nth)
            .map(|fault| fault.effect);
        match due {
            Some(Effect::Error) => {
                return Err(failed(format!("hx_{}: injected fault", call.name())));
            }
            Some(Effect::Vanish(opens)) => self.vanish(opens),
            _ => {}
        }
        let gone = match call {
            Call::DeviceOpen => {
                let counted = |n: u32| n.checked_sub(u32::from(n < u32::MAX));
                self.away
                    .try_update(Relaxed, Relaxed, |n| if n == 0 { None } else { counted(n) })
                    .is_ok()
            }
            _ => generation != self.generation(),
        };
        // Handles of a device that has disappeared can still be released.
        let releases = matches!(
            call,
            Call::DeviceClose
                | Call::XclbinClose
                | Call::ContextClose
                | Call::KernelClose
                | Call::BufferFree
                | Call::RunFree
                | Call::ListFree
        );
        if gone && !releases {
            Err(failed(format!("hx_{}: no such device", call.name())))
        } else {
            Ok(due)
        }
    }

    pub(super) fn note_misuse(&self) {
        self.misuses.fetch_add(1, Relaxed);
    }

    pub(super) fn count_object(&self, step: isize) {
        self.objects.fetch_add(step as usize, Relaxed);
    }
}

pub(super) fn failed(text: impl Into<String>) -> Refusal {
    Refusal {
        code: ERROR,
        text: text.into(),
    }
}

pub(super) fn misuse(text: impl Into<String>) -> Refusal {
    Refusal {
        code: MISUSE,
        text: text.into(),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
