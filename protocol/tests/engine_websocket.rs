//! What a WebSocket client meets, situation by situation.

mod engine_harness;

use engine_harness::*;
use yamabiko_protocol::engine::*;

const BOTH: [Revision; 2] = [Revision::V3, Revision::V4];

#[test]
fn the_handshake_is_the_first_frame() {
    for revision in BOTH {
        let mut world = World::open(opening(revision, Transport::WebSocket), settings());
        let handshake = format!(
            r#"0{{"sid":"{}","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}}"#,
            sid(0)
        );
        assert_eq!(world.take_frames(0), frames(&[&handshake]));
        world.assert_open();
    }
}

#[test]
fn each_packet_is_a_frame_and_binary_differs_by_revision() {
    for (revision, incoming, outgoing) in [
        (Revision::V4, &[1, 2, 3][..], Frame::Binary(vec![1, 2, 3])),
        (Revision::V3, &[4, 1, 2, 3], Frame::Binary(vec![4, 1, 2, 3])),
    ] {
        let mut world = World::websocket(revision);
        world.echo = true;
        assert_eq!(world.frame(0, "4hello"), Received::Message);
        assert_eq!(world.binary_frame(0, incoming), Received::Message);
        assert_eq!(world.take_frames(0), [Frame::Text("4hello".into()), outgoing]);
        assert_eq!(world.messages[1], Sent::Binary(vec![1, 2, 3]));
    }
}

#[test]
fn b64_forces_text_frames() {
    for (revision, frame) in [(Revision::V4, "bAQID"), (Revision::V3, "b4AQID")] {
        let opening = Opening { b64: true, ..opening(revision, Transport::WebSocket) };
        let mut world = World::open(opening, settings());
        world.take_frames(0);
        world.echo = true;
        assert_eq!(world.frame(0, frame), Received::Message);
        assert_eq!(world.take_frames(0), frames(&[frame]));
        let route = Route::WebSocket { to: 0, form: BinaryForm::new(revision, true) };
        assert_eq!(world.session.route(), route);
    }
}

#[test]
fn a_graceful_close_is_immediate_and_without_status() {
    for how in [Close::Graceful, Close::Forced] {
        let mut world = World::websocket(Revision::V4);
        world.send(text("m1"));
        world.close(how);
        assert_eq!(world.take_frames(0), frames(&["4m1"]));
        assert_eq!(world.hangup(0), Some(Hangup::WebSocket));
        world.assert_closed(CloseReason::ForcedClose);
        assert!(!world.send(text("too late")));
        world.close(how);
    }
}

#[test]
fn a_message_beyond_the_limit_is_closed_with_1009() {
    let mut world = World::websocket(Revision::V4);
    world.call(|session, _, fx| session.websocket_failed(0, 1009, fx));
    assert_eq!(world.hangup(0), Some(Hangup::WebSocketStatus(1009)));
    world.assert_closed(CloseReason::TransportError);
}

#[test]
fn an_invalid_packet_is_a_parse_error_without_status() {
    for revision in BOTH {
        for packet in ["abc", "", "7"] {
            let mut world = World::websocket(revision);
            world.frame(0, packet);
            assert_eq!(world.hangup(0), Some(Hangup::WebSocket));
            world.assert_closed(CloseReason::ParseError);
        }
    }
}

#[test]
fn a_close_packet_closes_at_once() {
    for revision in BOTH {
        let mut world = World::websocket(revision);
        assert_eq!(world.frame(0, "1"), Received::Closed);
        assert_eq!(world.hangup(0), Some(Hangup::WebSocket));
        world.assert_closed(CloseReason::TransportClose);
        assert_eq!(world.frame(0, "4a"), Received::Closed);
    }
}

#[test]
fn a_ping_from_a_client_of_revision_4_is_the_wrong_direction() {
    let mut world = World::websocket(Revision::V4);
    assert_eq!(world.frame(0, "2"), Received::Closed);
    assert_eq!(world.hangup(0), Some(Hangup::WebSocket));
    world.assert_closed(CloseReason::TransportError);
}

#[test]
fn an_unsolicited_pong_is_fine_in_revision_4() {
    let mut world = World::websocket(Revision::V4);
    assert_eq!(world.frame(0, "3"), Received::Nothing);
    world.assert_open();
}

#[test]
fn open_upgrade_and_noop_from_a_client_mean_nothing() {
    for revision in BOTH {
        let mut world = World::websocket(revision);
        for packet in ["0", "5", "6", "0{}"] {
            assert_eq!(world.frame(0, packet), Received::Nothing, "{packet}");
        }
        assert_eq!(world.take_frames(0), []);
        world.assert_open();
    }
}

#[test]
fn a_lost_websocket_is_a_transport_close() {
    let mut world = World::websocket(Revision::V4);
    world.lose(0);
    assert_eq!(world.hangup(0), None);
    world.assert_closed(CloseReason::TransportClose);
}

#[test]
fn connections_of_others_do_not_matter() {
    let mut world = World::websocket(Revision::V4);
    world.lose(7);
    assert_eq!(world.frame(7, "1"), Received::Nothing);
    world.frame(7, "abc");
    world.call(|session, _, fx| session.websocket_failed(7, 1002, fx));
    world.assert_open();
}

#[test]
fn polling_requests_to_a_websocket_session_are_refused_and_harmless() {
    let mut world = World::websocket(Revision::V4);
    let body = (400, r#"{"code":3,"message":"Bad request"}"#.to_owned());
    let get = world.get();
    assert_eq!(world.answer(get), body);
    let (post, form) = world.post_begin(None);
    assert_eq!((form, world.answer(post)), (None, body));
    assert_eq!(world.upgrade(), None);
    world.assert_open();
    assert!(world.session.is_writable());
}
