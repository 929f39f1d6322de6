//! One Engine.IO packet of either revision, as text and as a binary frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::engine::{BinaryForm, Data, Packet, PacketError, PacketType, Revision};

fuzz_target!(|input: &[u8]| {
    for revision in [Revision::V3, Revision::V4] {
        if let Ok(text) = std::str::from_utf8(input) {
            text_packet(revision, text);
        }
        binary_packet(revision, input);
        for base64 in [false, true] {
            comes_back(revision, BinaryForm::new(revision, base64), input);
        }
    }
});

fn text_packet(revision: Revision, text: &str) {
    match Packet::from_text(revision, text) {
        Ok(packet) => match packet.data {
            Data::Text(data) => {
                assert_eq!(format!("{}{data}", packet.kind as u8), text);
            }
            Data::Binary(data) => {
                assert!(text.starts_with('b'));
                assert!(data.len() <= text.len() / 4 * 3 + 3);
            }
        },
        Err(PacketError::Empty) => assert!(text.is_empty() || text == "b"),
        Err(PacketError::UnknownType(byte)) => {
            assert!(!(b'0'..=b'6').contains(&byte));
        }
    }
}

fn binary_packet(revision: Revision, frame: &[u8]) {
    let Ok(packet) = Packet::from_binary(revision, frame) else {
        assert_eq!(revision, Revision::V3);
        return;
    };
    let Data::Binary(data) = packet.data else { panic!("a binary frame holds binary data") };
    let type_len = usize::from(revision == Revision::V3);
    assert_eq!(*data, frame[type_len..]);
}

/// A message in any form is read as what it was.
fn comes_back(revision: Revision, form: BinaryForm, message: &[u8]) {
    let mut encoded = Vec::new();
    form.encode(message, &mut encoded);
    assert_eq!(encoded.len(), form.encoded_len(message.len()));
    let packet = if form.is_text() {
        let text = std::str::from_utf8(&encoded).expect("base64 is ASCII");
        Packet::from_text(revision, text)
    } else {
        Packet::from_binary(revision, &encoded)
    };
    let packet = packet.expect("what is encoded is a packet");
    assert_eq!(packet.kind, PacketType::Message);
    let Data::Binary(data) = packet.data else { panic!("a binary message holds binary data") };
    assert_eq!(*data, *message);
}
