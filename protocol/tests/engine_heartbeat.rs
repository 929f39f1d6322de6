//! Heartbeats of both revisions on a virtual clock: a ping every 300 ms, 200 ms for its pong.

mod engine_harness;

use engine_harness::*;
use yamabiko_protocol::engine::*;

#[test]
fn the_server_of_revision_4_pings_an_interval_after_the_handshake() {
    let mut world = World::websocket(Revision::V4);
    world.advance(299);
    assert_eq!(world.take_frames(0), [], "and not at the handshake");
    world.advance(1);
    assert_eq!(world.take_frames(0), frames(&["2"]));
}

#[test]
fn the_next_ping_comes_an_interval_after_the_pong() {
    let mut world = World::websocket(Revision::V4);
    world.advance(300);
    world.advance(150);
    assert_eq!(world.frame(0, "3"), Received::Nothing);
    world.take_frames(0);
    world.advance(299);
    assert_eq!(world.take_frames(0), []);
    world.advance(1);
    assert_eq!(world.take_frames(0), frames(&["2"]));
}

#[test]
fn traffic_does_not_move_the_ping() {
    let mut world = World::websocket(Revision::V4);
    world.advance(250);
    world.frame(0, "4a");
    world.send(text("b"));
    world.take_frames(0);
    world.advance(50);
    assert_eq!(world.take_frames(0), frames(&["2"]));
}

#[test]
fn an_unsolicited_pong_moves_the_ping() {
    let mut world = World::websocket(Revision::V4);
    world.advance(250);
    world.frame(0, "3");
    world.advance(299);
    assert_eq!(world.take_frames(0), []);
    world.advance(1);
    assert_eq!(world.take_frames(0), frames(&["2"]));
}

#[test]
fn a_pong_that_does_not_come_is_a_ping_timeout() {
    let mut world = World::websocket(Revision::V4);
    world.advance(499);
    world.assert_open();
    world.advance(1);
    assert_eq!(world.hangup(0), Some(Hangup::WebSocket));
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn an_idle_polling_session_dies_of_a_ping_it_never_fetched() {
    let mut world = World::polling(Revision::V4);
    world.advance(499);
    world.assert_open();
    world.advance(1);
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn a_ping_is_the_sole_content_of_a_poll() {
    let mut world = World::polling(Revision::V4);
    for _ in 0..3 {
        let get = world.get();
        world.advance(300);
        assert_eq!(world.answer(get), (200, "2".into()));
        let post = world.post("3");
        assert_eq!(world.answer(post), (200, "ok".into()));
    }
    // Fetched late, it is still the same ping.
    world.advance(300);
    let get = world.get();
    assert_eq!(world.answer(get), (200, "2".into()));
    world.advance(200);
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn a_poll_pending_at_the_ping_timeout_is_told() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    world.advance(300);
    assert_eq!(world.answer(get), (200, "2".into()));
    let get = world.get();
    world.advance(200);
    assert_eq!(world.answer(get), (200, "1".into()));
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn the_first_other_packet_extends_the_wait_for_the_pong_once() {
    let mut world = World::websocket(Revision::V4);
    world.advance(300);
    world.advance(150);
    assert_eq!(world.frame(0, "4a"), Received::Message);
    world.advance(150);
    assert_eq!(world.frame(0, "4b"), Received::Message);
    world.advance(49);
    world.assert_open();
    world.advance(1);
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn each_ping_has_its_own_extension() {
    let mut world = World::websocket(Revision::V4);
    for _ in 0..3 {
        world.advance(300);
        world.advance(199);
        world.frame(0, "4a");
        world.advance(199);
        world.frame(0, "3");
        world.assert_open();
    }
}

#[test]
fn a_late_timer_gives_the_client_its_full_time() {
    let mut world = World::websocket(Revision::V4);
    world.now = 10_000;
    world.call(|session, now, fx| session.timeout(now, fx));
    assert_eq!(world.take_frames(0), frames(&["2"]));
    assert_eq!(world.session.deadline(), Some(10_200));
}

#[test]
fn an_early_timer_does_nothing() {
    for mut world in [World::websocket(Revision::V4), World::polling(Revision::V3)] {
        let deadline = world.session.deadline();
        world.call(|session, _, fx| session.timeout(299, fx));
        assert_eq!(world.session.deadline(), deadline);
        assert_eq!(world.take_frames(0), []);
        world.assert_open();
    }
}

#[test]
fn the_client_of_revision_3_pings_and_the_pong_is_bare() {
    let mut world = World::websocket(Revision::V3);
    assert_eq!(world.frame(0, "2"), Received::Nothing);
    assert_eq!(world.frame(0, "2probe"), Received::Nothing);
    assert_eq!(world.take_frames(0), frames(&["3", "3"]));

    let mut world = World::polling(Revision::V3);
    let get = world.get();
    let post = world.post("1:2");
    assert_eq!(world.answer(post), (200, "ok".into()));
    assert_eq!(world.answer(get), (200, "1:3".into()));
}

#[test]
fn the_client_of_revision_3_has_interval_and_timeout_for_each_ping() {
    for mut world in [World::websocket(Revision::V3), World::polling(Revision::V3)] {
        let is_websocket = world.session.transport() == Some(Transport::WebSocket);
        world.advance(499);
        if is_websocket {
            world.frame(0, "2");
        } else {
            world.post("1:2");
        }
        world.advance(499);
        world.assert_open();
        world.advance(1);
        world.assert_closed(CloseReason::PingTimeout);
    }
}

#[test]
fn only_pings_keep_a_client_of_revision_3() {
    let mut world = World::websocket(Revision::V3);
    world.advance(400);
    world.frame(0, "4a");
    world.advance(100);
    world.assert_closed(CloseReason::PingTimeout);
}

#[test]
fn heartbeats_in_the_wrong_direction_are_transport_errors() {
    for (revision, packet, payload) in [(Revision::V4, "2", "2"), (Revision::V3, "3", "1:3")] {
        let mut world = World::websocket(revision);
        assert_eq!(world.frame(0, packet), Received::Closed);
        world.assert_closed(CloseReason::TransportError);

        let mut world = World::polling(revision);
        let get = world.get();
        let post = world.post(payload);
        assert_eq!(world.answer(post), (200, "ok".into()));
        assert!(world.answer(get).1.ends_with('1'));
        world.assert_closed(CloseReason::TransportError);
    }
}

#[test]
fn a_closing_session_is_not_pinged() {
    let mut world = World::polling(Revision::V4);
    world.close(Close::Graceful);
    world.advance(10_000);
    let get = world.get();
    assert_eq!(world.answer(get), (200, "6\u{1e}1".into()));
}
