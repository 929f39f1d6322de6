//! Flags of what is sent, in any combination and order, from sockets, namespaces and other threads: `volatile`,
//! `compress`, `local`, `timeout`.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use harness::{CLOSE, Client, Inside, Poller, Random, packet_of, soon, wait};
use serde::{Deserialize, Serialize};
use yamabiko::{
    AckFailure, AcksFailure, App, Broadcast, Config, Core, EmitError, Namespace, Sending, Server,
    Socket, TellError, Unreached,
};

/// One step towards what is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Step {
    To(String),
    Except(String),
    Volatile,
    Compress(bool),
    Local,
    Timeout(u64),
}

/// Takes the steps; operators of every kind have the same.
macro_rules! walk {
    ($from:expr, $steps:expr) => {
        $steps.iter().fold($from, |whom, step| match step {
            Step::To(room) => whom.to(room),
            Step::Except(room) => whom.except(room),
            Step::Volatile => whom.volatile(),
            Step::Compress(may) => whom.compress(*may),
            Step::Local => whom.local(),
            Step::Timeout(ms) => whom.timeout(Duration::from_millis(*ms)),
        })
    };
}

/// The same from a socket, each step by the method of what is there then.
fn from_socket(socket: &Socket, steps: &[Step]) -> Broadcast {
    let Some((first, rest)) = steps.split_first() else { return socket.broadcast() };
    let first = match first {
        Step::To(room) => return walk!(socket.to(room), rest),
        Step::Except(room) => return walk!(socket.except(room), rest),
        Step::Local => return walk!(socket.local(), rest),
        flag => with_flag(socket, flag),
    };
    let flags = rest.iter().take_while(|step| is_own_flag(step)).count();
    let (flags, rest) = rest.split_at(flags);
    let sending = flags.iter().fold(first, and_flag);
    let Some((first, rest)) = rest.split_first() else { return sending.broadcast() };
    match first {
        Step::To(room) => walk!(sending.to(room), rest),
        Step::Except(room) => walk!(sending.except(room), rest),
        _ => walk!(sending.local(), rest),
    }
}

fn is_own_flag(step: &Step) -> bool {
    matches!(step, Step::Volatile | Step::Compress(_) | Step::Timeout(_))
}

fn with_flag<'s>(socket: &'s Socket, flag: &Step) -> Sending<'s> {
    match flag {
        Step::Volatile => socket.volatile(),
        Step::Compress(may) => socket.compress(*may),
        Step::Timeout(ms) => socket.timeout(Duration::from_millis(*ms)),
        other => panic!("{other:?} is no flag of one socket"),
    }
}

fn and_flag<'s>(sending: Sending<'s>, flag: &Step) -> Sending<'s> {
    match flag {
        Step::Volatile => sending.volatile(),
        Step::Compress(may) => sending.compress(*may),
        Step::Timeout(ms) => sending.timeout(Duration::from_millis(*ms)),
        other => panic!("{other:?} is no flag of one socket"),
    }
}

/// What was answered, and who has not.
type Heard = (Vec<u32>, Vec<String>);

fn heard(asked: Result<Vec<u32>, AcksFailure<u32>>) -> Heard {
    match asked {
        Ok(answers) => (sorted(answers), vec![]),
        Err(AcksFailure::Incomplete(it)) => (sorted(it.responses), sorted(it.missing)),
        Err(error) => panic!("{error}"),
    }
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort();
    values
}

/// One server for all tests, which ends with them.
fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(3);
        Inside::serve(config, app)
    })
}

fn app(core: Core) -> App {
    let (asking, showing) = (core.clone(), core.clone());
    let namespace = Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("ping", |_: Socket| ())
        .on("rooms", |socket: Socket| socket.rooms())
        .on("say", |socket: Socket, steps: Vec<Step>, number: u32| {
            from_socket(&socket, &steps).emit("said", &number)
        })
        .on("say-all", move |_: Socket, steps: Vec<Step>, number: u32| {
            walk!(core.of("/").unwrap(), steps).emit("said", &number)
        })
        .on("poll", async |socket: Socket, steps: Vec<Step>| {
            heard(from_socket(&socket, &steps).emit_with_ack("number", &()).await)
        })
        .on("poll-all", async move |_: Socket, steps: Vec<Step>| {
            let everyone = asking.of("/").unwrap();
            heard(walk!(everyone, steps).emit_with_ack("number", &()).await)
        })
        .on("show", move |socket: Socket, steps: Vec<Step>| {
            let everyone = showing.of("/").unwrap();
            (format!("{:?}", from_socket(&socket, &steps)), format!("{:?}", walk!(everyone, steps)))
        })
        .on("back", |socket: Socket, flags: Vec<Step>, number: u32| {
            let (first, rest) = flags.split_first().unwrap();
            rest.iter().fold(with_flag(&socket, first), and_flag).emit("said", &number)
        })
        .on("ask", async |socket: Socket, flags: Vec<Step>| {
            let (first, rest) = flags.split_first().unwrap();
            let sending = rest.iter().fold(with_flag(&socket, first), and_flag);
            let told = [
                sending.emit_with_ack::<u32>("number", &()).await.map(|number| vec![number]),
                sending.emit_with_acks::<(u32, u32)>("numbers", &()).await.map(|(a, b)| vec![a, b]),
                sending
                    .emit_with_raw_ack("raw", &())
                    .await
                    .map(|raw| vec![raw.parse_arg(0).unwrap()]),
            ];
            told.map(|told| match told {
                Ok(numbers) => format!("{numbers:?}"),
                Err(AckFailure::TimedOut) => "timed out".into(),
                Err(error) => panic!("{error}"),
            })
        })
        .on("locals", async |socket: Socket, room: String, to: String| {
            let local = socket.everyone().local().to(&room);
            local.sockets_join([&to]);
            socket.everyone().to(&to).local().fetch_sockets().await.sockets.len()
        });
    App::new().namespace("/", namespace)
}

/// Clients 0 to 3 are in these rooms, so is one that has no poll open and is ready for nothing.
const ROOMS: [&[&str]; 5] = [&["a"], &["a", "b"], &["b"], &[], &["a"]];
const SPEAKER: usize = 0;
const UNREADY: usize = 4;
/// Tells what is sent that nothing else comes after it.
const ENDS: [u32; 2] = [1_000_000, 1_000_001];

fn members(prefix: &str) -> (Vec<Client>, Poller) {
    let address = server().address();
    let mut clients: Vec<Client> = (0..UNREADY).map(|_| Client::open(address)).collect();
    let mut poller = Poller::open(address);
    for (at, rooms) in ROOMS.iter().enumerate() {
        for room in rooms.iter().map(|room| format!("{prefix}{room}")).chain([prefix.into()]) {
            match at {
                UNREADY => poller.join(&room),
                _ => clients[at].join(&room),
            }
        }
    }
    (clients, poller)
}

/// Everything that can be asked for, each in some order: whom it names, and which flags it has.
fn combinations(prefix: &str, random: &mut Random) -> Vec<Vec<Step>> {
    let to = |room: &str| Step::To(format!("{prefix}{room}"));
    let except = |room: &str| Step::Except(format!("{prefix}{room}"));
    let whom = [
        // Other tests have clients of their own in the namespace.
        vec![to("")],
        vec![to("a")],
        vec![to("a"), to("b")],
        vec![to("a"), except("b")],
        vec![to(""), except("a"), except("b")],
    ];
    let flags = [Step::Volatile, Step::Compress(false), Step::Local, Step::Timeout(300)];
    let mut all = Vec::new();
    for whom in whom {
        for subset in 0..1 << flags.len() {
            let mut steps = whom.clone();
            let chosen = flags.iter().enumerate().filter(|(at, _)| subset >> at & 1 == 1);
            steps.extend(chosen.map(|(_, flag)| flag.clone()));
            for at in (1..steps.len()).rev() {
                steps.swap(at, random.below(at + 1));
            }
            all.push(steps);
        }
    }
    all
}

/// Who gets it.
fn meant(prefix: &str, steps: &[Step], but: Option<usize>) -> Vec<usize> {
    let is_in = |at: usize, room: &str| {
        let room = room.strip_prefix(prefix).unwrap();
        room.is_empty() || ROOMS[at].contains(&room)
    };
    let is_volatile = steps.iter().any(|step| matches!(step, Step::Volatile));
    (0..ROOMS.len())
        .filter(|at| Some(*at) != but && !(is_volatile && *at == UNREADY))
        .filter(|at| steps.iter().any(|it| matches!(it, Step::To(room) if is_in(*at, room))))
        .filter(|at| !steps.iter().any(|it| matches!(it, Step::Except(room) if is_in(*at, room))))
        .collect()
}

#[test]
fn flags_come_in_any_combination_and_order() {
    const PREFIX: &str = "flags-";
    let (mut clients, mut poller) = members(PREFIX);
    let mut expected: [Vec<u32>; ROOMS.len()] = Default::default();
    let mut number = 0;
    for steps in combinations(PREFIX, &mut Random::new(7)) {
        let json = serde_json::to_string(&steps).unwrap();
        for (by, but) in [("say", Some(SPEAKER)), ("say-all", None), ("handle", None)] {
            number += 1;
            for at in meant(PREFIX, &steps, but) {
                expected[at].push(number);
            }
            match by {
                "handle" => walk!(server().handle().of("/"), steps).emit("said", &number).unwrap(),
                _ => clients[SPEAKER].emit(&format!("[\"{by}\",{json},{number}]")),
            }
        }
    }
    let everyone = vec![Step::To(PREFIX.into())];
    let json = serde_json::to_string(&everyone).unwrap();
    clients[SPEAKER].emit(&format!("[\"say-all\",{json},{}]", ENDS[0]));
    walk!(server().handle().of("/"), everyone).emit("said", &ENDS[1]).unwrap();
    for (at, expected) in expected.into_iter().enumerate() {
        let got = match at {
            UNREADY => said_until_the_ends(|| poller.packet()),
            _ => said_until_the_ends(|| clients[at].packet().unwrap()),
        };
        assert_eq!(got, expected, "client {at}");
    }
}

/// What cannot be seen from outside as long as nothing is compressed and no other node is there.
#[test]
fn flags_are_kept_whatever_comes_after_them() {
    let mut client = Client::open(server().address());
    for steps in combinations("", &mut Random::new(8)) {
        let json = serde_json::to_string(&steps).unwrap();
        let shown: (String, String) =
            serde_json::from_str(&client.ask(&format!("[\"show\",{json}]"))).unwrap();
        let elsewhere = format!("{:?}", walk!(server().handle().of("/"), steps));
        let has = |flag: fn(&Step) -> bool| steps.iter().any(flag);
        let timeout = if has(|it| matches!(it, Step::Timeout(_))) { "300ms" } else { "5s" };
        for shown in [shown.0, shown.1, elsewhere] {
            for expected in [
                format!("volatile: {}", has(|it| matches!(it, Step::Volatile))),
                format!("compress: {}", !has(|it| matches!(it, Step::Compress(_)))),
                format!("local: {}", has(|it| matches!(it, Step::Local))),
                format!("timeout: {timeout}"),
            ] {
                assert!(shown.contains(&expected), "{expected} of {steps:?}: {shown}");
            }
        }
    }
}

/// The numbers that were said, in order, up to the last word of all who say something.
fn said_until_the_ends(mut packet: impl FnMut() -> String) -> Vec<u32> {
    let (mut numbers, mut ends) = (Vec::new(), 0);
    while ends < ENDS.len() {
        let packet = packet();
        let said = packet_of(&packet).and_then(|it| it.strip_prefix("[\"said\","));
        let number = said.and_then(|it| it.strip_suffix(']')?.parse().ok());
        match number.unwrap_or_else(|| panic!("{packet}")) {
            number if ENDS.contains(&number) => ends += 1,
            number => numbers.push(number),
        }
    }
    sorted(numbers)
}

#[test]
fn time_to_answer_goes_with_every_other_flag() {
    const PREFIX: &str = "timeout-";
    let (mut clients, mut poller) = members(PREFIX);
    let steps = |flag: Step| {
        vec![flag, Step::Timeout(400), Step::To(format!("{PREFIX}a")), Step::Compress(false)]
    };
    let mute = clients[1].id.clone();
    let unready = poller_id(&mut poller);
    for flag in [Step::Local, Step::Volatile] {
        let steps = steps(flag);
        let json = serde_json::to_string(&steps).unwrap();
        for by in ["poll", "poll-all", "handle"] {
            let started = Instant::now();
            let asking = match by {
                "handle" => {
                    let whom = walk!(server().handle().of("/"), steps);
                    Some(whom.emit_with_ack::<u32>("number", &()))
                }
                _ => {
                    clients[SPEAKER].emit_for_ack(&format!("[\"{by}\",{json}]"));
                    None
                }
            };
            let speaks = by != "poll";
            if speaks {
                answer(&mut clients[SPEAKER], 5);
            }
            let heard: Heard = match asking {
                Some(asking) => heard(wait(asking)),
                None => acked(&mut clients[SPEAKER]),
            };
            let missing = sorted(vec![mute.clone(), unready.clone()]);
            assert_eq!(heard, (if speaks { vec![5] } else { vec![] }, missing), "{by} {steps:?}");
            let time = started.elapsed();
            assert!((400..4000).contains(&time.as_millis()), "{by} waited {time:?}");
        }
    }
    // What was volatile was not kept for the one that was not ready.
    poller.emit_for_ack("[\"ping\"]");
    for _ in 0..3 {
        let packet = poller.packet();
        assert!(packet.ends_with("[\"number\"]"), "{packet}");
    }
    assert_eq!(harness::ack_of(&poller.packet()).unwrap().1, "[]");
}

#[test]
fn what_goes_to_one_client_has_flags_too() {
    let mut client = Client::open(server().address());
    let mut poller = Poller::open(server().address());
    // No poll is open when this is said: what is volatile is lost, and nothing else.
    for (number, flags) in [
        (1, vec![Step::Volatile]),
        (2, vec![Step::Compress(false)]),
        (3, vec![Step::Timeout(1), Step::Compress(true), Step::Volatile]),
        (4, vec![Step::Timeout(1), Step::Compress(false)]),
    ] {
        let event = format!("[\"back\",{},{number}]", serde_json::to_string(&flags).unwrap());
        client.emit(&event);
        poller.emit(&event);
        assert_eq!(client.packet().unwrap(), format!("42[\"said\",{number}]"));
    }
    for number in [2, 4] {
        assert_eq!(poller.packet(), format!("42[\"said\",{number}]"));
    }
    poller.emit_for_ack("[\"ping\"]");
    assert_eq!(harness::ack_of(&poller.packet()).unwrap().1, "[]");
}

#[test]
fn questions_to_one_client_have_flags_too() {
    let mut client = Client::open(server().address());
    let flags = [Step::Compress(false), Step::Timeout(5000), Step::Volatile];
    client.emit_for_ack(&format!("[\"ask\",{}]", serde_json::to_string(&flags).unwrap()));
    for (question, answer) in [("number", "1"), ("numbers", "2,3"), ("raw", "4")] {
        let packet = client.packet().unwrap();
        let id =
            packet.strip_prefix("42").and_then(|it| it.strip_suffix(&format!("[\"{question}\"]")));
        client.send(&format!("43{}[{answer}]", id.unwrap_or_else(|| panic!("{packet}"))));
    }
    let packet = client.packet().unwrap();
    assert_eq!(harness::ack_of(&packet).unwrap().1, r#"["[1]","[2, 3]","[4]"]"#);
}

/// As in Node: what is lost is not answered, which is known when the time is over.
#[test]
fn a_volatile_question_that_is_lost_times_out() {
    let mut poller = Poller::open(server().address());
    let flags = [Step::Timeout(200), Step::Volatile];
    poller.emit_for_ack(&format!("[\"ask\",{}]", serde_json::to_string(&flags).unwrap()));
    // A poll would make it ready.
    thread::sleep(Duration::from_millis(1500));
    let packet = poller.packet();
    let expected = r#"["timed out","timed out","timed out"]"#;
    assert_eq!(harness::ack_of(&packet), Some((0, expected)), "{packet}");
}

#[test]
fn what_is_local_reaches_all_cores_of_this_node() {
    let (mut clients, mut poller) = members("local-");
    assert_eq!(clients[SPEAKER].ask("[\"locals\",\"local-\",\"local-2\"]"), "[5]");
    for client in &mut clients {
        assert!(client.ask("[\"rooms\"]").contains("\"local-2\""));
    }
    assert!(poller.ask("[\"rooms\"]").contains("\"local-2\""));
}

#[test]
fn other_threads_are_told_why_nobody_answers() {
    let handle = server().handle();
    let nowhere = handle.of("/no such namespace").timeout(Duration::from_secs(5));
    let asked = wait(nowhere.emit_with_ack::<u32>("number", &()));
    assert!(matches!(asked, Err(AcksFailure::Emit(EmitError::Gone))), "{asked:?}");
    let asked = wait(handle.of("/").emit_with_ack::<u32>("disconnect", &()));
    assert!(matches!(asked, Err(AcksFailure::Emit(EmitError::Encode(_)))), "{asked:?}");
    let nobody = handle.of("/").to_rooms([""; 0]).volatile();
    assert!(wait(nobody.emit_with_ack::<u32>("number", &())).unwrap().is_empty());
    let mut client = Client::open(server().address());
    let alone = handle.of("/").to(&client.id).except_rooms(["x", "y"]);
    let asking = alone.emit_with_ack::<u32>("number", &());
    answer(&mut client, 9);
    assert_eq!(wait(asking).unwrap(), [9]);
}

/// The id of the socket, by the room of its own.
fn poller_id(poller: &mut Poller) -> String {
    let ids: Vec<Vec<String>> = serde_json::from_str(&poller.ask("[\"rooms\"]")).unwrap();
    ids[0][0].clone()
}

/// Answers an event that asks for an acknowledgement.
fn answer(client: &mut Client, number: u32) {
    let packet = client.packet().expect("the connection lives");
    let id = packet.strip_prefix("42").and_then(|it| it.strip_suffix("[\"number\"]"));
    client.send(&format!("43{}[{number}]", id.unwrap_or_else(|| panic!("{packet}"))));
}

/// What an acknowledgement says.
fn acked(client: &mut Client) -> Heard {
    let packet = client.packet().expect("the connection lives");
    let (_, args) = harness::ack_of(&packet).unwrap_or_else(|| panic!("{packet}"));
    serde_json::from_str(args).unwrap()
}

#[test]
fn a_handle_is_nodes_io() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let running = thread::spawn(move || {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.listen = ([127, 0, 0, 1], 0).into();
        config.settings.pin = false;
        Server::new(config).on_ready(move |ready| sender.send(ready).unwrap()).run(app)
    });
    let ready = receiver.recv().unwrap();
    let everyone = ready.handle.of("/");
    let mut clients: Vec<Client> = (0..12).map(|_| Client::open(ready.address)).collect();
    everyone.emit("news", &("for", "all")).unwrap();
    for client in &mut clients {
        assert_eq!(client.packet().as_deref(), Some(r#"42["news","for","all"]"#));
    }
    everyone.disconnect_sockets(true).unwrap();
    for client in &mut clients {
        assert_eq!(client.packet().as_deref(), Some("41"));
        assert_eq!(client.packet(), None);
    }
    // Who is there at the end is not disconnected from its namespace, so that it comes back.
    let mut last = Client::open(ready.address);
    ready.handle.close();
    let close = last.socket.closed().expect("a close frame");
    assert_eq!(close.opcode(), CLOSE);
    assert!(soon(|| running.is_finished()));
    running.join().unwrap().unwrap();
    assert!(matches!(everyone.emit("news", &()), Err(TellError::Unreached(Unreached::Ended))));
}
