//! MessagePack touches no heap either: packets are decoded, looked at and read as borrowed types without
//! one allocation, however large they claim to be, and encoded into a buffer that is large enough.
#![allow(unsafe_code)] // A global allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{Date, decode, encode};
use yamabiko_protocol::socket::Binary;

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

/// `{type: 2, nsp: "/", data: …}` with whatever is put there.
fn event(data: &[u8]) -> Vec<u8> {
    [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", data].concat()
}

#[test]
fn decoding_allocates_nothing() {
    let limits = PacketLimits::default();
    let good = [
        event(b"\x94\xa3say\xa5hello\x82\xa1a\xc4\x01x\xa1b\xc0\xd7\0\0\0\0\0\0\0\0\0"),
        b"\x83\xa4type\0\xa4data\x81\xa5token\xa11\xa3nsp\xa6/admin".to_vec(),
        b"\x82\xa4type\x01\xa3nsp\xa1/".to_vec(),
        b"\x84\xa4type\x03\xa2id\x07\xa4data\x91\xc3\xa3nsp\xa1/".to_vec(),
    ];
    let bad = [
        event(b"\x91\xa7connect"),
        event(b"\x92\xa1a\xdd\xff\xff\xff\xff"),
        event(b"\x92\xa1a\xdb\xff\xff\xff\xff"),
        event(b"\xdf\xff\xff\xff\xff"),
        event(&[b"\x92\xa1a", &[0x91; 1000][..], b"\x90"].concat()),
        b"\xdf\xff\xff\xff\xff".to_vec(),
    ];
    let counted = allocations(|| {
        for message in &good {
            assert!(decode(message, &limits).is_ok());
        }
        for message in &bad {
            assert!(decode(message, &limits).is_err());
        }
    });
    assert_eq!(counted, 0);
}

#[test]
fn borrowed_arguments_allocate_nothing() {
    let message =
        event(b"\x97\xa3say\xa5hello\xcb\x3f\xf8\0\0\0\0\0\0\x92\xc3\xc2\xc0\xd4\0\0\xc4\x02ab");
    let limits = PacketLimits::default();
    let counted = allocations(|| {
        let packet = decode(&message, &limits).unwrap();
        let event = packet.event().unwrap();
        assert_eq!((&*event.name, event.args.len()), ("say", 6));
        type Args<'a> = (&'a str, f64, (bool, bool), Option<u8>, Option<u8>, &'a [u8]);
        let args: Args<'_> = event.args.parse_tuple().unwrap();
        assert_eq!(args, ("hello", 1.5, (true, false), None, None, &b"ab"[..]));
        assert_eq!(event.args.parse_arg::<&str>(0), Ok("hello"));
        assert!(event.args.parse_tuple::<()>().is_ok());
    });
    assert_eq!(counted, 0);
}

#[test]
fn encoding_into_a_large_enough_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(4096);
    let binary = Binary::from(vec![7; 1024]);
    // The first to share bytes that came of a `Vec` allocates their count of owners.
    let _shared = binary.clone();
    let counted = allocations(|| {
        let args = ("hello", 1.5, 1e21, [true, false], None::<u8>, &binary, Date(0));
        encode::event(&mut out, "/admin", Some(12), "said", &args).unwrap();
        encode::ack(&mut out, "/admin", 12, "ok").unwrap();
        encode::event_raw(&mut out, "/", None, "said", b"\x01\x02", 2).unwrap();
        encode::ack_raw(&mut out, "/", 1, b"\x01\x02", 2);
        encode::connect(&mut out, "/", "x2dW7M6qkyNEmJh4AAAB", None);
        encode::connect_error(&mut out, "/no", "nope", None);
        encode::disconnect(&mut out, "/");
        // Nor is room wanted where a head has to be corrected.
        encode::event(&mut out, "/", None, "said", &[0; 20]).unwrap();
    });
    assert_eq!(counted, 0);
}

#[test]
fn a_small_message_makes_no_large_value() {
    // Each of these claims as many elements as it has bytes, and has none.
    let message = event(b"\x92\xa1a\xdc\0\x02\xdc\0\x00\xdc\0\x00");
    let packet = decode(&message, &PacketLimits::default()).unwrap();
    let event = packet.event().unwrap();
    let counted = allocations(|| {
        assert_eq!(event.args.parse_arg::<Vec<[u8; 0]>>(0).map(|it| it.len()), Ok(2));
    });
    assert!(counted <= 1);
}
