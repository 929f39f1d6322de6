//! The example `axum_inside`: an API on axum and sockets, on two cores.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{Guest, Server, Wire, get};

fn post(target: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )
}

#[test]
fn what_comes_to_axum_is_told_to_every_socket() {
    let variables =
        [("YAMABIKO_PORT", "0"), ("YAMABIKO_SHARDS", "2"), ("YAMABIKO_ANNOUNCE", "true")];
    let server = Server::of("axum_inside", 2, &variables);
    let mut clients: Vec<Guest> = (0..6).map(|at| Guest::on(server.address(), at % 2)).collect();
    Guest::all_join(&mut clients, "/");
    for client in &mut clients {
        assert_eq!(client.packet(), r#"42["notes",[]]"#);
    }
    let mut wire = Wire::open(server.address());
    assert_eq!(wire.ask(post("/api/notes", r#""first""#)).status, 201);
    for client in &mut clients {
        assert_eq!(client.packet(), r#"42["note","first"]"#);
    }
    clients[0].send(r#"42["add","second"]"#);
    for client in &mut clients {
        assert_eq!(client.packet(), r#"42["note","second"]"#);
    }
    assert_eq!(&*wire.ask(get("/api/notes", "")).body, r#"["first","second"]"#);
    assert_eq!(&*wire.ask(get("/api/notes/1", "")).body, "second");
    assert_eq!(wire.ask(get("/api/notes/7", "")).status, 404);
    assert!((400..500).contains(&wire.ask(post("/api/notes", "{")).status));
    assert!(wire.ask(get("/", "")).body.contains("<title>Notes</title>"));
    // Who comes later is told what there is.
    let mut late = Guest::open(server.address());
    late.join("/");
    assert_eq!(late.packet(), r#"42["notes",["first","second"]]"#);
}
