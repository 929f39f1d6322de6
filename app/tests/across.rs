//! What reaches sockets on every core: operations on many, questions to all, other cores' applications, and
//! the handle for other threads.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Inside, packet_of, wait};
use yamabiko::{AckFailure, AcksFailure, App, Config, Core, Namespace, Socket, Unreached};

const SHARDS: u8 = 3;

/// One server for all tests, which ends with them.
fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(SHARDS.into());
        Inside::serve(config, app)
    })
}

fn app(core: Core) -> App {
    let (here, asker) = (core.shard(), core.clone());
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("which", |socket: Socket| socket.shard())
        .on("rooms", |socket: Socket| socket.rooms())
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("fetch", async |socket: Socket, room: String, but: String| {
            let fetched = socket.everyone().to(&room).except(&but).fetch_sockets().await;
            assert!(fetched.missing.is_empty());
            let mut found: Vec<_> = fetched
                .into_iter()
                .map(|it| {
                    assert!(it.handshake().address().ip().is_loopback());
                    (it.id().to_owned(), it.shard(), it.rooms().len())
                })
                .collect();
            found.sort();
            found
        })
        .on("poll", async |socket: Socket, room: String, ms: u64| {
            let asked = socket.everyone().to(&room).timeout(Duration::from_millis(ms));
            match asked.emit_with_ack::<u32>("number", &("how many?",)).await {
                Ok(numbers) => (sorted(numbers), vec![], vec![]),
                Err(AcksFailure::Incomplete(it)) => {
                    let misfits = it.misfits.into_iter().map(|(id, _)| id).collect();
                    (sorted(it.responses), sorted(it.missing), misfits)
                }
                Err(error) => panic!("{error}"),
            }
        })
        .on("whisper", async |socket: Socket, room: String| {
            let fetched = socket.everyone().to(&room).fetch_sockets().await;
            let other = fetched.into_iter().next().unwrap();
            match other.emit_with_ack::<String>("psst", &(), Duration::from_secs(5)).await {
                Ok(answer) => answer,
                Err(AckFailure::Disconnected) => "gone".into(),
                Err(error) => error.to_string(),
            }
        })
        .on("gather", |socket: Socket, from: String, to: String| {
            let members = socket.everyone().to(&from);
            members.sockets_join([&to]);
            socket.everyone().to(&to).emit("gathered", &to)?;
            members.sockets_leave([&from]);
            socket.everyone().to(&from).emit("gathered", &"nobody")
        })
        .on("expel", |socket: Socket, room: String, close: bool| {
            socket.everyone().to(&room).disconnect_sockets(close);
        })
        .on("nobody", async |socket: Socket| {
            let nobody = socket.everyone().to_rooms(Vec::<String>::new());
            nobody.disconnect_sockets(true);
            let acks = nobody.emit_with_ack::<u8>("number", &()).await.unwrap().len();
            nobody.fetch_sockets().await.sockets.len() + acks
        })
        .on("ask-cores", async move |_: Socket, event: String| {
            let patience = Duration::from_secs(5);
            let asked =
                asker.server_side_emit_with_ack::<(u8, String)>("/", &event, &("x", 1), patience);
            match asked.await {
                Ok(answers) => (sorted(answers), vec![]),
                Err(AcksFailure::Incomplete(it)) => (sorted(it.responses), sorted(it.missing)),
                Err(error) => panic!("{error}"),
            }
        })
        .on("tell-cores", move |_: Socket, room: String| {
            core.server_side_emit("/", "bell", &(room,))
        });
    let ringer = Ringer::default();
    let rung = ringer.clone();
    let namespace = namespace
        .on_server_side("where", async move |(text, number): (String, u8)| {
            // One value, which is a pair.
            ((here, format!("{text}{number}")),)
        })
        .on_server_side("boom", async |(_, _): (String, u8)| -> (u8, String) {
            panic!("asked for")
        })
        .on_server_side("misfit", async |(_,): (u64,)| (0_u8, String::new()))
        .on_server_side("bell", async move |(room,): (String,)| rung.ring(&room))
        .on("listen", move |socket: Socket| ringer.listen(socket));
    App::new().namespace("/", namespace)
}

/// Tells its core's listeners of bells that other cores ring.
#[derive(Clone, Default)]
struct Ringer(std::rc::Rc<std::cell::RefCell<Vec<Socket>>>);

impl Ringer {
    fn listen(&self, socket: Socket) {
        self.0.borrow_mut().push(socket);
    }

    fn ring(&self, room: &str) {
        for socket in &*self.0.borrow() {
            let _ = socket.emit("bell", &room);
        }
    }
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

/// `each` clients on every core, in order of the cores.
fn clients(each: usize) -> Vec<Client> {
    let mut found: Vec<Vec<Client>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for _ in 0..1000 {
        let mut client = Client::open(server().address());
        let shard: usize = client.ask("[\"which\"]").trim_matches(['[', ']']).parse().unwrap();
        if found[shard].len() < each {
            found[shard].push(client);
        }
        if found.iter().all(|clients| clients.len() == each) {
            return found.into_iter().flatten().collect();
        }
    }
    panic!("the kernel does not spread connections over the shards");
}

/// The next event's JSON.
fn event(client: &mut Client) -> String {
    let packet = client.packet().expect("the connection lives");
    packet_of(&packet).unwrap_or_else(|| panic!("{packet}")).into()
}

/// Answers an event that asks for an acknowledgement.
fn answer(client: &mut Client, asked: &str, args: &str) {
    let packet = client.packet().expect("the connection lives");
    let rest = packet.strip_prefix("42").expect("an event");
    let (id, event) = rest.split_at(rest.find('[').unwrap());
    assert_eq!(event, asked);
    client.send(&format!("43{id}{args}"));
}

/// What an acknowledgement says.
fn acked(client: &mut Client) -> String {
    let packet = client.packet().expect("the connection lives");
    harness::ack_of(&packet).unwrap_or_else(|| panic!("{packet}")).1.into()
}

#[test]
fn sockets_are_fetched_from_every_core() {
    let mut clients = clients(2);
    for client in &mut clients {
        client.join("fetched");
    }
    clients[1].join("apart");
    let found = clients[0].ask("[\"fetch\",\"fetched\",\"apart\"]");
    let mut expected: Vec<(String, usize, usize)> =
        clients.iter().enumerate().map(|(at, it)| (it.id.clone(), at / 2, 2)).collect();
    expected.remove(1);
    expected.sort();
    assert_eq!(found, format!("[{}]", serde_json::to_string(&expected).unwrap()));
    assert_eq!(clients[0].ask("[\"fetch\",\"empty\",\"\"]"), "[[]]");
    assert_eq!(clients[0].ask("[\"nobody\"]"), "[0]");
}

#[test]
fn everybody_acknowledges() {
    let mut clients = clients(2);
    for client in &mut clients {
        client.join("polled");
    }
    let id = clients[0].emit_for_ack("[\"poll\",\"polled\",5000]");
    for (number, client) in clients.iter_mut().enumerate() {
        answer(client, "[\"number\",\"how many?\"]", &format!("[{number}]"));
    }
    let packet = clients[0].packet().unwrap();
    assert_eq!(harness::ack_of(&packet), Some((id, "[[0,1,2,3,4,5],[],[]]")));
    assert_eq!(clients[0].ask("[\"poll\",\"nobody is here\",5000]"), "[[],[],[]]");
}

#[test]
fn who_does_not_acknowledge_is_named() {
    let mut clients = clients(1);
    for client in &mut clients {
        client.join("sleepy");
    }
    clients[0].emit_for_ack("[\"poll\",\"sleepy\",300]");
    answer(&mut clients[0], "[\"number\",\"how many?\"]", "[1]");
    answer(&mut clients[1], "[\"number\",\"how many?\"]", "[\"one\"]");
    let (silent, wrong) = (clients[2].id.clone(), clients[1].id.clone());
    assert_eq!(acked(&mut clients[0]), format!("[[1],[\"{silent}\"],[\"{wrong}\"]]"));
    // What comes too late is for nobody, and harms nobody.
    answer(&mut clients[2], "[\"number\",\"how many?\"]", "[3]");
    assert_eq!(clients[2].ask("[\"which\"]"), "[2]");
}

#[test]
fn who_leaves_is_not_waited_for() {
    let mut clients = clients(1);
    for client in &mut clients {
        client.join("leaving");
    }
    let started = Instant::now();
    clients[0].emit_for_ack("[\"poll\",\"leaving\",60000]");
    answer(&mut clients[0], "[\"number\",\"how many?\"]", "[1]");
    answer(&mut clients[1], "[\"number\",\"how many?\"]", "[2]");
    let left = clients.remove(2);
    let id = left.id.clone();
    drop(left);
    assert_eq!(acked(&mut clients[0]), format!("[[1,2],[\"{id}\"],[]]"));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn one_remote_socket_is_asked() {
    let mut clients = clients(1);
    clients[2].join("ear");
    clients[0].emit_for_ack("[\"whisper\",\"ear\"]");
    answer(&mut clients[2], "[\"psst\"]", "[\"yes?\"]");
    assert_eq!(acked(&mut clients[0]), "[\"yes?\"]");
}

#[test]
fn sockets_join_before_what_is_sent_to_them_and_leave() {
    let mut clients = clients(1);
    for client in &mut clients {
        client.join("before");
    }
    assert_eq!(clients[1].ask("[\"gather\",\"before\",\"after\"]"), "[]");
    for at in [0, 2] {
        assert_eq!(event(&mut clients[at]), "[\"gathered\",\"after\"]");
    }
    for client in &mut clients {
        let id = client.id.clone();
        assert_eq!(client.ask("[\"rooms\"]"), format!("[[\"{id}\",\"after\"]]"));
    }
}

#[test]
fn sockets_are_disconnected_everywhere() {
    for close in [false, true] {
        let mut clients = clients(1);
        let room = format!("expelled-{close}");
        for client in &mut clients[1..] {
            client.join(&room);
        }
        clients[0].ask(&format!("[\"expel\",\"{room}\",{close}]"));
        for client in &mut clients[1..] {
            assert_eq!(client.packet().as_deref(), Some("41"));
            if close {
                assert_eq!(client.packet(), None);
            }
        }
        assert_eq!(clients[0].ask(&format!("[\"fetch\",\"{room}\",\"\"]")), "[[]]");
    }
}

#[test]
fn other_cores_applications_answer() {
    let mut clients = clients(1);
    for (at, client) in clients.iter_mut().enumerate() {
        let others = (0..3).filter(|other| *other != at);
        let answers: Vec<_> = others.clone().map(|other| format!("[{other},\"x1\"]")).collect();
        let answer = format!("[[{}],[]]", answers.join(","));
        assert_eq!(client.ask("[\"ask-cores\",\"where\"]"), answer);
        // No handler, one that panics, one that takes other arguments: known at once.
        let missing: Vec<_> = others.map(|other| format!("\"shard {other}\"")).collect();
        for event in ["nothing", "boom", "misfit"] {
            let answer = client.ask(&format!("[\"ask-cores\",\"{event}\"]"));
            assert_eq!(answer, format!("[[],[{}]]", missing.join(",")));
        }
    }
}

#[test]
fn other_cores_applications_are_told() {
    let mut clients = clients(1);
    for client in &mut clients {
        client.ask("[\"listen\"]");
    }
    assert_eq!(clients[1].ask("[\"tell-cores\",\"yard\"]"), "[]");
    for at in [0, 2] {
        assert_eq!(event(&mut clients[at]), "[\"bell\",\"yard\"]");
    }
    // The core that rang does not hear it.
    assert_eq!(clients[1].ask("[\"which\"]"), "[1]");
}

#[test]
fn another_thread_emits_counts_and_disconnects() {
    let handle = server().handle();
    let mut clients = clients(1);
    for client in &mut clients {
        client.join("threads");
    }
    let emitter = handle.clone();
    let room = thread::spawn(move || {
        let room = emitter.of("/").to("threads");
        for number in 0..100 {
            room.emit("tick", &(number, "from a thread")).unwrap();
        }
        room
    });
    let room = room.join().unwrap();
    for client in &mut clients {
        for number in 0..100 {
            assert_eq!(event(client), format!("[\"tick\",{number},\"from a thread\"]"));
        }
    }
    let count = |handle: &yamabiko::Handle| {
        let asked = handle.ask(async |core| {
            let everyone = core.of("/").unwrap();
            everyone.to("threads").fetch_sockets().await.sockets.len()
        });
        wait(asked)
    };
    assert_eq!(count(handle), Ok(3));
    room.clone().except(&clients[0].id).disconnect_sockets(false).unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.packet().as_deref(), Some("41"));
    }
    assert_eq!(count(handle), Ok(1));
    assert!(room.emit("disconnect", &()).is_err(), "the name is reserved");
    handle.of("/no such namespace").emit("tick", &()).unwrap();
    assert_eq!(handle.run_on(SHARDS, |_| ()), Err(Unreached::Ended));
    handle.run(|_| panic!("asked for")).unwrap();
    assert_eq!(wait(handle.ask(async |_| -> u8 { panic!("asked for") })), Err(Unreached::Ended));
    assert_eq!(wait(handle.ask(async |core| core.shard())), Ok(0));
}
