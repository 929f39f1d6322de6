//! What a peer may try in MessagePack: every refusal by name, and what it may cost.

use std::time::{Duration, Instant};

use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{DecodeError, decode, encode};

fn refused(message: &[u8]) -> DecodeError {
    decode(message, &PacketLimits::default()).expect_err("hostile")
}

/// `{type: 2, nsp: "/", data: …}` with whatever is put there.
fn event(data: &[u8]) -> Vec<u8> {
    [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", data].concat()
}

#[test]
fn every_part_of_a_packet_is_no_packet() {
    let mut whole = Vec::new();
    let args = (1.5, "text", [true], None::<u8>, 70_000, bytes::Bytes::from_static(b"ab"));
    encode::event(&mut whole, "/a", Some(300), "name", &args).unwrap();
    assert!(decode(&whole, &PacketLimits::default()).is_ok());
    for len in 0..whole.len() {
        assert_eq!(refused(&whole[..len]), DecodeError::Msgpack, "{len}");
    }
    // Nor is one with something behind it.
    for more in [&b"\0"[..], b"\xc0", &whole] {
        assert_eq!(refused(&[&whole, more].concat()), DecodeError::Msgpack);
    }
}

#[test]
fn every_first_byte_is_an_answer() {
    let limits = PacketLimits::default();
    for first in 0..=u8::MAX {
        for fill in [0x00, 0x01, 0x7f, 0x80, 0xc1, 0xff] {
            for len in 0..24 {
                let value = [vec![first], vec![fill; len]].concat();
                assert!(decode(&value, &limits).is_err());
                let _ = decode(&event(&[b"\x92\xa1a", &value[..]].concat()), &limits);
            }
        }
    }
}

#[test]
fn what_is_no_event_is_refused() {
    for data in [
        &b"\xc0"[..],
        b"\xd4\0\0",
        b"\x80",
        b"\xa1a",
        b"\x02",
        b"\x90",
        b"\xdc\0\0",
        b"\xdd\0\0\0\0",
        // {"toString": "foo"}, null, true, [], binary data, a date, an extension.
        b"\x91\x81\xa8toString\xa3foo",
        b"\x92\xc0\xa3bar",
        b"\x91\xc3",
        b"\x91\x90",
        b"\x91\xc4\x01a",
        b"\x91\xd7\0\0\0\0\0\0\0\0\0",
        b"\x91\xd4\x01\0",
    ] {
        assert_eq!(refused(&event(data)), DecodeError::Payload, "{data:02x?}");
    }
}

#[test]
fn the_types_of_other_formats_are_refused() {
    for kind in
        [&b"\x05"[..], b"\x06", b"\xff", b"\xcc\xff", b"\xa12", b"\xc0", b"\xc3", b"\x91\x02"]
    {
        let message = [b"\x83\xa4type", kind, b"\xa3nsp\xa1/\xa4data\x91\xa1a"].concat();
        assert_eq!(refused(&message), DecodeError::UnknownType, "{kind:02x?}");
    }
}

#[test]
fn a_megabyte_of_anything_is_read_in_linear_time() {
    let megabyte = 1_000_000;
    let brackets = |byte| [b"\x92\xa1a", &vec![byte; megabyte][..], b"\xc0"].concat();
    // Each message was checked to be slow in no decoder but one that goes over it again and again; the
    // bound is far beyond what a debug build needs.
    let start = Instant::now();
    for data in [
        // Nested arrays and maps.
        brackets(0x91),
        brackets(0x81),
        // An array that claims four billion, a million times.
        [b"\x92\xa1a".to_vec(), b"\xdd\xff\xff\xff\xff".repeat(megabyte / 5)].concat(),
        // A million empty values, which are all right.
        [&b"\x92\xa1a\xdd\0\x0f\x42\x40"[..], &vec![0x90; megabyte]].concat(),
        [&b"\x92\xa1a\xdd\0\x0f\x42\x40"[..], &vec![0xa0; megabyte]].concat(),
    ] {
        let message = event(&data);
        if let Ok(packet) = decode(&message, &PacketLimits::default()) {
            let args = packet.event().unwrap().args;
            assert_eq!(args.raw().next().map(<[u8]>::len), Some(megabyte + 5));
            assert_eq!(args.parse_tuple(), Ok(()));
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn ten_thousand_members_are_one_pass() {
    let mut message = b"\xde\x27\x10".to_vec();
    for _ in 0..9_998 {
        message.extend_from_slice(b"\xa4type\x02");
    }
    message.extend_from_slice(b"\xa3nsp\xa1/\xa4data\x91\xa1a");
    assert!(decode(&message, &PacketLimits::default()).is_ok());
}
