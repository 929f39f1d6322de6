//! The end of a server: by SIGTERM, or before it has begun.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use harness::*;

/// Reads to the end: a close frame comes last, and no DISCONNECT packet before it, as that would keep
/// clients from reconnecting.
fn assert_closed_politely(client: &mut Client) {
    let mut has_close = false;
    while let Some(frame) = client.socket.receive() {
        assert!(!has_close, "{frame:?} after a close frame");
        assert!(!frame.payload.starts_with(b"41"), "{frame:?}");
        has_close = frame.opcode() == CLOSE;
    }
    assert!(has_close, "the WebSocket ends with a close frame");
}

#[test]
fn idle_transports_are_closed() {
    let server = Server::start(4);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::open(server.address())).collect();
    let mut polls: Vec<Poller> = (0..8).map(|_| Poller::open(server.address())).collect();
    for poller in &mut polls {
        let poll = poller.poll();
        poller.polls.send(poll);
    }
    let mut idle = Wire::open(server.address());
    assert_eq!(idle.ask(get("/nothing-here", "")).status, 404);
    let mut half = Wire::open(server.address());
    half.send("GET /socket.io/ HTT");
    thread::sleep(Duration::from_millis(100));

    server.terminate();
    for client in &mut clients {
        assert_closed_politely(client);
    }
    for poller in &mut polls {
        let response = poller.polls.response().expect("a pending poll is answered");
        assert_eq!((response.status, &*response.body), (200, "1"));
        assert_eq!(poller.polls.response(), None);
    }
    assert_eq!(idle.read_to_end(), b"");
    half.read_to_end();
    server.wait_for_exit();
}

#[test]
fn busy_clients_are_closed_and_nothing_is_torn() {
    let server = Server::start(4);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut busy = Vec::new();
        for i in 0..12 {
            let mut client = Client::open(server.address());
            client.join("hall");
            let is_over = &is_over;
            busy.push(scope.spawn(move || {
                let mut asked = 0;
                let mut next = 0;
                let mut has_close = false;
                client.emit_for_ack("[\"slow\",60000,1]");
                while !is_over.load(Ordering::Relaxed) || asked < 50 {
                    client.emit_for_ack(&format!("[\"message-with-ack\",{i}]"));
                    client.emit(&format!("[\"say\",\"hall\",{i}]"));
                    asked += 1;
                    // Reads as it goes, so that it is never the slow one.
                    while let Some(frame) = client.socket.receive() {
                        let packet = String::from_utf8_lossy(&frame.payload).into_owned();
                        assert!(!packet.starts_with("41"), "{packet}");
                        has_close |= frame.opcode() == CLOSE;
                        if let Some((id, _)) = ack_of(&packet) {
                            assert_eq!(id, next + 2, "the slow one still waits");
                            next += 1;
                        }
                        if has_close || next == asked {
                            break;
                        }
                    }
                    if has_close {
                        break;
                    }
                }
                has_close |= client.socket.closed().is_some();
                assert!(has_close, "the WebSocket ends with a close frame");
                assert!(next > 0);
            }));
        }
        thread::sleep(Duration::from_millis(500));
        server.terminate();
        is_over.store(true, Ordering::Relaxed);
        for client in busy {
            client.join().unwrap();
        }
    });
    server.wait_for_exit();
}

/// The end waits for nobody for ever.
#[test]
fn a_client_that_reads_nothing_does_not_keep_the_server() {
    let server = Server::start(1);
    let mut client = Client::open(server.address());
    let text = "x".repeat(500_000);
    for _ in 0..25 {
        client.emit(&format!("[\"message\",\"{text}\"]"));
    }
    let mut other = Client::open(server.address());
    server.terminate();
    assert_closed_politely(&mut other);
    // It still waits for the first, but takes nobody new, who can so go elsewhere at once.
    let refused = (0..50).any(|_| {
        thread::sleep(Duration::from_millis(20));
        TcpStream::connect(server.address()).is_err()
    });
    assert!(refused, "new connections are refused");
    server.wait_for_exit();
}

#[test]
fn a_new_client_is_not_let_in_any_more() {
    let server = Server::start(2);
    let address = server.address();
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, log) = Server::fail_to_start(&[("PORT", &port), ("SHARDS", "2")]);
    assert!(!status.success());
    assert!(log.contains("Listen") && log.contains("in use") && log.contains(&port), "{log}");
}

/// Its shards share their port with each other, but with no other server.
#[test]
fn the_port_of_another_server_is_a_clear_error() {
    let server = Server::start(2);
    let port = server.address().port().to_string();
    let (status, log) = Server::fail_to_start(&[("PORT", &port), ("SHARDS", "2")]);
    assert!(!status.success());
    assert!(log.contains(&port), "{log}");
    Client::open(server.address()).assert_alive();
    server.stop();
}
