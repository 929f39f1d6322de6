//! Work beside the handlers: hooks, tasks of cores and of sockets, intervals, threads for what blocks.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Guest, Inside, soon};
use yamabiko::{App, Config, Core, MissedTicks, Namespace, Socket, Task, blocking};

const SHARDS: u8 = 2;

static STARTED: AtomicUsize = AtomicUsize::new(0);
static WENT_ON: AtomicUsize = AtomicUsize::new(0);
/// Tasks of sockets that are there.
static TASKS: AtomicUsize = AtomicUsize::new(0);
static RAN_FOR_NOBODY: AtomicBool = AtomicBool::new(false);

/// One server for all tests, which ends with them.
fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(SHARDS.into());
        Inside::serve(config, app).address()
    })
}

fn app(_: Core) -> App {
    App::new()
        .namespace("/", tasks())
        .on_start(async |core: Core| {
            STARTED.fetch_add(1, Ordering::SeqCst);
            assert!(core.of("/").is_some(), "its namespaces are there");
            core.sleep(Duration::from_millis(1)).await;
            WENT_ON.fetch_add(1, Ordering::SeqCst);
        })
        .on_start(async |_| panic!("asked for"))
        .on_start(async |core: Core| {
            let here = core.shard();
            let mut every = core.interval(Duration::from_millis(20));
            loop {
                every.tick().await;
                core.of("/").unwrap().to("tickers").emit("tick", &here).unwrap();
            }
        })
}

fn tasks() -> Namespace {
    let kept: Rc<RefCell<Vec<Task>>> = Rc::default();
    let (keeps, cancels) = (Rc::clone(&kept), kept);
    Namespace::new()
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("watch", |socket: Socket| {
            let there = There::new();
            let watcher = socket.clone();
            socket.spawn(async move {
                let _there = there;
                loop {
                    watcher.sleep(Duration::from_millis(5)).await;
                    watcher.emit("seen", &()).expect("it ends with its socket");
                }
            });
        })
        .on("leave", |socket: Socket| {
            socket.disconnect(false).unwrap();
            let late = socket.spawn(async { unreachable!("its socket is gone") });
            assert!(late.has_ended());
        })
        .on("panic in its task", |socket: Socket| {
            let core = socket.core();
            socket.spawn(async move {
                core.sleep(Duration::from_millis(5)).await;
                panic!("asked for");
            });
        })
        .on("panic in the core's", |socket: Socket| {
            let core = socket.core();
            socket.core().spawn(async move {
                core.sleep(Duration::from_millis(5)).await;
                panic!("asked for");
            });
        })
        .on("keep", move |socket: Socket| {
            let (there, core) = (There::new(), socket.core());
            let task = socket.core().spawn(async move {
                let _there = there;
                core.sleep(Duration::from_secs(60)).await;
            });
            let here = socket.core().spawn(async {});
            let ended = (task.has_ended(), here.has_ended());
            keeps.borrow_mut().push(task);
            ended
        })
        .on("cancel", move |socket: Socket| {
            let task = cancels.borrow_mut().pop().unwrap();
            task.cancel();
            let again = task.clone();
            socket.clone().spawn(async move {
                socket.sleep(Duration::from_millis(20)).await;
                socket.emit("cancelled", &again.has_ended()).unwrap();
            });
        })
        .on("burst", async |socket: Socket| {
            let mut every = socket.core().interval(Duration::from_millis(10));
            every = every.missed(MissedTicks::Burst);
            socket.sleep(Duration::from_millis(55)).await;
            let began = Instant::now();
            for _ in 0..5 {
                every.tick().await;
            }
            let soon_ms = began.elapsed().as_millis();
            every.tick().await;
            every.reset();
            soon_ms
        })
        .on("block", async |_: Socket, ms: u64| {
            blocking(move || {
                thread::sleep(Duration::from_millis(ms));
                thread::current().name().map(String::from)
            })
            .await
        })
        .on("block many", async |socket: Socket, count: usize| {
            let (sender, receiver) = flume::unbounded();
            for number in 0..count {
                let sender = sender.clone();
                socket.spawn(async move {
                    let number = blocking(move || {
                        thread::sleep(Duration::from_micros(200));
                        number
                    });
                    sender.send(number.await).unwrap();
                });
            }
            let mut sum = 0;
            for _ in 0..count {
                sum += receiver.recv_async().await.unwrap();
            }
            sum
        })
        .on("block panic", async |_: Socket| -> () {
            blocking(|| -> () { panic!("asked for") }).await;
        })
        .on("block for nobody", async |socket: Socket| {
            // As many as there may be threads, and one whose asker goes.
            for _ in 0..8 {
                socket.spawn(blocking(|| thread::sleep(Duration::from_millis(100))));
            }
            let job = blocking(|| RAN_FOR_NOBODY.store(true, Ordering::SeqCst));
            let task = socket.core().spawn(job);
            socket.sleep(Duration::from_millis(5)).await;
            task.cancel();
            blocking(|| ()).await;
        })
}

/// Something that a task holds.
struct There;

impl There {
    fn new() -> Self {
        TASKS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for There {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::SeqCst);
    }
}

fn join(shard: u8) -> Guest {
    let mut guest = Guest::on(server(), shard);
    guest.join("/");
    guest
}

#[test]
fn each_core_starts_once_before_clients_come() {
    let mut guest = join(0);
    assert_eq!(STARTED.load(Ordering::SeqCst), usize::from(SHARDS));
    assert!(soon(|| WENT_ON.load(Ordering::SeqCst) == usize::from(SHARDS)));
    // Both cores tick, and go on although another hook has panicked.
    guest.ask("/", r#"["join","tickers"]"#);
    let (mut ticks, began) = ([0, 0], Instant::now());
    while ticks.iter().any(|count| *count < 10) {
        match &*guest.packet() {
            r#"42["tick",0]"# => ticks[0] += 1,
            r#"42["tick",1]"# => ticks[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(began.elapsed() >= Duration::from_millis(180), "ten ticks of 20 ms: {ticks:?}");
}

/// The only test that counts what tasks hold.
#[test]
fn tasks_end_with_their_socket_or_when_they_are_told() {
    for end in 0..3 {
        let mut guest = join(end % SHARDS);
        guest.ask("/", r#"["watch"]"#);
        guest.ask("/", r#"["watch"]"#);
        assert_eq!(guest.packet(), r#"42["seen"]"#);
        assert_eq!(TASKS.load(Ordering::SeqCst), 2);
        match end {
            0 => guest.leave("/"),
            1 => guest.emit("/", r#"["leave"]"#),
            _ => drop(guest),
        }
        assert!(soon(|| TASKS.load(Ordering::SeqCst) == 0));
    }
    let mut guest = join(1);
    assert_eq!(guest.ask("/", r#"["keep"]"#), "[false,true]");
    guest.leave("/");
    guest.join("/");
    assert_eq!(TASKS.load(Ordering::SeqCst), 1, "a core's task outlives the socket");
    guest.ask("/", r#"["cancel"]"#);
    assert_eq!(guest.packet(), r#"42["cancelled",true]"#);
    assert_eq!(TASKS.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_in_a_task_ends_its_socket_or_nothing() {
    let mut guest = join(0);
    guest.ask("/", r#"["panic in the core's"]"#);
    thread::sleep(Duration::from_millis(30));
    guest.ask("/", r#"["join","anywhere"]"#);
    guest.ask("/", r#"["panic in its task"]"#);
    assert_eq!(guest.packet(), "41");
}

#[test]
fn missed_ticks_come_at_once_if_that_is_asked_for() {
    let soon_ms = join(0).ask("/", r#"["burst"]"#);
    let soon_ms: u32 = soon_ms.trim_matches(['[', ']']).parse().unwrap();
    assert!(soon_ms < 40, "five ticks of 10 ms: {soon_ms}");
}

#[test]
fn what_blocks_holds_up_nobody() {
    let (mut guest, mut other) = (join(0), join(0));
    let began = Instant::now();
    let start = guest.emit_for_ack("/", r#"["block",900]"#);
    guest.ask("/", r#"["join","anywhere"]"#);
    other.ask("/", r#"["join","anywhere"]"#);
    assert!(began.elapsed() < Duration::from_millis(800));
    let answer = guest.packet();
    assert!(answer.starts_with(&format!("{start}\"blocking-")), "{answer}");
    assert!(began.elapsed() >= Duration::from_millis(900));
    // More than may wait for a thread.
    assert_eq!(guest.ask("/", r#"["block many",1000]"#), "[499500]");
}

#[test]
fn a_panic_on_another_thread_goes_on_where_it_is_waited_for() {
    let mut guest = join(1);
    guest.emit("/", r#"["block panic"]"#);
    assert_eq!(guest.packet(), "41");
    guest.join("/");
    assert!(guest.ask("/", r#"["block",0]"#).starts_with(r#"["blocking-"#));
}

#[test]
fn a_job_that_nobody_waits_for_any_more_is_not_run() {
    let mut guest = join(0);
    guest.ask("/", r#"["block for nobody"]"#);
    assert!(!RAN_FOR_NOBODY.load(Ordering::SeqCst));
}
