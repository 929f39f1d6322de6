//! What an application says to requests of Socket.IO's own path: who may begin a session, headers of answers;
//! and what it is told of them: refusals, upgrades.

#![allow(clippy::unwrap_used)]

mod harness;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use harness::*;
use yamabiko::engine::{Context, ErrorCode, Revision, Transport};
use yamabiko::http::{Cors, HeaderMap, HeaderName, HeaderValue, Origins};
use yamabiko::{App, Config, Core, Namespace, Reject, RequestHead, Socket};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
/// Also the time that a decision may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// What is answered when nothing is said.
fn forbidden(request: &str) -> (u16, &'static str) {
    if request.contains("transport=websocket") { (400, "Forbidden") } else { (403, FORBIDDEN) }
}

const FORBIDDEN: &str = r#"{"code":4,"message":"Forbidden"}"#;

/// What all cores of a server have seen.
#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    /// Decisions that wait for ever.
    waiting: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

struct Tested {
    server: Inside,
    seen: Arc<Seen>,
}

impl Tested {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.connect_timeout = CONNECT_TIMEOUT;
        change(&mut config);
        let seen = Arc::<Seen>::default();
        let shared = Arc::clone(&seen);
        let server = Inside::serve(config, move |core| app(core, Arc::clone(&shared)));
        Self { server, seen }
    }

    fn wire(&self) -> Wire {
        Wire::open(self.server.address())
    }

    fn asked(&self) -> usize {
        self.seen.asked.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> usize {
        self.seen.waiting.load(Ordering::SeqCst)
    }

    /// Whether nobody and nothing is left of those who came.
    fn is_empty(&self) -> bool {
        let gauges = [
            self.server.count(|it| it.connections.value()),
            self.server.count(|it| it.sessions.value()),
            self.server.count(|it| it.tasks.value()),
        ];
        gauges == [0; 3] && self.waiting() == 0
    }
}

/// Counted in `waiting` as long as it lives.
struct Waits(Arc<Seen>);

impl Waits {
    fn on(seen: &Arc<Seen>) -> Self {
        seen.waiting.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Does with a request as its parameter `do` says.
async fn decide(core: &Core, seen: &Arc<Seen>, request: &RequestHead) -> Result<(), Reject> {
    seen.asked.fetch_add(1, Ordering::SeqCst);
    let wanted = request.query("do").unwrap_or_default();
    if wanted.starts_with("late") {
        core.sleep(Duration::from_millis(50)).await;
    }
    match &*wanted {
        "refuse" | "late-refuse" => Err(Reject::new("not \"you\"").with_data(&1)),
        "say-nothing" => Err("".into()),
        "panic" | "late-panic" => panic!("it was asked for"),
        "wait" => {
            let _waits = Waits::on(seen);
            pending().await
        }
        _ => Ok(()),
    }
}

fn app(core: Core, seen: Arc<Seen>) -> App {
    let noted = Arc::clone(&seen);
    let echoes = Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("message-with-ack", |_: Socket, text: String| text)
        .on("upgraded", |socket: Socket| socket.upgraded())
        .on_upgrade(async |socket: Socket| {
            socket.emit("on a", &(socket.transport()?, "now")).map_err(Reject::of)
        });
    App::new()
        .namespace("/", echoes)
        .allow_request(async move |request: &RequestHead| decide(&core, &seen, request).await)
        .on_connection_error(move |error| {
            let (request, code) = (error.request(), error.code());
            let text = format!("{code} {} {:?}", error.message(), error.context());
            assert!(request.url().starts_with("/socket.io/") && request.address().port() != 0);
            assert_eq!(error.kind().number(), code);
            noted.refused.lock().unwrap().push(text);
        })
}

/// One server for the tests that leave nothing behind.
fn tested() -> &'static Tested {
    static TESTED: OnceLock<Tested> = OnceLock::new();
    TESTED.get_or_init(|| Tested::start(|_| ()))
}

fn polling(what: &str) -> String {
    get(&format!("{HANDSHAKE}&do={what}"), "")
}

fn websocket(what: &str) -> String {
    get(&format!("{WEBSOCKET}&do={what}"), UPGRADE)
}

#[test]
fn each_session_is_asked_about_once_and_its_further_requests_are_not() {
    let tested = Tested::start(|_| ());
    let mut poller = Poller::open(tested.server.address());
    assert_eq!(tested.asked(), 1);
    assert_eq!(poller.ask("[\"message-with-ack\",\"a\"]"), "[\"a\"]");
    let target = format!("{WEBSOCKET}&sid={}", poller.sid);
    let mut socket = WebSocket::on(tested.wire(), &target);
    socket.send_text("2probe");
    assert_eq!(socket.receive().unwrap().text(), "3probe");
    assert_eq!(tested.asked(), 1);
    Client::open(tested.server.address()).assert_alive();
    assert_eq!(tested.asked(), 2);
    for target in ["/socket.io/?EIO=4&transport=smoke", WEBSOCKET] {
        assert_eq!(tested.wire().ask(get(target, "")).status, 400);
    }
    assert_eq!(tested.wire().ask(polling("").replace("GET", "PUT")).status, 400);
    assert_eq!(tested.wire().ask(get(&format!("{HANDSHAKE}&sid=none"), "")).status, 400);
    assert_eq!(tested.asked(), 2, "what is wrong is refused without asking");
    // As in Node the revision comes last.
    assert_eq!(tested.wire().ask(polling("").replace("EIO=4", "EIO=3")).status, 400);
    assert_eq!(tested.asked(), 3);
}

#[test]
fn a_refusal_is_403_with_code_4_and_as_in_node_400_with_its_message_for_a_websocket() {
    let before = tested().server.count(|it| it.requests_refused.value());
    for (what, body, message) in [
        ("refuse", r#"{"code":4,"message":"not \"you\""}"#, r#"not "you""#),
        ("late-refuse", r#"{"code":4,"message":"not \"you\""}"#, r#"not "you""#),
        ("say-nothing", FORBIDDEN, "Forbidden"),
    ] {
        let mut wire = tested().wire();
        let refused = wire.ask(polling(what));
        assert_eq!((refused.status, &*refused.body), (403, body), "{what}");
        assert_eq!(refused.header("content-type"), Some("application/json"));
        // It may try again on the same connection.
        assert!(!wire.ask(polling("")).sid().is_empty());
        let mut wire = tested().wire();
        let refused = wire.ask(websocket(what));
        assert_eq!((refused.status, &*refused.body), (400, message), "{what}");
        assert_eq!(wire.read_to_end(), b"");
    }
    assert!(tested().server.count(|it| it.requests_refused.value()) >= before + 6);
}

#[test]
fn a_panic_refuses_and_is_counted() {
    let tested = Tested::start(|_| ());
    let mut other = Client::open(tested.server.address());
    for (count, request) in
        [polling("panic"), websocket("panic"), polling("late-panic"), websocket("late-panic")]
            .into_iter()
            .enumerate()
    {
        let refused = tested.wire().ask(&request);
        assert_eq!((refused.status, &*refused.body), forbidden(&request), "{request}");
        assert_eq!(tested.server.count(|it| it.handler_panics.value()), count as u64 + 1);
    }
    other.assert_alive();
    drop(other);
    assert!(soon(|| tested.is_empty()));
}

#[test]
fn what_comes_while_a_decision_waits_is_not_lost() {
    // Requests behind it are answered behind it.
    let mut wire = tested().wire();
    wire.send(polling("late") + &polling("late-refuse") + &get("/nothing-here", ""));
    assert!(!wire.response().unwrap().sid().is_empty());
    assert_eq!(wire.response().unwrap().status, 403);
    assert_eq!(wire.response().unwrap().status, 404);
    // Frames behind an upgrade are those of the session.
    let mut wire = tested().wire();
    wire.send(websocket("late"));
    wire.send(frame(0x80 | TEXT, b"40"));
    wire.send(&frame(0x80 | TEXT, b"420[\"message-with-ack\",\"early\"]")[..10]);
    assert_eq!(wire.head().unwrap().status, 101);
    wire.send(&frame(0x80 | TEXT, b"420[\"message-with-ack\",\"early\"]")[10..]);
    let mut socket = WebSocket { wire };
    assert!(socket.receive().unwrap().text().starts_with("0{"));
    assert!(socket.receive().unwrap().text().starts_with("40{"));
    assert_eq!(socket.receive().unwrap().text(), "42[\"auth\"]");
    assert_eq!(socket.receive().unwrap().text(), "430[\"early\"]");
}

#[test]
fn many_decide_at_once_and_each_gets_its_own() {
    let mut wires: Vec<_> = (0..60).map(|_| tested().wire()).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.send(polling(["late", "late-refuse", "", "refuse"][number % 4]));
    }
    for (number, wire) in wires.iter_mut().enumerate() {
        let expected = if number % 2 == 0 { 200 } else { 403 };
        assert_eq!(wire.response().unwrap().status, expected, "{number}");
    }
}

#[test]
fn a_client_that_goes_away_meanwhile_leaves_nothing_behind() {
    let tested = Tested::start(|config| config.settings.connect_timeout = Duration::from_secs(60));
    for request in [polling("wait"), websocket("wait")] {
        for is_reset in [false, true] {
            let mut wire = tested.wire();
            wire.send(&request);
            assert!(soon(|| tested.waiting() == 1));
            match is_reset {
                true => wire.reset(),
                false => drop(wire),
            }
            assert!(soon(|| tested.is_empty()), "{request}");
        }
        // One that goes before a decision that comes.
        let mut wire = tested.wire();
        wire.send(request.replace("wait", "late"));
        drop(wire);
        assert!(soon(|| tested.is_empty()), "{request}");
    }
    let opened = tested.server.count(|it| it.sessions_opened.value());
    assert_eq!(opened, 0);
    Client::open(tested.server.address()).assert_alive();
}

#[test]
fn a_decision_has_its_time() {
    let tested = Tested::start(|_| ());
    for request in [polling("wait"), websocket("wait")] {
        let started = Instant::now();
        let mut wire = tested.wire();
        wire.send(&request);
        assert!(soon(|| tested.waiting() == 1));
        let refused = wire.response().unwrap();
        assert_eq!((refused.status, &*refused.body), forbidden(&request));
        let time = started.elapsed();
        assert!(time >= CONNECT_TIMEOUT && time < CONNECT_TIMEOUT * 5, "{time:?}");
        assert!(soon(|| tested.waiting() == 0), "the hook is let go of");
    }
    assert_eq!(tested.server.count(|it| it.request_timeouts.value()), 2);
    assert!(soon(|| tested.is_empty()));
}

#[test]
fn the_refused_are_told_with_code_message_and_context() {
    let tested = Tested::start(|config| {
        config.settings.cors = Some(Cors { origins: Origins::Any, ..Cors::default() });
    });
    let mut wire = tested.wire();
    let mut session = Poller::open(tested.server.address());
    let sid = session.sid.clone();
    let unknown = "AAAAAAAAAAAAAAAAAAAA";
    let bad_key = websocket("").replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    let requests = [
        (get("/socket.io/?EIO=4&transport=x", ""), 400, Context::Transport(Some("x"))),
        (get("/socket.io/?EIO=4", ""), 400, Context::Transport(None)),
        (get(&format!("{HANDSHAKE}&sid={unknown}"), ""), 400, Context::Sid(unknown)),
        (polling("").replace("GET", "DELETE"), 400, Context::Method("DELETE")),
        (get(WEBSOCKET, ""), 400, Context::TransportHandshake),
        (polling("refuse"), 403, Context::Forbidden(Some("not \"you\""))),
        (polling("panic"), 403, Context::Forbidden(None)),
        (polling("").replace("EIO=4", "EIO=3"), 400, Context::Protocol(Revision::V3)),
        (
            get(&format!("{WEBSOCKET}&sid={sid}"), ""),
            400,
            Context::TransportMismatch {
                transport: Transport::WebSocket,
                previous: Transport::Polling,
            },
        ),
        (
            get(&format!("{HANDSHAKE}&sid={sid}").replace("EIO=4", "EIO=3"), ""),
            400,
            Context::ProtocolMismatch { revision: Revision::V3, previous: Revision::V4 },
        ),
        (bad_key, 400, Context::TransportHandshake),
    ];
    let mut expected = Vec::new();
    for (request, status, context) in requests {
        // Its session lives on another core than the connection, perhaps: then it is refused there.
        assert_eq!(wire.ask(&request).status, status, "{request}");
        wire = if request.contains("short") { tested.wire() } else { wire };
        let rejection = yamabiko_protocol::engine::Rejection::from(context);
        let (code, message) = (rejection.code.number(), rejection.message());
        expected.push(format!("{code} {message} {:?}", rejection.context));
        assert_eq!(rejection.code == ErrorCode::Forbidden, status == 403);
    }
    // Neither these nor what is no refusal of a request under the path.
    assert_eq!(wire.ask(polling("").replace("GET", "OPTIONS")).status, 204);
    assert_eq!(wire.ask(get("/nothing-here", "")).status, 404);
    assert_eq!(session.ask("[\"message-with-ack\",\"a\"]"), "[\"a\"]");
    assert_eq!(*tested.seen.refused.lock().unwrap(), expected);
}

fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// Adds what it may and what it may not.
fn with_headers() -> App {
    App::new()
        .namespace("/", Namespace::new())
        .initial_headers(|request, headers: &mut HeaderMap| {
            assert!(request.query("sid").is_none());
            let (name, value) = field("x-initial", "1");
            headers.insert(name, value);
            let value = HeaderValue::from_str(&format!("via={}", request.is_upgrade())).unwrap();
            headers.append("set-cookie", value);
            headers.append("set-cookie", HeaderValue::from_static("second=2"));
            // The next hook sees it, and may change its mind.
            headers.insert("x-every", HeaderValue::from_static("replaced"));
        })
        .headers(|request, headers: &mut HeaderMap| {
            if request.query("do").as_deref() == Some("panic") {
                panic!("it was asked for");
            }
            let fields = [
                ("x-every", "1"),
                ("access-control-allow-origin", "https://other.example"),
                ("vary", "X-Thing"),
                ("content-length", "7"),
                ("transfer-encoding", "chunked"),
                ("connection", "close"),
                ("content-type", "text/html"),
                ("content-encoding", "br"),
                ("cache-control", "public"),
                ("upgrade", "h2c"),
                ("keep-alive", "timeout=1"),
                ("trailer", "x"),
                ("sec-websocket-accept", "x"),
                ("sec-websocket-protocol", "x"),
                ("sec-websocket-extensions", "permessage-deflate"),
            ];
            headers
                .extend(fields.map(|(name, value)| field(name, value)).map(|(n, v)| (Some(n), v)));
        })
}

fn values<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let fields = response.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[test]
fn headers_are_added_to_the_first_answer_and_to_every_answer() {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    config.settings.cookie = Some(yamabiko::http::Cookie::default());
    config.settings.cors = Some(Cors { origins: Origins::Reflect, ..Cors::default() });
    let server = Inside::serve(config, |_| with_headers());
    let mut wire = Wire::open(server.address());
    let origin = "Origin: https://one.example\r\n";
    let first = wire.ask(get(HANDSHAKE, origin));
    let sid = first.sid().to_owned();
    let target = format!("{HANDSHAKE}&sid={sid}");
    let post = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40");
    let post = wire.ask(post);
    let poll = wire.ask(get(&target, origin));
    for (response, is_first) in [(&first, true), (&post, false), (&poll, false)] {
        assert_eq!(response.status, 200);
        assert_eq!(values(response, "x-every"), ["1"]);
        assert_eq!(values(response, "x-initial").len(), usize::from(is_first));
        let cookies = [format!("io={sid}; Path=/; HttpOnly; SameSite=Lax")];
        let cookies = cookies.iter().map(String::as_str).chain(["via=false", "second=2"]);
        let mut cookies: Vec<_> = cookies.filter(|_| is_first).collect();
        let mut found = values(response, "set-cookie");
        cookies.sort();
        found.sort();
        assert_eq!(found, cookies);
        // What the settings say gives way, except where both can stand.
        let allowed = values(response, "access-control-allow-origin");
        assert_eq!(allowed, ["https://other.example"]);
        assert!(values(response, "vary").contains(&"X-Thing"));
        assert_eq!(values(response, "content-length"), [response.body.len().to_string()]);
        assert_eq!(values(response, "cache-control"), ["no-store"]);
        assert_ne!(values(response, "content-type"), [""; 0]);
        for name in ["transfer-encoding", "connection", "content-encoding", "upgrade", "trailer"] {
            assert_eq!(values(response, name), [""; 0], "{name}");
        }
    }
    assert_eq!(values(&poll, "vary").len(), 2, "{poll:?}");
    let mut joining = Wire::open(server.address());
    let joined = joining.ask(get(&format!("{WEBSOCKET}&sid={sid}"), UPGRADE));
    let mut opening = Wire::open(server.address());
    let opened = opening.ask(get(WEBSOCKET, UPGRADE));
    for (response, cookies) in [(&joined, &[][..]), (&opened, &["via=true", "second=2"])] {
        assert_eq!(response.status, 101);
        assert_eq!(values(response, "x-every"), ["1"]);
        assert_eq!(values(response, "x-initial").len(), usize::from(!cookies.is_empty()));
        assert_eq!(values(response, "set-cookie"), cookies);
        assert_eq!(values(response, "connection"), ["Upgrade"]);
        assert_eq!(values(response, "upgrade"), ["websocket"]);
        assert_eq!(values(response, "sec-websocket-accept").len(), 1);
        assert_eq!(values(response, "sec-websocket-extensions"), [""; 0]);
        assert_eq!(values(response, "content-length"), [""; 0]);
    }
    assert!(WebSocket { wire: opening }.receive().unwrap().text().starts_with("0{"));
    // Refusals have none of them.
    let refused = wire.ask(get(&format!("{HANDSHAKE}&sid=AAAAAAAAAAAAAAAAAAAA"), ""));
    assert_eq!((refused.status, values(&refused, "x-every").len()), (400, 0));
    // A hook that panics adds what it had added, and the session begins.
    let panicked = wire.ask(get(&format!("{HANDSHAKE}&do=panic"), ""));
    assert!(!panicked.sid().is_empty());
    assert_eq!(values(&panicked, "x-initial"), ["1"]);
    assert_eq!(server.count(|it| it.handler_panics.value()), 1);
}

#[test]
fn hooks_of_mounted_apps_are_for_everybody_and_come_last() {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    let part = |name: &'static str| {
        App::new()
            .namespace("/", Namespace::new())
            .allow_request(async move |request: &RequestHead| {
                match request.query("refuse").is_some_and(|all| all.contains(name)) {
                    true => Err(Reject::new(name)),
                    false => Ok(()),
                }
            })
            .headers(move |_, headers| {
                headers.append("x-part", HeaderValue::from_static(name));
            })
    };
    let server = Inside::serve(config, move |_| part("outer").mount("/chat", part("inner")));
    let mut wire = Wire::open(server.address());
    let admitted = wire.ask(get(HANDSHAKE, ""));
    assert_eq!(values(&admitted, "x-part"), ["outer", "inner"]);
    for (refuse, message) in [("inner", "inner"), ("inner,outer", "outer")] {
        let refused = wire.ask(get(&format!("{HANDSHAKE}&refuse={refuse}"), ""));
        assert_eq!(refused.body, format!(r#"{{"code":4,"message":"{message}"}}"#));
    }
}

#[test]
fn an_upgrade_is_told_to_the_sockets_that_are_connected() {
    let mut client = Client::open(tested().server.address());
    assert_eq!(client.ask("[\"upgraded\"]"), "[false]", "it began so");
    let mut poller = Poller::open(tested().server.address());
    assert_eq!(poller.ask("[\"upgraded\"]"), "[false]");
    let target = format!("{WEBSOCKET}&sid={}", poller.sid);
    let mut socket = WebSocket::on(tested().wire(), &target);
    socket.send_text("2probe");
    assert_eq!(socket.receive().unwrap().text(), "3probe");
    socket.send_text("5");
    assert_eq!(socket.receive().unwrap().text(), "42[\"on a\",\"websocket\",\"now\"]");
    socket.send_text("427[\"upgraded\"]");
    assert_eq!(socket.receive().unwrap().text(), "437[true]");
    // One that connects after the upgrade is not told, and can ask.
    let mut wire = tested().wire();
    let sid = wire.ask(get(HANDSHAKE, "")).sid().to_owned();
    let mut socket = WebSocket::on(tested().wire(), &format!("{WEBSOCKET}&sid={sid}"));
    for packet in ["2probe", "5", "40", "420[\"upgraded\"]"] {
        socket.send_text(packet);
    }
    assert_eq!(socket.receive().unwrap().text(), "3probe");
    assert!(socket.receive().unwrap().text().starts_with("40{"));
    assert_eq!(socket.receive().unwrap().text(), "42[\"auth\"]");
    assert_eq!(socket.receive().unwrap().text(), "430[true]");
}
