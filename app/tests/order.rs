//! A history of everything that everybody received, and a checker for it: per sender, room and receiver
//! first in, first out, nothing twice; who is a member throughout gets each message exactly once.

#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use harness::*;

const CLIENTS: usize = 40;
const ROOMS: usize = 6;
const SENDERS: usize = 8;
/// Messages of one sender to one room.
const MESSAGES: usize = 60;

/// One way to be a client.
enum Member {
    WebSocket(Client),
    Polling(Poller),
}

/// What a sender said to a room, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Source {
    sender: usize,
    room: usize,
}

/// The numbers that one receiver got from each source, in order.
type History = HashMap<Source, Vec<usize>>;

impl Member {
    fn ask(&mut self, event: &str) -> String {
        match self {
            Member::WebSocket(client) => client.ask(event),
            Member::Polling(poller) => poller.ask(event),
        }
    }

    fn emit(&mut self, event: &str) {
        match self {
            Member::WebSocket(client) => client.emit(event),
            Member::Polling(poller) => poller.emit(event),
        }
    }

    fn packet(&mut self) -> String {
        match self {
            Member::WebSocket(client) => client.packet().expect("the connection lives"),
            Member::Polling(poller) => poller.packet(),
        }
    }
}

/// The rooms a client is in throughout: three of six, spread so that each room has members everywhere.
fn rooms_of(client: usize) -> [usize; 3] {
    let step = 1 + client / ROOMS % 2;
    [client % ROOMS, (client + step) % ROOMS, (client + 2 * step) % ROOMS]
}

/// Whether a client leaves and joins its first room again and again.
fn is_restless(client: usize) -> bool {
    client % 8 == 7
}

fn is_sender(client: usize) -> bool {
    client.is_multiple_of(CLIENTS / SENDERS)
}

fn said(packet: &str) -> Option<(Source, usize)> {
    let rest = packet_of(packet)?.strip_prefix("[\"said\",\"")?.strip_suffix("\"]")?;
    let mut numbers = rest.split(' ').map(|number| number.parse().unwrap());
    let mut next = || numbers.next().unwrap();
    Some((Source { sender: next(), room: next() }, next()))
}

/// Says everything to every room in turn, and waits until the server has worked it off.
fn speak(member: &mut Member, sender: usize, history: &mut History) {
    for number in 0..MESSAGES {
        for room in 0..ROOMS {
            member.emit(&format!("[\"say\",\"room-{room}\",\"{sender} {room} {number}\"]"));
        }
        if number % 10 == 9 {
            settle(member, history);
        }
    }
}

/// Waits for an acknowledgement; everything that was sent to this client before has come then.
fn settle(member: &mut Member, history: &mut History) {
    let id = match member {
        Member::WebSocket(client) => client.emit_for_ack("[\"message-with-ack\"]"),
        Member::Polling(poller) => poller.emit_for_ack("[\"message-with-ack\"]"),
    };
    loop {
        let packet = member.packet();
        match ack_of(&packet) {
            Some((acked, _)) => return assert_eq!(acked, id),
            None => note(&packet, history),
        }
    }
}

fn note(packet: &str, history: &mut History) {
    let (source, number) = said(packet).unwrap_or_else(|| panic!("{packet}"));
    history.entry(source).or_default().push(number);
}

/// Leaves its first room and joins it again, as long as somebody speaks.
fn wander(member: &mut Member, client: usize, speaking: &AtomicUsize, history: &mut History) {
    let room = rooms_of(client)[0];
    while speaking.load(Ordering::Acquire) > 0 {
        for event in ["leave", "join"] {
            member.emit(&format!("[\"{event}\",\"room-{room}\"]"));
            settle(member, history);
        }
    }
}

/// What a client must have in the end: from every sender but itself, for every room it never left.
fn sources_of(client: usize) -> Vec<Source> {
    let rooms = rooms_of(client);
    let rooms = if is_restless(client) { &rooms[1..] } else { &rooms[..] };
    let senders = (0..CLIENTS).filter(|sender| is_sender(*sender) && *sender != client);
    senders.flat_map(|sender| rooms.iter().map(move |&room| Source { sender, room })).collect()
}

fn is_complete(client: usize, history: &History) -> bool {
    sources_of(client).iter().all(|source| {
        history.get(source).and_then(|numbers| numbers.last()) == Some(&(MESSAGES - 1))
    })
}

fn check(client: usize, history: &History) {
    let every: Vec<usize> = (0..MESSAGES).collect();
    for source in sources_of(client) {
        let got = history.get(&source).map_or(&[][..], Vec::as_slice);
        assert_eq!(got, every, "client {client} from {source:?}");
    }
    for (source, numbers) in history {
        assert!(source.sender != client, "client {client} heard itself");
        assert!(rooms_of(client).contains(&source.room), "client {client} heard {source:?}");
        let is_rising = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(is_rising, "client {client} from {source:?}: {numbers:?}");
    }
}

fn run(shards: usize) {
    let server = Server::start(shards);
    let mut members: Vec<Member> = (0..CLIENTS)
        .map(|client| match client % 5 {
            3 => Member::Polling(Poller::open(server.address())),
            _ => Member::WebSocket(Client::open(server.address())),
        })
        .collect();
    for (client, member) in members.iter_mut().enumerate() {
        for room in rooms_of(client) {
            member.ask(&format!("[\"join\",\"room-{room}\"]"));
        }
    }
    let speaking = AtomicUsize::new(SENDERS);
    let histories: Vec<History> = thread::scope(|scope| {
        let running: Vec<_> = members
            .iter_mut()
            .enumerate()
            .map(|(client, member)| {
                let speaking = &speaking;
                scope.spawn(move || {
                    let mut history = History::new();
                    if is_sender(client) {
                        speak(member, client, &mut history);
                        speaking.fetch_sub(1, Ordering::Release);
                    } else if is_restless(client) {
                        wander(member, client, speaking, &mut history);
                    }
                    while !is_complete(client, &history) {
                        note(&member.packet(), &mut history);
                    }
                    history
                })
            })
            .collect();
        running.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (client, (history, member)) in histories.into_iter().zip(&mut members).enumerate() {
        // Whatever would come twice has come before this answer.
        let mut history = history;
        settle(member, &mut history);
        check(client, &history);
    }
    server.stop();
}

#[test]
fn histories_hold_on_four_shards() {
    run(4);
}

#[test]
fn histories_hold_on_one_shard() {
    run(1);
}
