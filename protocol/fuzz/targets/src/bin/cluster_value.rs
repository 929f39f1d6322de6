//! A value on its way from one form to others, checked or not, with and without attachments.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{TIGHT, check_value};
use yamabiko_protocol::cluster::{Dialect, Value};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    if let Ok(value) = Value::read(input, &ClusterLimits::default()) {
        check_value(&value);
    } else {
        assert!(Value::read(input, &TIGHT).is_err());
    }
    // Nobody has checked these.
    let text = String::from_utf8_lossy(input);
    let attachments = [Bytes::from_static(b"\x01\x02"), Bytes::new()];
    for value in [
        Value::Msgpack(input),
        Value::json(&text),
        Value::Json { text: &text, attachments: &attachments },
    ] {
        let (mut out, mut found) = (b"before".to_vec(), vec![Bytes::new()]);
        if value.write_json(&mut out, &mut found, 3).is_err() {
            assert_eq!((&*out, found.len()), (&b"before"[..], 1));
        }
        assert!(found.len() <= 3);
        for dialect in [Dialect::Client, Dialect::Notepack, Dialect::Standard] {
            let mut out = b"before".to_vec();
            match value.write_msgpack(&mut out, dialect) {
                Ok(()) => unchecked(&out[6..]),
                Err(_) => assert_eq!(out, b"before"),
            }
        }
        let _ = (value.text(), value.index(), value.truth(), value.is_null(), value.has_binary());
        let _ = value.event(None);
        let _ = (value.elements().into_iter().flatten().count(), value.members());
    }
});

/// What was written is one value, whatever was read.
fn unchecked(mut bytes: &[u8]) {
    rmpv::decode::read_value(&mut bytes).expect("MessagePack to others, too");
    assert!(bytes.is_empty());
}
