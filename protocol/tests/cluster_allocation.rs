//! Messages are decoded without one allocation, however many rooms and arguments they have, and encoded
//! into a buffer that is large enough.
#![allow(unsafe_code)] // A global allocator cannot be written without.

mod cluster_records;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cluster_records::records;
use yamabiko_protocol::cluster::classic::{Broadcast, Request, Response};
use yamabiko_protocol::cluster::{Dialect, Envelope, Value};
use yamabiko_protocol::limits::ClusterLimits;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn no_message_touches_the_heap() {
    let limits = ClusterLimits::default();
    let mut out = Vec::with_capacity(1 << 16);
    for file in ["classic", "sharded"] {
        for record in records(file) {
            let bytes = record.bytes();
            let count = allocations(|| {
                out.clear();
                let written = if file == "sharded" {
                    Envelope::decode(&bytes, &limits).map(|it| it.encode(&mut out))
                } else if let Ok(broadcast) = Broadcast::decode(&bytes, &limits) {
                    Ok(broadcast.encode(&mut out))
                } else if record.channel.contains("-request") {
                    Request::decode(&bytes, &limits).map(|it| it.encode(&mut out))
                } else {
                    Response::decode(&bytes, &limits).map(|it| it.encode(&mut out))
                };
                assert_eq!(written, Ok(Ok(())));
            });
            assert_eq!((count, out.len()), (0, bytes.len()), "{record:?}");
        }
    }
}

#[test]
fn neither_does_a_value_on_its_way_to_another_form() {
    let mut out = Vec::with_capacity(1 << 16);
    let mut attachments = Vec::with_capacity(16);
    let text = r#"["name",{"room":"lobby","at":[1.5,-7,true,null]},"a \" and é"]"#;
    let value = Value::json(text);
    let plain = r#"["name",{"room":"lobby","at":[1.5,-7,true,null]}]"#;
    let count = allocations(|| {
        Value::json(plain).write_msgpack(&mut out, Dialect::Notepack).unwrap();
    });
    assert_eq!(count, 0);
    out.clear();
    value.write_msgpack(&mut out, Dialect::Notepack).unwrap();
    let packed = out.clone();
    out.clear();
    let count = allocations(|| {
        Value::Msgpack(&packed).write_json(&mut out, &mut attachments, 16).unwrap();
    });
    assert_eq!((count, &*out), (0, text.as_bytes()));
}
