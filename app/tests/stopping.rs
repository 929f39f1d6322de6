//! The end of an app: its hooks and its actors have their time, its clients theirs, and nobody more.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use harness::{CLOSE, Client, Server, soon};

fn start(variables: &[(&str, &str)]) -> Server {
    let mut all = vec![
        ("YAMABIKO_PORT", "0"),
        ("YAMABIKO_SHARDS", "2"),
        ("YAMABIKO_ANNOUNCE", "true"),
        ("YAMABIKO_SHUTDOWN_TIMEOUT", "2s"),
        ("NO_COLOR", "1"),
    ];
    all.extend(variables);
    Server::of("tasks", 2, &all)
}

/// Reads to the end, which is a close frame; the events before.
fn to_the_end(client: &mut Client) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let frame = client.socket.receive().expect("a close frame comes first");
        match frame.opcode() {
            CLOSE => return events,
            _ if frame.text() == "2" => client.send("3"),
            _ => events.push(frame.text().into()),
        }
    }
}

#[test]
fn clients_are_served_until_the_app_has_stopped() {
    let server = start(&[("STOP_MS", "500")]);
    let address = server.address();
    let mut clients: Vec<Client> = (0..6).map(|_| Client::open(address)).collect();
    let began = Instant::now();
    server.terminate();
    for client in &mut clients {
        assert_eq!(client.packet().as_deref(), Some(r#"42["back soon"]"#), "from either core");
        assert_eq!(client.ask(r#"["write","a line"]"#), "[1]");
    }
    assert!(soon(|| TcpStream::connect(address).is_err()), "nobody new is let in");
    for client in &mut clients {
        assert_eq!(to_the_end(client), [""; 0]);
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
    // The server waits for them to close their side.
    drop(clients);
    server.wait_for_exit();
    assert!(began.elapsed() < Duration::from_millis(1_900), "it waits for no deadline");
}

#[test]
fn a_state_is_saved_before_the_end() {
    let server = start(&[("SAVE_MS", "400")]);
    let mut clients: Vec<Client> = (0..6).map(|_| Client::open(server.address())).collect();
    for client in &mut clients {
        client.ask(r#"["write","kept"]"#);
        assert_eq!(client.ask(r#"["write","too"]"#), "[2]");
    }
    server.terminate();
    for client in &mut clients {
        to_the_end(client);
    }
    let saved = |server: &Server| {
        server
            .log()
            .lines()
            .filter(|it| it.contains("server shutting down") && it.contains("saved: kept, too"))
            .count()
    };
    assert!(soon(|| saved(&server) == 6), "{}", server.log());
    server.wait_for_exit();
}

#[test]
fn an_app_that_does_not_stop_is_left() {
    let server = start(&[("STOP_MS", "60000")]);
    let mut client = Client::open(server.address());
    let began = Instant::now();
    server.terminate();
    assert_eq!(to_the_end(&mut client), [r#"42["back soon"]"#]);
    assert!(began.elapsed() >= Duration::from_millis(1_500), "it had its time");
    assert!(soon(|| server.log().contains("did not stop in time")), "{}", server.log());
    server.wait_for_exit();
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn an_app_that_has_nothing_to_do_stops_at_once() {
    let server = start(&[]);
    let mut client = Client::open(server.address());
    client.emit(r#"["tick-me",1]"#);
    assert_eq!(client.packet().as_deref(), Some(r#"42["tick"]"#));
    thread::sleep(Duration::from_millis(300));
    let uptime: u32 = client.ask(r#"["uptime"]"#).trim_matches(['[', ']']).parse().unwrap();
    assert!((2..60).contains(&uptime), "it began before the client came: {uptime}");
    let began = Instant::now();
    server.terminate();
    to_the_end(&mut client);
    drop(client);
    server.wait_for_exit();
    assert!(began.elapsed() < Duration::from_millis(1_500));
}
