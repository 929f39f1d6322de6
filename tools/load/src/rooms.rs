//! Scenarios `fanout` and `rooms`: in each room one member speaks, and all of them hear it.

use std::collections::VecDeque;

use crate::arrivals::{Arrival, Arrivals};
use crate::flights::Flights;
use crate::frame::{self, Opcode};
use crate::options::Options;
use crate::payload::Payload;
use crate::swarm::Traffic;
use crate::tally::{Tally, excerpt};

const SAY: &[u8] = br#"42["say",""#;
const AND: &[u8] = br#"",""#;
const SAID: &[u8] = br#"42["said",""#;

/// Rooms and what is said in them: `42["say","<room>","<text>"]` and, at each member,
/// `42["said","<text>"]`.
///
/// Client `c` is a member of room `c % rooms`, and the first member is the one who speaks.
#[derive(Debug)]
pub(crate) struct Rooms {
    text: Payload,
    largest: usize,
    rooms: Vec<Room>,
    /// What each client has heard of its room's speaker.
    heard: Vec<Arrivals>,
    random: fastrand::Rng,
    due: VecDeque<usize>,
}

#[derive(Debug)]
struct Room {
    name: String,
    members: u32,
    flights: Flights,
    /// Its speaker is in the list of those who may speak.
    due: bool,
}

impl Rooms {
    /// As the options say.
    pub(crate) fn new(options: &Options) -> Self {
        let count = options.rooms_used();
        let rooms = (0..count).map(|room| Room {
            name: name(room),
            members: (options.connections - room).div_ceil(count) as u32,
            flights: Flights::new(options.outstanding),
            due: false,
        });
        Self {
            text: Payload::text(options.payload - SAID.len() - br#""]"#.len()),
            largest: options.payload + SAY.len() + name(0).len(),
            rooms: rooms.collect(),
            heard: std::iter::repeat_with(Arrivals::default).take(options.connections).collect(),
            random: fastrand::Rng::new(),
            due: VecDeque::new(),
        }
    }

    /// The number of what was said, if it is from this room's speaker and right in every byte.
    #[inline]
    fn said(&mut self, room: usize, packet: &[u8]) -> Option<u64> {
        let text = packet.strip_prefix(SAID)?;
        let sequence = self.text.sequence(text)?;
        (text == self.text.of(room, sequence)).then_some(sequence)
    }
}

impl Traffic for Rooms {
    fn room(&self, client: usize) -> Option<String> {
        Some(name(client % self.rooms.len()))
    }

    fn largest(&self) -> usize {
        self.largest
    }

    #[inline]
    fn text(&mut self, client: usize, now: u64, packet: &[u8], tally: &mut Tally) {
        let at = client % self.rooms.len();
        let sequence = self.said(at, packet);
        let room = &mut self.rooms[at];
        let Some(sequence) = sequence.filter(|sequence| room.flights.was_sent(*sequence)) else {
            return tally.error(|| format!("client {client} heard {}", excerpt(packet)));
        };
        match self.heard[client].arrived(sequence) {
            Arrival::First => {}
            Arrival::Late => tally.out_of_order += 1,
            Arrival::Doubled => {
                tally.doubled += 1;
                return;
            }
        }
        let outstanding = room.flights.outstanding();
        let said_at = room.flights.arrived(sequence);
        tally.delivered(now - said_at);
        if room.flights.outstanding() < outstanding && !room.due {
            room.due = true;
            self.due.push_back(at);
        }
    }

    fn binary(&mut self, client: usize, _: u64, bytes: &[u8], tally: &mut Tally) {
        tally.error(|| format!("client {client} got an attachment, {}", excerpt(bytes)));
    }

    #[inline]
    fn outgoing(&mut self, client: usize, now: u64, out: &mut Vec<u8>) {
        let Some(room) = self.rooms.get_mut(client) else { return };
        room.due = false;
        while let Some(sequence) = room.flights.depart(now, room.members) {
            let mask = frame::random_mask(&mut self.random);
            let text = self.text.of(client, sequence);
            frame::write(out, Opcode::Text, mask, &[SAY, room.name.as_bytes(), AND, text]);
        }
    }

    fn due(&mut self) -> &mut VecDeque<usize> {
        &mut self.due
    }

    fn outstanding(&self) -> usize {
        self.rooms.iter().map(|room| room.flights.outstanding()).sum()
    }

    fn missing(&self) -> u64 {
        let sent = |client: usize| self.rooms[client % self.rooms.len()].flights.sent();
        self.heard.iter().enumerate().map(|(client, heard)| heard.missing(sent(client))).sum()
    }
}

fn name(room: usize) -> String {
    format!("room{room:05}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn rooms(arguments: &str) -> Rooms {
        let words = ["yamabiko-load"].into_iter().chain(arguments.split_whitespace());
        Rooms::new(&Options::parse_from(words))
    }

    fn said(it: &mut Rooms, room: usize, sequence: u64) -> Vec<u8> {
        [SAID, it.text.of(room, sequence)].concat()
    }

    #[test]
    fn every_client_is_a_member_of_one_room() {
        let it = rooms("rooms --connections 10 --rooms 4");
        let members: Vec<u32> = it.rooms.iter().map(|room| room.members).collect();
        assert_eq!(members, [3, 3, 2, 2]);
        for (at, room) in it.rooms.iter().enumerate() {
            let joined = (0..10).filter(|client| it.room(*client).unwrap() == room.name).count();
            assert_eq!(joined as u32, room.members, "{at}");
        }
    }

    #[test]
    fn a_room_is_due_once_everyone_has_heard() {
        let mut it = rooms("rooms --connections 4 --rooms 2 --outstanding 2 --payload 40");
        let (mut tally, mut out) = (Tally::new(), Vec::new());
        for client in 0..4 {
            it.outgoing(client, 0, &mut out);
        }
        assert_eq!(it.outstanding(), 4, "only speakers speak");
        let (first, second) = (said(&mut it, 1, 0), said(&mut it, 1, 1));
        assert_eq!(first.len(), 40);
        it.text(1, 9, &second, &mut tally);
        it.text(1, 9, &first, &mut tally);
        it.text(3, 9, &first, &mut tally);
        it.text(3, 9, &first, &mut tally);
        assert_eq!(it.due, [1]);
        it.text(3, 9, &second, &mut tally);
        assert_eq!(it.due, [1], "once");
        assert_eq!((tally.messages, tally.doubled, tally.out_of_order), (4, 1, 1));
        assert_eq!(it.missing(), 4, "of the other room");
        it.outgoing(1, 9, &mut out);
        assert_eq!(it.outstanding(), 4);
    }

    #[test]
    fn what_was_not_said_here_is_an_error() {
        let mut it = rooms("rooms --connections 4 --rooms 2 --outstanding 1");
        let mut tally = Tally::new();
        it.outgoing(1, 0, &mut Vec::new());
        let (elsewhere, unsaid, right) =
            (said(&mut it, 0, 0), said(&mut it, 1, 1), said(&mut it, 1, 0));
        for wrong in [&elsewhere[..], &unsaid, &right[1..], b"42[\"other\"]", b""] {
            it.text(3, 1, wrong, &mut tally);
        }
        for at in 0..right.len() {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            it.text(3, 1, &wrong, &mut tally);
        }
        assert_eq!((tally.errors, tally.messages), (5 + right.len() as u64, 0));
    }
}
