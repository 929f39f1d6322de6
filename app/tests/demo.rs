//! The demo's server: its page's files, and the contract that `app/demo/README.md` tells. What a browser
//! makes of them is in `browser/`.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::sync::OnceLock;

use harness::{Inside, WebSocket, Wire, get};
use yamabiko::{Config, demo};

fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        Inside::serve(config, |_core| demo::app()).address()
    })
}

struct Guest {
    socket: WebSocket,
    id: String,
}

impl Guest {
    fn open() -> Self {
        let mut socket = WebSocket::open(server());
        assert!(socket.receive().unwrap().text().starts_with("0{"));
        socket.send_text("40");
        let connected = socket.receive().unwrap().text().to_owned();
        let id = connected.strip_prefix("40{\"sid\":\"").and_then(|it| it.strip_suffix("\"}"));
        Self { socket, id: id.unwrap().into() }
    }

    fn in_room(name: &str, room: &str) -> Self {
        let mut guest = Self::open();
        let answer = guest.ask(&format!(r#"["join","{name}","{room}"]"#));
        let (id, shard) = (&guest.id, answer.split_once("\"shard\":").unwrap().1);
        let shard = &shard[..1];
        assert_eq!(
            answer,
            format!(
                r#"[{{"you":{{"id":"{id}","name":"{name}","shard":{shard}}},"room":"{room}"}}]"#
            )
        );
        guest
    }

    /// Sends an event; returns the acknowledgement, which comes next.
    fn ask(&mut self, event: &str) -> String {
        self.socket.send_text(&format!("420{event}"));
        self.next().strip_prefix("430").unwrap().into()
    }

    fn next(&mut self) -> String {
        self.socket.receive().unwrap().text().into()
    }
}

#[test]
fn files_are_known_by_type_and_tag() {
    let mut wire = Wire::open(server());
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/chat.js?x=1", "text/javascript; charset=utf-8"),
        ("/emitter.js", "text/javascript; charset=utf-8"),
    ] {
        let response = wire.ask(get(path, ""));
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), Some(content_type));
        assert!(response.body.len() > 100);
        let tag = response.header("etag").unwrap();
        let again = wire.ask(get(path, &format!("If-None-Match: {tag}\r\n")));
        assert_eq!((again.status, &*again.body, again.header("etag")), (304, "", Some(tag)));
        let other = wire.ask(get(path, "If-None-Match: \"old\"\r\n"));
        assert_eq!(other.status, 200);
    }
    assert_eq!(wire.ask(get("/README.md", "")).status, 404);
}

#[test]
fn what_is_said_in_a_room_is_heard_there() {
    let mut ann = Guest::in_room("Ann", "said");
    let mut bob = Guest::in_room("Bob", "said");
    let mut elsewhere = Guest::in_room("Eve", "elsewhere");
    let (a, b) = (ann.id.clone(), bob.id.clone());
    assert_eq!(ann.next(), format!(r#"42["joined",{{"room":"said","id":"{b}","name":"Bob"}}]"#));

    ann.socket.send_text(&format!(r#"42["here","{b}"]"#));
    assert_eq!(bob.next(), format!(r#"42["here",{{"room":"said","id":"{a}","name":"Ann"}}]"#));

    let receipt = ann.ask(r#"["say","  hello  "]"#);
    let at = receipt.strip_prefix(&format!(r#"[{{"id":"{a}-1","at":"#)).unwrap();
    let at = at.strip_suffix("}]").unwrap();
    let said = format!(
        r#"{{"room":"said","id":"{a}-1","author":{{"id":"{a}","name":"Ann"}},"text":"hello","at":{at}}}"#
    );
    assert_eq!(bob.next(), format!(r#"42["said",{said}]"#));

    ann.socket.send_text(r#"42["typing",true]"#);
    let typing = format!(r#"{{"room":"said","id":"{a}","name":"Ann","typing":true}}"#);
    assert_eq!(bob.next(), format!(r#"42["typing",{typing}]"#));

    ann.socket.send_text("41");
    assert_eq!(bob.next(), format!(r#"42["left",{{"room":"said","id":"{a}","name":"Ann"}}]"#));
    assert_eq!(elsewhere.ask(r#"["say",""]"#), r#"[{"error":"a line has 1 to 2000 characters"}]"#);
}

#[test]
fn who_moves_leaves_and_who_is_nowhere_is_not_heard() {
    let mut ann = Guest::in_room("Ann", "first");
    let mut bob = Guest::in_room("Bob", "first");
    let b = bob.id.clone();
    assert!(ann.next().starts_with("42[\"joined\""));
    bob.ask(r#"["join","Bobby","first"]"#);
    assert_eq!(ann.next(), format!(r#"42["joined",{{"room":"first","id":"{b}","name":"Bobby"}}]"#));
    bob.ask(r#"["join","Bob","second"]"#);
    assert_eq!(ann.next(), format!(r#"42["left",{{"room":"first","id":"{b}","name":"Bobby"}}]"#));

    let mut stranger = Guest::open();
    assert_eq!(stranger.ask(r#"["say","hi"]"#), r#"[{"error":"join a room first"}]"#);
    for event in [r#"["typing",true]"#, &format!(r#"["here","{b}"]"#), r#"["here","room:first"]"#] {
        stranger.socket.send_text(&format!("42{event}"));
    }
    let name = "n".repeat(33);
    for arguments in [format!(r#""{name}","first""#), r#""  ","first""#.into()] {
        let error = stranger.ask(&format!(r#"["join",{arguments}]"#));
        assert_eq!(error, r#"[{"error":"a name has 1 to 32 characters"}]"#);
    }
    let error = stranger.ask(r#"["join","Zoe",""]"#);
    assert_eq!(error, r#"[{"error":"a room has 1 to 32 characters"}]"#);
    // Ann has heard nothing of it: the next she hears is this.
    let id = stranger.id.clone();
    assert!(stranger.ask(r#"["join","Zoe","first"]"#).starts_with("[{\"you\""));
    assert_eq!(ann.next(), format!(r#"42["joined",{{"room":"first","id":"{id}","name":"Zoe"}}]"#));
}
