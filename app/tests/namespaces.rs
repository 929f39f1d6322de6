//! Namespaces that are declared and such that come with a client, on two shards: what they serve, how they go,
//! how many there may be, and how many there are of everything.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use harness::{Guest, Inside, soon};
use serde_json::Value;
use yamabiko::{App, Broadcast, Config, Core, Namespace, Regex, Reject, Socket};

const INVALID: &str = r#"{"message":"Invalid namespace"}"#;

fn config() -> Config {
    let mut config = Config::default();
    config.settings.shards = Some(2);
    config
}

/// One server for the tests that share it, which ends with them.
fn server() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| Inside::serve(config(), app).address())
}

fn app(core: Core) -> App {
    let digits = Regex::new("^/tenant-[0-9]+$").unwrap();
    App::new()
        .namespace("/", desk())
        .namespace("/tenant-0", named("declared"))
        .namespace_matching(digits, named("digits"))
        .namespace_matching(|name: &str| name.starts_with("/t"), named("plain"))
        .namespace_matching(|name: &str| name.starts_with("/guarded-"), guarded())
        .namespace_matching(
            async move |name: String, auth: Value| {
                core.sleep(Duration::from_millis(5)).await;
                match (&*name, &auth["open"]) {
                    ("/asked-panic", _) => panic!("asked for"),
                    (name, open) => name.starts_with("/asked-") && *open == true,
                }
            },
            named("asked"),
        )
        .namespace_matching(|name: &str| name == "/panic" && panic!("asked for"), named("never"))
}

/// The main namespace, from which others are asked about.
fn desk() -> Namespace {
    let kept: Rc<RefCell<Option<Broadcast>>> = Rc::default();
    let to_keep = Rc::clone(&kept);
    Namespace::new()
        .on("ring", |socket: Socket, name: String| match socket.core().of(&name) {
            Some(everybody) => everybody.emit("bell", &name).is_ok(),
            None => false,
        })
        .on("keep", move |socket: Socket, name: String| {
            *to_keep.borrow_mut() = socket.core().of(&name);
        })
        .on("ring-kept", move |_: Socket| {
            kept.borrow().as_ref().is_some_and(|kept| kept.emit("bell", "kept").is_ok())
        })
        .on("namespaces", |socket: Socket| (socket.core().namespaces(),))
        .on("counts", |socket: Socket, namespace: String, room: String| {
            let core = socket.core();
            let counts = [
                core.clients(),
                core.sockets(&namespace),
                core.members(&namespace, &room),
                core.rooms(&namespace),
            ];
            (counts.map(|count| (count.shard, count.node)),)
        })
}

fn named(what: &'static str) -> Namespace {
    Namespace::new()
        .on("what", move |socket: Socket| (what, String::from(socket.namespace())))
        .on("join", |socket: Socket, room: String| socket.join(&room).map_err(Reject::of))
        .on("say", |socket: Socket, room: String| {
            match &*room {
                "" => socket.broadcast().emit("said", socket.namespace()),
                _ => socket.to(&room).emit("said", socket.namespace()),
            }
            .map_err(Reject::of)
        })
        .on("say-in-all", |socket: Socket| -> Result<(), Reject> {
            Ok(socket.everyone().emit("said", "to all")?)
        })
        .on("ask", async |socket: Socket, id: String| {
            let asked = socket.everyone().to(&id).emit_with_ack::<Value>("question", &()).await;
            asked.map(|answers| answers.len()).map_err(|_| Reject::new("not all have answered"))
        })
        .on("fetch", async |socket: Socket, id: String| {
            socket.everyone().to(&id).fetch_sockets().await.sockets.len()
        })
        .on_disconnect(async |socket: Socket, _reason| -> Result<(), Reject> {
            socket.sleep(Duration::from_millis(10)).await;
            Ok(socket.everyone().emit("left", socket.namespace())?)
        })
}

fn guarded() -> Namespace {
    Namespace::new().guard(async |socket: Socket| -> Result<(), Reject> {
        socket.join("waiting")?;
        match socket.handshake()?.auth::<Value>() {
            Some(auth) if auth["late"] == true => {
                socket.sleep(Duration::from_secs(60)).await;
                Ok(())
            }
            Some(auth) if auth["open"] == true => Ok(()),
            _ => Err("no".into()),
        }
    })
}

fn names(guest: &mut Guest) -> Vec<String> {
    let (names,): (Vec<String>,) =
        serde_json::from_str(&guest.ask("/", r#"["namespaces"]"#)).unwrap();
    names
}

#[test]
fn a_pattern_serves_all_names_it_takes_and_keeps_them_apart() {
    let [mut one, mut other] = Guest::pair(server());
    for name in ["/tenant-1", "/tenant-2"] {
        one.join(name);
        other.join(name);
        let what = format!(r#"["digits","{name}"]"#);
        assert_eq!(one.ask(name, r#"["what"]"#), what);
        assert_eq!(other.ask(name, r#"["what"]"#), what);
    }
    assert_eq!(one.ask("/tenant-1", r#"["join","room"]"#), "[]");
    assert_eq!(other.ask("/tenant-2", r#"["join","room"]"#), "[]");
    // The same room of two namespaces is two rooms, and everybody is everybody in one.
    assert_eq!(one.ask("/tenant-2", r#"["say","room"]"#), "[]");
    assert_eq!(one.ask("/tenant-1", r#"["say",""]"#), "[]");
    assert_eq!(other.packet(), r#"42/tenant-2,["said","/tenant-2"]"#);
    assert_eq!(other.packet(), r#"42/tenant-1,["said","/tenant-1"]"#);
    assert_eq!(other.ask("/tenant-2", r#"["say",""]"#), "[]");
    assert_eq!(one.packet(), r#"42/tenant-2,["said","/tenant-2"]"#);
}

#[test]
fn what_is_declared_wins_and_then_the_first_that_takes_a_name() {
    let mut guest = Guest::open(server());
    for (name, what) in
        [("/tenant-0", "declared"), ("/tenant-77", "digits"), ("/tenant-a", "plain")]
    {
        guest.join(name);
        assert_eq!(guest.ask(name, r#"["what"]"#), format!(r#"["{what}","{name}"]"#));
    }
    for name in ["/nothing", "/atenant-1"] {
        assert_eq!(guest.ask_to_join(name, ""), format!("44{name},{INVALID}"));
    }
    let panicked = r#"44/panic,{"message":"Internal server error"}"#;
    assert_eq!(guest.ask_to_join("/panic", ""), panicked);
}

#[test]
fn a_pattern_may_wait_and_read_what_the_client_sends() {
    let mut guest = Guest::open(server());
    for auth in ["", r#"{"open":1}"#] {
        assert_eq!(guest.ask_to_join("/asked-1", auth), format!("44/asked-1,{INVALID}"));
    }
    // What comes at once waits.
    guest.send(r#"40/asked-1,{"open":true}"#);
    guest.send(r#"42/asked-1,0["what"]"#);
    assert!(guest.packet().starts_with(r#"40/asked-1,{"sid""#));
    assert_eq!(guest.packet(), r#"43/asked-1,0["asked","/asked-1"]"#);
    let answer = guest.ask_to_join("/asked-panic", r#"{"open":true}"#);
    assert_eq!(answer, r#"44/asked-panic,{"message":"Internal server error"}"#);
    // Two who ask for the same at the same time are in the same.
    let [mut one, mut other] = [0, 0].map(|shard| Guest::on(server(), shard));
    for guest in [&mut one, &mut other] {
        guest.send(r#"40/asked-2,{"open":true}"#);
    }
    for guest in [&mut one, &mut other] {
        assert!(guest.packet().starts_with(r#"40/asked-2,{"sid""#));
    }
    assert_eq!(one.ask("/asked-2", r#"["say",""]"#), "[]");
    assert_eq!(other.packet(), r#"42/asked-2,["said","/asked-2"]"#);
}

#[test]
fn a_core_reaches_namespaces_that_only_others_have() {
    let [mut one, mut other] = Guest::pair(server());
    one.join("/");
    assert_eq!(one.ask("/", r#"["ring","/tenant-300"]"#), "[false]");
    other.join("/tenant-300");
    assert_eq!(one.ask("/", r#"["ring","/tenant-300"]"#), "[true]");
    assert_eq!(other.packet(), r#"42/tenant-300,["bell","/tenant-300"]"#);
    assert!(names(&mut one).contains(&"/tenant-300".into()));
}

#[test]
fn a_core_that_never_met_a_namespace_has_nobody_there() {
    let [mut one, mut other] = Guest::pair(server());
    let elsewhere = other.join("/");
    let id = one.join("/tenant-400");
    assert_eq!(one.ask("/tenant-400", &format!(r#"["say","{elsewhere}"]"#)), "[]");
    assert_eq!(one.ask("/tenant-400", &format!(r#"["ask","{elsewhere}"]"#)), "[0]");
    assert_eq!(one.ask("/tenant-400", &format!(r#"["fetch","{elsewhere}"]"#)), "[0]");
    assert_eq!(one.ask("/tenant-400", &format!(r#"["fetch","{id}"]"#)), "[1]");
    other.join("/tenant-400");
    assert_eq!(other.ask("/tenant-400", &format!(r#"["fetch","{id}"]"#)), "[1]");
    assert_eq!(other.ask("/tenant-400", r#"["fetch","nobody"]"#), "[0]");
}

#[test]
fn who_is_refused_leaves_nothing_behind() {
    let mut config = config();
    config.settings.limits.dynamic_namespaces_max = 2;
    let server = Inside::serve(config, app);
    let [mut one, mut other] = Guest::pair(server.address());
    one.join("/");
    for n in 0..500 {
        let name = format!("/guarded-{n}");
        let refused = format!(r#"44{name},{{"message":"no"}}"#);
        assert_eq!(one.ask_to_join(&name, ""), refused);
        assert_eq!(other.ask_to_join(&name, ""), refused);
    }
    // Nor does one that leaves while it is being asked about.
    other.send(r#"40/guarded-late,{"late":true}"#);
    assert!(soon(|| names(&mut one).contains(&"/guarded-late".into())));
    drop(other);
    assert!(soon(|| names(&mut one) == ["/", "/tenant-0"]));
    assert_eq!(server.count(|metrics| metrics.namespaces_refused.value()), 0);
    assert_eq!(server.count(|metrics| metrics.rooms.value()), 0);
    assert_eq!(server.count(|metrics| metrics.namespaces.value()), 1);
}

#[test]
fn there_are_no_more_than_the_limit_says() {
    let mut config = config();
    config.settings.limits.dynamic_namespaces_max = 2;
    let server = Inside::serve(config, app);
    let [mut one, mut other] = Guest::pair(server.address());
    one.join("/tenant-1");
    other.join("/tenant-2");
    for guest in [&mut one, &mut other] {
        let refused = r#"44/tenant-3,{"message":"Too many namespaces"}"#;
        assert_eq!(guest.ask_to_join("/tenant-3", ""), refused);
        // Others are there, and the connection lives.
        guest.join("/tenant-0");
    }
    assert_eq!(server.count(|metrics| metrics.namespaces_refused.value()), 2);
    one.join("/tenant-2");
    // Once admitted, they stay.
    one.leave("/tenant-1");
    assert!(one.ask_to_join("/tenant-4", "").contains("Too many"));
    one.join("/tenant-1");
}

#[test]
fn with_cleanup_a_namespace_goes_with_its_last_socket_on_any_shard() {
    let mut config = config();
    config.settings.cleanup_empty_child_namespaces = true;
    config.settings.limits.dynamic_namespaces_max = 1;
    let server = Inside::serve(config, app);
    let [mut one, mut other] = Guest::pair(server.address());
    one.join("/");
    one.join("/tenant-1");
    other.join("/tenant-1");
    assert_eq!(one.ask("/", r#"["keep","/tenant-1"]"#), "[]");
    one.leave("/tenant-1");
    // One is still there, who hears even what a handler says that has waited.
    assert_eq!(other.packet(), r#"42/tenant-1,["left","/tenant-1"]"#);
    assert_eq!(one.ask("/", r#"["ring-kept"]"#), "[true]");
    assert_eq!(other.packet(), r#"42/tenant-1,["bell","kept"]"#);
    other.leave("/tenant-1");
    assert!(soon(|| names(&mut one) == ["/", "/tenant-0"]));
    // The next one takes its place, and hears nothing that was meant for it.
    other.join("/tenant-2");
    one.join("/tenant-2");
    assert_eq!(one.ask("/", r#"["ring-kept"]"#), "[true]");
    assert_eq!(one.ask("/tenant-2", r#"["say-in-all"]"#), "[]");
    assert_eq!(one.packet(), r#"42/tenant-2,["said","to all"]"#);
    assert_eq!(other.packet(), r#"42/tenant-2,["said","to all"]"#);
    // What is declared stays.
    one.join("/tenant-0");
    one.leave("/tenant-0");
    one.join("/tenant-0");
}

#[test]
fn clients_come_to_a_namespace_and_go_at_once_and_it_is_always_one() {
    let mut config = config();
    config.settings.cleanup_empty_child_namespaces = true;
    let server = Inside::serve(config, app);
    let [mut one, mut other] = Guest::pair(server.address());
    std::thread::scope(|scope| {
        for guest in [&mut one, &mut other] {
            scope.spawn(move || {
                for n in 0..300 {
                    let name = format!("/tenant-{}", n % 3);
                    guest.send(&format!("40{name}"));
                    // What was on its way when it left the last one comes first.
                    while !guest.packet().starts_with(&format!("40{name},{{")) {}
                    assert_eq!(guest.ask(&name, r#"["say-in-all"]"#), "[]");
                    loop {
                        let heard = guest.packet();
                        assert!(heard.starts_with(&format!("42{name},")), "{heard} in {name}");
                        if heard.ends_with(r#"["said","to all"]"#) {
                            break;
                        }
                    }
                    guest.leave(&name);
                }
            });
        }
    });
    // The other may have said something before the last leaving was heard.
    one.send("40");
    while !one.packet().starts_with("40{") {}
    assert!(soon(|| names(&mut one) == ["/", "/tenant-0"]));
}

#[test]
fn everything_is_counted_here_and_on_the_node() {
    let server = Inside::serve(config(), app);
    let [mut one, mut other] = Guest::pair(server.address());
    // Those that were opened to find these two are on their way out.
    assert!(soon(|| server.count(|metrics| metrics.sessions.value()) == 2));
    let mut third = Guest::on(server.address(), 0);
    assert!(soon(|| server.count(|metrics| metrics.sessions.value()) == 3));
    one.join("/");
    other.join("/");
    let counts = |guest: &mut Guest, namespace: &str, room: &str| {
        guest.ask("/", &format!(r#"["counts","{namespace}","{room}"]"#))
    };
    assert_eq!(counts(&mut one, "/", "r"), "[[[2,3],[1,2],[0,0],[0,0]]]");
    for guest in [&mut one, &mut other, &mut third] {
        guest.join("/tenant-1");
    }
    for (guest, rooms) in
        [(&mut one, &["r", "s"][..]), (&mut other, &["r", "t"]), (&mut third, &["r"])]
    {
        for room in rooms {
            assert_eq!(guest.ask("/tenant-1", &format!(r#"["join","{room}"]"#)), "[]");
        }
    }
    assert_eq!(counts(&mut one, "tenant-1", "r"), "[[[2,3],[2,3],[2,3],[2,3]]]");
    assert_eq!(counts(&mut other, "/tenant-1", "r"), "[[[1,3],[1,3],[1,3],[2,3]]]");
    assert_eq!(counts(&mut other, "/tenant-1", "s"), "[[[1,3],[1,3],[0,1],[2,3]]]");
    assert_eq!(counts(&mut other, "/nothing", "s"), "[[[1,3],[0,0],[0,0],[0,0]]]");
    drop(third);
    assert!(soon(|| counts(&mut other, "/tenant-1", "r") == "[[[1,2],[1,2],[1,2],[2,3]]]"));
    one.leave("/tenant-1");
    assert!(soon(|| counts(&mut other, "/tenant-1", "r") == "[[[1,2],[1,1],[1,1],[2,2]]]"));
    assert_eq!(counts(&mut one, "/tenant-1", "r"), "[[[1,2],[0,1],[0,1],[0,2]]]");
}
