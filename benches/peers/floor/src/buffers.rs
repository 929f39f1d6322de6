//! The buffers that the kernel receives into (`IORING_REGISTER_PBUF_RING`).
//!
//! All `unsafe` here rests on one rule. A part of a buffer belongs to the kernel from `provide` until a
//! completion names it, and to this side until the whole buffer is provided again. The memory is never
//! freed: it lives as long as the process, since a ring that is dropped may still be working.
#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::{BufRingEntry, IOU_PBUF_RING_INC};

/// The one group of a ring.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// How 16 MiB are cut. Counts are powers of two.
const WHOLE: Cut = Cut { count: 1_024, bytes: 16 * 1024 };
const INCREMENTAL: Cut = Cut { count: 64, bytes: 256 * 1024 };

struct Cut {
    count: u16,
    bytes: usize,
}

pub(crate) struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    cut: Cut,
    tail: u16,
    /// Bytes at the front of each buffer that the kernel has filled and will not fill again. All zero
    /// where a completion ends a buffer's turn.
    used: Vec<usize>,
}

impl Buffers {
    /// Buffers that are given back after each receive; or, `incremental`, larger ones that the kernel
    /// goes on to fill until they are full.
    pub(crate) fn register(ring: &IoUring, incremental: bool) -> io::Result<Self> {
        let (cut, flags) =
            if incremental { (INCREMENTAL, IOU_PBUF_RING_INC as u16) } else { (WHOLE, 0) };
        let count = usize::from(cut.count);
        let entries = map(count * size_of::<BufRingEntry>())?.cast();
        let memory = map(count * cut.bytes)?;
        // SAFETY: `entries` is page aligned, has `count` zeroed entries, and is never unmapped.
        unsafe {
            let at = entries as u64;
            let submitter = ring.submitter();
            submitter.register_buf_ring_with_flags(at, cut.count, BUFFER_GROUP, flags)?;
        }
        let mut buffers = Self { entries, memory, cut, tail: 0, used: vec![0; count] };
        (0..buffers.cut.count).for_each(|buffer| buffers.provide(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel has filled.
    #[inline]
    pub(crate) fn filled(&mut self, buffer: u16, length: usize) -> &mut [u8] {
        let used = self.used[usize::from(buffer)];
        assert!(length <= self.cut.bytes - used, "the kernel fills what it was given");
        // SAFETY: the range is inside `memory` as `used` has an entry for the buffer and by the
        // assertion, mapped and so initialised, and this side's alone until `provide`, which the borrow
        // of `self` keeps away: the kernel fills only what lies behind it.
        unsafe {
            let start = self.memory.add(usize::from(buffer) * self.cut.bytes + used);
            std::slice::from_raw_parts_mut(start, length)
        }
    }

    /// Gives up what `filled` has shown. The kernel gets the buffer, by the next `publish`, unless it
    /// has `more` to come into it.
    #[inline]
    pub(crate) fn give_back(&mut self, buffer: u16, length: usize, more: bool) {
        if more {
            self.used[usize::from(buffer)] += length;
        } else {
            self.used[usize::from(buffer)] = 0;
            self.provide(buffer);
        }
    }

    #[inline]
    fn provide(&mut self, buffer: u16) {
        assert!(buffer < self.cut.count, "the kernel names what it was given");
        // SAFETY: the entry is inside the ring, and the kernel does not look at it before the tail is
        // published: there are as many entries as buffers, and this buffer is not in any of them.
        // The buffer's offset is inside `memory` by the assertion.
        unsafe {
            let entry = &mut *self.entries.add(usize::from(self.tail % self.cut.count));
            let start = self.memory.add(usize::from(buffer) * self.cut.bytes);
            entry.set_addr(start as u64);
            entry.set_len(self.cut.bytes as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel of all buffers that were given back.
    #[inline]
    pub(crate) fn publish(&self) {
        // SAFETY: the tail is the reserved field of the first entry, aligned and mapped; the kernel
        // only reads it, and `set_*` of entries do not write to it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

/// Zeroed pages that stay until the process ends.
fn map(bytes: usize) -> io::Result<*mut u8> {
    // SAFETY: a new private mapping touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.cast()) }
}
