//! From polling to WebSocket, step by step, and everything that can go wrong on the way.

mod engine_harness;

use engine_harness::*;
use yamabiko_protocol::engine::*;

const BOTH: [Revision; 2] = [Revision::V3, Revision::V4];

/// A noop as a payload of that revision.
fn noop(revision: Revision) -> (u16, String) {
    (200, if revision == Revision::V3 { "1:6" } else { "6" }.to_owned())
}

#[test]
fn probe_release_switch() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let get = world.get();
        let conn = world.upgrade().expect("accepted");
        assert!(world.session.is_upgrading());
        assert!(!world.is_answered(get), "nothing is released before the probe");
        assert_eq!(world.frame(conn, "2probe"), Received::Nothing);
        assert_eq!(world.take_frames(conn), frames(&["3probe"]));
        assert_eq!(world.answer(get), noop(revision));
        assert_eq!(world.session.transport(), Some(Transport::Polling));
        assert_eq!(world.frame(conn, "5"), Received::Upgraded);
        assert_eq!(world.session.transport(), Some(Transport::WebSocket));
        assert!(!world.session.is_upgrading());
        let form = BinaryForm::new(revision, false);
        assert_eq!(world.session.route(), Route::WebSocket { to: conn, form });
        world.assert_open();
    }
}

#[test]
fn a_second_websocket_while_upgrading_is_refused_and_harmless() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    assert_eq!(world.upgrade(), None);
    world.frame(conn, "2probe");
    assert_eq!(world.frame(conn, "5"), Received::Upgraded);
    world.assert_open();
}

#[test]
fn a_second_websocket_after_the_upgrade_is_refused_and_harmless() {
    let (mut world, conn) = World::upgraded(Revision::V4);
    assert_eq!(world.upgrade(), None);
    world.echo = true;
    world.frame(conn, "4hello");
    assert_eq!(world.take_frames(conn), frames(&["4hello"]));
}

#[test]
fn polls_opened_after_the_probe_are_released_at_once() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let conn = world.upgrade().expect("accepted");
        world.frame(conn, "2probe");
        for _ in 0..3 {
            let get = world.get();
            assert_eq!(world.answer(get), noop(revision));
        }
    }
}

#[test]
fn messages_take_an_open_poll_until_the_switch() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let conn = world.upgrade().expect("accepted");
    world.send(text("before"));
    world.turn();
    assert_eq!(world.answer(get), (200, "4before".into()));
    world.frame(conn, "2probe");
    world.send(text("after"));
    world.turn();
    let get = world.get();
    assert_eq!(world.answer(get), (200, "4after".into()));
    assert_eq!(world.take_frames(conn), frames(&["3probe"]));
}

#[test]
fn a_message_sent_in_the_turn_of_the_probe_takes_the_poll_with_it() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let conn = world.upgrade().expect("accepted");
    world.send(text("a"));
    world.frame(conn, "2probe");
    assert_eq!(world.answer(get), (200, "4a".into()));
}

#[test]
fn the_buffer_is_flushed_before_replies_to_later_frames() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        world.echo = true;
        let conn = world.upgrade().expect("accepted");
        world.frame(conn, "2probe");
        world.send(text("one"));
        world.send(binary(&[1]));
        world.frame(conn, "5");
        world.frame(conn, "4reply");
        let form = if revision == Revision::V3 { vec![4, 1] } else { vec![1] };
        let mut expected = frames(&["3probe", "4one"]);
        expected.extend([Frame::Binary(form), Frame::Text("4reply".into())]);
        assert_eq!(world.take_frames(conn), expected);
    }
}

#[test]
fn the_switch_needs_no_probe() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let get = world.get();
        let conn = world.upgrade().expect("accepted");
        assert_eq!(world.frame(conn, "5"), Received::Upgraded);
        assert_eq!(world.answer(get), noop(revision));
        world.assert_open();
    }
}

#[test]
fn a_poll_pending_at_the_switch_gets_a_noop_and_the_websocket_the_messages() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let conn = world.upgrade().expect("accepted");
    world.send(text("a"));
    world.frame(conn, "5");
    assert_eq!(world.answer(get), noop(Revision::V4));
    assert_eq!(world.take_frames(conn), frames(&["4a"]));
}

#[test]
fn any_other_packet_closes_the_candidate_only() {
    for revision in BOTH {
        for packet in ["4hello", "2", "2prob", "3probe", "1", "0", "6", "abc", "", "b4cHJvYmU="] {
            let mut world = World::polling(revision);
            let get = world.get();
            let conn = world.upgrade().expect("accepted");
            assert_eq!(world.frame(conn, packet), Received::Nothing, "{packet}");
            assert_eq!(world.hangup(conn), Some(Hangup::WebSocket), "{packet}");
            assert_eq!(world.messages, []);
            assert!(!world.is_answered(get));
            world.assert_open();
            // It may try again.
            let conn = world.upgrade().expect("accepted");
            world.frame(conn, "2probe");
            assert_eq!(world.frame(conn, "5"), Received::Upgraded);
        }
    }
}

#[test]
fn a_lost_candidate_leaves_the_session_on_polling() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "2probe");
    world.lose(conn);
    world.assert_open();
    let get = world.get();
    assert!(!world.is_answered(get), "polls wait again");
    world.send(text("a"));
    world.turn();
    assert_eq!(world.answer(get), (200, "4a".into()));
}

#[test]
fn a_candidate_the_websocket_layer_refuses_leaves_the_session_on_polling() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    world.call(|session, _, fx| session.websocket_failed(conn, 1002, fx));
    assert_eq!(world.hangup(conn), Some(Hangup::WebSocketStatus(1002)));
    world.assert_open();
}

#[test]
fn a_slow_candidate_is_closed_and_the_session_stays_on_polling() {
    let settings = Settings { upgrade_timeout_ms: 100, ..settings() };
    let mut world = World::open(opening(Revision::V4, Transport::Polling), settings);
    world.turn();
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "2probe");
    world.advance(99);
    assert!(world.session.is_upgrading());
    world.advance(1);
    assert_eq!(world.hangup(conn), Some(Hangup::WebSocket));
    assert!(!world.session.is_upgrading());
    world.assert_open();
    assert_eq!(world.frame(conn, "5"), Received::Nothing, "too late");
    assert_eq!(world.session.transport(), Some(Transport::Polling));
}

#[test]
fn polling_after_the_upgrade_is_refused_and_harmless() {
    let (mut world, conn) = World::upgraded(Revision::V4);
    let body = (400, r#"{"code":3,"message":"Bad request"}"#.to_owned());
    let get = world.get();
    assert_eq!(world.answer(get), body);
    let post = world.post("4a");
    assert_eq!(world.answer(post), body);
    world.assert_open();
    world.lose(conn);
    world.assert_closed(CloseReason::TransportClose);
}

#[test]
fn a_session_that_ends_takes_its_candidate_along() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    world.post("1");
    assert_eq!(world.hangup(conn), Some(Hangup::WebSocket));
    world.assert_closed(CloseReason::TransportClose);
    assert_eq!(world.frame(conn, "5"), Received::Closed);
    assert_eq!(world.upgrade(), None);
}

#[test]
fn a_closing_session_closes_when_the_switch_is_done() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    world.send(text("m1"));
    world.close(Close::Graceful);
    assert_eq!(world.frame(conn, "5"), Received::Closed);
    assert_eq!(world.take_frames(conn), frames(&["4m1"]));
    assert_eq!(world.hangup(conn), Some(Hangup::WebSocket));
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn a_post_still_on_its_way_at_the_switch_is_cut_off() {
    let mut world = World::polling(Revision::V4);
    let (post, _) = world.post_begin(None);
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    assert_eq!(world.hangup(post), Some(Hangup::Destroy));
    world.assert_open();
}

#[test]
fn a_post_being_read_at_the_switch_is_read_to_its_end() {
    let mut world = World::polling(Revision::V4);
    let (post, _) = world.post_begin(None);
    let packet = Packet::from_text(Revision::V4, "4a").expect("a packet");
    assert_eq!(world.receive(post, &packet), Received::Message);
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    assert_eq!(world.receive(post, &packet), Received::Message);
    world.call(|session, _, fx| session.post_end(post, fx));
    assert_eq!(world.answer(post), (200, "ok".into()));
    world.assert_open();
}

#[test]
fn the_websocket_chooses_base64_for_itself() {
    let opening = Opening { b64: true, ..opening(Revision::V4, Transport::Polling) };
    let mut world = World::open(opening, settings());
    world.turn();
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    world.send(binary(&[1]));
    assert_eq!(world.take_frames(conn), [Frame::Binary(vec![1])]);
}

#[test]
fn the_upgrade_does_not_restart_the_ping_interval() {
    let mut world = World::polling(Revision::V4);
    world.advance(200);
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    world.advance(99);
    assert_eq!(world.take_frames(conn), []);
    world.advance(1);
    assert_eq!(world.take_frames(conn), frames(&["2"]));
}

#[test]
fn a_ping_lost_in_the_switch_is_followed_by_another() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    world.advance(300);
    assert_eq!(world.answer(get), (200, "2".into()));
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    // The pong never comes; its time limit went with polling.
    world.advance(299);
    world.assert_open();
    assert_eq!(world.take_frames(conn), []);
    world.advance(1);
    assert_eq!(world.take_frames(conn), frames(&["2"]));
    world.advance(200);
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn a_ping_still_buffered_at_the_switch_goes_out_on_the_websocket() {
    let mut world = World::polling(Revision::V4);
    let conn = world.upgrade().expect("accepted");
    world.advance(300);
    world.frame(conn, "5");
    assert_eq!(world.take_frames(conn), frames(&["2"]));
    world.frame(conn, "3");
    world.assert_open();
}

#[test]
fn a_client_of_revision_3_must_ping_on_after_the_switch() {
    let mut world = World::polling(Revision::V3);
    world.advance(400);
    let conn = world.upgrade().expect("accepted");
    world.frame(conn, "5");
    world.advance(499);
    world.assert_open();
    world.advance(1);
    world.assert_closed(CloseReason::PingTimeout);
}
