//! The actor style: one thing at a time in order of arrival, waiting for acknowledgements meanwhile, the ends
//! of an actor, its messages, what bounds it, and the other style beside it.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::Duration;

use harness::{Guest, Inside, soon};
use yamabiko::{
    Actor, Address, App, Binary, Config, ConnectionStateRecovery, DisconnectReason, Event,
    EventError, Events, Mailbox, Namespace, RawArgs, Receive, Reject, Socket, Undelivered,
};

const WAITING_MAX: usize = 8;
const BYTES_MAX: usize = 300_000;

/// What has happened to whom, in order.
static LOG: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// Mailboxes of testers, by their names.
static MAILBOXES: Mutex<Vec<(String, Mailbox<Tester>)>> = Mutex::new(Vec::new());

/// One server for all tests, which ends with them.
fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.limits.early_events_max = WAITING_MAX;
        config.settings.max_http_buffer_size = BYTES_MAX;
        config.settings.limits.outbox_bytes_max = BYTES_MAX;
        Inside::serve(config, |_core| {
            let desk = Rc::<Desk>::default();
            App::new()
                .namespace("/", Namespace::new().actor::<Tester>(Rc::clone(&desk)))
                .namespace("/mixed", mixed(desk))
        })
        .address()
    })
}

/// The actors of one core, by their names.
#[derive(Default)]
struct Desk(RefCell<HashMap<String, Address<Tester>>>);

impl Desk {
    fn address(&self, name: &str) -> Address<Tester> {
        self.0.borrow()[name].clone()
    }
}

struct Tester {
    socket: Socket,
    desk: Rc<Desk>,
    name: Name,
    /// Names of events that were handled.
    seen: Vec<String>,
}

/// Tells when the state is dropped.
struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        self.log("dropped");
    }
}

impl Name {
    fn log(&self, what: &str) {
        LOG.lock().unwrap().push((self.0.clone(), what.into()));
    }
}

#[derive(serde::Deserialize)]
struct Auth {
    name: String,
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    refuse: bool,
}

impl Actor for Tester {
    type Shared = Desk;
    const MESSAGES_MAX: usize = 4;

    async fn connect(socket: Socket, desk: Rc<Desk>) -> Result<Self, Reject> {
        let auth: Auth = socket.handshake()?.auth().ok_or("who are you?")?;
        let name = Name(auth.name.clone());
        let address = socket.address::<Self>();
        // It comes when the client is connected.
        address.tell(Note("told early".into())).unwrap();
        desk.0.borrow_mut().insert(auth.name, address);
        socket.sleep(Duration::from_millis(auth.wait_ms)).await;
        match &*name.0 {
            "panics as it connects" => panic!("asked for"),
            _ if auth.refuse => Err(Reject::new("not you").with_data(&7)),
            _ => Ok(Self { socket, desk, name, seen: Vec::new() }),
        }
    }

    fn events(events: Events<Self>) -> Events<Self> {
        events
            .on("seen", |tester: &mut Self| std::mem::take(&mut tester.seen))
            .on("note", |tester: &mut Self, note: String| tester.seen.push(note))
            .on("raw", async |tester: &mut Self, args: RawArgs| {
                tester.seen.push("raw".into());
                args
            })
            .on("plain-raw", |_: &mut Self, args: RawArgs| args)
            .on("number", |_: &mut Self, number: u8| number)
            .on("bytes", |_: &mut Self, bytes: Binary, more: u8| (bytes.len(), more))
            .on("no", |_: &mut Self| Err::<(), _>(Reject::new("no").with_data(&1)))
            .on("slow", Self::slow)
            .on("sure?", Self::sure)
            .on("boom", |_: &mut Self| -> () { panic!("asked for") })
            .on("boom-later", async |tester: &mut Self| -> () {
                tester.socket.sleep(Duration::from_millis(20)).await;
                panic!("asked for")
            })
            .on("recovered", |tester: &mut Self| tester.socket.recovered())
            .on("leave", |tester: &mut Self| {
                tester.socket.disconnect(false).unwrap();
                tester.name.log("said good-bye");
            })
            .on("share", |tester: &mut Self| {
                let mailbox = tester.socket.address::<Self>().mailbox().unwrap();
                MAILBOXES.lock().unwrap().push((tester.name.0.clone(), mailbox));
            })
            .on("tell", Self::tell)
            .on("ask", async |tester: &mut Self, name: String, text: String| {
                let asked = tester.desk.address(&name).ask(Question(text)).await;
                asked.map_err(Reject::of)
            })
            .on("spin", |tester: &mut Self| tester.socket.address::<Self>().tell(Spin).unwrap())
    }

    async fn connected(&mut self) -> Result<(), Reject> {
        self.socket.emit("hello", &self.name.0)?;
        self.socket.sleep(Duration::from_millis(10)).await;
        self.seen.push("connected".into());
        Ok(())
    }

    async fn disconnected(mut self, reason: DisconnectReason) -> Result<(), Reject> {
        self.name.log(&format!("disconnected: {reason}, saw {}", self.seen.join(", ")));
        assert_eq!(self.socket.address::<Self>().tell(Spin), Err(Undelivered::Gone));
        self.socket.sleep(Duration::from_millis(10)).await;
        self.seen.clear();
        Err("logged, and nothing more".into())
    }
}

impl Tester {
    async fn slow(&mut self, ms: u64, name: String) -> Result<String, Reject> {
        self.socket.emit("started", &name)?;
        self.socket.sleep(Duration::from_millis(ms)).await;
        self.seen.push(name.clone());
        // Its client may have left.
        let _ = self.socket.emit("ended", &name);
        Ok(name)
    }

    async fn sure(&mut self) -> Result<u32, Reject> {
        self.seen.push("asks".into());
        let first: u32 = self.socket.emit_with_ack("sure?", &(), None).await?;
        let second: u32 = self.socket.emit_with_ack("really?", &(), None).await?;
        self.seen.push("asked".into());
        Ok(first + second)
    }

    /// Tells another one as often as asked for: what became of it.
    fn tell(&mut self, name: String, count: usize) -> Vec<String> {
        let address = self.desk.address(&name);
        let outcome = |number: usize| match address.tell(Note(number.to_string())) {
            Ok(()) => "sent".into(),
            Err(error) => error.to_string(),
        };
        (0..count).map(outcome).collect()
    }
}

struct Note(String);

impl Receive<Note> for Tester {
    type Answer = ();

    async fn receive(&mut self, Note(text): Note) {
        self.seen.push(text);
    }
}

struct Question(String);

impl Receive<Question> for Tester {
    type Answer = String;

    async fn receive(&mut self, Question(text): Question) -> String {
        self.socket.sleep(Duration::from_millis(5)).await;
        match &*text {
            "panic" => panic!("asked for"),
            text => format!("{}: {text}", self.name.0),
        }
    }
}

/// Goes round for ever.
struct Spin;

impl Receive<Spin> for Tester {
    type Answer = ();

    async fn receive(&mut self, spin: Spin) {
        let _ = self.socket.address::<Self>().tell(spin);
    }
}

/// Both styles, and two types of actors.
fn mixed(desk: Rc<Desk>) -> Namespace {
    Namespace::new()
        .on("number", |_: Socket| "replaced by the actor's")
        .actor::<Tester>(desk)
        .actor::<Counter>(7)
        .guard(async |socket: Socket| match socket.handshake()?.auth::<Auth>() {
            Some(auth) if auth.name == "mallory" => Err(Reject::new("guarded")),
            _ => Ok(User("known")),
        })
        .on("note", |socket: Socket| socket.get::<User>().map(|user| user.0))
        .on_connect(async |socket: Socket| socket.emit("closure", &"connected"))
        .middleware(async |socket: &Socket, event: &Event<'_>| {
            socket.sleep(Duration::from_millis(2)).await;
            if &*event.name == "forbidden" { Err(Reject::new("forbidden")) } else { Ok(()) }
        })
        .on_error(|socket, event, error| match error {
            EventError::Args(error) => socket.emit("misfit", &(event, error.index)).unwrap(),
            EventError::Refused(_) => {}
        })
}

struct User(&'static str);

struct Counter {
    user: Rc<User>,
    count: u32,
}

impl Actor for Counter {
    type Shared = u32;

    async fn connect(socket: Socket, start: Rc<u32>) -> Result<Self, Reject> {
        // The guard is declared later, and asked before.
        let user = socket.get::<User>().ok_or("unguarded")?;
        Ok(Self { user, count: *start })
    }

    fn events(events: Events<Self>) -> Events<Self> {
        events
            .on("count", |counter: &mut Self, by: u32| {
                counter.count += by;
                (counter.count, counter.user.0)
            })
            .on("forbidden", |_: &mut Self| unreachable!("it is refused") as u8)
    }
}

/// A client with an actor.
fn join(namespace: &str, auth: &str) -> Guest {
    let mut guest = Guest::open(server());
    enter(&mut guest, namespace, auth);
    guest
}

fn enter(guest: &mut Guest, namespace: &str, auth: &str) {
    let answer = guest.ask_to_join(namespace, auth);
    assert!(answer.starts_with("40"), "{answer}");
}

fn log_of(name: &str) -> Vec<String> {
    let log = LOG.lock().unwrap();
    log.iter().filter(|(other, _)| other == name).map(|(_, what)| what.clone()).collect()
}

/// Waits until the state is dropped, which has to be once; what happened before.
fn end_of(name: &str) -> Vec<String> {
    assert!(soon(|| log_of(name).contains(&"dropped".into())), "{:?}", log_of(name));
    thread::sleep(Duration::from_millis(30));
    let mut log = log_of(name);
    assert_eq!(log.pop().as_deref(), Some("dropped"));
    assert!(!log.contains(&"dropped".into()), "{log:?}");
    log
}

#[test]
fn one_thing_at_a_time_in_order_of_arrival() {
    let mut guest = join("/", r#"{"name":"order"}"#);
    for event in [
        r#"["slow",20,"a"]"#,
        r#"["note","b"]"#,
        r#"["raw",1,{"x":[2]}]"#,
        r#"["slow",0,"c"]"#,
        r#"["slow",5,"d"]"#,
        r#"["note","e"]"#,
    ] {
        guest.emit("/", event);
    }
    let seen = guest.ask("/", r#"["seen"]"#);
    assert_eq!(seen, r#"[["connected","told early","a","b","raw","c","d","e"]]"#);
    let came: Vec<_> = (0..7).map(|_| guest.packet()).collect();
    let expected = [
        r#"42["hello","order"]"#,
        r#"42["started","a"]"#,
        r#"42["ended","a"]"#,
        r#"42["started","c"]"#,
        r#"42["ended","c"]"#,
        r#"42["started","d"]"#,
        r#"42["ended","d"]"#,
    ];
    assert_eq!(came, expected);
}

#[test]
fn arguments_and_answers_are_those_of_handlers() {
    let mut guest = join("/", r#"{"name":"types"}"#);
    for _ in 0..2 {
        assert_eq!(guest.ask("/", r#"["raw",1,{"x":[2]}]"#), r#"[1,{"x":[2]}]"#);
        assert_eq!(guest.ask("/", r#"["plain-raw",1,"x"]"#), r#"[1,"x"]"#);
        assert_eq!(guest.ask("/", r#"["number",3]"#), "[3]");
        let misfit = guest.ask("/", r#"["number",300]"#);
        assert!(misfit.starts_with(r#"[{"error":"argument 0: invalid value"#), "{misfit}");
        assert_eq!(guest.ask("/", r#"["no"]"#), r#"[{"error":"no","data":1}]"#);
        assert_eq!(guest.ask("/", r#"["slow",0,"s"]"#), r#"["s"]"#);
        // The second time they wait for their turn.
        guest.emit("/", r#"["slow",50,"busy"]"#);
    }
}

#[test]
fn events_that_wait_keep_their_bytes_and_their_mistakes() {
    let mut guest = join("/mixed", r#"{"name":"bytes"}"#);
    guest.emit("/mixed", r#"["slow",40,"busy"]"#);
    guest.send(r#"451-/mixed,90["bytes",{"_placeholder":true,"num":0},5]"#);
    guest.socket.send(harness::BINARY, b"abc");
    guest.send(r#"42/mixed,91["number","x"]"#);
    guest.send(r#"42/mixed,92["number",4]"#);
    let mut came: Vec<_> = (0..8).map(|_| guest.packet()).collect();
    assert!(came[6].starts_with(r#"43/mixed,91[{"error":"argument 0: invalid type"#), "{came:?}");
    came.remove(6);
    let expected = [
        r#"42/mixed,["hello","bytes"]"#,
        r#"42/mixed,["closure","connected"]"#,
        r#"42/mixed,["started","busy"]"#,
        r#"42/mixed,["ended","busy"]"#,
        "43/mixed,90[3,5]",
        r#"42/mixed,["misfit","number",0]"#,
        "43/mixed,92[4]",
    ];
    came[..2].sort_by_key(|packet| packet.contains("closure"));
    assert_eq!(came, expected);
}

#[test]
fn an_acknowledgement_comes_through_while_events_wait() {
    let mut guest = join("/", r#"{"name":"acks"}"#);
    assert_eq!(guest.packet(), r#"42["hello","acks"]"#);
    guest.send(r#"4290["sure?"]"#);
    guest.emit("/", r#"["note","later"]"#);
    assert_eq!(guest.packet(), r#"420["sure?"]"#);
    guest.emit("/", r#"["note","even later"]"#);
    guest.send("430[40]");
    let really = guest.packet();
    let id = really.strip_prefix("42").unwrap().strip_suffix(r#"["really?"]"#).unwrap();
    guest.send(&format!("43{id}[2]"));
    assert_eq!(guest.packet(), "4390[42]");
    let seen = guest.ask("/", r#"["seen"]"#);
    let expected = r#"[["connected","told early","asks","asked","later","even later"]]"#;
    assert_eq!(seen, expected);
}

#[test]
fn a_client_is_refused_and_its_state_is_not_kept() {
    let mut guest = Guest::open(server());
    let answer = guest.ask_to_join("/", r#"{"name":"refused","refuse":true}"#);
    assert_eq!(answer, r#"44{"message":"not you","data":7}"#);
    assert_eq!(end_of("refused"), [""; 0]);
    let answer = guest.ask_to_join("/", "");
    assert_eq!(answer, r#"44{"message":"who are you?"}"#);
    let answer = guest.ask_to_join("/", r#"{"name":"panics as it connects"}"#);
    assert_eq!(answer, r#"44{"message":"Internal server error"}"#);
    assert_eq!(end_of("panics as it connects"), [""; 0]);
    enter(&mut guest, "/", r#"{"name":"at last"}"#);
    assert_eq!(guest.ask("/", r#"["number",1]"#), "[1]");
}

#[test]
fn guards_come_first_wherever_they_are_declared() {
    let mut guest = Guest::open(server());
    let answer = guest.ask_to_join("/mixed", r#"{"name":"mallory"}"#);
    assert_eq!(answer, r#"44/mixed,{"message":"guarded"}"#);
    assert_eq!(log_of("mallory"), [""; 0], "it never had a state");
}

#[test]
fn a_client_that_leaves_while_it_connects_leaves_nothing() {
    let mut guest = Guest::open(server());
    guest.send(r#"40{"name":"hasty","wait_ms":50}"#);
    thread::sleep(Duration::from_millis(10));
    drop(guest);
    assert_eq!(end_of("hasty"), [""; 0], "it was never connected, so it does not disconnect");
}

#[test]
fn early_events_come_after_connected() {
    let mut guest = Guest::open(server());
    guest.send(r#"40{"name":"early","wait_ms":30}"#);
    guest.emit("/", r#"["note","a"]"#);
    guest.emit("/", r#"["note","b"]"#);
    assert!(guest.packet().starts_with("40"));
    guest.emit("/", r#"["note","c"]"#);
    let seen = guest.ask("/", r#"["seen"]"#);
    assert_eq!(seen, r#"[["connected","told early","a","b","c"]]"#);
}

#[test]
fn a_panic_ends_the_socket_and_drops_the_state() {
    for (name, event) in [("panics", "boom"), ("panics later", "boom-later")] {
        let mut guest = join("/", &format!(r#"{{"name":"{name}"}}"#));
        assert_eq!(guest.packet(), format!(r#"42["hello","{name}"]"#));
        guest.ask("/", r#"["seen"]"#);
        guest.emit("/", &format!(r#"["{event}"]"#));
        if event == "boom-later" {
            guest.emit("/", r#"["note","never"]"#);
        }
        assert_eq!(guest.packet(), "41");
        assert_eq!(end_of(name), [""; 0], "nobody is told of a state that nobody knows");
        // Its connection is as good as before.
        enter(&mut guest, "/", &format!(r#"{{"name":"{name} no more"}}"#));
        assert_eq!(guest.ask("/", r#"["number",1]"#), "[1]");
    }
}

#[test]
fn what_waits_is_dropped_when_the_client_leaves() {
    let mut guest = join("/", r#"{"name":"leaves"}"#);
    guest.emit("/", r#"["slow",60,"busy"]"#);
    guest.emit("/", r#"["note","never"]"#);
    guest.emit("/", r#"["slow",0,"never"]"#);
    assert_eq!(guest.packet(), r#"42["hello","leaves"]"#);
    assert_eq!(guest.packet(), r#"42["started","busy"]"#);
    guest.leave("/");
    let told = "disconnected: client namespace disconnect, saw connected, told early, busy";
    assert_eq!(end_of("leaves"), [told]);
}

#[test]
fn an_idle_actor_is_told_that_its_client_left() {
    let mut guest = join("/", r#"{"name":"cut"}"#);
    guest.ask("/", r#"["seen"]"#);
    drop(guest);
    assert_eq!(end_of("cut"), ["disconnected: transport close, saw "]);
}

#[test]
fn an_actor_sends_its_client_away() {
    let mut guest = join("/", r#"{"name":"leave"}"#);
    guest.ask("/", r#"["seen"]"#);
    guest.emit("/", r#"["leave"]"#);
    let told = "disconnected: server namespace disconnect, saw ";
    assert_eq!(end_of("leave"), ["said good-bye", told]);
}

#[test]
fn so_many_events_wait_and_no_more() {
    let mut guest = join("/", r#"{"name":"flood"}"#);
    guest.ask("/", r#"["seen"]"#);
    guest.emit("/", r#"["slow",100,"busy"]"#);
    for number in 0..WAITING_MAX {
        guest.emit("/", &format!(r#"["note","{number}"]"#));
    }
    guest.emit("/", r#"["note","one too many"]"#);
    assert!(guest.is_sent_away());
    assert_eq!(end_of("flood"), ["disconnected: forced close, saw busy"]);
}

#[test]
fn waiting_events_that_fit_are_all_handled() {
    let mut guest = join("/", r#"{"name":"no flood"}"#);
    for _ in 0..3 {
        guest.ask("/", r#"["seen"]"#);
        guest.emit("/", r#"["slow",30,"busy"]"#);
        for number in 1..WAITING_MAX {
            guest.emit("/", &format!(r#"["note","{number}"]"#));
        }
        let seen = guest.ask("/", r#"["seen"]"#);
        assert_eq!(seen, r#"[["busy","1","2","3","4","5","6","7"]]"#);
    }
}

#[test]
fn so_many_bytes_wait_and_no_more() {
    let text = "x".repeat(BYTES_MAX / 2 - 20);
    for (name, times, fits) in [("bytes fit", 2, true), ("too many bytes", 3, false)] {
        let mut guest = join("/", &format!(r#"{{"name":"{name}"}}"#));
        guest.ask("/", r#"["seen"]"#);
        guest.emit("/", r#"["slow",300,"busy"]"#);
        for _ in 0..times {
            guest.emit("/", &format!(r#"["raw","{text}"]"#));
        }
        match fits {
            true => assert_eq!(guest.ask("/", r#"["seen"]"#), r#"[["busy","raw","raw"]]"#),
            false => assert!(guest.is_sent_away()),
        }
    }
}

#[test]
fn actors_of_a_core_talk_to_each_other() {
    let mut first = Guest::on(server(), 0);
    let mut second = Guest::on(server(), 0);
    enter(&mut first, "/", r#"{"name":"first"}"#);
    enter(&mut second, "/", r#"{"name":"second"}"#);
    for guest in [&mut first, &mut second] {
        guest.ask("/", r#"["seen"]"#);
    }
    assert_eq!(first.ask("/", r#"["ask","second","hi"]"#), r#"["second: hi"]"#);
    assert_eq!(first.ask("/", r#"["tell","second",2]"#), r#"[["sent","sent"]]"#);
    assert_eq!(second.ask("/", r#"["seen"]"#), r#"[["0","1"]]"#);
    // As many as may wait while it is busy.
    second.emit("/", r#"["slow",60,"busy"]"#);
    assert!(second.packet().contains("hello"));
    assert!(second.packet().contains("started"));
    let full = "the actor does not keep up with its messages";
    let expected = format!(r#"[["sent","sent","sent","sent","{full}"]]"#);
    assert_eq!(first.ask("/", r#"["tell","second",5]"#), expected);
    let refused = first.ask("/", r#"["ask","second","hi"]"#);
    assert_eq!(refused, format!(r#"[{{"error":"{full}"}}]"#));
    assert_eq!(second.ask("/", r#"["seen"]"#), r#"[["busy","0","1","2","3"]]"#);

    // One that panics, or is gone, says so, also to those who wait already.
    let gone = r#"[{"error":"the actor is gone"}]"#;
    assert_eq!(first.ask("/", r#"["ask","second","panic"]"#), gone);
    assert_eq!(end_of("second"), [""; 0]);
    assert_eq!(first.ask("/", r#"["ask","second","hi"]"#), gone);
    assert_eq!(first.ask("/", r#"["tell","second",1]"#), r#"[["the actor is gone"]]"#);
}

#[test]
fn those_who_wait_hear_that_an_actor_has_left() {
    let mut first = Guest::on(server(), 1);
    let mut second = Guest::on(server(), 1);
    enter(&mut first, "/", r#"{"name":"waits"}"#);
    enter(&mut second, "/", r#"{"name":"goes"}"#);
    second.emit("/", r#"["slow",200,"busy"]"#);
    assert!(second.packet().contains("hello"));
    assert!(second.packet().contains("started"));
    let start = first.emit_for_ack("/", r#"["ask","goes","hi"]"#);
    thread::sleep(Duration::from_millis(30));
    second.leave("/");
    assert!(first.packet().contains("hello"));
    assert_eq!(first.packet(), format!(r#"{start}{{"error":"the actor is gone"}}]"#));
    let told = "disconnected: client namespace disconnect, saw connected, told early, busy";
    assert_eq!(end_of("goes"), [told]);
}

#[test]
fn other_threads_and_cores_have_a_mailbox() {
    let mut guest = join("/", r#"{"name":"outside"}"#);
    guest.ask("/", r#"["seen"]"#);
    guest.ask("/", r#"["share"]"#);
    let mailbox = {
        let mailboxes = MAILBOXES.lock().unwrap();
        mailboxes.iter().find(|(name, _)| name == "outside").unwrap().1.clone()
    };
    for number in 0..3 {
        mailbox.tell(Note(number.to_string())).unwrap();
    }
    assert_eq!(wait(mailbox.ask(Question("hi".into()))), Ok("outside: hi".into()));
    assert_eq!(guest.ask("/", r#"["seen"]"#), r#"[["0","1","2"]]"#);
    guest.emit("/", r#"["slow",100,"busy"]"#);
    assert!(guest.packet().contains("hello"));
    assert!(guest.packet().contains("started"));
    for number in 0..4 {
        mailbox.tell(Note(number.to_string())).unwrap();
    }
    assert_eq!(wait(mailbox.ask(Question("hi".into()))), Err(Undelivered::Full));
    guest.leave("/");
    end_of("outside");
    assert_eq!(wait(mailbox.ask(Question("hi".into()))), Err(Undelivered::Gone));
    mailbox.tell(Note("to nobody".into())).unwrap();
}

#[test]
fn one_that_never_rests_holds_up_nobody() {
    let mut busy = Guest::on(server(), 0);
    enter(&mut busy, "/", r#"{"name":"spins"}"#);
    busy.emit("/", r#"["spin"]"#);
    let mut other = Guest::on(server(), 0);
    enter(&mut other, "/", r#"{"name":"beside"}"#);
    assert_eq!(other.ask("/", r#"["number",1]"#), "[1]");
    assert_eq!(busy.ask("/", r#"["number",1]"#), "[1]");
    drop(busy);
    assert_eq!(end_of("spins").len(), 1);
}

#[test]
fn both_styles_share_a_namespace() {
    let mut guest = join("/mixed", r#"{"name":"mixed"}"#);
    assert_eq!(guest.ask("/mixed", r#"["number",5]"#), "[5]");
    assert_eq!(guest.ask("/mixed", r#"["note"]"#), r#"["known"]"#);
    assert_eq!(guest.ask("/mixed", r#"["count",3]"#), r#"[10,"known"]"#);
    // Each actor minds its own.
    guest.emit("/mixed", r#"["slow",60000,"busy"]"#);
    assert_eq!(guest.ask("/mixed", r#"["count",3]"#), r#"[13,"known"]"#);
    assert_eq!(guest.ask("/mixed", r#"["forbidden"]"#), r#"[{"error":"forbidden"}]"#);
}

/// Guards are skipped then, but state lives on the core that the client comes back to.
#[test]
fn a_client_that_comes_back_has_a_new_actor() {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    config.settings.connection_state_recovery = Some(ConnectionStateRecovery::default());
    let server = Inside::serve(config, |_core| {
        let guarded = Namespace::new().guard(async |socket: Socket| match socket.recovered() {
            true => Err(Reject::new("it is skipped")),
            false => Ok(()),
        });
        App::new().namespace("/", guarded.actor::<Tester>(Desk::default()))
    });
    let mut guest = Guest::open(server.address());
    let answer = guest.ask_to_join("/", r#"{"name":"lost"}"#);
    let ids: HashMap<String, String> = serde_json::from_str(&answer[2..]).unwrap();
    let hello = guest.packet();
    let hello: Vec<String> = serde_json::from_str(&hello[2..]).unwrap();
    guest.emit("/", r#"["note","forgotten"]"#);
    drop(guest);
    let mut guest = Guest::open(server.address());
    let (pid, offset) = (&ids["pid"], &hello[2]);
    enter(&mut guest, "/", &format!(r#"{{"name":"back","pid":"{pid}","offset":"{offset}"}}"#));
    assert_eq!(guest.ask("/", r#"["seen"]"#), r#"[["connected","told early"]]"#);
    assert_eq!(guest.ask("/", r#"["recovered"]"#), "[true]");
    assert!(end_of("lost")[0].starts_with("disconnected: transport close"));
}

/// Waits on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
