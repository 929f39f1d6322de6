//! Rooms as the application hears of them on two shards, and the order in which a socket leaves.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;

use harness::{Guest, Inside, soon};
use yamabiko::{App, Config, Core, Namespace, Regex, Reject, Room, Socket};

/// One shard's record of what it was told.
type Record = Rc<RefCell<Vec<String>>>;

fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        Inside::serve(config, app).address()
    })
}

fn app(core: Core) -> App {
    let record = Record::default();
    let to_read = Rc::clone(&record);
    let pattern = Regex::new("^/order-[a-z]+$").unwrap();
    App::new()
        .namespace(
            "/",
            Namespace::new().on("record", move |_: Socket, namespace: String| {
                let all = to_read.take();
                let (told, other) = all.into_iter().partition(|line| line.starts_with(&namespace));
                *to_read.borrow_mut() = other;
                let told: Vec<String> = told;
                (told,)
            }),
        )
        .namespace_matching(pattern, order(&core, &record))
        .namespace("/unheard", joining(Namespace::new()))
        .namespace("/panics", joining(Namespace::new()).on_join_room(|_, _| panic!("asked for")))
}

fn joining(namespace: Namespace) -> Namespace {
    namespace
        .on("join", |socket: Socket, room: String| socket.join(&room).map_err(Reject::of))
        .on("leave", |socket: Socket, room: String| socket.leave(&room).map_err(Reject::of))
        .on("rooms", |socket: Socket| socket.rooms().map(|rooms| rooms[1..].to_vec()))
}

/// Writes down what it is told, in order.
fn order(core: &Core, record: &Record) -> Namespace {
    let of_room = |what: &'static str| {
        let record = Rc::clone(record);
        move |room: &Room<'_>| {
            record.borrow_mut().push(format!("{} {what} {}", room.namespace(), room.name()));
        }
    };
    let of_member = |what: &'static str| {
        let (record, core) = (Rc::clone(record), core.clone());
        move |room: &Room<'_>, id: &str| {
            let here = core.members(room.namespace(), room.name()).shard;
            let line = format!("{} {what} {} {id} {here}", room.namespace(), room.name());
            record.borrow_mut().push(line);
        }
    };
    let leaving = |what: &'static str| {
        let record = Rc::clone(record);
        move |socket: &Socket| {
            let rooms = socket.rooms().unwrap().len();
            let here = socket.core().sockets(socket.namespace()).shard;
            let line = format!("{} {what} {rooms} {here}", socket.namespace());
            record.borrow_mut().push(line);
        }
    };
    let (disconnecting, disconnect) = (leaving("disconnecting"), leaving("disconnect"));
    joining(Namespace::new())
        .guard(async |socket: Socket| -> Result<(), Reject> {
            let auth: serde_json::Value = socket.handshake()?.auth().unwrap_or_default();
            if auth["refused"] == true {
                socket.join("guarded")?;
                return Err("no".into());
            }
            Ok(())
        })
        .on_create_room(of_room("created"))
        .on_delete_room(of_room("deleted"))
        .on_join_room(of_member("joined"))
        .on_leave_room(of_member("left"))
        .on_disconnecting(async move |socket: Socket, _reason| disconnecting(&socket))
        .on_disconnect(async move |socket: Socket, _reason| disconnect(&socket))
}

/// A guest on each shard in a namespace, with another one beside it who reads that shard's record.
fn pair(namespace: &str) -> [(Guest, String, Guest); 2] {
    [0, 1].map(|shard| {
        let [mut guest, mut reader] = [0, 1].map(|_| Guest::on(server(), shard));
        reader.join("/");
        let id = guest.join(namespace);
        (guest, id, reader)
    })
}

fn record(reader: &mut Guest, namespace: &str) -> Vec<String> {
    let answer = reader.ask("/", &format!(r#"["record","{namespace}"]"#));
    let (lines,): (Vec<String>,) = serde_json::from_str(&answer).unwrap();
    lines.iter().map(|line| line[namespace.len() + 1..].to_owned()).collect()
}

#[test]
fn rooms_are_told_of_on_each_shard_for_itself() {
    let namespace = "/order-a";
    let [(mut one, one_id, mut here), (mut other, other_id, mut there)] = pair(namespace);
    assert_eq!(one.ask(namespace, r#"["join","r"]"#), "[]");
    assert_eq!(one.ask(namespace, r#"["join","r"]"#), "[]");
    assert_eq!(other.ask(namespace, r#"["join","r"]"#), "[]");
    let came = |id: &str| [String::from("created r"), format!("joined r {id} 1")];
    assert_eq!(record(&mut here, namespace), came(&one_id), "joining twice is joining once");
    assert_eq!(record(&mut there, namespace), came(&other_id));

    let mut second = Guest::on(server(), 0);
    let second_id = second.join(namespace);
    assert_eq!(second.ask(namespace, r#"["join","r"]"#), "[]");
    assert_eq!(one.ask(namespace, r#"["leave","r"]"#), "[]");
    assert_eq!(one.ask(namespace, r#"["leave","r"]"#), "[]");
    assert_eq!(second.ask(namespace, r#"["leave","r"]"#), "[]");
    let expected = [
        format!("joined r {second_id} 2"),
        format!("left r {one_id} 1"),
        format!("left r {second_id} 0"),
        "deleted r".into(),
    ];
    assert_eq!(record(&mut here, namespace), expected);
    assert_eq!(record(&mut there, namespace), [""; 0], "there it has a member still");
}

#[test]
fn a_socket_leaves_in_the_order_of_node() {
    let namespace = "/order-b";
    let [(mut one, id, mut here), _] = pair(namespace);
    for room in ["r", "s"] {
        assert_eq!(one.ask(namespace, &format!(r#"["join","{room}"]"#)), "[]");
    }
    assert_eq!(record(&mut here, namespace).len(), 4);
    drop(one);
    let mut told = Vec::new();
    assert!(soon(|| {
        told.extend(record(&mut here, namespace));
        told.len() == 6
    }));
    let expected = [
        "disconnecting 3 1".into(),
        format!("left r {id} 0"),
        "deleted r".into(),
        format!("left s {id} 0"),
        "deleted s".into(),
        "disconnect 0 0".into(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn rooms_that_a_guard_joined_are_left_when_it_refuses() {
    let namespace = "/order-c";
    let [(_one, _, mut here), _] = pair(namespace);
    let mut refused = Guest::on(server(), 0);
    let answer = refused.ask_to_join(namespace, r#"{"refused":true}"#);
    assert_eq!(answer, r#"44/order-c,{"message":"no"}"#);
    let told = record(&mut here, namespace);
    let what: Vec<_> = told.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(what, ["created", "joined", "left", "deleted"], "and no disconnecting");
}

#[test]
fn who_does_not_ask_is_told_nothing_and_a_panic_harms_nobody() {
    let mut guest = Guest::open(server());
    for namespace in ["/unheard", "/panics"] {
        guest.join(namespace);
        assert_eq!(guest.ask(namespace, r#"["join","r"]"#), "[]");
        assert_eq!(guest.ask(namespace, r#"["rooms"]"#), r#"[["r"]]"#);
    }
}
