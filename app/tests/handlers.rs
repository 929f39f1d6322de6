//! What people write against, over the wire: handlers and their arguments, acknowledgements, guards, rooms,
//! what a socket keeps, routes.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use harness::{BINARY, Client, Inside, WebSocket, Wire, get};
use yamabiko::{
    AckFailure, App, Binary, Config, Core, EventError, Handshake, Namespace, RawArgs, Reject,
    Response, Socket,
};

/// One server for all tests, which ends with them.
fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        Inside::serve(config, app).address()
    })
}

fn app(core: Core) -> App {
    assert!(core.of("/").is_none(), "there is no app yet");
    let requests = Rc::new(Cell::new(0));
    App::new()
        .namespace("/", handlers())
        .namespace("/guarded", guarded())
        .namespace("/rooms", rooms())
        .namespace("/news", Namespace::new())
        .get("/ring", move |request| {
            let name = request.head.query().get("namespace").unwrap_or_default().into_owned();
            match core.of(&name) {
                Some(everyone) => everyone.emit("bell", &core.shards()).unwrap(),
                None => return Response::new(400, "text/plain", "no such namespace"),
            }
            requests.set(requests.get() + 1);
            Response::json(&requests.get())
        })
}

fn handlers() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("none", |_: Socket| ())
        .on("sum", |_: Socket, a: i64, b: i64| a + b)
        .on("sum-async", async |_: Socket, a: i64, b: i64| a + b)
        .on("six", |_: Socket, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| [a, b, c, d, e, f])
        .on("two", |_: Socket| ("a", 2))
        .on("raw", |_: Socket, args: RawArgs| args)
        .on("raw-async", async |_: Socket, args: RawArgs| args)
        .on("length", |_: Socket, bytes: Binary, more: Vec<u8>| (bytes.len(), more.len()))
        .on("maybe", |_: Socket, a: u8, b: Option<u8>| (a, b))
        .on("ok", |_: Socket| Ok::<_, Reject>(1))
        .on("no", |_: Socket| Err::<(), _>(Reject::new("no").with_data(&[7])))
        .on("parse", |_: Socket, text: String| text.parse::<i32>())
        .on("parse-async", async |_: Socket, text: String| -> Result<(i32, bool), Reject> {
            Ok((text.parse()?, true))
        })
        .on("wait", async |socket: Socket, ms: u64, name: String| {
            socket.emit("started", &name).unwrap();
            socket.sleep(Duration::from_millis(ms)).await;
            socket.emit("ended", &name).unwrap();
        })
        .on("boom", |_: Socket| -> () { panic!("asked for") })
        .on("question", async |socket: Socket, ms: u64| {
            let patience = Some(Duration::from_millis(ms));
            match socket.emit_with_ack::<u32>("how many?", &(), patience).await {
                Ok(number) => format!("{number}"),
                Err(AckFailure::TimedOut) => "timed out".into(),
                Err(AckFailure::Type(error)) => format!("type: {}", error.index),
                Err(other) => format!("{other:?}"),
            }
        })
        .on("questions", async |socket: Socket| {
            socket.emit_with_acks::<(u32, String)>("how?", &(1, 2), None).await.map_err(Reject::of)
        })
        .on("shake", |socket: Socket| {
            let shake = socket.handshake()?;
            let described: Described = describe(&shake);
            Ok::<_, Reject>(described)
        })
        .on("remember", |socket: Socket, value: u32| socket.set(Kept(value)).map(|old| old.0))
        .on("recall", |socket: Socket| socket.get::<Kept>().map(|kept| kept.0))
        .on("forget", |socket: Socket| socket.remove::<Kept>().map(|kept| kept.0))
        .on_any(|socket, event| {
            if &*event.name == "noticed" {
                socket.emit("notice", &event.args.len()).unwrap();
            }
        })
        .on_error(|socket, event, error| {
            let EventError::Args(error) = error else { panic!("nothing is refused") };
            socket.emit("misfit", &(event, error.index)).unwrap();
        })
}

struct Kept(u32);

type Described = (bool, u8, Option<String>, Option<String>, Option<String>, bool);

fn describe(shake: &Handshake) -> Described {
    (
        shake.address().ip().is_loopback(),
        shake.revision(),
        shake.url(),
        shake.header("HOST"),
        shake.query("EIO"),
        shake.xdomain(),
    )
}

#[derive(serde::Deserialize)]
struct User {
    name: String,
}

fn guarded() -> Namespace {
    Namespace::new()
        .guard(async |socket: Socket| {
            socket.sleep(Duration::from_millis(5)).await;
            let user: Option<User> = socket.handshake()?.auth();
            user.ok_or_else(|| Reject::new("who are you?").with_data(&("name", 1)))
        })
        .guard(async |socket: Socket| match &*socket.get::<User>().ok_or("no user")?.name {
            "mallory" => Err("not you".into()),
            "panic" => panic!("asked for"),
            _ => Ok(()),
        })
        .guard(async |socket: Socket| -> Result<(), Reject> {
            socket.join("known")?;
            socket.broadcast().emit("joins", "nobody is here yet")?;
            socket.everyone().to("known").emit("joins", "not sent before it is accepted")?;
            Ok(())
        })
        .on_connect(async |socket: Socket| {
            socket.sleep(Duration::from_secs(60)).await;
        })
        .on_connect(async |socket: Socket| -> Result<(), Reject> {
            socket.emit("hello", &socket.get::<User>().ok_or("no user")?.name)?;
            Err("logged, and nothing more".into())
        })
        .on("name", |socket: Socket| socket.get::<User>().map(|user| user.name.clone()))
        .on("rooms", |socket: Socket| socket.rooms().map(|rooms| rooms[1..].to_vec()))
}

fn rooms() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| socket.join("lobby"))
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("to-rooms", |socket: Socket, rooms: Vec<String>| {
            socket.to_rooms(rooms).emit("got", "to-rooms")
        })
        .on("except", |socket: Socket, room: String| socket.except(&room).emit("got", "except"))
        .on("everyone", |socket: Socket| socket.everyone().emit("got", "everyone"))
        .on_disconnecting(async |socket: Socket, _reason| {
            let rooms = socket.rooms()?;
            socket.set(Kept(rooms.len() as u32));
            Ok::<_, Reject>(())
        })
        .on_disconnect(async |socket: Socket, reason| {
            assert_eq!(socket.rooms()?, [""; 0]);
            socket.sleep(Duration::from_millis(1)).await;
            let left = (reason.as_str(), socket.connected(), socket.get::<Kept>().unwrap().0);
            socket.to("lobby").emit("left", &left).map_err(Reject::of)
        })
}

/// Joins a namespace, with what is sent as `auth`; returns the answer.
fn join(socket: &mut WebSocket, namespace: &str, auth: &str) -> String {
    socket.send_text(&format!("40{namespace},{auth}"));
    text(socket)
}

fn text(socket: &mut WebSocket) -> String {
    socket.receive().expect("the connection lives").text().into()
}

fn in_namespace(namespace: &str) -> WebSocket {
    let mut socket = WebSocket::open(server());
    assert!(text(&mut socket).starts_with("0{"));
    assert!(join(&mut socket, namespace, "").starts_with(&format!("40{namespace},{{\"sid\"")));
    socket
}

#[test]
fn answers_become_acknowledgements() {
    let mut client = Client::open(server());
    for (event, answer) in [
        (r#"["none"]"#, "[]"),
        (r#"["sum",2,3]"#, "[5]"),
        (r#"["sum-async",2,3]"#, "[5]"),
        (r#"["six",1,2,3,4,5,6]"#, "[1,2,3,4,5,6]"),
        (r#"["two"]"#, r#"["a",2]"#),
        (r#"["raw", {"a" : [1]} , null]"#, r#"[{"a" : [1]} , null]"#),
        (r#"["raw-async",1e3]"#, "[1e3]"),
        (r#"["ok"]"#, "[1]"),
        (r#"["no"]"#, r#"[{"error":"no","data":[7]}]"#),
        (r#"["parse","12"]"#, "[12]"),
        (r#"["parse","x"]"#, r#"[{"error":"invalid digit found in string"}]"#),
        (r#"["parse-async","12"]"#, "[12,true]"),
        (r#"["parse-async","x"]"#, r#"[{"error":"invalid digit found in string"}]"#),
    ] {
        assert_eq!(client.ask(event), answer, "{event}");
    }
}

#[test]
fn missing_arguments_are_null_and_more_are_ignored() {
    let mut client = Client::open(server());
    assert_eq!(client.ask(r#"["maybe",1]"#), "[1,null]");
    assert_eq!(client.ask(r#"["maybe",1,2]"#), "[1,2]");
    assert_eq!(client.ask(r#"["maybe",1,2,3,"four"]"#), "[1,2]");
    assert_eq!(client.ask(r#"["none",1]"#), "[]");
}

#[test]
fn arguments_that_do_not_fit_are_answered_and_reported() {
    let mut client = Client::open(server());
    for (event, name, index) in [
        (r#"["sum",1,"two"]"#, "sum", 1),
        (r#"["sum-async",1.5,2]"#, "sum-async", 0),
        (r#"["six",1,2,3,4,5,256]"#, "six", 5),
        (r#"["maybe"]"#, "maybe", 0),
    ] {
        client.emit_for_ack(event);
        assert_eq!(client.packet().unwrap(), format!(r#"42["misfit","{name}",{index}]"#));
        let answer = client.packet().unwrap();
        assert!(answer.contains(&format!(r#"[{{"error":"argument {index}: "#)), "{answer}");
    }
    // Nobody waits for an answer to this one.
    client.emit(r#"["sum"]"#);
    assert_eq!(client.packet().unwrap(), r#"42["misfit","sum",0]"#);
    assert_eq!(client.ask(r#"["sum",1,1]"#), "[2]");
}

#[test]
fn who_wants_no_acknowledgement_gets_none() {
    let mut client = Client::open(server());
    client.emit(r#"["sum",1,2]"#);
    client.emit(r#"["no"]"#);
    client.emit(r#"["nobody handles this"]"#);
    client.emit_for_ack(r#"["nor this"]"#);
    client.emit_for_ack(r#"["two"]"#);
    assert_eq!(client.packet().unwrap(), r#"431["a",2]"#);
}

#[test]
fn attachments_are_arguments() {
    let mut client = Client::open(server());
    let placeholders = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (event, answer) in [("length", "430[3,2]"), ("raw", &*format!("462-0[{placeholders}]"))] {
        client.send(&format!(r#"452-0["{event}",{placeholders}]"#));
        client.socket.send(BINARY, &[1, 2, 3]);
        client.socket.send(BINARY, &[4, 5]);
        assert_eq!(client.packet().unwrap(), answer);
    }
    assert_eq!(client.socket.receive().unwrap().payload, [1, 2, 3]);
    assert_eq!(client.socket.receive().unwrap().payload, [4, 5]);
}

#[test]
fn handlers_start_in_order_and_none_waits_for_another() {
    let mut client = Client::open(server());
    for event in [r#"["wait",200,"a"]"#, r#"["wait",1,"b"]"#, r#"["raw"]"#] {
        client.emit_for_ack(event);
    }
    let packets: Vec<_> = (0..7).map(|_| client.packet().unwrap()).collect();
    assert_eq!(packets[..3], [r#"42["started","a"]"#, r#"42["started","b"]"#, "432[]"]);
    assert_eq!(packets[3..5], [r#"42["ended","b"]"#, "431[]"]);
    assert_eq!(packets[5..], [r#"42["ended","a"]"#, "430[]"]);
}

#[test]
fn a_panic_ends_its_socket_alone() {
    let (mut client, mut other) = (Client::open(server()), Client::open(server()));
    client.emit(r#"["boom"]"#);
    assert_eq!(client.packet().unwrap(), "41");
    assert_eq!(other.ask(r#"["ok"]"#), "[1]");
}

#[test]
fn clients_are_asked() {
    let mut client = Client::open(server());
    let mut asked = |patience_ms: u64, answer: Option<&str>| {
        client.emit(&format!(r#"["raw","{patience_ms}"]"#));
        let own = client.emit_for_ack(&format!(r#"["question",{patience_ms}]"#));
        let question = client.packet().unwrap();
        let id = question.strip_prefix("42").unwrap().strip_suffix(r#"["how many?"]"#).unwrap();
        if let Some(answer) = answer {
            client.send(&format!("43{id}{answer}"));
        }
        let packet = client.packet().unwrap();
        packet.strip_prefix(&format!("43{own}")).unwrap().to_owned()
    };
    assert_eq!(asked(5_000, Some("[42]")), r#"["42"]"#);
    assert_eq!(asked(5_000, Some(r#"[42,"ignored"]"#)), r#"["42"]"#);
    assert_eq!(asked(5_000, Some(r#"["many"]"#)), r#"["type: 0"]"#);
    assert_eq!(asked(30, None), r#"["timed out"]"#);
}

#[test]
fn clients_may_answer_with_several_arguments() {
    let mut client = Client::open(server());
    for (answer, becomes) in
        [(r#"[4,"ways"]"#, r#"[4,"ways"]"#), (r#"[4]"#, r#"[{"error":"argument 1: "#)]
    {
        let own = client.emit_for_ack(r#"["questions"]"#);
        let question = client.packet().unwrap();
        let id = question.strip_prefix("42").unwrap().strip_suffix(r#"["how?",1,2]"#).unwrap();
        client.send(&format!("43{id}{answer}"));
        let packet = client.packet().unwrap();
        assert!(packet.starts_with(&format!("43{own}{becomes}")), "{packet}");
    }
}

#[test]
fn a_socket_keeps_one_value_of_each_type() {
    let (mut client, mut other) = (Client::open(server()), Client::open(server()));
    for (event, answer) in [
        (r#"["recall"]"#, "[null]"),
        (r#"["remember",1]"#, "[null]"),
        (r#"["remember",2]"#, "[1]"),
        (r#"["recall"]"#, "[2]"),
        (r#"["forget"]"#, "[2]"),
        (r#"["forget"]"#, "[null]"),
    ] {
        assert_eq!(client.ask(event), answer, "{event}");
        assert_eq!(other.ask(r#"["recall"]"#), "[null]");
    }
}

#[test]
fn every_event_is_noticed() {
    let mut client = Client::open(server());
    client.emit(r#"["noticed",1,2,3]"#);
    assert_eq!(client.packet().unwrap(), r#"42["notice",3]"#);
}

#[test]
fn the_handshake_is_known() {
    let mut client = Client::open(server());
    let target = "/socket.io/?EIO=4&transport=websocket";
    let expected = format!(r#"[true,4,"{target}","localhost","4",false]"#);
    assert_eq!(client.ask(r#"["shake"]"#), expected);
}

#[test]
fn guards_refuse_with_message_and_data_and_keep_what_they_found() {
    let mut socket = WebSocket::open(server());
    assert!(text(&mut socket).starts_with("0{"));
    for (auth, answer) in [
        ("", r#"44/guarded,{"message":"who are you?","data":["name",1]}"#),
        (r#"{"name":"mallory"}"#, r#"44/guarded,{"message":"not you"}"#),
        (r#"{"name":"panic"}"#, r#"44/guarded,{"message":"Internal server error"}"#),
    ] {
        assert_eq!(join(&mut socket, "/guarded", auth), answer);
    }
    // What comes at once waits for the guards, and handlers of connecting start first.
    socket.send_text(r#"40/guarded,{"name":"ann"}"#);
    socket.send_text(r#"42/guarded,0["name"]"#);
    assert!(text(&mut socket).starts_with("40/guarded,"));
    assert_eq!(text(&mut socket), r#"42/guarded,["hello","ann"]"#);
    assert_eq!(text(&mut socket), r#"43/guarded,0["ann"]"#);
    socket.send_text(r#"42/guarded,1["rooms"]"#);
    assert_eq!(text(&mut socket), r#"43/guarded,1[["known"]]"#);
    assert_eq!(join(&mut socket, "/nowhere", ""), r#"44/nowhere,{"message":"Invalid namespace"}"#);
}

#[test]
fn broadcasts_reach_whom_they_name() {
    let mut members: Vec<_> = (0..3).map(|_| in_namespace("/rooms")).collect();
    for (member, rooms) in members.iter_mut().zip([&["a"][..], &["a", "b"], &[]]) {
        for room in rooms {
            member.send_text(&format!(r#"42/rooms,0["join","{room}"]"#));
            assert_eq!(text(member), "43/rooms,0[]");
        }
    }
    for event in
        [r#"["to-rooms",["a","b"]]"#, r#"["to-rooms",[]]"#, r#"["except","a"]"#, r#"["everyone"]"#]
    {
        members[0].send_text(&format!("42/rooms,1{event}"));
        loop {
            let packet = text(&mut members[0]);
            if packet == "43/rooms,1[]" {
                break;
            }
            assert_eq!(packet, r#"42/rooms,["got","everyone"]"#);
        }
    }
    let got = |what: &str| format!(r#"42/rooms,["got","{what}"]"#);
    assert_eq!(text(&mut members[1]), got("to-rooms"), "once, though it is in both");
    assert_eq!(text(&mut members[1]), got("everyone"), "an empty list of rooms is nobody");
    assert_eq!(text(&mut members[2]), got("except"));
    assert_eq!(text(&mut members[2]), got("everyone"));

    members[1].send_text("41/rooms,");
    let left = r#"42/rooms,["left","client namespace disconnect",false,4]"#;
    assert_eq!(text(&mut members[2]), left, "rooms are known first, and what it keeps later, too");
}

#[test]
fn routes_reach_namespaces() {
    let (mut one, mut other) = (in_namespace("/news"), in_namespace("/news"));
    let mut wire = Wire::open(server());
    let response = wire.ask(get("/ring?namespace=news", ""));
    assert_eq!((response.status, &*response.body), (200, "1"));
    for socket in [&mut one, &mut other] {
        assert_eq!(text(socket), r#"42/news,["bell",2]"#);
    }
    assert_eq!(wire.ask(get("/ring?namespace=olds", "")).status, 400);
    assert_eq!(wire.ask(get("/elsewhere", "")).status, 404);
    let post = "POST /ring HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let response = wire.ask(post);
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
}
