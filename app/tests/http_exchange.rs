//! Requests and answers of the application over the wire: late ones, pieces in and out, limits, patience,
//! clients that go, handlers that panic.

#![allow(clippy::unwrap_used)]

mod harness;

use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use harness::{Inside, Wire, get, soon};
use yamabiko::http::{BodyError, StatusCode, header};
use yamabiko::{App, Body, Config, Core, Failure, RequestExt, Sse, SseEvent};

const LIMIT: u64 = 100_000;

/// What became of the streams of one route; each is used by one test.
struct Tally {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

static ENDLESS: Tally = Tally::new();
static FLOOD: Tally = Tally::new();
static OTHERS: Tally = Tally::new();
static CLIENTS_GONE: AtomicUsize = AtomicUsize::new(0);
static SENDERS_UNHEARD: AtomicUsize = AtomicUsize::new(0);
static HANDLERS_ENDED: AtomicUsize = AtomicUsize::new(0);

impl Tally {
    const fn new() -> Self {
        Self { made: AtomicUsize::new(0), dropped: AtomicUsize::new(0) }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.max_http_buffer_size = LIMIT as usize;
        Inside::serve(config, app)
    })
}

fn open() -> Wire {
    Wire::open(server().address())
}

/// A stream that counts what it makes and that it is dropped.
struct Counted {
    left: usize,
    fails: bool,
    piece: &'static [u8],
    tally: &'static Tally,
}

impl Stream for Counted {
    type Item = Result<&'static [u8], std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(self.fails.then(|| Err(std::io::Error::other("asked for"))));
        }
        self.left -= 1;
        self.tally.made.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(self.piece)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn pieces(left: usize, piece: &'static [u8]) -> Body {
    Body::from_stream(Counted { left, fails: false, piece, tally: &OTHERS })
}

fn flood(tally: &'static Tally) -> Body {
    Body::from_stream(Counted { left: usize::MAX, fails: false, piece: &[b'x'; 10_000], tally })
}

struct Panics;

impl Stream for Panics {
    type Item = Result<&'static [u8], std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        panic!("asked for")
    }
}

fn app(core: Core) -> App {
    let (late, slow, sleepy, events) = (core.clone(), core.clone(), core.clone(), core.clone());
    App::new()
        .get("/now", async |_| "now")
        .get("/late/{ms}", async move |request| -> Result<_, Failure> {
            late.sleep(Duration::from_millis(request.param("ms")?)).await;
            Ok(request.uri().path().to_owned())
        })
        .get("/big", async |_| vec![b'x'; 3_000_000])
        .post("/read", async |mut request| -> Result<_, Failure> {
            Ok(request.bytes().await?.len().to_string())
        })
        .post("/refuse", async |_| StatusCode::FORBIDDEN)
        .post("/large", async |mut request| -> Result<_, Failure> {
            request.body_mut().set_limit(100_000_000);
            let mut sum = (0_usize, 0_u64);
            while let Some(piece) = request.body_mut().next().await {
                for byte in piece? {
                    sum = (sum.0 + 1, sum.1.wrapping_mul(31).wrapping_add(byte.into()));
                }
            }
            Ok(format!("{} {}", sum.0, sum.1))
        })
        .post("/sleepy/{ms}", async move |mut request| -> Result<_, Failure> {
            request.body_mut().set_limit(100_000_000);
            sleepy.sleep(Duration::from_millis(request.param("ms")?)).await;
            Ok(request.bytes().await?.len().to_string())
        })
        .post("/why", async |mut request| {
            let why = request.bytes().await.unwrap_err();
            let body_error = why.cause().unwrap().downcast_ref::<BodyError>().unwrap();
            HANDLERS_ENDED.fetch_add(1, Ordering::Relaxed);
            (why.status(), format!("{body_error:?}"))
        })
        .post("/echo", async |request| request.into_body())
        .get("/pieces", async |_| pieces(3, b"piece"))
        .get("/none", async |_| pieces(0, b""))
        .head("/own-head", async |_| ([(header::CONTENT_LENGTH, "77")], ()))
        .get("/known", async |_| ([(header::CONTENT_LENGTH, "7")], "four"))
        .get("/endless", async |_| flood(&ENDLESS))
        .get("/flood", async |_| flood(&FLOOD))
        .get("/river", async |_| flood(&OTHERS))
        .get("/breaks", async |_| {
            Body::from_stream(Counted { left: 2, fails: true, piece: b"half", tally: &OTHERS })
        })
        .get("/panic", async |_| -> () { panic!("asked for") })
        .get("/panic-late", async move |_| -> () {
            slow.sleep(Duration::from_millis(10)).await;
            panic!("asked for")
        })
        .get("/panic-inside", async |_| Body::from_stream(Panics))
        .get("/gone", async move |request| {
            request.client().unwrap().gone().await;
            CLIENTS_GONE.fetch_add(1, Ordering::Relaxed);
            "nobody hears this"
        })
        .get("/events", async move |_| {
            let (sender, answer) = Sse::channel();
            let core = events.clone();
            events.spawn(async move {
                sender.send(SseEvent::data("first")).await.unwrap();
                while !sender.is_unheard() {
                    core.sleep(Duration::from_millis(5)).await;
                }
                SENDERS_UNHEARD.fetch_add(1, Ordering::Relaxed);
            });
            answer.pulse_every(Duration::from_millis(50))
        })
        .get("/close", async |_| ([(header::CONNECTION, "close")], "bye"))
        .get("/no-content", async |_| (StatusCode::NO_CONTENT, "not sent"))
        .get("/odd-status", async |_| StatusCode::from_u16(999).unwrap())
}

fn post(target: &str, body: &str) -> String {
    let len = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n{body}")
}

fn chunked(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn answers_come_in_the_order_of_the_requests_however_late_they_are() {
    let mut wire = open();
    let mut requests = String::new();
    for i in 0..50 {
        requests += &get(&format!("/late/{}?{i}", [30, 0, 1][i % 3]), "");
        requests += &get("/now", "");
        requests += &post("/read", &"x".repeat(i));
    }
    wire.send(&requests);
    for i in 0..50 {
        let response = wire.response().unwrap();
        assert_eq!(response.body, format!("/late/{}", [30, 0, 1][i % 3]));
        assert!(response.header("date").is_some_and(|date| date.ends_with("GMT")), "{response:?}");
        assert_eq!(wire.response().unwrap().body, "now");
        assert_eq!(wire.response().unwrap().body, i.to_string());
    }
}

#[test]
fn a_waiting_handler_holds_up_nobody_else() {
    let mut waits = open();
    waits.send(get("/late/1500", ""));
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(open().ask(get("/now", "")).body, "now");
    }
    assert!(begun.elapsed() < Duration::from_millis(1_400), "{:?}", begun.elapsed());
    assert_eq!(waits.response().unwrap().body, "/late/1500");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let mut wire = open();
    for (target, length) in
        [("/now", Some("3")), ("/pieces", None), ("/events", None), ("/own-head", Some("77"))]
    {
        wire.send(get(target, "").replace("GET", "HEAD"));
        let head = wire.head().unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, length), "{target}");
    }
    assert_eq!(wire.ask(get("/now", "")).body, "now");
}

#[test]
fn answers_without_a_body_have_no_length_of_one() {
    let mut wire = open();
    let response = wire.ask(get("/no-content", ""));
    assert_eq!((response.status, response.header("content-length")), (204, None));
    assert_eq!(wire.ask(get("/odd-status", "")).status, 500);
    let known = wire.ask(get("/known", ""));
    assert_eq!((known.header("content-length"), &*known.body), (Some("4"), "four"));
}

#[test]
fn pieces_are_chunks_or_end_with_the_connection() {
    let mut wire = open();
    let response = wire.ask(get("/pieces", ""));
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert_eq!(response.body, "piecepiecepiece");
    assert_eq!(wire.ask(get("/none", "")).body, "");
    assert_eq!(wire.ask(get("/now", "")).body, "now");

    for keep_alive in ["", "Connection: keep-alive\r\n"] {
        let mut old = open();
        old.send(format!("GET /pieces HTTP/1.0\r\n{keep_alive}\r\n"));
        let head = old.head().unwrap();
        assert_eq!(head.header("transfer-encoding"), None);
        assert_eq!(head.header("connection"), Some("close"));
        assert_eq!(old.read_to_end(), b"piecepiecepiece");
    }
    let mut old = open();
    old.send("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = old.response().unwrap();
    assert_eq!((response.header("connection"), &*response.body), (Some("keep-alive"), "now"));
    assert_eq!(old.ask(get("/now", "")).body, "now");
}

#[test]
fn a_handler_may_close_the_connection() {
    let mut wire = open();
    let response = wire.ask(get("/close", ""));
    assert_eq!((response.header("connection"), &*response.body), (Some("close"), "bye"));
    assert_eq!(wire.response(), None);
}

#[test]
fn a_client_is_asked_for_its_body_by_who_reads_it() {
    let expects = "Expect: 100-continue\r\nContent-Length";
    let mut wire = open();
    wire.send(post("/read", "hello").replace("Content-Length", expects).trim_end_matches("hello"));
    assert_eq!(wire.head().unwrap().status, 100);
    wire.send("hello");
    let response = wire.response().unwrap();
    assert_eq!((response.status, &*response.body), (200, "5"));
    assert_eq!(wire.ask(get("/now", "")).body, "now");

    // Nobody reads it: it may come or not, so nothing can follow.
    let mut wire = open();
    wire.send(
        post("/refuse", "hello").replace("Content-Length", expects).trim_end_matches("hello"),
    );
    let response = wire.response().unwrap();
    assert_eq!((response.status, response.header("connection")), (403, Some("close")));
    assert_eq!(wire.response(), None);

    // It would be too large: it is not asked for.
    let mut wire = open();
    let request = format!("{expects}: 1000000000\r\nX");
    wire.send(post("/read", "").replace("Content-Length", &request));
    assert_eq!(wire.response().unwrap().status, 413);
    assert_eq!(wire.response(), None);
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let over = "x".repeat(LIMIT as usize + 1);
    let within = &over[1..];
    let mut wire = open();
    assert_eq!(wire.ask(post("/read", within)).body, LIMIT.to_string());
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    assert_eq!(wire.ask(chunked("/read", &chunk(within))).body, LIMIT.to_string());
    for request in [post("/read", &over), chunked("/read", &chunk(&over))] {
        let mut wire = open();
        let response = wire.ask(request);
        assert_eq!((response.status, response.header("connection")), (413, Some("close")));
        assert_eq!(wire.response(), None);
    }
    // Only what is announced, and never sent.
    let mut wire = open();
    let announced = post("/read", "").replace("Length: 0", "Length: 9223372036854775807");
    assert_eq!(wire.ask(announced).status, 413);
}

#[test]
fn a_route_may_allow_more() {
    let body: String = (0..5_000_000).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let sum = body.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let expected = format!("{} {sum}", body.len());
    let mut wire = open();
    assert_eq!(wire.ask(post("/large", &body)).body, expected);
    let chunks: String = body
        .as_bytes()
        .chunks(70_001)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    assert_eq!(wire.ask(chunked("/large", &(chunks + "0\r\n\r\n"))).body, expected);
    assert_eq!(wire.ask(get("/now", "")).body, "now");
}

/// What nobody reads stays with the client, not in the server's memory.
#[test]
fn a_client_is_held_back_while_its_body_is_not_read() {
    let inside = impatient(|_| ());
    let mut wire = Wire::open(inside.address());
    let body = vec![b'x'; 64 << 20];
    let head = "POST /sleepy/2500 HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n";
    wire.send(head);
    let sent = wire.send_until_stuck(&body, Duration::from_millis(600));
    assert!(sent < body.len(), "it takes everything");
    let taken = inside.count(|metrics| metrics.bytes_in.value());
    // Half a megabyte is already much; the rest lies in the kernels' buffers.
    assert!(taken < 8 << 20, "{taken} bytes were taken in");
    wire.send(&body[sent..]);
    assert_eq!(wire.response().unwrap().body, body.len().to_string());
    assert_eq!(wire.ask(get("/now", "")).body, "now");
}

#[test]
fn a_body_that_nobody_reads_is_passed_over_if_it_is_small() {
    for request in [
        post("/refuse", "hello"),
        post("/refuse", &"x".repeat(60_000)),
        chunked("/refuse", "5\r\nhello\r\n0\r\n\r\n"),
        post("/nowhere", "hello"),
    ] {
        for piece in [request.len(), 1_000] {
            let mut wire = open();
            for piece in request.as_bytes().chunks(piece) {
                wire.send(piece);
            }
            assert!([403, 404].contains(&wire.response().unwrap().status));
            assert_eq!(wire.ask(get("/now", "")).body, "now");
        }
    }
    let mut wire = open();
    wire.send(post("/refuse", &"x".repeat(2_000_000)));
    let response = wire.response().unwrap();
    assert_eq!((response.status, response.header("connection")), (403, Some("close")));
    assert_eq!(wire.response(), None);
    // It does not say how long it is, so the answer cannot know; but it does not go on for ever.
    let mut wire = open();
    wire.send(chunked("/refuse", ""));
    assert_eq!(wire.response().unwrap().status, 403);
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    for _ in 0..20 {
        wire.send(&chunk);
    }
    assert_eq!(wire.response(), None);
}

#[test]
fn a_broken_body_is_told_to_its_reader_and_ends_the_connection() {
    for body in ["5\r\nhelloX", "x\r\n", "5\nhello\r\n0\r\n\r\n"] {
        let mut wire = open();
        let response = wire.ask(chunked("/why", body) + &get("/now", ""));
        assert_eq!((response.status, &*response.body), (400, "Malformed(BadChunk)"), "{body:?}");
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(wire.response(), None);
    }
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_body_is_told_to_the_reader() {
    let ended = HANDLERS_ENDED.load(Ordering::Relaxed);
    for leaves in [Wire::end as fn(&mut Wire), |_| ()] {
        let before = HANDLERS_ENDED.load(Ordering::Relaxed);
        let mut wire = open();
        wire.send("POST /why HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
        leaves(&mut wire);
        drop(wire);
        assert!(soon(|| HANDLERS_ENDED.load(Ordering::Relaxed) > before));
    }
    assert!(HANDLERS_ENDED.load(Ordering::Relaxed) >= ended + 2);
}

#[test]
fn a_body_can_be_sent_back_while_it_comes() {
    let mut wire = open();
    wire.send(chunked("/echo", ""));
    assert_eq!(wire.head().unwrap().status, 200);
    for i in 0..100 {
        let text = format!("piece {i} {}", "x".repeat(i * 10));
        wire.send(format!("{:x}\r\n{text}\r\n", text.len()));
        let mut back = Vec::new();
        while back.len() < text.len() {
            back.extend(wire.chunk().unwrap());
        }
        assert_eq!(back, text.as_bytes());
    }
    wire.send("0\r\n\r\n");
    assert_eq!(wire.chunk().unwrap(), b"");
    assert_eq!(wire.ask(get("/now", "")).body, "now");
}

/// A stream is asked only as fast as the client reads, and dropped when the client is gone.
#[test]
fn an_endless_answer_waits_for_its_client_and_ends_with_it() {
    let mut wire = open();
    wire.send(get("/endless", ""));
    wire.head().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let first = ENDLESS.made();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(ENDLESS.made(), first, "it goes on by itself");
    // 10 KB each: what two kernels' buffers hold, and little more.
    assert!(first < 2_000, "{first} pieces were made");
    for _ in 0..2_000 {
        assert_eq!(wire.chunk().unwrap().len(), 10_000);
    }
    drop(wire);
    assert!(soon(|| ENDLESS.dropped() == 1));
    let mut wire = open();
    wire.send(get("/endless", ""));
    wire.head().unwrap();
    wire.reset();
    assert!(soon(|| ENDLESS.dropped() == 2));
}

#[test]
fn a_large_answer_arrives_whole_however_slowly_it_is_read() {
    let mut wire = open();
    wire.send(get("/big", "") + &get("/now", ""));
    let head = wire.head().unwrap();
    assert_eq!(head.header("content-length"), Some("3000000"));
    for _ in 0..30 {
        assert_eq!(wire.read_exact(100_000).unwrap(), vec![b'x'; 100_000]);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(wire.response().unwrap().body, "now");
}

/// Answers that nobody reads do not pile up: the next request waits for them.
#[test]
fn many_large_answers_in_a_row_do_not_pile_up() {
    let inside = impatient(|_| ());
    let mut wire = Wire::open(inside.address());
    wire.send(get("/big", "").repeat(100));
    std::thread::sleep(Duration::from_millis(300));
    let begun = inside.count(|metrics| metrics.requests.value());
    assert!(begun < 20, "{begun} were answered at once");
    for _ in 0..100 {
        assert_eq!(wire.response().unwrap().body.len(), 3_000_000);
    }
}

/// Requests sent ahead wait with the client too, however long the answer before them goes on.
#[test]
fn requests_sent_ahead_of_an_endless_answer_do_not_pile_up() {
    let inside = impatient(|_| ());
    let mut wire = Wire::open(inside.address());
    wire.send(get("/river", ""));
    wire.head().unwrap();
    let ahead = get("/now", "").repeat(500_000);
    let mut sent = 0;
    for _ in 0..600 {
        for _ in 0..10 {
            assert_eq!(wire.chunk().unwrap().len(), 10_000);
        }
        sent += wire.send_until_stuck(&ahead.as_bytes()[sent..], Duration::from_millis(1));
    }
    let taken = inside.count(|metrics| metrics.bytes_in.value());
    // The kernel may fill all of a core's receive buffers, 4 MiB, before the core says that it is enough.
    assert!(taken < 8 << 20, "{taken} bytes were taken in of {sent}");
    assert!(sent > 1 << 20, "{sent} bytes do not pile up");
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let mut wire = open();
    wire.send(get("/breaks", "") + &get("/now", ""));
    wire.head().unwrap();
    assert_eq!(wire.chunk().unwrap(), b"half");
    assert_eq!(wire.chunk().unwrap(), b"half");
    assert_eq!(wire.chunk(), None);
    assert_eq!(wire.read_to_end(), b"");
    // The end of the connection would be the end of the body, so it must not look like one.
    let mut old = std::net::TcpStream::connect(server().address()).unwrap();
    std::io::Write::write_all(&mut old, b"GET /breaks HTTP/1.0\r\n\r\n").unwrap();
    let read = std::io::Read::read_to_end(&mut old, &mut Vec::new());
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_panic_is_a_500_and_harms_nobody() {
    let mut bystander = open();
    bystander.send(get("/late/300", ""));
    let mut wire = open();
    for target in ["/panic", "/panic-late", "/panic"] {
        assert_eq!(wire.ask(get(target, "")).status, 500, "{target}");
        assert_eq!(wire.ask(get("/now", "")).body, "now");
    }
    wire.send(get("/panic-inside", "") + &get("/now", ""));
    assert_eq!(wire.head().unwrap().status, 200);
    assert_eq!(wire.read_to_end(), b"", "it breaks off");
    assert_eq!(bystander.response().unwrap().body, "/late/300");
}

#[test]
fn a_handler_learns_that_its_client_has_gone() {
    for leaves in [Wire::end as fn(&mut Wire), |_| ()] {
        let before = CLIENTS_GONE.load(Ordering::Relaxed);
        let mut wire = open();
        wire.send(get("/gone", ""));
        assert!(wire.is_silent_for(Duration::from_millis(50)));
        leaves(&mut wire);
        drop(wire);
        assert!(soon(|| CLIENTS_GONE.load(Ordering::Relaxed) > before));
    }
}

/// Some clients say that they ask no more and then read.
#[test]
fn who_has_closed_only_its_own_side_is_answered() {
    for (target, body) in [("/now", "now"), ("/late/50", "/late/50")] {
        let mut wire = open();
        wire.send(get(target, ""));
        wire.end();
        let response = wire.response().unwrap();
        assert_eq!((response.status, &*response.body), (200, body));
        assert_eq!(wire.response(), None);
    }
    let mut wire = open();
    wire.send(get("/big", ""));
    wire.end();
    assert_eq!(wire.response().unwrap().body.len(), 3_000_000);
    let mut wire = open();
    wire.send(post("/read", "hello"));
    wire.end();
    assert_eq!(wire.response().unwrap().body, "5");
}

#[test]
fn events_flow_and_their_sender_learns_when_nobody_hears() {
    let before = SENDERS_UNHEARD.load(Ordering::Relaxed);
    let mut wire = open();
    wire.send(get("/events", "Accept: text/event-stream\r\n"));
    let head = wire.head().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(wire.chunk().unwrap(), b"data: first\n\n");
    for _ in 0..3 {
        assert_eq!(wire.chunk().unwrap(), b":\n\n");
    }
    drop(wire);
    assert!(soon(|| SENDERS_UNHEARD.load(Ordering::Relaxed) > before));
}

fn impatient(set: impl FnOnce(&mut Config)) -> Inside {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    set(&mut config);
    Inside::serve(config, app)
}

/// Each byte does not buy another period.
#[test]
fn a_slow_writer_has_its_time() {
    let inside = impatient(|config| {
        config.settings.limits.body_timeout = Duration::from_millis(400);
    });
    for target in ["/why", "/read"] {
        let mut wire = Wire::open(inside.address());
        wire.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"));
        let mut bytes = 0;
        while bytes < 200 && wire.is_silent_for(Duration::from_millis(30)) && wire.try_send("x") {
            bytes += 1;
        }
        assert!(bytes < 200, "it may trickle on for ever");
    }
    let mut wire = Wire::open(inside.address());
    wire.send("POST /why HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    let response = wire.response().unwrap();
    assert_eq!((response.status, &*response.body), (408, "TimedOut"));
    assert_eq!(wire.response(), None);
    // The time of a handler that does not read is its own.
    let mut wire = Wire::open(inside.address());
    wire.send("POST /sleepy/900 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    std::thread::sleep(Duration::from_millis(700));
    wire.send("hello");
    assert_eq!(wire.response().unwrap().body, "10");
    assert_eq!(inside.count(|metrics| metrics.request_timeouts.value()), 3);
}

#[test]
fn what_is_left_of_an_unread_body_has_its_time() {
    let inside = impatient(|config| {
        config.settings.limits.body_timeout = Duration::from_millis(400);
    });
    let mut wire = Wire::open(inside.address());
    wire.send("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    assert_eq!(wire.response().unwrap().status, 403);
    assert_eq!(wire.response(), None);
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_one_that_is_slow_is_not() {
    let inside = impatient(|config| {
        config.settings.limits.response_timeout = Duration::from_millis(600);
        config.settings.limits.keep_alive_timeout = Duration::from_secs(60);
    });
    let mut deaf = Wire::open(inside.address());
    deaf.send(get("/flood", ""));
    let mut slow = Wire::open(inside.address());
    slow.send(get("/flood", ""));
    slow.head().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(slow.chunk().unwrap().len(), 10_000);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(inside.count(|metrics| metrics.response_timeouts.value()), 1);
    assert_eq!(FLOOD.dropped(), 1);
    assert_eq!(inside.count(|metrics| metrics.connections.value()), 1);
    assert!(deaf.read_to_end().len() > 10_000);
}
