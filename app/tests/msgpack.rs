//! A server whose parser is MessagePack, on two shards: handlers, broadcasts, acknowledgements, listeners
//! and other threads are what they are with the default parser, and dates and bytes stay what they are.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use harness::{BINARY, Inside, TEXT, WebSocket};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use yamabiko::{
    App, Binary, Config, Date, Event, EventError, Namespace, Parser, RawArgs, Reject, Socket,
};
use yamabiko_protocol::engine::SessionId;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{PacketType, decode, encode, from_slice};

const PATIENCE: Duration = Duration::from_secs(10);

fn inside() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.parser = Parser::Msgpack;
        Inside::serve(config, |_core| {
            App::new()
                .namespace("/types", types())
                .namespace("/guarded", guarded())
                .namespace("/node", node())
                .namespace("/news", Namespace::new())
                .namespace("/watched", watched())
                .namespace("/waiting", waiting())
        })
    })
}

fn types() -> Namespace {
    Namespace::new()
        .on("sum", |_: Socket, a: u32, b: Option<i64>| i64::from(a) + b.unwrap_or(100))
        .on("later", |_: Socket, at: Date, bytes: Binary| (Date(at.0 + 1), bytes))
        .on("text of it", |_: Socket, at: String, value: Value| (at, value))
        .on("raw", |_: Socket, args: RawArgs| args)
        .on_error(|socket, event, error| {
            let EventError::Args(error) = error else { unreachable!("nothing is refused") };
            socket.emit("misfit", &(event, error.index)).unwrap();
        })
}

fn guarded() -> Namespace {
    Namespace::new().guard(async |socket: Socket| -> Result<(), Reject> {
        let auth: Option<Value> = socket.handshake()?.auth();
        match auth {
            Some(auth) if auth["token"] == "é" => Ok(()),
            auth => Err(Reject::new("no").with_data(&auth)),
        }
    })
}

/// What needs the other shard.
fn node() -> Namespace {
    Namespace::new()
        .on("join", |socket: Socket, room: String| socket.join(&room).map_err(Reject::of))
        .on("say", |socket: Socket, room: String, args: Date| {
            socket.to(&room).emit("said", &(args, Binary::from(vec![1]))).map_err(Reject::of)
        })
        .on("ask all", async |socket: Socket, room: String| -> Result<i64, Reject> {
            let asked = socket.to(&room).emit_with_ack::<Date>("when?", &(Date(7), 8));
            let answers = asked.await.map_err(|error| Reject::new(format!("{error:?}")))?;
            Ok(answers.iter().map(|it| it.0).sum())
        })
        .on("ask cores", async |socket: Socket, at: Date| -> Result<Date, Reject> {
            let core = socket.core();
            let asked = core.server_side_emit_with_ack::<Date>("/node", "shift", &at, PATIENCE);
            let answers = asked.await.map_err(|error| Reject::new(format!("{error:?}")))?;
            Ok(answers[0])
        })
        .on_server_side("shift", async |(at,): (Date,)| Date(at.0 + 1))
}

/// Listens to everything that goes out.
fn watched() -> Namespace {
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let to_tell = Rc::clone(&seen);
    Namespace::new()
        .on_any_outgoing(move |_, event| {
            seen.borrow_mut().push(format!("{} {} {:?}", event.name, event.args.json(), event.id));
        })
        .on("seen", move |_: Socket| (to_tell.take(),))
        .on("say", |socket: Socket, what: Date| {
            socket.emit("one", &(what, 1.5)).unwrap();
            socket.everyone().emit("all", &Binary::from(vec![1, 2])).unwrap();
        })
}

/// Has every event wait.
fn waiting() -> Namespace {
    Namespace::new()
        .middleware(async |socket: &Socket, event: &Event<'_>| -> Result<(), Reject> {
            assert_eq!(event.args.len(), 2);
            socket.sleep(Duration::from_millis(20)).await;
            Ok(())
        })
        .on("late", |_: Socket, at: Date, bytes: Binary| (bytes, at))
}

/// A client that speaks MessagePack.
struct Client {
    socket: WebSocket,
    shard: u8,
    namespace: &'static str,
}

/// What a packet says: its type, its id, and its data.
type Said<T> = (PacketType, Option<u64>, T);

impl Client {
    fn open(namespace: &'static str) -> Self {
        let mut socket = WebSocket::open(inside().address());
        let handshake: String = socket.receive().expect("a handshake").text().into();
        let sid = handshake.strip_prefix("0{\"sid\":\"").and_then(|it| it.get(..20)).unwrap();
        let shard = SessionId::parse(sid).unwrap().owner().shard;
        Self { socket, shard, namespace }
    }

    /// One that has joined.
    fn join(namespace: &'static str) -> Self {
        let mut client = Self::open(namespace);
        client.connect(&());
        let (kind, _, answer): Said<Value> = client.hear();
        assert_eq!(kind, PacketType::Connect);
        assert_eq!(answer["sid"].as_str().map(str::len), Some(20));
        client
    }

    /// One on each shard.
    fn pair(namespace: &'static str) -> [Self; 2] {
        [0, 1].map(|shard| {
            let mut tries = (0..200).map(|_| Self::join(namespace));
            tries.find(|it| it.shard == shard).expect("the kernel spreads connections")
        })
    }

    fn connect<T: Serialize>(&mut self, auth: &T) {
        let mut data = Vec::new();
        encode::value(&mut data, auth).unwrap();
        let mut out = b"\x83\xa4type\0\xa3nsp".to_vec();
        encode::value(&mut out, self.namespace).unwrap();
        out.extend_from_slice(b"\xa4data");
        out.extend_from_slice(&data);
        self.socket.send(BINARY, &out);
    }

    fn emit<T: Serialize>(&mut self, id: Option<u64>, name: &str, args: &T) {
        let mut out = Vec::new();
        encode::event(&mut out, self.namespace, id, name, args).unwrap();
        self.socket.send(BINARY, &out);
    }

    fn acknowledge<T: Serialize>(&mut self, id: u64, args: &T) {
        let mut out = Vec::new();
        encode::ack(&mut out, self.namespace, id, args).unwrap();
        self.socket.send(BINARY, &out);
    }

    /// The next packet.
    fn hear<T: DeserializeOwned>(&mut self) -> Said<T> {
        loop {
            let frame = self.socket.receive().expect("the connection lives");
            match (frame.opcode(), &*frame.payload) {
                (TEXT, b"2") => self.socket.send_text("3"),
                (opcode, message) => {
                    assert_eq!(opcode, BINARY, "{frame:?}");
                    let packet = decode(message, &PacketLimits::default()).unwrap();
                    assert_eq!(packet.namespace, self.namespace);
                    let data = from_slice(packet.data.unwrap()).unwrap();
                    return (packet.kind, packet.id, data);
                }
            }
        }
    }

    /// The arguments of the acknowledgement.
    fn ask<T: Serialize, R: DeserializeOwned>(&mut self, name: &str, args: &T) -> R {
        self.emit(Some(3), name, args);
        let (kind, id, answer) = self.hear();
        assert_eq!((kind, id), (PacketType::Ack, Some(3)));
        answer
    }
}

#[test]
fn handlers_get_the_same_types_as_from_the_default_parser() {
    let mut client = Client::join("/types");
    assert_eq!(client.ask::<_, (i64,)>("sum", &(1, -2)), (-1,));
    assert_eq!(client.ask::<_, (i64,)>("sum", &(1, ())), (101,));
    assert_eq!(client.ask::<_, (i64,)>("sum", &1), (101,));
    let bytes = Binary::from(vec![0, 255]);
    let later: (Date, Binary) = client.ask("later", &(Date(41), &bytes));
    assert_eq!(later, (Date(42), bytes.clone()));
    let text: (String, Value) = client.ask("text of it", &(Date(0), &bytes));
    assert_eq!(text, ("1970-01-01T00:00:00.000Z".into(), json!("AP8=")));
    let raw: (Date, (Binary, f64)) = client.ask("raw", &(Date(-1), (&bytes, 0.5)));
    assert_eq!(raw, (Date(-1), (bytes, 0.5)));
}

#[test]
fn arguments_that_do_not_fit_are_told_of() {
    let mut client = Client::join("/types");
    client.emit(None, "sum", &(1, "two"));
    let (kind, _, told): Said<(String, String, u8)> = client.hear();
    assert_eq!((kind, told), (PacketType::Event, ("misfit".into(), "sum".into(), 1)));
}

#[test]
fn a_guard_reads_what_it_is_sent_and_says_why_not() {
    let mut client = Client::open("/guarded");
    client.connect(&json!({"token": "e", "n": [1.5]}));
    let (kind, _, refusal): Said<Value> = client.hear();
    assert_eq!(kind, PacketType::ConnectError);
    assert_eq!(refusal, json!({"message": "no", "data": {"token": "e", "n": [1.5]}}));
    client.connect(&json!({"token": "é"}));
    assert_eq!(client.hear::<Value>().0, PacketType::Connect);
    let mut silent = Client::open("/guarded");
    silent.connect(&());
    let (kind, _, refusal): Said<Value> = silent.hear();
    assert_eq!((kind, refusal), (PacketType::ConnectError, json!({"message": "no", "data": {}})));
}

#[test]
fn a_room_on_both_shards_hears_and_answers() {
    let [mut here, mut there] = Client::pair("/node");
    let mut beside = Client::join("/node");
    for client in [&mut here, &mut there, &mut beside] {
        let _: [(); 0] = client.ask("join", &"room");
    }
    let _: [(); 0] = here.ask("say", &("room", Date(5)));
    for client in [&mut there, &mut beside] {
        let (kind, id, said): Said<(String, Date, Binary)> = client.hear();
        assert_eq!((kind, id), (PacketType::Event, None));
        assert_eq!(said, ("said".into(), Date(5), Binary::from(vec![1])));
    }
    here.emit(Some(9), "ask all", &"room");
    for (client, answer) in [(&mut there, 1_000), (&mut beside, 500)] {
        let (_, id, asked): Said<(String, Date, u8)> = client.hear();
        assert_eq!(asked, ("when?".into(), Date(7), 8));
        client.acknowledge(id.unwrap(), &Date(answer));
    }
    assert_eq!(here.hear::<(i64,)>(), (PacketType::Ack, Some(9), (1_500,)));
    assert_eq!(there.ask::<_, (Date,)>("ask cores", &Date(10)), (Date(11),));
}

#[test]
fn other_threads_send_what_clients_read() {
    let mut client = Client::join("/news");
    let news = (Date(3), Binary::from(vec![4]));
    inside().handle().of("/news").emit("news", &news).unwrap();
    let (kind, _, (name, at, bytes)): Said<(String, Date, Binary)> = client.hear();
    assert_eq!((kind, &*name, (at, bytes)), (PacketType::Event, "news", news));
}

#[test]
fn what_goes_out_is_told_to_listeners() {
    let mut client = Client::join("/watched");
    client.emit(None, "say", &Date(0));
    assert_eq!(client.hear::<(String, Date, f64)>().2, ("one".into(), Date(0), 1.5));
    assert_eq!(client.hear::<(String, Binary)>().2, ("all".into(), Binary::from(vec![1, 2])));
    let (seen,): (Vec<String>,) = client.ask("seen", &());
    assert_eq!(seen, [r#"one "1970-01-01T00:00:00.000Z",1.5 None"#, r#"all "AQI=" None"#]);
}

#[test]
fn an_event_that_waits_is_what_came() {
    let mut client = Client::join("/waiting");
    let bytes = Binary::from(vec![9; 300]);
    for n in 0..3 {
        client.emit(Some(n), "late", &(Date(1), &bytes));
    }
    for n in 0..3 {
        let (kind, id, answer): Said<(Binary, Date)> = client.hear();
        assert_eq!((kind, id), (PacketType::Ack, Some(n)));
        assert_eq!(answer, (bytes.clone(), Date(1)));
    }
}
