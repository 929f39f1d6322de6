//! A message of the newer adapters, in either form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::{
    TIGHT, check_names, check_packet, check_sockets, check_target, check_value, written,
};
use yamabiko_protocol::cluster::sharded::{Channels, Mode, Origin};
use yamabiko_protocol::cluster::{Envelope, Message, PREFIX};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    let limits = ClusterLimits::default();
    let Ok(envelope) = Envelope::decode(input, &limits) else {
        return assert!(Envelope::decode(input, &TIGHT).is_err());
    };
    check(&envelope.message);
    let channels = Channels::new(PREFIX, &envelope.namespace, &envelope.sender, Mode::Dynamic);
    let channel = channels.publish(&envelope.message);
    assert!(channels.identify(channel.as_bytes()).is_some());
    assert_eq!(channels.identify(channels.own().as_bytes()), Some(Origin::Own));

    for packed in [false, true] {
        let encode = |envelope: &Envelope<'_>| {
            written(|out| if packed { envelope.encode_packed(out) } else { envelope.encode(out) })
        };
        let Some(bytes) = encode(&envelope) else { continue };
        let again = Envelope::decode(&bytes, &limits).expect("what we write");
        assert_eq!((&again.sender, &again.namespace), (&envelope.sender, &envelope.namespace));
        assert_eq!(again.message.has_binary(), envelope.message.has_binary());
        assert_eq!(again.message.is_response(), envelope.message.is_response());
        assert_eq!(encode(&again), Some(bytes));
    }
});

fn check(message: &Message<'_>) {
    match message {
        Message::Broadcast { packet, target, .. } => {
            check_packet(packet);
            check_target(target);
        }
        Message::Join { target, rooms } | Message::Leave { target, rooms } => {
            check_target(target);
            check_names(rooms);
        }
        Message::Disconnect { target, .. } | Message::Fetch { target, .. } => check_target(target),
        Message::FetchResponse { sockets, .. } => check_sockets(sockets),
        Message::ServerSideEmit { data: value, .. }
        | Message::ServerSideEmitResponse { answer: Some(value), .. }
        | Message::Ack { answer: Some(value), .. } => check_value(value),
        Message::ServerSideEmitResponse { answer: None, .. }
        | Message::Ack { answer: None, .. }
        | Message::ClientCount { .. }
        | Message::InitialHeartbeat
        | Message::Heartbeat
        | Message::Close => {}
    }
}
