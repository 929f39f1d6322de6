//! The bridge against a real `redis-server`, which is killed, started again and paused.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::link::LinkMetrics;
use super::{Kind, Link, Listener, RedisSettings};

const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis of the test's own, which keeps nothing on the disk.
struct Redis {
    port: u16,
    process: Option<Child>,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut redis = Self { port, process: None };
        redis.begin();
        redis
    }

    fn begin(&mut self) {
        let port = self.port.to_string();
        let arguments =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut command = Command::new("redis-server");
        let started = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(started.expect("this test needs redis-server (Debian's redis-server)"));
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn signal(&self, signal: i32) {
        let id = self.process.as_ref().unwrap().id() as i32;
        // SAFETY: a signal to a process of ours that we have not waited for.
        #[allow(unsafe_code)]
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0);
    }

    fn settings(&self) -> RedisSettings {
        RedisSettings {
            pause_max: Duration::from_millis(200),
            ..RedisSettings::of(&format!("redis://127.0.0.1:{}", self.port))
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Up,
    Down,
    Message(String, Vec<u8>),
}

struct Ear(Sender<Heard>);

impl Listener for Ear {
    fn message(&mut self, channel: &str, payload: Bytes) {
        let _ = self.0.send(Heard::Message(channel.into(), payload.to_vec()));
    }

    fn up(&mut self) {
        let _ = self.0.send(Heard::Up);
    }

    fn down(&mut self) {
        let _ = self.0.send(Heard::Down);
    }
}

fn open(settings: RedisSettings) -> (Link, Receiver<Heard>) {
    let (sender, heard) = mpsc::channel();
    (Link::open(settings, Ear(sender)).unwrap(), heard)
}

fn next(heard: &Receiver<Heard>) -> Heard {
    heard.recv_timeout(PATIENCE).expect("something is heard")
}

fn said(channel: &str, payload: &[u8]) -> Heard {
    Heard::Message(channel.into(), payload.into())
}

fn until(metrics: &LinkMetrics, holds: impl Fn(&LinkMetrics) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds(metrics) {
        assert!(Instant::now() < end, "in vain: {metrics:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until what one says on a channel is heard, and everything that was said for that.
fn until_heard(link: &Link, channel: &str, heard: &Receiver<Heard>) {
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end && say(link, channel, b"?"));
        if heard.recv_timeout(Duration::from_millis(50)) == Ok(said(channel, b"?")) {
            break;
        }
    }
    assert!(say(link, channel, b"!"));
    while next(heard) != said(channel, b"!") {}
}

fn say(link: &Link, channel: &str, payload: &[u8]) -> bool {
    link.publish(channel.into(), false, Bytes::copy_from_slice(payload))
}

#[test]
fn what_one_says_the_other_hears() {
    let redis = Redis::start();
    let (one, _) = open(redis.settings());
    let (other, heard) = open(redis.settings());
    other.want(Kind::Plain, "plain".into());
    other.want(Kind::Pattern, "room#*".into());
    other.want(Kind::Sharded, "shard".into());
    assert_eq!(next(&heard), Heard::Up);
    until_heard(&one, "plain", &heard);
    until_heard(&one, "room#0", &heard);
    assert!(say(&one, "plain", b"\x00\xff\r\n"));
    assert!(say(&one, "room#7", b""));
    assert!(say(&one, "elsewhere", b"not for us"));
    // The kinds were subscribed to in this order.
    assert!(one.publish("shard".into(), true, Bytes::from_static(b"s")));
    assert_eq!(next(&heard), said("plain", b"\x00\xff\r\n"));
    assert_eq!(next(&heard), said("room#7", b""));
    assert_eq!(next(&heard), said("shard", b"s"));
    // One of two still wants it.
    other.want(Kind::Plain, "plain".into());
    other.forgo(Kind::Plain, "plain".into());
    assert!(say(&one, "plain", b"still"));
    assert_eq!(next(&heard), said("plain", b"still"));
    until(one.metrics(), |it| it.waiting_bytes.load(Ordering::Relaxed) == 0);
}

#[test]
fn many_messages_come_whole_and_in_order() {
    const MESSAGES: usize = 20_000;
    let redis = Redis::start();
    let (one, _) = open(redis.settings());
    let (other, heard) = open(redis.settings());
    other.want(Kind::Plain, "c".into());
    assert_eq!(next(&heard), Heard::Up);
    until_heard(&one, "c", &heard);
    for number in 0..MESSAGES {
        assert!(say(&one, "c", number.to_string().as_bytes()));
    }
    for number in 0..MESSAGES {
        assert_eq!(next(&heard), said("c", number.to_string().as_bytes()));
    }
}

#[test]
fn it_comes_back_with_redis_and_says_what_waited() {
    let mut redis = Redis::start();
    let (one, at_one) = open(redis.settings());
    let (other, heard) = open(redis.settings());
    other.want(Kind::Plain, "before".into());
    assert_eq!((next(&heard), next(&at_one)), (Heard::Up, Heard::Up));
    redis.end();
    assert_eq!((next(&heard), next(&at_one)), (Heard::Down, Heard::Down));
    assert!(!one.metrics().is_up.load(Ordering::Relaxed));
    // What is wanted while Redis is away is wanted when it is back.
    other.want(Kind::Plain, "while".into());
    other.forgo(Kind::Plain, "before".into());
    redis.begin();
    assert_eq!((next(&heard), next(&at_one)), (Heard::Up, Heard::Up));
    assert!(say(&one, "before", b"nobody wants this"));
    until_heard(&one, "while", &heard);
    assert_eq!(one.metrics().reconnects.load(Ordering::Relaxed), 1);
}

#[test]
fn what_waits_is_bounded_and_order_holds() {
    let mut redis = Redis::start();
    redis.end();
    let settings = RedisSettings { waiting_bytes_max: 10_000, ..redis.settings() };
    let (one, at_one) = open(settings);
    let (other, heard) = open(redis.settings());
    other.want(Kind::Plain, "c".into());
    let taken = (0..1_000).filter(|number| say(&one, "c", &[*number as u8; 100])).count();
    assert!((10..100).contains(&taken), "{taken}");
    let metrics = one.metrics();
    assert_eq!(metrics.dropped.load(Ordering::Relaxed), 1_000 - taken as u64);
    assert!(metrics.waiting_bytes.load(Ordering::Relaxed) <= 10_000);
    redis.begin();
    assert_eq!((next(&heard), next(&at_one)), (Heard::Up, Heard::Up));
    until(metrics, |it| it.published.load(Ordering::Relaxed) == taken as u64);
    assert_eq!(metrics.waiting_bytes.load(Ordering::Relaxed), 0);
    // The speaker may have been back before the listener; then the first are lost, but none comes late.
    assert!(say(&one, "c", b"last"));
    let mut last = None;
    loop {
        match next(&heard) {
            Heard::Message(_, payload) if payload == b"last" => break,
            Heard::Message(_, payload) => {
                assert!(last < Some(payload[0]), "{last:?} before {payload:?}");
                last = Some(payload[0]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_redis_that_hangs_is_given_up() {
    let redis = Redis::start();
    let settings = RedisSettings { patience: Duration::from_millis(300), ..redis.settings() };
    let (one, heard) = open(settings);
    assert_eq!(next(&heard), Heard::Up);
    redis.signal(libc::SIGSTOP);
    assert!(say(&one, "c", b"into the void"));
    assert_eq!(next(&heard), Heard::Down);
    assert_eq!(one.metrics().unsure.load(Ordering::Relaxed), 1);
    redis.signal(libc::SIGCONT);
    assert_eq!(next(&heard), Heard::Up);
}

#[test]
fn an_address_that_makes_no_sense_is_an_error() {
    let (sender, _) = mpsc::channel();
    let error = Link::open(RedisSettings::of("http://there"), Ear(sender)).err().unwrap();
    assert!(error.to_string().contains("http://there"), "{error}");
}

/// Its thread ends with the last link.
#[test]
fn it_ends_when_nobody_needs_it() {
    let redis = Redis::start();
    let (one, heard) = open(redis.settings());
    assert_eq!(next(&heard), Heard::Up);
    drop(one.clone());
    assert!(say(&one, "c", b"still here"));
    drop(one);
    assert!(matches!(heard.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected)));
}
