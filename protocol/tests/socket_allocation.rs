//! The plain path touches no heap: packets without attachments are decoded, looked at and read as
//! borrowed types without one allocation, and encoded into a buffer that is large enough.
#![allow(unsafe_code)] // A global allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{Decoder, encode};

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
fn plain_decoding_allocates_nothing() {
    let limits = PacketLimits::default();
    let mut decoder = Decoder::new();
    let counted = allocations(|| {
        for text in [
            "0{\"token\":\"1\"}",
            "1/admin,",
            "2/admin,12[\"say\",\"hello\",{\"a\":[1,2.5,null]},\"\\u00e9\"]",
            "3/admin,7[true]",
            "2[\"conn\\u0065cted\"]",
        ] {
            assert!(decoder.text(text, &limits).unwrap().is_some());
        }
        for text in ["2[\"connect\"]", "5999999999999-[]", "2[", "51", "9", "2{}"] {
            assert!(decoder.text(text, &limits).is_err());
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn borrowed_arguments_allocate_nothing() {
    let limits = PacketLimits::default();
    let counted = allocations(|| {
        let text = "2[\"say\",\"hello\",1.5,[true,false],null]";
        let packet = Decoder::new().text(text, &limits).unwrap().unwrap();
        let event = packet.event(&[]).unwrap();
        assert_eq!(event.name, "say");
        assert_eq!(event.args.len(), 4);
        type Args<'a> = (&'a str, f64, (bool, bool), Option<u8>, Option<u8>);
        let (text, number, ..) = event.args.parse_tuple::<Args<'_>>().unwrap();
        assert_eq!((text, number), ("hello", 1.5));
        assert_eq!(event.args.parse_arg::<&str>(0), Ok("hello"));
        assert!(event.args.parse_tuple::<()>().is_ok());
    });
    assert_eq!(counted, 0);
}

#[test]
fn plain_encoding_into_a_large_enough_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(1024);
    let mut attachments = Vec::new();
    let counted = allocations(|| {
        let args = ("hello", 1.5, 1e21, [true, false], None::<u8>);
        encode::event(&mut out, &mut attachments, "/admin", Some(12), "said", &args).unwrap();
        encode::ack(&mut out, &mut attachments, "/admin", 12, "ok").unwrap();
        encode::event_raw(&mut out, "/", None, "said", "1,2", 0).unwrap();
        encode::connect(&mut out, "/", "x2dW7M6qkyNEmJh4AAAB", None);
        encode::connect_error(&mut out, "/no", "nope", None);
        encode::disconnect(&mut out, "/");
    });
    assert_eq!(counted, 0);
}
