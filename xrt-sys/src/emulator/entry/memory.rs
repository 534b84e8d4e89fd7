//! Buffers: the host's view, the device's, and the sync between them.

use super::call::{give, on, write};
use super::check::{DATA_GROUP, INSTRUCTION_GROUP, unused};
use crate::api::{self, CACHEABLE, FROM_DEVICE, HOST_ONLY, TO_DEVICE};
use crate::emulator::machine::{Call, failed, lock, misuse};
use crate::emulator::objects::{Buffer, Device, HostCopy, release};
use std::ffi::{c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

/// Initial contents of the two views of a buffer: as bf16, one is tiny and the other huge, so that
/// a missing sync shows.
const HOST_RUBBISH: u8 = 0xa5;
const DEVICE_RUBBISH: u8 = 0x5a;

pub extern "C" fn buffer_new(
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

pub extern "C" fn buffer_free(buffer: *mut api::Buffer) -> c_int {
    on::<Buffer>(buffer.addr(), Call::BufferFree, |object, _| {
        unused(&object)?;
        drop(object);
        release::<Buffer>(buffer.addr())
    })
}

pub extern "C" fn buffer_map(buffer: *mut api::Buffer, out: *mut *mut c_void) -> c_int {
    on::<Buffer>(buffer.addr(), Call::BufferMap, |buffer, _| {
        write(out, buffer.host.pointer().cast())
    })
}

pub extern "C" fn buffer_sync(
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
