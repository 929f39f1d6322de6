//! Polling bodies of both revisions, in every form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::engine::outgoing::Outgoing;
use yamabiko_protocol::engine::payload::BINARY_CONTENT_TYPE;
use yamabiko_protocol::engine::{Body, BodyForm, Data, PacketType, PayloadForm, Revision};
use yamabiko_protocol::message::{Message, TextMessage};

fuzz_target!(|input: &[u8]| {
    for revision in [Revision::V3, Revision::V4] {
        for form in [BodyForm::Text, BodyForm::Binary, BodyForm::Jsonp] {
            let messages = read(revision, form, input);
            for base64 in [false, true] {
                comes_back(revision, base64, &messages);
            }
        }
    }
});

/// The messages of a body, up to where it is bad.
fn read(revision: Revision, form: BodyForm, bytes: &[u8]) -> Vec<Message> {
    let body = Body::read(form, bytes);
    let mut packets = body.packets(revision);
    let mut messages = Vec::new();
    let (mut count, mut data_bytes) = (0, 0);
    while let Some(item) = packets.next() {
        let Ok(packet) = item else {
            assert!(packets.next().is_none(), "something follows an error");
            break;
        };
        count += 1;
        let message = match packet.data {
            Data::Text(text) => {
                data_bytes += text.len();
                Message::Text(TextMessage::new(text))
            }
            Data::Binary(data) => {
                data_bytes += data.len();
                Message::Binary(data.into_owned().into())
            }
        };
        if packet.kind == PacketType::Message {
            messages.push(message);
        }
    }
    // What is not UTF-8 in a form post may grow: three bytes of U+FFFD for one.
    let bytes_max = if form == BodyForm::Jsonp { 3 * bytes.len() } else { bytes.len() };
    assert!(count <= bytes_max && data_bytes <= bytes_max);
    messages
}

/// What a server sends of them is read as what it was.
fn comes_back(revision: Revision, base64: bool, messages: &[Message]) {
    let separates = |message: &&Message| match message {
        Message::Text(text) => revision == Revision::V4 && text.packet().contains('\u{1e}'),
        Message::Binary(_) => false,
    };
    let messages: Vec<Message> = messages.iter().filter(|it| !separates(it)).cloned().collect();
    if messages.is_empty() {
        return;
    }
    let outgoing: Vec<Outgoing> = messages.iter().cloned().map(Outgoing::Message).collect();
    let mut encoded = Vec::new();
    let content_type = PayloadForm::new(revision, base64).encode(&outgoing, &mut encoded);
    let form = if content_type == BINARY_CONTENT_TYPE { BodyForm::Binary } else { BodyForm::Text };
    assert_eq!(read(revision, form, &encoded), messages);
}
