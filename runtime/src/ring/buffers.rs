//! The receive buffers that a shard provides to the kernel (`IORING_REGISTER_PBUF_RING`).
//!
//! The kernel picks a buffer only when bytes have arrived, so an idle connection holds none. Each
//! buffer is owned by exactly one side at a time: the kernel while its entry is in the ring, the
//! shard while it holds the [`Received`]. That is the invariant all `unsafe` here rests on.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

const PAGE: usize = 4096;

/// The ring of buffer entries and the memory they point at.
pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    buffer_bytes: u32,
    tail: u16,
}

/// Bytes from a peer, in a buffer that belongs to the shard until it is given back.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: NonNull<u8>,
    len: usize,
    buffer: Option<u16>,
}

#[allow(unsafe_code)]
impl BufferRing {
    /// The one buffer group of a shard's ring.
    pub(super) const GROUP: u16 = 0;

    pub(super) fn register(uring: &IoUring, count: u16, buffer_bytes: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= 32_768, "io_uring_setup(2)");
        let entries = allocate_zeroed::<BufRingEntry>(entries_layout(count));
        // Not zeroed, which would touch all of it: it is read only where the kernel has written.
        let memory = allocate::<u8>(memory_layout(count, buffer_bytes));
        // SAFETY: `entries` is page aligned, holds `count` zeroed entries and is freed only by
        // `drop`, after the owning `Ring` has unregistered the group.
        let registered = unsafe {
            uring.submitter().register_buf_ring_with_flags(
                entries.as_ptr() as u64,
                count,
                Self::GROUP,
                0,
            )
        };
        let mut ring = Self { entries, memory, count, buffer_bytes, tail: 0 };
        registered?;
        for buffer in 0..count {
            ring.provide(buffer);
        }
        Ok(ring)
    }

    /// The buffer that a completion filled with `len` bytes. An end of stream names none.
    pub(super) fn take(&mut self, buffer: Option<u16>, len: usize) -> Received {
        let bytes = match buffer {
            // SAFETY: the kernel names buffers it was given, so the offset is inside `memory`.
            Some(id) => unsafe { self.memory.add(usize::from(id) * self.buffer_bytes as usize) },
            None => NonNull::dangling(),
        };
        Received { bytes, len: if buffer.is_some() { len } else { 0 }, buffer }
    }

    pub(super) fn give_back(&mut self, received: Received) {
        if let Some(buffer) = received.buffer {
            self.provide(buffer);
        }
    }

    fn provide(&mut self, buffer: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let offset = usize::from(buffer) * self.buffer_bytes as usize;
        // SAFETY: `slot` is below `count` and this side owns the entry until the tail is published;
        // `offset` is inside `memory` as every buffer id is below `count`.
        unsafe {
            let entry = &mut *self.entries.add(slot).as_ptr();
            entry.set_addr(self.memory.add(offset).as_ptr() as u64);
            entry.set_len(self.buffer_bytes);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry's reserved field is the ring's tail by the kernel's layout; the
        // kernel only reads it, and Release publishes the entry before the tail.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()) as *const AtomicU16;
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

#[allow(unsafe_code)]
impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: both were allocated in `register` with these layouts. The owning `Ring` has
        // unregistered the group, so the kernel no longer writes into them.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout(self.count));
            dealloc(self.memory.as_ptr(), memory_layout(self.count, self.buffer_bytes));
        }
    }
}

fn entries_layout(count: u16) -> Layout {
    Layout::from_size_align(usize::from(count) * size_of::<BufRingEntry>(), PAGE)
        .expect("at most 32,768 entries of 16 bytes")
}

fn memory_layout(count: u16, buffer_bytes: u32) -> Layout {
    Layout::from_size_align(usize::from(count) * buffer_bytes as usize, PAGE)
        .expect("bounded by configuration checks")
}

#[allow(unsafe_code)]
fn allocate_zeroed<T>(layout: Layout) -> NonNull<T> {
    // SAFETY: the layout has a size above zero, as `count` has.
    let pointer = unsafe { alloc_zeroed(layout) };
    NonNull::new(pointer.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

#[allow(unsafe_code)]
fn allocate<T>(layout: Layout) -> NonNull<T> {
    // SAFETY: the layout has a size above zero, as `count` and `buffer_bytes` have.
    let pointer = unsafe { alloc(layout) };
    NonNull::new(pointer.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

#[allow(unsafe_code)]
impl Deref for Received {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the shard owns the buffer until `give_back`, and the kernel wrote `len` bytes.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

#[allow(unsafe_code)]
impl DerefMut for Received {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only way to this buffer.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}
