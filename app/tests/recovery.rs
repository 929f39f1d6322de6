//! Clients that come back get their sockets back, from whichever core has kept them.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Inside, Random, WebSocket, ack_of, packet_of};
use serde_json::{Value, json};
use yamabiko::{App, Config, ConnectionStateRecovery, Core, Namespace, Reject, Socket};

const SHARDS: u8 = 3;

fn start(settings: ConnectionStateRecovery) -> Inside {
    let mut config = Config::default();
    config.settings.shards = Some(SHARDS.into());
    config.settings.connection_state_recovery = Some(settings);
    Inside::serve(config, app)
}

/// One server for most tests, which ends with them.
fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| start(ConnectionStateRecovery::default()))
}

fn app(_: Core) -> App {
    let main = Namespace::new()
        .guard(async |socket: Socket| -> Result<(), Reject> {
            let auth = socket.handshake()?.auth::<Value>().unwrap_or_default();
            match auth["refuse"] == true {
                true => Err(Reject::new("refused")),
                false => Ok(()),
            }
        })
        .on_connect(async |socket: Socket| {
            let facts = json!({
                "shard": socket.shard(),
                "recovered": socket.recovered(),
                "rooms": socket.rooms().unwrap(),
                "data": socket.data::<Value>(),
            });
            let _ = socket.emit_volatile("facts", &(facts,));
        })
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("data", |socket: Socket, data: Value| {
            socket.set_data(&data)?;
            Ok::<(), serde_json::Error>(())
        })
        .on("say", |socket: Socket, room: String, what: Value| {
            socket.to(&room).emit("said", &(what,))
        })
        .on("shout", |socket: Socket, but: String, what: Value| {
            socket.broadcast().except(&but).emit("said", &(what,))
        })
        .on("whisper", |socket: Socket, room: String, what: Value| {
            socket.to(&room).volatile().emit("said", &(what,))
        })
        .on("echo", |socket: Socket, what: Value| socket.emit("said", &(what,)))
        .on("nothing", |_: Socket| ())
        .on("leave-me", |socket: Socket| socket.disconnect(false));
    App::new().namespace("/", main)
}

/// A client that keeps what it needs to come back.
struct Guest {
    client: WebSocket,
    sid: String,
    pid: String,
    offset: Option<String>,
    /// What it got when it came, before it was told that it is connected.
    missed: Vec<Value>,
    facts: Value,
    asked: u64,
}

impl Guest {
    fn come(server: &Inside) -> Self {
        Self::connect(server, &json!({}))
    }

    fn come_back(server: &Inside, pid: &str, offset: &str) -> Self {
        Self::connect(server, &json!({ "pid": pid, "offset": offset }))
    }

    fn connect(server: &Inside, auth: &Value) -> Self {
        let client = WebSocket::open(server.address());
        let offset = auth["offset"].as_str().map(String::from);
        let (sid, pid, missed, facts) = Default::default();
        let mut guest = Self { client, sid, pid, offset, missed, facts, asked: 0 };
        assert!(guest.packet().starts_with("0{"));
        guest.client.send_text(&format!("40{auth}"));
        loop {
            let packet = guest.packet();
            if let Some(connected) = packet.strip_prefix("40") {
                let connected: Value = serde_json::from_str(connected).unwrap();
                guest.sid = connected["sid"].as_str().unwrap().into();
                guest.pid = connected["pid"].as_str().unwrap().into();
                break;
            }
            let event = guest.read(&packet);
            guest.missed.push(event);
        }
        guest.facts = guest.facts_of();
        guest
    }

    fn facts_of(&mut self) -> Value {
        let packet = self.packet();
        let event: Value = serde_json::from_str(packet_of(&packet).unwrap()).unwrap();
        assert_eq!(event[0], "facts");
        event[1].clone()
    }

    /// Loses its connection, and comes back with what it knows.
    fn again(self, server: &Inside) -> Self {
        let (pid, offset) = (self.pid.clone(), self.offset.clone().unwrap());
        drop(self);
        Self::come_back(server, &pid, &offset)
    }

    fn packet(&mut self) -> String {
        loop {
            let frame = self.client.receive().expect("the connection lives");
            match &*frame.payload {
                b"2" => self.client.send_text("3"),
                _ => return frame.text().into(),
            }
        }
    }

    /// Reads an event as the official client does: a string at its end is an offset.
    fn read(&mut self, packet: &str) -> Value {
        let event = packet_of(packet).unwrap_or_else(|| panic!("{packet}"));
        let mut event: Vec<Value> = serde_json::from_str(event).unwrap();
        assert_eq!(event[0], "said");
        assert_eq!(event.len(), 3, "the offset is one more argument");
        self.offset = Some(event.pop().unwrap().as_str().unwrap().into());
        event.pop().unwrap()
    }

    /// What is said next.
    fn hear(&mut self) -> Value {
        let packet = self.packet();
        self.read(&packet)
    }

    fn ask(&mut self, event: &Value) {
        self.client.send_text(&format!("42{}{event}", self.asked));
        let packet = self.packet();
        assert_eq!(ack_of(&packet).map(|(id, _)| id), Some(self.asked), "{packet}");
        self.asked += 1;
    }

    fn was_recovered(&self) -> bool {
        self.facts["recovered"] == true
    }
}

/// Waits until the server knows that so many clients are away.
fn until_away(server: &Inside, count: u64) {
    let patience = Instant::now() + Duration::from_secs(10);
    while server.count(|metrics| metrics.recoverable.value()) < count {
        assert!(Instant::now() < patience, "the server does not notice that clients are gone");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Private to a test, as all share a server.
fn room(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn who_comes_back_gets_everything_back() {
    let server = start(ConnectionStateRecovery::default());
    let mut speaker = Guest::come(&server);
    let mut shards = [0_u32; SHARDS as usize];
    for round in 0..12 {
        let room = room("lobby");
        let mut guest = Guest::come(&server);
        assert!(!guest.was_recovered());
        guest.ask(&json!(["join", room]));
        guest.ask(&json!(["join", "quiet"]));
        guest.ask(&json!(["data", { "name": "Ada", "round": round }]));
        speaker.ask(&json!(["say", room, "seen"]));
        assert_eq!(guest.hear(), "seen");
        let (sid, pid, was) = (guest.sid.clone(), guest.pid.clone(), guest.facts["shard"].clone());
        let (offset, client) = (guest.offset.clone().unwrap(), guest.client);
        drop(client);
        until_away(&server, 1);
        speaker.ask(&json!(["say", room, "to the room"]));
        speaker.ask(&json!(["say", "elsewhere", "to another room"]));
        speaker.ask(&json!(["shout", "quiet", "to everyone but a room of mine"]));
        speaker.ask(&json!(["shout", "nobody", { "to": "everyone" }]));
        speaker.ask(&json!(["whisper", room, "volatile"]));
        speaker.ask(&json!(["say", sid, "to me"]));
        let mut guest = Guest::come_back(&server, &pid, &offset);
        let missed = [json!("to the room"), json!({ "to": "everyone" }), json!("to me")];
        assert_eq!(guest.missed, missed);
        assert!(guest.was_recovered());
        assert_eq!((&guest.sid, &guest.pid), (&sid, &pid));
        assert_eq!(guest.facts["rooms"], json!([sid, room, "quiet"]));
        assert_eq!(guest.facts["data"], json!({ "name": "Ada", "round": round }));
        shards[usize::from(guest.facts["shard"] == was)] += 1;
        // It is reached as before, by its rooms and by its id, which names another core perhaps.
        speaker.ask(&json!(["say", room, "again"]));
        speaker.ask(&json!(["say", sid, "to me again"]));
        speaker.ask(&json!(["say", "quiet", "ssh"]));
        assert_eq!([guest.hear(), guest.hear(), guest.hear()], ["again", "to me again", "ssh"]);
        guest.client.send_text("42[\"leave-me\"]");
        assert_eq!(guest.packet(), "41");
    }
    assert!(shards[0] > 0 && shards[1] > 0, "both ways were gone: {shards:?}");
    assert_eq!(server.count(|metrics| metrics.recovered.value()), 12);
    assert_eq!(server.count(|metrics| metrics.recoverable.value()), 0);
}

/// Speakers on all cores talk without a pause while listeners come and go. Nothing is lost, nothing comes
/// twice, and each speaker is heard in order.
#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    const SPEAKERS: usize = 4;
    const LISTENERS: u64 = 6;
    const RETURNS: usize = 25;
    let server = server();
    let room = &room("talk");
    let is_over = &AtomicBool::new(false);
    let moved = &AtomicUsize::new(0);
    thread::scope(|scope| {
        for speaker in 0..SPEAKERS {
            scope.spawn(move || {
                let mut guest = Guest::come(server);
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    number += 1;
                    guest.ask(&json!(["say", room, [speaker, number]]));
                    thread::sleep(Duration::from_micros(300));
                }
            });
        }
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|seed| {
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let mut guest = Guest::come(server);
                    guest.client.send_text(&format!("42{}", json!(["join", room])));
                    let mut heard = HashMap::<u64, u64>::new();
                    for _ in 0..RETURNS {
                        for _ in 0..random.below(200) + 1 {
                            let said = guest.hear();
                            hear(&mut heard, &said);
                        }
                        let was = guest.facts["shard"].clone();
                        guest = guest.again(server);
                        assert!(guest.was_recovered());
                        for said in std::mem::take(&mut guest.missed) {
                            hear(&mut heard, &said);
                        }
                        let has_moved = guest.facts["shard"] != was;
                        moved.fetch_add(usize::from(has_moved), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for listener in listeners {
            let _ = listener.join().map_err(|panic| {
                is_over.store(true, Ordering::Relaxed);
                std::panic::resume_unwind(panic)
            });
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let moved = moved.load(Ordering::Relaxed);
    assert!(moved > RETURNS, "{moved} of the returns were to another core");
}

/// Checks that nothing is missing between what a speaker said last and this.
fn hear(heard: &mut HashMap<u64, u64>, said: &Value) {
    let (speaker, number) = (said[0].as_u64().unwrap(), said[1].as_u64().unwrap());
    if let Some(last) = heard.insert(speaker, number) {
        assert_eq!(number, last + 1, "from speaker {speaker}");
    }
}

#[test]
fn one_may_come_back_again_and_again() {
    let server = server();
    let room = room("again");
    let mut speaker = Guest::come(server);
    let mut guest = Guest::come(server);
    guest.ask(&json!(["join", room]));
    guest.ask_for_echo("here");
    let sid = guest.sid.clone();
    let first = guest.offset.clone().unwrap();
    for round in 0..10 {
        // What it missed before it gets again, as long as it does not say that it has got it.
        guest.offset = Some(first.clone());
        speaker.ask(&json!(["say", room, round]));
        guest = guest.again(server);
        assert!(guest.was_recovered());
        assert_eq!(guest.sid, sid);
        assert_eq!(guest.missed, (0..=round).map(Value::from).collect::<Vec<_>>());
    }
    // And nothing twice, if it does.
    guest = guest.again(server);
    assert!(guest.was_recovered() && guest.missed.is_empty());
}

impl Guest {
    fn ask_for_echo(&mut self, what: &str) {
        self.client.send_text(&format!("42{}", json!(["echo", what])));
        assert_eq!(self.hear(), what);
    }
}

/// A phone that changes networks knows at once; the server would have to wait for a ping.
#[test]
fn one_may_come_back_before_the_server_has_noticed() {
    let server = server();
    for _ in 0..6 {
        let mut guest = Guest::come(server);
        guest.ask_for_echo("here");
        let (pid, offset) = (guest.pid.clone(), guest.offset.clone().unwrap());
        let mut other = Guest::come_back(server, &pid, &offset);
        assert!(other.was_recovered());
        assert_eq!((&other.sid, &other.pid), (&guest.sid, &pid));
        // The old connection is closed.
        while guest.client.receive().is_some() {}
        other.ask_for_echo("still here");
    }
}

#[test]
fn a_quiet_client_may_come_back() {
    let settings = ConnectionStateRecovery {
        max_disconnection_duration: Duration::from_millis(1_500),
        ..ConnectionStateRecovery::default()
    };
    let server = start(settings);
    let mut guest = Guest::come(&server);
    guest.ask_for_echo("here");
    // What it heard last is older than anything that is kept.
    thread::sleep(Duration::from_millis(2_500));
    let guest = guest.again(&server);
    assert!(guest.was_recovered());
}

#[test]
fn who_is_away_for_too_long_begins_anew() {
    let settings = ConnectionStateRecovery {
        max_disconnection_duration: Duration::from_millis(200),
        ..ConnectionStateRecovery::default()
    };
    let server = start(settings);
    let mut guest = Guest::come(&server);
    guest.ask_for_echo("here");
    let (sid, pid, offset) = (guest.sid.clone(), guest.pid.clone(), guest.offset.clone().unwrap());
    drop(guest);
    until_away(&server, 1);
    let patience = Instant::now() + Duration::from_secs(10);
    while server.count(|metrics| metrics.recoverable.value()) > 0 {
        assert!(Instant::now() < patience, "nobody is forgotten");
        thread::sleep(Duration::from_millis(20));
    }
    let guest = Guest::come_back(&server, &pid, &offset);
    assert!(!guest.was_recovered() && guest.missed.is_empty());
    assert!(guest.sid != sid && guest.pid != pid);
}

#[test]
fn what_one_brings_along_has_to_be_right() {
    let server = server();
    let mut guest = Guest::come(server);
    guest.ask_for_echo("here");
    let (pid, offset) = (guest.pid.clone(), guest.offset.clone().unwrap());
    let other = Guest::come(server).pid;
    for auth in [
        json!({ "pid": pid, "offset": "vol" }),
        json!({ "pid": pid, "offset": "000000000000000000" }),
        json!({ "pid": pid, "offset": 7 }),
        json!({ "pid": pid }),
        json!({ "pid": 1, "offset": offset }),
        json!({ "pid": "AAAAAAAAAAAAAAAAAAAA", "offset": offset }),
        json!({ "pid": "________________ff__", "offset": offset }),
        json!({ "pid": guest.sid, "offset": offset }),
        json!({ "pid": other, "offset": offset }),
        json!({ "offset": offset }),
    ] {
        let guest = Guest::connect(server, &auth);
        assert!(!guest.was_recovered() && guest.missed.is_empty(), "{auth}");
    }
}

#[test]
fn who_left_or_was_sent_away_begins_anew() {
    let server = server();
    for how in ["41".to_owned(), format!("42{}", json!(["leave-me"]))] {
        let mut guest = Guest::come(server);
        guest.ask_for_echo("here");
        guest.client.send_text(&how);
        if how != "41" {
            assert_eq!(guest.packet(), "41");
        }
        let mut guest = guest.again(server);
        assert!(!guest.was_recovered());
        guest.ask_for_echo("works");
    }
}

#[test]
fn guards_are_asked_again_only_where_that_is_wanted() {
    for skips in [true, false] {
        let settings = ConnectionStateRecovery {
            skip_middlewares: skips,
            ..ConnectionStateRecovery::default()
        };
        let server = start(settings);
        let mut guest = Guest::come(&server);
        guest.ask_for_echo("here");
        let auth = json!({ "pid": guest.pid, "offset": guest.offset, "refuse": true });
        drop(guest);
        let mut client = WebSocket::open(server.address());
        assert!(client.receive().unwrap().text().starts_with("0{"));
        client.send_text(&format!("40{auth}"));
        let answer = client.receive().unwrap();
        let expected = if skips { "40{\"sid\":" } else { "44{\"message\":\"refused\"" };
        assert!(answer.text().starts_with(expected), "{}", answer.text());
        if !skips {
            assert_eq!(server.count(|metrics| metrics.recoverable.value()), 0);
        }
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let settings = ConnectionStateRecovery {
        log_bytes_max: 20_000,
        sessions_max: 2,
        ..ConnectionStateRecovery::default()
    };
    let server = start(settings);
    let mut speaker = Guest::come(&server);
    // So many that each core has more than it may keep.
    let guests: Vec<_> = (0..30)
        .map(|_| {
            let mut guest = Guest::come(&server);
            guest.ask_for_echo("here");
            (guest.pid.clone(), guest.offset.clone().unwrap(), guest)
        })
        .collect();
    let known: Vec<_> = guests.into_iter().map(|(pid, offset, _)| (pid, offset)).collect();
    let patience = Instant::now() + Duration::from_secs(10);
    let away = || server.count(|metrics| metrics.recoverable.value());
    while server.count(|metrics| metrics.sockets.value()) > 1 || away() > 2 * u64::from(SHARDS) {
        assert!(Instant::now() < patience, "clients do not go");
        thread::sleep(Duration::from_millis(2));
    }
    assert!(server.count(|metrics| metrics.recovery_dropped.value()) >= 30 - 2 * 3);
    let back =
        |(pid, offset): &(String, String)| Guest::come_back(&server, pid, offset).was_recovered();
    let recovered = known.iter().filter(|it| back(it)).count();
    assert!((1..=2 * usize::from(SHARDS)).contains(&recovered), "{recovered}");
    // A log that has forgotten what a client has missed does not pretend.
    let mut guest = Guest::come(&server);
    guest.ask_for_echo("here");
    let (pid, offset) = (guest.pid.clone(), guest.offset.clone().unwrap());
    drop(guest);
    let text = "x".repeat(9_000);
    for _ in 0..3 {
        speaker.ask(&json!(["shout", "nobody", text]));
    }
    let guest = Guest::come_back(&server, &pid, &offset);
    assert!(!guest.was_recovered() && guest.missed.is_empty());
}

#[test]
fn without_the_option_nothing_is_kept() {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    let server = Inside::serve(config, |_| {
        let main = Namespace::new().on_connect(async |socket: Socket| socket.emit("auth", &()));
        App::new().namespace("/", main.on("echo", |_: Socket, what: String| what))
    });
    let mut client = Client::open(server.address());
    assert_eq!(client.ask("[\"echo\",\"x\"]"), "[\"x\"]");
    drop(client);
    assert_eq!(server.count(|metrics| metrics.recoverable.value()), 0);
}
