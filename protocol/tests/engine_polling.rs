//! What a polling client meets, situation by situation.

mod engine_harness;

use engine_harness::*;
use yamabiko_protocol::engine::jsonp::JsonpIndex;
use yamabiko_protocol::engine::*;

const BOTH: [Revision; 2] = [Revision::V3, Revision::V4];

/// A batch of one text packet as a payload of that revision.
fn one(revision: Revision, packet: &str) -> String {
    match revision {
        Revision::V3 => format!("{}:{packet}", packet.len()),
        Revision::V4 => packet.to_owned(),
    }
}

fn ok() -> (u16, String) {
    (200, "ok".to_owned())
}

fn answered(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

fn refused() -> (u16, String) {
    (400, String::new())
}

#[test]
fn the_handshake_answers_the_first_get() {
    let handshake = format!(
        r#"0{{"sid":"{}","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}}"#,
        sid(0)
    );
    for revision in BOTH {
        let world = World::polling(revision);
        assert_eq!(world.answer(0), answered(&one(revision, &handshake)));
        assert_eq!(world.response(0).content_type, Some("text/plain; charset=UTF-8"));
        world.assert_open();
    }
}

#[test]
fn initial_messages_join_the_handshake_in_revision_4() {
    let mut world = World::open(opening(Revision::V4, Transport::Polling), settings());
    assert!(!world.is_answered(0));
    assert!(world.send(text("hello")));
    world.turn();
    assert!(world.answer(0).1.ends_with("}\u{1e}4hello"));
}

/// As in the reference one packet that may be compressed is enough for all that go together.
#[test]
fn a_payload_may_be_compressed_if_one_of_its_packets_may() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        assert!(world.response(0).compress, "the handshake");
        let send = |world: &mut World, compress| {
            world.call(|session, _, fx| session.send_with(text("a"), compress, fx))
        };
        for (flags, expected) in [
            (&[false][..], false),
            (&[true], true),
            (&[false, true, false], true),
            (&[false, false], false),
        ] {
            for &compress in flags {
                assert!(send(&mut world, compress));
            }
            let get = world.get();
            assert_eq!(world.response(get).compress, expected, "{flags:?}");
        }
        let post = world.post(&one(revision, "4x"));
        assert!(!world.response(post).compress);
    }
}

#[test]
fn the_first_poll_of_revision_3_holds_only_the_handshake() {
    let mut world = World::open(opening(Revision::V3, Transport::Polling), settings());
    assert!(world.send(text("0")));
    world.turn();
    assert!(world.answer(0).1.ends_with('}'));
    let get = world.get();
    assert_eq!(world.answer(get), answered("2:40"));
}

#[test]
fn a_get_waits_for_data_and_takes_all_of_a_turn() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    assert!(!world.is_answered(get));
    world.send(text("a"));
    world.send(binary(&[1, 2, 3, 4]));
    world.turn();
    assert_eq!(world.answer(get), answered("4a\u{1e}bAQIDBA=="));
    assert_eq!(world.response(get).content_type, Some("text/plain; charset=UTF-8"));
    assert!(world.response(get).is_no_store());
}

#[test]
fn a_get_with_data_waiting_is_answered_at_once() {
    let mut world = World::polling(Revision::V4);
    world.send(text("a"));
    world.turn();
    world.send(text("b"));
    world.turn();
    let get = world.get();
    assert_eq!(world.answer(get), answered("4a\u{1e}4b"));
    let get = world.get();
    assert!(!world.is_answered(get));
}

#[test]
fn binary_makes_a_binary_payload_in_revision_3() {
    let mut world = World::polling(Revision::V3);
    world.send(text("é"));
    world.send(binary(&[1]));
    let get = world.get();
    let response = world.response(get);
    assert_eq!(response.content_type, Some("application/octet-stream"));
    assert_eq!(&response.body[..], b"\x00\x03\xff4\xc3\xa9\x01\x02\xff\x04\x01");
}

#[test]
fn b64_of_the_first_request_makes_revision_3_text_for_good() {
    let opening = Opening { b64: true, ..opening(Revision::V3, Transport::Polling) };
    let mut world = World::open(opening, settings());
    world.send(binary(&[1, 2, 3]));
    let get = world.get();
    assert_eq!(world.answer(get), answered("6:b4AQID"));
}

#[test]
fn a_post_is_answered_ok_after_its_packets_were_processed() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let (post, form) = world.post_begin(Some("text/plain"));
        assert_eq!(form, Some(BodyForm::Text));
        let packet = Packet::from_text(revision, "4a").expect("a packet");
        assert_eq!(world.receive(post, &packet), Received::Message);
        assert!(!world.is_answered(post));
        world.call(|session, _, fx| session.post_end(post, fx));
        assert_eq!(world.answer(post), ok());
        assert_eq!(world.response(post).content_type, Some("text/html"));
        assert_eq!(world.messages, [Sent::Text("a".into())]);
    }
}

#[test]
fn echoes_of_one_post_leave_together() {
    let mut world = World::polling(Revision::V4);
    world.echo = true;
    let get = world.get();
    let post = world.post("4hello\u{1e}bAQIDBA==");
    assert_eq!(world.answer(post), ok());
    assert_eq!(world.answer(get), answered("4hello\u{1e}bAQIDBA=="));
}

#[test]
fn posts_of_revision_3_come_in_both_forms() {
    let bytes = b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03";
    for (body, content_type) in [
        ("2:4€6:b4AQID".as_bytes(), "text/plain;charset=UTF-8"),
        (bytes, "application/octet-stream"),
    ] {
        let mut world = World::polling(Revision::V3);
        let post = world.post_bytes(body, Some(content_type));
        assert_eq!(world.answer(post), ok());
        assert_eq!(world.messages, [Sent::Text("€".into()), Sent::Binary(vec![1, 2, 3])]);
        world.assert_open();
    }
}

#[test]
fn lengths_in_bytes_are_wrong_in_text_of_revision_3() {
    let mut world = World::polling(Revision::V3);
    world.post("4:4€2:4a");
    world.assert_closed(CloseReason::ParseError);
}

#[test]
fn an_empty_batch_of_revision_3_is_fine() {
    let mut world = World::polling(Revision::V3);
    let post = world.post("0:");
    assert_eq!(world.answer(post), ok());
    world.assert_open();
}

#[test]
fn other_methods_are_500_and_do_not_touch_the_session() {
    let mut server = Server::default();
    let sid = server.open_polling(4);
    let query = format!("EIO=4&transport=polling&sid={sid}");
    for method in ["PUT", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(server.fetch(method, &query, ""), (500, String::new()));
    }
    server.worlds[&sid].assert_open();
}

#[test]
fn second_get_while_one_is_pending_closes_the_session() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let first = world.get();
        let second = world.get();
        assert_eq!(world.answer(first), answered(&one(revision, "1")));
        assert_eq!(world.answer(second), refused());
        world.assert_closed(CloseReason::TransportError);
        let third = world.get();
        assert_eq!(world.answer(third).0, 400);
    }
}

#[test]
fn second_post_while_one_is_received_closes_the_session() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let get = world.get();
        let (first, _) = world.post_begin(None);
        let (second, form) = world.post_begin(None);
        assert_eq!(form, None);
        assert_eq!(world.hangup(first), Some(Hangup::Destroy));
        assert_eq!(world.answer(second), refused());
        assert_eq!(world.answer(get), answered(&one(revision, "1")));
        world.assert_closed(CloseReason::TransportError);
    }
}

#[test]
fn a_body_beyond_the_limit_leaves_the_session_open() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let (post, _) = world.post_begin(None);
    world.call(|session, _, fx| session.body_too_large(post, fx));
    assert_eq!(world.answer(post), (413, String::new()));
    assert!(!world.is_answered(get));
    let post = world.post("4a");
    assert_eq!(world.answer(post), ok());
    world.assert_open();
}

#[test]
fn octet_stream_is_invalid_content_in_revision_4() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let post = world.post_bytes(b"4a", Some("application/octet-stream"));
    assert_eq!(world.answer(post), refused());
    assert_eq!(world.answer(get), answered("1"));
    world.assert_closed(CloseReason::TransportError);
}

#[test]
fn any_other_content_type_is_text() {
    for content_type in
        [None, Some("text/html"), Some("application/json"), Some("application/octet-stream;x")]
    {
        let mut world = World::polling(Revision::V4);
        let post = world.post_bytes("4é".as_bytes(), content_type);
        assert_eq!(world.answer(post), ok());
        assert_eq!(world.messages, [Sent::Text("é".into())]);
    }
}

#[test]
fn a_malformed_or_empty_body_is_answered_ok_and_closes_the_session() {
    for revision in BOTH {
        for body in ["", "abc", "7", "x:", ":", "4a\u{1e}"] {
            let mut world = World::polling(revision);
            let get = world.get();
            let post = world.post(body);
            assert_eq!(world.answer(post), ok(), "{body}");
            assert_eq!(world.answer(get), answered(&one(revision, "1")), "{body}");
            world.assert_closed(CloseReason::ParseError);
            let next = world.get();
            let body = r#"{"code":1,"message":"Session ID unknown"}"#;
            assert_eq!(world.answer(next), (400, body.to_owned()));
        }
    }
}

#[test]
fn packets_before_a_bad_one_are_processed() {
    let mut world = World::polling(Revision::V4);
    let post = world.post("4a\u{1e}4b\u{1e}abc\u{1e}4c");
    assert_eq!(world.answer(post), ok());
    assert_eq!(world.messages, ["a", "b"].map(|text| Sent::Text(text.into())));
    world.assert_closed(CloseReason::ParseError);
}

#[test]
fn a_posted_close_packet_ends_the_pending_get_with_a_noop() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let get = world.get();
        let post = world.post(&one(revision, "1"));
        assert_eq!(world.answer(get), answered(&one(revision, "6")));
        assert_eq!(world.answer(post), ok());
        world.assert_closed(CloseReason::TransportClose);
    }
}

#[test]
fn replies_before_a_posted_close_packet_take_the_pending_get() {
    let mut world = World::polling(Revision::V4);
    world.echo = true;
    let get = world.get();
    world.post("4a\u{1e}1");
    assert_eq!(world.answer(get), answered("4a"));
    world.assert_closed(CloseReason::TransportClose);
}

#[test]
fn packets_after_a_close_packet_are_not_read() {
    let mut world = World::polling(Revision::V4);
    let post = world.post("4a\u{1e}1\u{1e}4b");
    assert_eq!(world.messages, [Sent::Text("a".into())]);
    assert_eq!(world.answer(post), ok());
    world.assert_closed(CloseReason::TransportClose);
}

#[test]
fn open_upgrade_and_noop_from_a_client_mean_nothing() {
    let mut world = World::polling(Revision::V4);
    let post = world.post("0\u{1e}5\u{1e}6");
    assert_eq!(world.answer(post), ok());
    world.assert_open();
}

#[test]
fn a_lost_get_is_a_transport_error() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    world.lose(get);
    assert!(!world.is_answered(get));
    world.assert_closed(CloseReason::TransportError);
}

#[test]
fn a_lost_post_is_a_transport_error() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    let (post, _) = world.post_begin(None);
    world.lose(post);
    assert_eq!(world.answer(get), answered("1"));
    world.assert_closed(CloseReason::TransportError);
}

#[test]
fn a_post_lost_while_it_is_read_counts_to_its_end() {
    let mut world = World::polling(Revision::V4);
    let (post, _) = world.post_begin(None);
    let packet = Packet::from_text(Revision::V4, "4a").expect("a packet");
    assert_eq!(world.receive(post, &packet), Received::Message);
    world.lose(post);
    assert_eq!(world.receive(post, &packet), Received::Message);
    world.call(|session, _, fx| session.post_end(post, fx));
    world.assert_open();
    let post = world.post("4b");
    assert_eq!(world.answer(post), ok());
}

#[test]
fn an_idle_connection_may_go() {
    let mut world = World::polling(Revision::V4);
    let post = world.post("4a");
    world.lose(0);
    world.lose(post);
    world.assert_open();
}

#[test]
fn graceful_close_with_a_get_pending_says_so() {
    for revision in BOTH {
        let mut world = World::polling(revision);
        let get = world.get();
        world.close(Close::Graceful);
        assert_eq!(world.answer(get), answered(&one(revision, "1")));
        world.assert_closed(CloseReason::ForcedClose);
    }
}

#[test]
fn graceful_close_without_a_get_waits_for_one() {
    let mut world = World::polling(Revision::V4);
    world.close(Close::Graceful);
    assert_eq!(world.closed, []);
    assert!(!world.session.is_open());
    assert!(!world.send(text("too late")));
    world.advance(29_999);
    let get = world.get();
    assert_eq!(world.answer(get), answered("6\u{1e}1"));
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn graceful_close_gives_up_after_30_seconds() {
    let mut world = World::polling(Revision::V4);
    world.send(text("m1"));
    world.close(Close::Graceful);
    world.advance(29_999);
    assert_eq!(world.closed, []);
    world.advance(1);
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn graceful_close_delivers_the_buffer_first() {
    let mut world = World::polling(Revision::V4);
    world.send(text("m1"));
    world.close(Close::Graceful);
    world.advance(29_000);
    let get = world.get();
    assert_eq!(world.answer(get), answered("4m1"));
    assert_eq!(world.closed, []);
    world.advance(29_000);
    let get = world.get();
    assert_eq!(world.answer(get), answered("6\u{1e}1"));
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn graceful_close_within_the_turn_of_a_send_delivers_the_message() {
    let mut world = World::polling(Revision::V4);
    let get = world.get();
    world.send(text("m1"));
    world.close(Close::Graceful);
    assert_eq!(world.answer(get), answered("4m1"));
    let get = world.get();
    assert_eq!(world.answer(get), answered("6\u{1e}1"));
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn a_closing_session_ignores_packets_but_not_the_close_packet() {
    let mut world = World::polling(Revision::V4);
    world.close(Close::Graceful);
    world.close(Close::Graceful);
    for body in ["4a", "2", "abc"] {
        let post = world.post(body);
        assert_eq!(world.answer(post), ok());
    }
    assert_eq!((&world.messages[..], &world.closed[..]), (&[][..], &[][..]));
    world.post("1");
    world.assert_closed(CloseReason::TransportClose);
}

#[test]
fn forced_close_does_not_wait() {
    let mut world = World::polling(Revision::V4);
    let (post, _) = world.post_begin(None);
    world.close(Close::Forced);
    assert_eq!(world.hangup(post), Some(Hangup::Destroy));
    world.assert_closed(CloseReason::ForcedClose);

    let mut world = World::polling(Revision::V4);
    let get = world.get();
    world.close(Close::Forced);
    assert_eq!(world.answer(get), answered("1"));
    world.assert_closed(CloseReason::ForcedClose);

    let mut world = World::polling(Revision::V4);
    world.close(Close::Graceful);
    world.close(Close::Forced);
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn a_handler_may_close_the_session_whose_body_is_read() {
    let mut world = World::polling(Revision::V4);
    let (post, _) = world.post_begin(None);
    let packet = Packet::from_text(Revision::V4, "4a").expect("a packet");
    assert_eq!(world.receive(post, &packet), Received::Message);
    world.close(Close::Forced);
    assert_eq!(world.receive(post, &packet), Received::Closed);
    world.call(|session, _, fx| session.post_end(post, fx));
    assert_eq!(world.answer(post), ok());
    world.assert_closed(CloseReason::ForcedClose);
}

#[test]
fn a_session_is_writable_while_a_get_is_pending() {
    let mut world = World::polling(Revision::V4);
    assert!(!world.session.is_writable());
    world.get();
    assert!(world.session.is_writable());
    world.send(text("a"));
    world.turn();
    assert!(!world.session.is_writable());
    assert_eq!(world.session.route(), Route::Polling);
    world.close(Close::Graceful);
    assert!(!world.session.is_writable());
    assert_eq!(world.session.route(), Route::Closed);
}

#[test]
fn a_client_that_does_not_poll_overflows_its_buffer() {
    let settings = Settings { buffer_bytes_max: 1_000, ..settings() };
    let mut world = World::open(opening(Revision::V4, Transport::Polling), settings);
    world.turn();
    let mut taken = 0;
    while world.send(text("0123456789")) {
        taken += 1;
        assert!(taken < 100, "unbounded");
    }
    assert!(taken > 5, "{taken}");
    world.assert_closed(CloseReason::BufferOverflow);
}

#[test]
fn a_client_that_polls_gets_messages_of_any_size() {
    let settings = Settings { buffer_bytes_max: 1_000, ..settings() };
    let mut world = World::open(opening(Revision::V4, Transport::Polling), settings);
    world.turn();
    let get = world.get();
    assert!(world.send(text(&"x".repeat(5_000))));
    world.turn();
    assert_eq!(world.answer(get).1.len(), 5_001);
    // The pending poll makes room for what comes after it.
    let get = world.get();
    assert!(world.send(text(&"x".repeat(600))));
    assert!(world.send(text(&"y".repeat(600))));
    assert_eq!(world.answer(get).1.len(), 601);
    world.assert_open();
}

#[test]
fn pongs_nobody_fetches_are_bounded_too() {
    let settings = Settings { buffer_bytes_max: 10_000, ..settings() };
    let mut world = World::open(opening(Revision::V3, Transport::Polling), settings);
    world.turn();
    world.post(&"1:2".repeat(10_000));
    world.assert_closed(CloseReason::BufferOverflow);
}

#[test]
fn jsonp_wraps_polls_and_unwraps_posts() {
    for (revision, hello) in [(Revision::V3, "6:4hello"), (Revision::V4, "4hello")] {
        let jsonp = Some(JsonpIndex::from_query("x3"));
        let opening = Opening { jsonp, ..opening(revision, Transport::Polling) };
        let mut world = World::open(opening, settings());
        world.turn();
        world.echo = true;
        let (status, script) = world.answer(0);
        assert_eq!(status, 200);
        assert!(script.starts_with("___eio[3](\"") && script.ends_with("}\");"), "{script}");
        let body = format!("d={}", hello.replace(':', "%3A"));
        let post = world.post_bytes(body.as_bytes(), Some("application/x-www-form-urlencoded"));
        assert_eq!(world.answer(post), ok());
        let get = world.get();
        assert_eq!(world.answer(get), answered(&format!("___eio[3](\"{hello}\");")));
        assert_eq!(world.response(get).content_type, Some("text/plain; charset=UTF-8"));
    }
}

#[test]
fn jsonp_never_gets_the_binary_form() {
    let jsonp = Some(JsonpIndex::from_query("0"));
    let opening = Opening { jsonp, ..opening(Revision::V3, Transport::Polling) };
    let mut world = World::open(opening, settings());
    world.send(binary(&[1, 2, 3]));
    let get = world.get();
    assert_eq!(world.answer(get), answered("___eio[0](\"6:b4AQID\");"));
}
