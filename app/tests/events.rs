//! The way of events on two shards: middleware and its order, listeners of everything in both directions,
//! listeners that come and go, data of a socket.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{BINARY, Guest, Inside};
use serde_json::{Map, Value};
use yamabiko::{App, Config, Event, EventError, ListenerId, Namespace, RawArgs, Reject, Socket};

const WAITING_MAX: usize = 3;

/// What ran although its socket was gone.
static RAN_LATE: AtomicUsize = AtomicUsize::new(0);
/// Values that listeners captured and that are still there.
static CAPTURED: AtomicUsize = AtomicUsize::new(0);

fn inside() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.limits.early_events_max = WAITING_MAX;
        Inside::serve(config, |_core| {
            App::new()
                .namespace("/plain", plain())
                .namespace("/waiting", waiting())
                .namespace("/watched", watched())
                .namespace("/own", own())
        })
    })
}

fn server() -> SocketAddr {
    inside().address()
}

/// Middleware that decides at once.
fn plain() -> Namespace {
    Namespace::new()
        .on_any(|socket, event| {
            socket.emit("any", &*event.name).unwrap();
        })
        .middleware(|socket: &Socket, event: &Event<'_>| {
            socket.emit("first", &event.args.len()).unwrap();
            match &*event.name {
                "forbidden" => Err(Reject::new("not you").with_data(&event.args.len())),
                "boom" => panic!("asked for"),
                _ => Ok(()),
            }
        })
        .middleware(|_: &Socket, event: &Event<'_>| match event.args.parse_tuple::<(u8,)>() {
            Ok((13,)) => Err("unlucky"),
            _ => Ok(()),
        })
        .on("number", |_: Socket, number: u8| number)
        .on("forbidden", |_: Socket| unreachable!("it is refused") as u8)
        .on_error(|socket, event, error| match error {
            EventError::Refused(reject) => {
                socket.emit("refused", &(event, reject.message())).unwrap()
            }
            EventError::Args(error) => socket.emit("misfit", &(event, error.index)).unwrap(),
        })
}

/// Middleware that may wait.
fn waiting() -> Namespace {
    Namespace::new()
        .on_any(|socket, event| {
            let (n,) = event.args.parse_tuple::<(Option<u32>,)>().unwrap();
            socket.emit("arrived", &n).unwrap();
        })
        .middleware(|_: &Socket, event: &Event<'_>| match &*event.name {
            "never" => Err("never"),
            _ => Ok(()),
        })
        .middleware(async |socket: &Socket, event: &Event<'_>| -> Result<(), Reject> {
            match &*event.name {
                "slow" => socket.sleep(Duration::from_millis(50)).await,
                "very slow" => socket.sleep(Duration::from_secs(60)).await,
                "ask" => {
                    let answer = socket.emit_with_ack::<String>("may it?", &(), None).await?;
                    if answer != "yes" {
                        return Err(Reject::new(answer));
                    }
                }
                "leave" => {
                    socket.sleep(Duration::from_millis(20)).await;
                    socket.disconnect(false)?;
                }
                "boom" => {
                    socket.sleep(Duration::from_millis(5)).await;
                    panic!("asked for");
                }
                "late no" => {
                    socket.sleep(Duration::from_millis(5)).await;
                    return Err(Reject::new("late no").with_data(&event.args.len()));
                }
                _ => {}
            }
            Ok(())
        })
        .on("slow", run)
        .on("quick", run)
        .on("ask", run)
        .on("echo", |_: Socket, args: RawArgs| args)
        .on("leave", |_: Socket| {
            RAN_LATE.fetch_add(1, Ordering::Relaxed);
        })
        .on_error(|socket, event, error| {
            socket.emit("refused", &(event, error.to_string())).unwrap();
        })
}

fn run(socket: Socket, n: u32) -> u32 {
    socket.emit("ran", &n).unwrap();
    n
}

/// Listens to everything that goes out.
fn watched() -> Namespace {
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let to_tell = Rc::clone(&seen);
    Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("welcome", &()))
        .on_any_outgoing(move |socket, event| {
            let (args, attachments) = (event.args.json(), event.args.attachments().len());
            let line = format!("{} {args} {attachments} {:?}", event.name, event.id);
            seen.borrow_mut().push(format!("{}: {line}", socket.id()));
            if &*event.name == "answered" {
                socket.emit("again", &()).unwrap();
            }
        })
        .on("seen", move |_: Socket| (to_tell.take(),))
        .on("join", |socket: Socket, room: String| socket.join(&room).map_err(Reject::of))
        .on("say", |socket: Socket, room: String, what: Value| {
            socket.to(&room).emit("said", &what).map_err(Reject::of)
        })
        .on("ask", async |socket: Socket| -> Result<u8, Reject> {
            Ok(socket.emit_with_ack("question", &(1, "two"), None).await?)
        })
        .on("answer", |socket: Socket| socket.emit("answered", &()).map_err(Reject::of))
        .on("volatile", |socket: Socket| socket.emit_volatile("dropped?", &()).map_err(Reject::of))
}

/// Listeners and data of a socket's own.
fn own() -> Namespace {
    Namespace::new()
        .on("both", |socket: Socket| {
            socket.emit("heard", "namespace").unwrap();
            "namespace"
        })
        .on("on", |socket: Socket, event: String, what: String| {
            let id = match &*what {
                "once" => socket.once(&event, heard(&what)),
                "async" => socket.on(&event, async |socket: Socket, n: u32| {
                    socket.sleep(Duration::from_millis(1)).await;
                    socket.emit("heard", &n).unwrap();
                    n
                }),
                _ => socket.on(&event, heard(&what)),
            };
            socket.set(Last(id));
        })
        .on("off", |socket: Socket| socket.off(socket.get::<Last>().unwrap().0))
        .on("off-event", |socket: Socket, event: String| socket.off_event(&event))
        .on("any", |socket: Socket, what: String| {
            let what_too = what.clone();
            let listener = move |socket: &Socket, event: &Event<'_>| {
                if &*event.name == "noticed" {
                    socket.emit("any", &what_too).unwrap();
                }
            };
            let id = match what.starts_with("first") {
                true => socket.prepend_any(listener),
                false => socket.on_any(listener),
            };
            socket.set(Last(id));
        })
        .on("any-outgoing", |socket: Socket, what: String| {
            let first = what.starts_with("first");
            let listener = move |socket: &Socket, event: &Event<'_>| {
                if &*event.name == "heard" {
                    socket.emit("went", &(&what, event.args.json())).unwrap();
                }
            };
            let id = match first {
                true => socket.prepend_any_outgoing(listener),
                false => socket.on_any_outgoing(listener),
            };
            socket.set(Last(id));
        })
        .on("off-any", |socket: Socket| socket.off_any())
        .on("off-any-outgoing", |socket: Socket| socket.off_any_outgoing())
        .on("hold-itself", |socket: Socket| {
            let (captured, own) = (Captured::new(), socket.clone());
            socket.on("x", move |_: Socket| own.id().len() + captured.nothing());
        })
        .on("set", |socket: Socket, data: Value| Ok::<_, Reject>(socket.set_data(&data)?))
        .on("set-wrong", |socket: Socket| {
            let with_such_keys = std::collections::HashMap::from([((1, 2), 3)]);
            Ok::<_, Reject>(socket.set_data(&with_such_keys)?)
        })
        .on("update", |socket: Socket, name: String, value: Value| {
            socket.update_data(|data| data.insert(name, value))
        })
        .on("data", |socket: Socket| socket.data::<Value>())
        .on("data-as-map", |socket: Socket| socket.data::<Map<String, Value>>().map(|it| it.len()))
        .on("data-of", async |socket: Socket, id: String| {
            let found = socket.everyone().to(&id).fetch_sockets().await;
            let all: Vec<_> =
                found.into_iter().map(|it| (it.shard(), it.data::<Value>())).collect();
            (all,)
        })
        .on("namespace", |socket: Socket| String::from(socket.namespace()))
}

struct Last(ListenerId);

fn heard(what: &str) -> impl Fn(Socket) -> String + 'static {
    let what = String::from(what);
    move |socket| {
        socket.emit("heard", &what).unwrap();
        what.clone()
    }
}

/// Counts how many there are.
struct Captured;

impl Captured {
    fn new() -> Self {
        CAPTURED.fetch_add(1, Ordering::SeqCst);
        Self
    }

    fn nothing(&self) -> usize {
        0
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        CAPTURED.fetch_sub(1, Ordering::SeqCst);
    }
}

fn guest_in(namespace: &str) -> Guest {
    let mut guest = Guest::open(server());
    guest.join(namespace);
    guest
}

/// The next packets are these events, each without its namespace.
fn hears(guest: &mut Guest, namespace: &str, events: &[&str]) {
    for event in events {
        assert_eq!(guest.packet(), format!("42{namespace},{event}"));
    }
}

#[test]
fn middleware_passes_events_on_or_refuses_them_in_order() {
    let mut guest = guest_in("/plain");
    assert_eq!(guest.ask("/plain", r#"["number",7]"#), "[7]");
    hears(&mut guest, "/plain", &[r#"["any","number"]"#, r#"["first",1]"#]);
    let refused = r#"[{"error":"not you","data":2}]"#;
    assert_eq!(guest.ask("/plain", r#"["forbidden",1,2]"#), refused);
    let told = [r#"["any","forbidden"]"#, r#"["first",2]"#, r#"["refused","forbidden","not you"]"#];
    hears(&mut guest, "/plain", &told);
    // The second is asked when the first has let it pass.
    assert_eq!(guest.ask("/plain", r#"["number",13]"#), r#"[{"error":"unlucky"}]"#);
    let told = [r#"["any","number"]"#, r#"["first",1]"#, r#"["refused","number","unlucky"]"#];
    hears(&mut guest, "/plain", &told);
    // Who wants no answer gets none, and an event that nobody handles passes it too.
    guest.emit("/plain", r#"["nobody",13]"#);
    let told = [r#"["any","nobody"]"#, r#"["first",1]"#, r#"["refused","nobody","unlucky"]"#];
    hears(&mut guest, "/plain", &told);
    guest.emit("/plain", r#"["number","x"]"#);
    let told = [r#"["any","number"]"#, r#"["first",1]"#, r#"["misfit","number",0]"#];
    hears(&mut guest, "/plain", &told);
}

#[test]
fn a_middleware_that_panics_ends_its_socket_alone() {
    let (mut guest, mut other) = (guest_in("/plain"), guest_in("/plain"));
    guest.emit("/plain", r#"["boom"]"#);
    hears(&mut guest, "/plain", &[r#"["any","boom"]"#, r#"["first",0]"#]);
    assert_eq!(guest.packet(), "41/plain,");
    assert_eq!(other.ask("/plain", r#"["number",1]"#), "[1]");
    let mut late = guest_in("/waiting");
    late.emit("/waiting", r#"["boom"]"#);
    hears(&mut late, "/waiting", &[r#"["arrived",null]"#]);
    assert_eq!(late.packet(), "41/waiting,");
    late.join("/waiting");
    assert_eq!(late.ask("/waiting", r#"["quick",1]"#), "[1]");
}

#[test]
fn while_an_event_waits_in_a_middleware_those_behind_it_wait_and_nobody_else() {
    let mut guest = guest_in("/waiting");
    // On the same shard, so that only the order can hold it up.
    let mut other = Guest::on(server(), guest.shard);
    other.join("/waiting");
    for event in [r#"["slow",1]"#, r#"["quick",2]"#, r#"["never",3]"#, r#"["quick",4]"#] {
        guest.emit("/waiting", event);
    }
    let arrived = [1, 2, 3, 4].map(|n| format!(r#"["arrived",{n}]"#));
    hears(&mut guest, "/waiting", &arrived.each_ref().map(|it| &**it));
    assert_eq!(other.ask("/waiting", r#"["quick",9]"#), "[9]");
    let then = [r#"["ran",1]"#, r#"["ran",2]"#, r#"["refused","never","never"]"#, r#"["ran",4]"#];
    hears(&mut guest, "/waiting", &then);
    // Answers come in the same order, and nothing is held up afterwards.
    let [slow, quick] =
        [r#"["slow",5]"#, r#"["quick",6]"#].map(|event| guest.emit_for_ack("/waiting", event));
    hears(&mut guest, "/waiting", &[r#"["arrived",5]"#, r#"["arrived",6]"#, r#"["ran",5]"#]);
    assert_eq!(guest.packet(), format!("{slow}5]"));
    hears(&mut guest, "/waiting", &[r#"["ran",6]"#]);
    assert_eq!(guest.packet(), format!("{quick}6]"));
    assert_eq!(guest.ask("/waiting", r#"["quick",7]"#), "[7]");
}

#[test]
fn what_waits_arrives_whole() {
    let mut guest = guest_in("/waiting");
    guest.emit("/waiting", r#"["slow",1]"#);
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    guest.send(&format!(r#"451-/waiting,77["echo", 2 , {placeholder}, "\u00e9"]"#));
    guest.socket.send(BINARY, &[1, 2, 3]);
    hears(&mut guest, "/waiting", &[r#"["arrived",1]"#, r#"["arrived",2]"#, r#"["ran",1]"#]);
    assert_eq!(guest.packet(), format!(r#"461-/waiting,77[2 , {placeholder}, "\u00e9"]"#));
    assert_eq!(guest.socket.receive().unwrap().payload, [1, 2, 3]);
    assert_eq!(guest.ask("/waiting", r#"["late no",1,2]"#), r#"[{"error":"late no","data":2}]"#);
}

#[test]
fn a_middleware_may_ask_the_client() {
    let mut guest = guest_in("/waiting");
    for (answer, outcome) in [("yes", "[1]"), ("no way", r#"[{"error":"no way"}]"#)] {
        let own = guest.emit_for_ack("/waiting", r#"["ask",1]"#);
        hears(&mut guest, "/waiting", &[r#"["arrived",1]"#]);
        let question = guest.packet();
        let id =
            question.strip_prefix("42/waiting,").and_then(|it| it.strip_suffix(r#"["may it?"]"#));
        guest.send(&format!("43/waiting,{}[\"{answer}\"]", id.unwrap()));
        let told = guest.packet();
        assert!(told.contains("ran") == (answer == "yes"), "{told}");
        assert_eq!(guest.packet(), format!("{own}{}", &outcome[1..]));
    }
}

#[test]
fn events_of_a_socket_that_left_meanwhile_are_let_go_of() {
    let mut guest = guest_in("/waiting");
    guest.emit("/waiting", r#"["leave"]"#);
    guest.emit("/waiting", r#"["leave"]"#);
    hears(&mut guest, "/waiting", &[r#"["arrived",null]"#, r#"["arrived",null]"#]);
    assert_eq!(guest.packet(), "41/waiting,");
    guest.join("/waiting");
    assert_eq!(guest.ask("/waiting", r#"["quick",1]"#), "[1]");
    assert_eq!(RAN_LATE.load(Ordering::Relaxed), 0);
}

#[test]
fn who_sends_more_than_may_wait_is_disconnected() {
    let errors = || inside().count(|metrics| metrics.socket_errors.value());
    let before = errors();
    let fill = |guest: &mut Guest, event: &str| {
        guest.emit("/waiting", event);
        for n in 0..WAITING_MAX {
            guest.emit("/waiting", &format!(r#"["quick",{n}]"#));
        }
    };
    let mut guest = guest_in("/waiting");
    fill(&mut guest, r#"["slow",9]"#);
    // So many may wait.
    for _ in 0..=WAITING_MAX {
        assert!(guest.packet().contains("arrived"));
    }
    for n in ["9", "0", "1", "2"] {
        hears(&mut guest, "/waiting", &[&format!(r#"["ran",{n}]"#)]);
    }
    fill(&mut guest, r#"["very slow"]"#);
    guest.emit("/waiting", r#"["quick",7]"#);
    assert!(guest.is_sent_away());
    assert_eq!(errors(), before + 1);
}

#[test]
fn who_listens_to_everything_that_goes_out_hears_it_once_for_each_socket() {
    let [mut one, mut other] = Guest::pair(server());
    let ids = [one.join("/watched"), other.join("/watched")];
    for guest in [&mut one, &mut other] {
        hears(guest, "/watched", &[r#"["welcome"]"#]);
        assert_eq!(guest.ask("/watched", r#"["join","hall"]"#), "[]");
    }
    assert_eq!(one.ask("/watched", r#"["say","hall",{"a":"é"}]"#), "[]");
    hears(&mut other, "/watched", &[r#"["said",{"a":"é"}]"#]);
    let question = one.emit_for_ack("/watched", r#"["ask"]"#);
    let asked = one.packet();
    let id =
        asked.strip_prefix("42/watched,").and_then(|it| it.strip_suffix(r#"["question",1,"two"]"#));
    let id = id.unwrap_or_else(|| panic!("{asked}"));
    one.send(&format!("43/watched,{id}[5]"));
    assert_eq!(one.packet(), format!("{question}5]"));
    // What a listener sends is told of too.
    assert_eq!(one.ask("/watched", r#"["answer"]"#), "[]");
    hears(&mut one, "/watched", &[r#"["answered"]"#, r#"["again"]"#]);
    assert_eq!(one.ask("/watched", r#"["volatile"]"#), "[]");
    let seen = |guest: &mut Guest, id: &str| -> Vec<String> {
        let (all,): (Vec<String>,) =
            serde_json::from_str(&guest.ask("/watched", r#"["seen"]"#)).unwrap();
        all.iter().filter_map(|line| Some(line.strip_prefix(id)?.to_owned())).collect()
    };
    let asked = format!(r#": question 1,"two" 0 Some({id})"#);
    let expected = [
        ": welcome  0 None",
        &asked,
        ": answered  0 None",
        ": again  0 None",
        ": dropped?  0 None",
    ];
    assert_eq!(seen(&mut one, &ids[0]), expected, "acknowledgements are no events");
    let expected = [": welcome  0 None", r#": said {"a":"é"} 0 None"#];
    assert_eq!(seen(&mut other, &ids[1]), expected);
}

#[test]
fn a_sockets_own_listeners_come_and_go() {
    let mut guest = guest_in("/own");
    let on = |guest: &mut Guest, event: &str, what: &str| {
        assert_eq!(guest.ask("/own", &format!(r#"["on","{event}","{what}"]"#)), "[]");
    };
    // One that nobody listens to is not answered: the next answer is that of the next.
    guest.emit_for_ack("/own", r#"["mine"]"#);
    on(&mut guest, "mine", "a");
    on(&mut guest, "mine", "once");
    on(&mut guest, "mine", "b");
    assert_eq!(guest.ask("/own", r#"["mine"]"#), r#"["a"]"#, "the first answers");
    hears(&mut guest, "/own", &[r#"["heard","a"]"#]);
    hears(&mut guest, "/own", &[r#"["heard","once"]"#, r#"["heard","b"]"#]);
    guest.emit("/own", r#"["mine"]"#);
    hears(&mut guest, "/own", &[r#"["heard","a"]"#, r#"["heard","b"]"#]);
    assert_eq!(guest.ask("/own", r#"["off"]"#), "[true]");
    assert_eq!(guest.ask("/own", r#"["off"]"#), "[false]");
    guest.emit("/own", r#"["mine"]"#);
    hears(&mut guest, "/own", &[r#"["heard","a"]"#]);
    assert_eq!(guest.ask("/own", r#"["off-event","mine"]"#), "[true]");
    guest.emit("/own", r#"["mine"]"#);
    // The namespace's handler comes first and answers.
    on(&mut guest, "both", "own");
    assert_eq!(guest.ask("/own", r#"["both"]"#), r#"["namespace"]"#);
    hears(&mut guest, "/own", &[r#"["heard","namespace"]"#, r#"["heard","own"]"#]);
    // One that waits, and arguments that do not fit.
    on(&mut guest, "later", "async");
    assert_eq!(guest.ask("/own", r#"["later",5]"#), "[5]");
    hears(&mut guest, "/own", &[r#"["heard",5]"#]);
    assert!(guest.ask("/own", r#"["later","x"]"#).starts_with(r#"[{"error":"argument 0"#));
    // Another socket of the same client has none of them.
    assert_eq!(guest_in("/own").ask("/own", r#"["off-event","both"]"#), "[false]");
}

#[test]
fn listeners_of_everything_come_and_go_in_both_directions() {
    let mut guest = guest_in("/own");
    let tell = |guest: &mut Guest, event: &str| assert_eq!(guest.ask("/own", event), "[]");
    tell(&mut guest, r#"["any","a"]"#);
    tell(&mut guest, r#"["any","b"]"#);
    tell(&mut guest, r#"["any","first"]"#);
    guest.emit("/own", r#"["noticed"]"#);
    hears(&mut guest, "/own", &[r#"["any","first"]"#, r#"["any","a"]"#, r#"["any","b"]"#]);
    assert_eq!(guest.ask("/own", r#"["off"]"#), "[true]");
    guest.emit("/own", r#"["noticed"]"#);
    hears(&mut guest, "/own", &[r#"["any","a"]"#, r#"["any","b"]"#]);
    assert_eq!(guest.ask("/own", r#"["off-any"]"#), "[true]");
    assert_eq!(guest.ask("/own", r#"["off-any"]"#), "[false]");
    guest.emit("/own", r#"["noticed"]"#);

    tell(&mut guest, r#"["any-outgoing","a"]"#);
    tell(&mut guest, r#"["any-outgoing","first"]"#);
    assert_eq!(guest.ask("/own", r#"["both"]"#), r#"["namespace"]"#);
    hears(&mut guest, "/own", &[r#"["heard","namespace"]"#]);
    let went = |what: &str| format!(r#"["went","{what}","\"namespace\""]"#);
    hears(&mut guest, "/own", &[&went("first"), &went("a")]);
    assert_eq!(guest.ask("/own", r#"["off"]"#), "[true]");
    assert_eq!(guest.ask("/own", r#"["both"]"#), r#"["namespace"]"#);
    hears(&mut guest, "/own", &[r#"["heard","namespace"]"#, &went("a")]);
    assert_eq!(guest.ask("/own", r#"["off-any-outgoing"]"#), "[true]");
    assert_eq!(guest.ask("/own", r#"["both"]"#), r#"["namespace"]"#);
    hears(&mut guest, "/own", &[r#"["heard","namespace"]"#]);
    assert_eq!(guest.ask("/own", r#"["both"]"#), r#"["namespace"]"#);
    hears(&mut guest, "/own", &[r#"["heard","namespace"]"#]);
}

#[test]
fn a_listener_that_holds_its_socket_goes_with_it() {
    let mut guests: Vec<_> = (0..4).map(|_| guest_in("/own")).collect();
    for guest in &mut guests {
        assert_eq!(guest.ask("/own", r#"["hold-itself"]"#), "[]");
        assert_eq!(guest.ask("/own", r#"["x"]"#), "[20]");
    }
    assert_eq!(CAPTURED.load(Ordering::SeqCst), 4);
    drop(guests);
    assert!(harness::soon(|| CAPTURED.load(Ordering::SeqCst) == 0));
}

#[test]
fn a_socket_has_data_that_every_core_can_read() {
    let mut guest = guest_in("/own");
    for (event, answer) in [
        (r#"["data"]"#, "[{}]"),
        (r#"["data-as-map"]"#, "[0]"),
        (r#"["set",{"name":"é","n":[1]}]"#, "[]"),
        (r#"["data"]"#, r#"[{"n":[1],"name":"é"}]"#),
        (r#"["data-as-map"]"#, "[2]"),
        (r#"["update","n",2]"#, "[[1]]"),
        (r#"["update","new",null]"#, "[null]"),
        (r#"["data"]"#, r#"[{"n":2,"name":"é","new":null}]"#),
        (r#"["set",5]"#, "[]"),
        (r#"["data-as-map"]"#, "[null]"),
        (r#"["data"]"#, "[5]"),
        (r#"["set-wrong"]"#, r#"[{"error":"key must be a string"}]"#),
        (r#"["data"]"#, "[5]"),
        (r#"["update","a",1]"#, "[null]"),
        (r#"["data"]"#, r#"[{"a":1}]"#),
    ] {
        assert_eq!(guest.ask("/own", event), answer, "{event}");
    }
    assert_eq!(guest_in("/own").ask("/own", r#"["data"]"#), "[{}]");
    let [mut one, mut other] = Guest::pair(server());
    let id = one.join("/own");
    other.join("/own");
    let data = format!(r#"["data-of","{id}"]"#);
    assert_eq!(other.ask("/own", &data), "[[[0,{}]]]", "as long as nothing was set");
    assert_eq!(one.ask("/own", r#"["set",{"name":"é"}]"#), "[]");
    for guest in [&mut one, &mut other] {
        assert_eq!(guest.ask("/own", &data), r#"[[[0,{"name":"é"}]]]"#);
    }
    assert_eq!(guest.ask("/own", r#"["namespace"]"#), r#"["/own"]"#);
}
